package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook/aggregate"
)

// patient waits for turns as long as a slow machine may need.
var patient = aggregate.Retry{MaxWait: time.Minute}

func TestCommandsOfOneRepositoryDoNotCollide(t *testing.T) {
	for _, size := range []int{0, 10} {
		var conflicts atomic.Int64
		b := newBank(t, &options{Cache: size, Retry: patient, Hooks: aggregate.Hooks{
			OnConflict: func(context.Context, aggregate.Conflict) { conflicts.Add(1) },
		}})
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 25 {
					b.do("ann", deposit(1))
				}
			})
		}
		group.Wait()
		if conflicts.Load() != 0 || b.balance("ann") != 200 {
			t.Errorf("with a cache of %d: %d conflicts, and ann has %d, want 200", size, conflicts.Load(), b.balance("ann"))
		}
	}
}

func TestTransactionsOfOneRepositoryDoNotCollideWhateverTheirOrder(t *testing.T) {
	for _, size := range []int{0, 10} {
		b := newBank(t, &options{Cache: size})
		names := []string{"a", "b", "c"}
		for _, name := range names {
			b.do(name, deposit(1000))
		}
		var conflicts atomic.Int64
		o := &aggregate.TransactionOptions{Retry: patient, OnConflict: func(context.Context, aggregate.Conflict) { conflicts.Add(1) }}
		var group sync.WaitGroup
		for g := range 6 {
			group.Go(func() {
				for i := range 20 {
					from, to := names[(g+i)%3], names[(g+i+1+i%2)%3]
					if result, err := transfer(t.Context(), b.store, b.accounts, from, to, 1, o); err != nil || result.Tries != 1 {
						t.Errorf("%s to %s: %+v, %v", from, to, result, err)
					}
				}
			})
		}
		group.Wait()
		if sum := b.balance("a") + b.balance("b") + b.balance("c"); sum != 3000 || conflicts.Load() != 0 {
			t.Errorf("with a cache of %d: %d conflicts, and there are %d, want 3000", size, conflicts.Load(), sum)
		}
	}
}

