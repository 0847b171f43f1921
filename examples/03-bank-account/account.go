package main

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
)

// What happens to an account.
type (
	Event     interface{ accountEvent() }
	Opened    struct{ Owner, IBAN string }
	Deposited struct{ Amount int }
	Withdrawn struct{ Amount int }
)

func (Opened) accountEvent()    {}
func (Deposited) accountEvent() {}
func (Withdrawn) accountEvent() {}

// Claims holds the IBAN for one account only, whoever opens another one at the
// same time.
func (e Opened) Claims() []daybook.Claim { return []daybook.Claim{{Kind: "iban", Value: e.IBAN}} }

var events = codec.Must(codec.New[Event](
	codec.Event[Opened]("opened"), codec.Event[Deposited]("deposited"), codec.Event[Withdrawn]("withdrawn"),
))

// Account is what has become of it.
type Account struct {
	Owner   string
	Balance int
}

// Command is what can be asked of an account: it says which events that leads
// to, or why not.
type Command func(a Account) ([]Event, error)

var errFunds = errors.New("not enough money")

func open(owner, iban string) Command {
	return func(a Account) ([]Event, error) {
		if a.Owner != "" {
			return nil, errors.New("the account is open already")
		}
		return []Event{Opened{owner, iban}}, nil
	}
}

func deposit(amount int) Command {
	return func(a Account) ([]Event, error) {
		if a.Owner == "" {
			return nil, errors.New("there is no such account")
		}
		return []Event{Deposited{amount}}, nil
	}
}

func withdraw(amount int) Command {
	return func(a Account) ([]Event, error) {
		if a.Balance < amount {
			return nil, fmt.Errorf("%w: %d of %d", errFunds, a.Balance, amount)
		}
		return []Event{Withdrawn{amount}}, nil
	}
}

func evolve(a Account, event Event) Account {
	switch e := event.(type) {
	case Opened:
		a.Owner = e.Owner
	case Deposited:
		a.Balance += e.Amount
	case Withdrawn:
		a.Balance -= e.Amount
	}
	return a
}

// Accounts are all accounts of a bank.
type Accounts = aggregate.Repository[Account, Command, Event]

func newAccounts(store *daybook.Store, hooks aggregate.Hooks) (*Accounts, error) {
	decide := func(a Account, command Command) ([]Event, error) { return command(a) }
	return aggregate.New(store, "account", events, aggregate.Decider[Account, Command, Event]{Decide: decide, Evolve: evolve},
		&aggregate.Options[Account, Event]{
			Cache:     1000,
			Snapshots: &aggregate.Snapshots[Account, Event]{Name: "v1", Policy: aggregate.Every(100)},
			Hooks:     hooks,
		})
}
