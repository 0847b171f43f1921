package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/storage/memory"
)

// transfer moves money between two accounts in one transaction.
func transfer(ctx context.Context, store *daybook.Store, r *accounts, from, to string, n int, o *aggregate.TransactionOptions) (aggregate.TransactionResult, error) {
	return aggregate.Transact(ctx, store, func(ctx context.Context, tx *aggregate.Transaction) error {
		if _, err := r.ExecuteIn(ctx, tx, from, withdraw(n)); err != nil {
			return err
		}
		_, err := r.ExecuteIn(ctx, tx, to, deposit(n))
		return err
	}, o)
}

func TestATransactionStoresAllOrNothing(t *testing.T) {
	for _, size := range []int{0, 10} {
		b := newBank(t, &options{Cache: size})
		b.do("ann", deposit(50))
		result, err := transfer(t.Context(), b.store, b.accounts, "ann", "bob", 20, nil)
		if err != nil || len(result.Receipt.Changesets) != 2 || result.Tries != 1 {
			t.Errorf("%+v, %v", result, err)
		}
		if _, err := transfer(t.Context(), b.store, b.accounts, "bob", "ann", 21, nil); !errors.Is(err, errFunds) {
			t.Errorf("too much answers %v", err)
		}
		if b.balance("ann") != 30 || b.balance("bob") != 20 {
			t.Errorf("ann has %d, bob %d; want 30 and 20", b.balance("ann"), b.balance("bob"))
		}
	}
}

func TestATransactionRunsAgainOnWhatItMissed(t *testing.T) {
	for _, size := range []int{0, 10} {
		b := newBank(t, &options{Cache: size})
		b.do("ann", deposit(50))
		b.do("bob", deposit(1))
		other := b.again(nil)
		runs := 0
		result, err := aggregate.Transact(t.Context(), b.store, func(ctx context.Context, tx *aggregate.Transaction) error {
			if _, err := b.ExecuteIn(ctx, tx, "ann", withdraw(20)); err != nil {
				return err
			}
			bob, err := b.ExecuteIn(ctx, tx, "bob", deposit(20))
			if err != nil {
				return err
			}
			if seen, err := b.LoadIn(ctx, tx, "bob"); err != nil || seen.State.Balance != bob.State.Balance {
				t.Errorf("the transaction sees %d, not its own %d", seen.State.Balance, bob.State.Balance)
			}
			if runs++; runs == 1 {
				_, _ = other.Execute(ctx, "ann", deposit(1), nil)
				_, _ = other.Execute(ctx, "bob", deposit(1), nil)
			}
			return nil
		}, nil)
		if err != nil || result.Tries < 2 || b.balance("ann") != 31 || b.balance("bob") != 22 {
			t.Errorf("%+v, %v: ann has %d, bob %d", result, err, b.balance("ann"), b.balance("bob"))
		}
	}
}

func TestATransactionWithAnIDIsCarriedOutOnce(t *testing.T) {
	b := newBank(t, nil)
	b.do("ann", deposit(50))
	o := &aggregate.TransactionOptions{CommandOptions: aggregate.CommandOptions{ID: daybook.IDOf("rent")}}
	for i := range 3 {
		result, err := transfer(t.Context(), b.store, b.accounts, "ann", "bob", 30, o) // the second is refused by Decide
		if err != nil || result.Receipt.Repeated != (i > 0) || len(result.Receipt.Changesets) != 2 {
			t.Errorf("time %d: %+v, %v", i, result, err)
		}
		if b.balance("ann") != 20 {
			t.Errorf("time %d: ann has %d", i, b.balance("ann"))
		}
	}
}

func TestATransactionWithoutEventsStoresNothing(t *testing.T) {
	b := newBank(t, nil)
	before := b.driver.appends.Load()
	result, err := aggregate.Transact(t.Context(), b.store, func(context.Context, *aggregate.Transaction) error { return nil }, nil)
	if err != nil || b.driver.appends.Load() != before {
		t.Errorf("%+v, %v", result, err)
	}
	other := daybook.New(memory.New(nil), nil)
	defer other.Close()
	var setup *aggregate.SetupError
	if _, err := transfer(t.Context(), other, b.accounts, "ann", "bob", 0, nil); !errors.As(err, &setup) {
		t.Errorf("a transaction of another store answers %v", err)
	}
}

