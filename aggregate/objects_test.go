package aggregate_test

import (
	"errors"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/storage/memory"

	"context"
)

// wallet is an account in the style of objects. It has no Clone.
type wallet struct {
	aggregate.Root[event]
	Balance int
	Kinds   map[string]int
}

func newWallet() *wallet { return &wallet{Kinds: map[string]int{}} }

func (w *wallet) Apply(e event) {
	switch e := e.(type) {
	case deposited:
		if e.Amount == 666 {
			panic("the fold cannot take 666")
		}
		w.Kinds["deposited"]++
		w.Balance += e.Amount
	case withdrawn:
		w.Kinds["withdrawn"]++
		w.Balance -= e.Amount
	}
}

func (w *wallet) Withdraw(n int) error {
	if w.Balance < n {
		return errFunds
	}
	w.Emit(withdrawn{n})
	return nil
}

func (w *wallet) Deposit(n int) { w.Emit(deposited{n}) }

// purse is a wallet with a Clone.
type purse struct {
	aggregate.Root[event]
	Balance int
}

func (p *purse) Apply(e event) {
	switch e := e.(type) {
	case deposited:
		p.Balance += e.Amount
	case withdrawn:
		p.Balance -= e.Amount
	}
}

func (p *purse) Clone() *purse { own := *p; return &own }

func newStore(t *testing.T) *daybook.Store {
	store := daybook.New(memory.New(nil), nil)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func wallets(t *testing.T, store *daybook.Store, with *aggregate.Options[*wallet, event]) *aggregate.Objects[*wallet, event] {
	t.Helper()
	objects, err := aggregate.NewObjects(store, "account", events, newWallet, with)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = objects.Close(context.Background()) })
	return objects
}

func TestApplyRunsWhenEmittingAndWhenRestoring(t *testing.T) {
	objects := wallets(t, newStore(t), nil)
	ann, err := objects.Load(t.Context(), "ann")
	if err != nil || ann.Version() != 0 {
		t.Fatal(ann, err)
	}
	ann.Deposit(10)
	ann.Deposit(5)
	if ann.Balance != 15 || len(ann.Pending()) != 2 {
		t.Errorf("emitting leaves a balance of %d and %d pending", ann.Balance, len(ann.Pending()))
	}
	if receipt, err := objects.Persist(t.Context(), ann, nil); err != nil || receipt.Changesets[0].Last != 2 || ann.Version() != 2 || len(ann.Pending()) != 0 {
		t.Errorf("%+v, %v", receipt, err)
	}
	if err := ann.Withdraw(1); err != nil {
		t.Fatal(err)
	}
	if _, err := objects.Persist(t.Context(), ann, nil); err != nil || ann.Balance != 14 {
		t.Errorf("persisting twice: %v", err)
	}
	again, err := objects.Load(t.Context(), "ann")
	if err != nil || again.Balance != 14 || again.Kinds["deposited"] != 2 || again.Version() != 3 {
		t.Errorf("restored it is %+v, %v", again, err)
	}
	if _, err := objects.Persist(t.Context(), again, nil); err != nil {
		t.Errorf("nothing pending answers %v", err)
	}
}

func TestAnObjectThatWasOvertakenIsRefused(t *testing.T) {
	objects := wallets(t, newStore(t), nil)
	one, _ := objects.Load(t.Context(), "ann")
	two, _ := objects.Load(t.Context(), "ann")
	one.Deposit(1)
	two.Deposit(2)
	_, _ = objects.Persist(t.Context(), one, nil)
	if _, err := objects.Persist(t.Context(), two, nil); !errors.Is(err, daybook.ErrConflict) || len(two.Pending()) != 1 {
		t.Errorf("it answers %v", err)
	}
	if _, err := objects.Persist(t.Context(), aggregate.Begin(newWallet()), nil); err == nil {
		t.Error("an object that was not loaded is persisted")
	}
}

