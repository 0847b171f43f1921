package aggregate_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
)

type (
	// A command says which events it leads to, or why not.
	Command interface {
		decide(Account) ([]Event, error)
	}
	Deposit  struct{ Amount int }
	Withdraw struct{ Amount int }

	// An event says what becomes of the account.
	Event     interface{ apply(Account) Account }
	Deposited struct{ Amount int }
	Withdrawn struct{ Amount int }

	Account struct{ Balance int }
)

func (c Deposit) decide(Account) ([]Event, error) { return []Event{Deposited(c)}, nil }
func (c Withdraw) decide(a Account) ([]Event, error) {
	if a.Balance < c.Amount {
		return nil, errors.New("not enough money")
	}
	return []Event{Withdrawn(c)}, nil
}

func (e Deposited) apply(a Account) Account { return Account{a.Balance + e.Amount} }
func (e Withdrawn) apply(a Account) Account { return Account{a.Balance - e.Amount} }

func Example_bank() {
	ctx, store := context.Background(), daybook.New(memory.New(nil), nil)
	defer store.Close()
	events := codec.Must(codec.New[Event](codec.Event[Deposited]("deposited"), codec.Event[Withdrawn]("withdrawn")))
	accounts, err := aggregate.New(store, "account", events, aggregate.Decider[Account, Command, Event]{
		Decide: func(a Account, c Command) ([]Event, error) { return c.decide(a) },
		Evolve: func(a Account, e Event) Account { return e.apply(a) },
	}, nil)
	if err != nil {
		panic(err)
	}

	// A command with an id is carried out once, however often it is sent.
	for range 2 {
		ann, err := accounts.Execute(ctx, "ann", Deposit{100}, &aggregate.CommandOptions{ID: daybook.IDOf("payment 17")})
		fmt.Println(ann.State.Balance, err)
	}

	// Between two accounts, both or none.
	transfer := func(ctx context.Context, tx *aggregate.Transaction) error {
		if _, err := accounts.ExecuteIn(ctx, tx, "ann", Withdraw{60}); err != nil {
			return err
		}
		_, err := accounts.ExecuteIn(ctx, tx, "bob", Deposit{60})
		return err
	}
	for range 2 {
		_, err := aggregate.Transact(ctx, store, transfer, nil)
		bob, _ := accounts.Load(ctx, "bob")
		fmt.Println(bob.State.Balance, err)
	}
	// Output:
	// 100 <nil>
	// 100 <nil>
	// 60 <nil>
	// 60 not enough money
}