// TestATransactionOverTwoRepositoriesTakesTurnsInBoth has each of two kinds of
// transactions meet the repositories in its own order.
func TestATransactionOverTwoRepositoriesTakesTurnsInBoth(t *testing.T) {
	b := newBank(t, nil)
	one, two := b.accounts, b.again(nil)
	var group sync.WaitGroup
	for g := range 4 {
		group.Go(func() {
			first, second, names := one, two, []string{"ann", "bob"}
			if g%2 == 1 {
				first, second, names = two, one, []string{"bob", "ann"}
			}
			for range 10 {
				_, err := aggregate.Transact(t.Context(), b.store, func(ctx context.Context, tx *aggregate.Transaction) error {
					if _, err := first.ExecuteIn(ctx, tx, names[0], deposit(1)); err != nil {
						return err
					}
					_, err := second.ExecuteIn(ctx, tx, names[1], deposit(1))
					return err
				}, &aggregate.TransactionOptions{Retry: patient})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if b.balance("ann") != 40 || b.balance("bob") != 40 {
		t.Errorf("ann has %d, bob %d; want 40 each", b.balance("ann"), b.balance("bob"))
	}
}

func TestACommandGoesOnWithoutATurnBehindOneThatIsStuck(t *testing.T) {
	b := newBank(t, &options{Retry: aggregate.Retry{MaxWait: time.Millisecond}})
	inside, proceed := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		var once sync.Once
		b.do("ann", func(account) ([]event, error) {
			once.Do(func() { close(inside); <-proceed })
			return []event{deposited{1}}, nil
		})
	})
	<-inside
	b.do("ann", deposit(10))
	close(proceed)
	group.Wait()
	if b.balance("ann") != 11 {
		t.Errorf("ann has %d, want 11", b.balance("ann"))
	}
}

func TestWaitingForATurnEndsWithItsContext(t *testing.T) {
	b := newBank(t, &options{Retry: patient})
	inside, proceed := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { b.do("ann", func(account) ([]event, error) { close(inside); <-proceed; return nil, nil }) })
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Execute(ctx, "ann", deposit(1), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("it answers %v", err)
	}
	close(proceed)
	group.Wait()
}

func TestARefusalLeavesTheCacheAsItIs(t *testing.T) {
	b := newBank(t, &options{Cache: 10})
	b.do("ann", deposit(5))
	b.do("bob", deposit(5))
	before := b.driver.read.Load()
	for range 3 {
		if _, err := b.Execute(t.Context(), "ann", withdraw(9), nil); !errors.Is(err, errFunds) {
			t.Error(err)
		}
		if _, err := transfer(t.Context(), b.store, b.accounts, "ann", "bob", 9, nil); !errors.Is(err, errFunds) {
			t.Error(err)
		}
	}
	b.do("ann", withdraw(5))
	if n := b.driver.read.Load() - before; n != 0 {
		t.Errorf("%d records were read, want none: nothing has changed", n)
	}
	panicking := func(account) ([]event, error) { return []event{deposited{666}}, nil }
	if _, err := b.Execute(t.Context(), "bob", panicking, nil); err == nil {
		t.Error("an event that cannot be folded is taken")
	}
	before = b.driver.read.Load()
	if b.balance("bob"); b.driver.read.Load() == before {
		t.Error("a state that a panic may have damaged is still in the cache")
	}
}

func TestARepeatedTransactionLeavesTheCacheAsItIs(t *testing.T) {
	b := newBank(t, &options{Cache: 10})
	b.do("ann", deposit(5))
	o := &aggregate.TransactionOptions{}
	o.ID[0] = 7
	for i := range 2 {
		if result, err := transfer(t.Context(), b.store, b.accounts, "ann", "bob", 1, o); err != nil || result.Receipt.Repeated != (i == 1) {
			t.Fatalf("time %d: %+v, %v", i, result, err)
		}
	}
	before := b.driver.read.Load()
	b.do("ann", withdraw(4))
	if n := b.driver.read.Load() - before; n != 0 {
		t.Errorf("%d records were read, want none", n)
	}
}

func TestADecisionThatExecutesACommandItselfIsRefused(t *testing.T) {
	b := newBank(t, nil)
	var setup *aggregate.SetupError
	for name, run := range map[string]func() error{
		"in Decide": func() (inner error) {
			_, _ = b.Execute(t.Context(), "ann", func(account) ([]event, error) {
				_, inner = b.Execute(t.Context(), "ann", deposit(1), nil)
				return nil, nil
			}, nil)
			return inner
		},
		"in Transact": func() (inner error) {
			_, _ = aggregate.Transact(t.Context(), b.store, func(ctx context.Context, tx *aggregate.Transaction) error {
				if _, err := b.ExecuteIn(ctx, tx, "ann", deposit(1)); err != nil {
					return err
				}
				_, inner = b.Execute(ctx, "ann", deposit(1), nil)
				return inner
			}, nil)
			return inner
		},
		"a transaction in Decide": func() (inner error) {
			_, _ = b.Execute(t.Context(), "ann", func(account) ([]event, error) {
				_, inner = transfer(t.Context(), b.store, b.accounts, "ann", "bob", 0, nil)
				return nil, nil
			}, nil)
			return inner
		},
	} {
		if err := run(); !errors.As(err, &setup) || setup.What != "command" {
			t.Errorf("%s: it answers %v", name, err)
		}
		if n := b.version(b.Stream("ann")); n != 0 {
			t.Errorf("%s: %d records are stored", name, n)
		}
	}
}

func TestATransactionThatPassesOverAnErrorStoresNothing(t *testing.T) {
	b := newBank(t, nil)
	_, err := aggregate.Transact(t.Context(), b.store, func(ctx context.Context, tx *aggregate.Transaction) error {
		_, _ = b.ExecuteIn(ctx, tx, "ann", withdraw(9))
		_, err := b.ExecuteIn(ctx, tx, "bob", deposit(9))
		return err
	}, nil)
	if !errors.Is(err, errFunds) || b.version(b.Stream("bob")) != 0 {
		t.Errorf("it answers %v, and bob has %d records", err, b.version(b.Stream("bob")))
	}
}

func TestATransactionThatHasEndedTakesNothingMore(t *testing.T) {
	b := newBank(t, nil)
	var kept *aggregate.Transaction
	_, err := aggregate.Transact(t.Context(), b.store, func(_ context.Context, tx *aggregate.Transaction) error { kept = tx; return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	var setup *aggregate.SetupError
	if _, err := b.ExecuteIn(t.Context(), kept, "ann", deposit(1)); !errors.As(err, &setup) {
		t.Errorf("a command answers %v", err)
	}
	if _, err := b.LoadIn(t.Context(), kept, "ann"); !errors.As(err, &setup) {
		t.Errorf("a load answers %v", err)
	}
	if text := fmt.Sprint(setup); text != "aggregate: transaction: it has ended: use it inside the function of Transact only" {
		t.Errorf("it says %q", text)
	}
}