func TestUpdateRunsAgainOnAConflict(t *testing.T) {
	store := newStore(t)
	objects := wallets(t, store, &aggregate.Options[*wallet, event]{Snapshots: &aggregate.Snapshots[*wallet, event]{Name: "v1", Policy: aggregate.Every(2)}})
	purses, err := aggregate.NewObjects(store, "account", events, func() *purse { return &purse{} }, &aggregate.Options[*purse, event]{Cache: 10})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = objects.Update(t.Context(), "ann", func(w *wallet) error { w.Deposit(10); return nil }, nil)
	runs := 0
	ann, err := objects.Update(t.Context(), "ann", func(w *wallet) error {
		if runs++; runs == 1 {
			if _, err := purses.Update(t.Context(), "ann", func(p *purse) error { p.Emit(withdrawn{3}); return nil }, nil); err != nil {
				t.Error(err)
			}
		}
		return w.Withdraw(7)
	}, nil)
	if err != nil || runs != 2 || ann.Balance != 0 || ann.Version() != 3 {
		t.Errorf("%+v, %v after %d runs", ann, err, runs)
	}
	runs = 0
	bob, err := purses.Update(t.Context(), "ann", func(p *purse) error {
		if runs++; runs == 1 {
			_, _ = objects.Update(t.Context(), "ann", func(w *wallet) error { w.Deposit(4); return nil }, nil)
		}
		p.Emit(deposited{1})
		return nil
	}, nil)
	if err != nil || bob.Balance != 5 || bob.Version() != 5 {
		t.Errorf("%+v, %v after %d runs", bob, err, runs)
	}
	if _, err := objects.Update(t.Context(), "ann", func(w *wallet) error { return w.Withdraw(99) }, nil); !errors.Is(err, errFunds) {
		t.Errorf("a refusal answers %v", err)
	}
	if ann, _ := objects.Load(t.Context(), "ann"); ann.Balance != 5 {
		t.Errorf("the balance is %d, want 5", ann.Balance)
	}
}

func TestAnApplyThatPanicsStoresNothing(t *testing.T) {
	objects := wallets(t, newStore(t), nil)
	for _, bad := range []event{deposited{666}, nil} {
		_, err := objects.Update(t.Context(), "ann", func(w *wallet) error { w.Deposit(1); w.Emit(bad); return nil }, nil)
		var panicked *aggregate.EvolveError
		if !errors.As(err, &panicked) || errors.Is(err, aggregate.ErrNilEvent) != (bad == nil) {
			t.Errorf("it fails with %v", err)
		}
	}
	if ann, err := objects.Load(t.Context(), "ann"); err != nil || ann.Version() != 0 {
		t.Errorf("%+v, %v", ann, err)
	}
	defer func() {
		if recover() == nil {
			t.Error("other panics are swallowed")
		}
	}()
	_, _ = objects.Update(t.Context(), "ann", func(*wallet) error { panic("mine") }, nil)
}

func TestObjectsTakePartInTransactions(t *testing.T) {
	store := newStore(t)
	objects, others := wallets(t, store, nil), wallets(t, store, nil)
	_, _ = objects.Update(t.Context(), "ann", func(w *wallet) error { w.Deposit(10); return nil }, nil)
	runs := 0
	_, err := aggregate.Transact(t.Context(), store, func(ctx context.Context, tx *aggregate.Transaction) error {
		if _, err := objects.UpdateIn(ctx, tx, "ann", func(w *wallet) error { return w.Withdraw(4) }); err != nil {
			return err
		}
		if _, err := objects.UpdateIn(ctx, tx, "ann", func(w *wallet) error { return w.Withdraw(1) }); err != nil {
			return err
		}
		if runs++; runs == 1 {
			_, _ = others.Update(ctx, "bob", func(w *wallet) error { w.Deposit(1); return nil }, nil)
			_, _ = others.Update(ctx, "ann", func(w *wallet) error { w.Deposit(1); return nil }, nil)
		}
		_, err := objects.UpdateIn(ctx, tx, "bob", func(w *wallet) error { w.Deposit(5); return nil })
		return err
	}, nil)
	ann, _ := objects.Load(t.Context(), "ann")
	bob, _ := objects.Load(t.Context(), "bob")
	if err != nil || ann.Balance != 6 || bob.Balance != 6 {
		t.Errorf("%v: ann has %d, bob %d", err, ann.Balance, bob.Balance)
	}
}