// single is a driver that takes one stream in an append.
type single struct{ daybook.Driver }

func (d single) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	if len(a.Changesets) > 1 {
		return daybook.Receipt{}, &daybook.UnsupportedError{Driver: "single", Feature: "several streams in one append"}
	}
	return d.Driver.Append(ctx, a)
}

func TestATransactionSaysWhereTheStorageCannot(t *testing.T) {
	store := daybook.New(single{memory.New(nil)}, nil)
	defer store.Close()
	repository, err := aggregate.New(store, "account", events, decider, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = repository.Execute(t.Context(), "ann", deposit(9), nil)
	var unsupported *daybook.UnsupportedError
	if _, err := transfer(t.Context(), store, repository, "ann", "bob", 1, nil); !errors.As(err, &unsupported) {
		t.Errorf("it answers %v", err)
	}
	if at, _ := repository.Load(t.Context(), "ann"); at.State.Balance != 9 {
		t.Errorf("ann has %d, want 9", at.State.Balance)
	}
}

func TestMoneyIsNeitherMadeNorLostByManyAtOnce(t *testing.T) {
	b := newBank(t, &options{Cache: 2, Retry: aggregate.Retry{MaxTries: 1000, MinWait: 1}, Snapshots: every(7)})
	other := b.again(&options{Retry: aggregate.Retry{MaxTries: 1000, MinWait: 1}})
	names := []string{"a", "b", "c"}
	for _, name := range names {
		b.do(name, deposit(100))
	}
	var group sync.WaitGroup
	for g := range 6 {
		group.Go(func() {
			repository := b.accounts
			if g%2 == 1 {
				repository = other
			}
			for i := range 20 {
				o := &aggregate.TransactionOptions{Retry: aggregate.Retry{MaxTries: 1000, MinWait: 1}}
				o.ID = daybook.IDOf(fmt.Sprint("transfer ", g, i))
				for range 2 {
					_, err := transfer(t.Context(), b.store, repository, names[(g+i)%3], names[(g+i+1)%3], 1+g, o)
					if err != nil && !errors.Is(err, errFunds) {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if sum := b.balance("a") + b.balance("b") + b.balance("c"); sum != 300 {
		t.Errorf("there are %d, want 300", sum)
	}
}

func TestWhatATransactionOnlyReadsIsNotFromAnOldCache(t *testing.T) {
	b := newBank(t, &options{Cache: 10})
	b.do("ann", deposit(1))
	b.do("bob", deposit(1))
	b.fill("ann", 1)
	b.fill("bob", 1)
	topUp := func(a account) ([]event, error) { // to 2
		if a.Balance < 2 {
			return []event{deposited{2 - a.Balance}}, nil
		}
		return nil, nil
	}
	_, err := aggregate.Transact(t.Context(), b.store, func(ctx context.Context, tx *aggregate.Transaction) error {
		if ann, err := b.LoadIn(ctx, tx, "ann"); err != nil || ann.State.Balance != 2 {
			t.Errorf("it reads %d, %v", ann.State.Balance, err)
		}
		if bob, err := b.ExecuteIn(ctx, tx, "bob", topUp); err != nil || bob.Version != 2 && bob.State.Balance != 2 {
			t.Errorf("it decides on %+v, %v", bob, err)
		}
		_, err := b.ExecuteIn(ctx, tx, "cid", deposit(1))
		return err
	}, nil)
	if err != nil || b.balance("bob") != 2 {
		t.Errorf("%v, bob has %d", err, b.balance("bob"))
	}
	b.fill("ann", 1)
	spend := func(a account) ([]event, error) { // nothing, unless there is more than 2
		if a.Balance > 2 {
			return []event{withdrawn{a.Balance - 2}}, nil
		}
		return nil, nil
	}
	b.fill("ann", 5)
	if _, err := aggregate.Transact(t.Context(), b.store, func(ctx context.Context, tx *aggregate.Transaction) error {
		_, err := b.ExecuteIn(ctx, tx, "cid", deposit(1))
		if err == nil {
			_, err = b.ExecuteIn(ctx, tx, "ann", spend)
		}
		return err
	}, nil); err != nil || b.balance("ann") != 2 {
		t.Errorf("%v, ann has %d, want 2", err, b.balance("ann"))
	}
}
