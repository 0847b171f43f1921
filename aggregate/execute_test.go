package aggregate_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

func TestACommandIsDecidedOnTheHistoryAndStored(t *testing.T) {
	b := newBank(t, nil)
	b.do("ann", deposit(100))
	result := b.do("ann", withdraw(30))
	if result.Version != 2 || result.State.Balance != 70 || len(result.Events) != 1 || result.Tries != 1 {
		t.Errorf("the result is %+v, want version 2 and a balance of 70", result)
	}
	if result.Receipt.Position() != result.Position {
		t.Errorf("the receipt says position %d, the aggregate %d", result.Receipt.Position(), result.Position)
	}
	_, err := b.Execute(t.Context(), "ann", withdraw(71), nil)
	if !errors.Is(err, errFunds) {
		t.Errorf("overdrawing answers %v", err)
	}
	if got := b.balance("ann"); got != 70 {
		t.Errorf("the balance is %d after a refusal, want 70", got)
	}
}

func TestAnAggregateWithoutHistoryIsTheInitialOne(t *testing.T) {
	b := newBank(t, nil)
	at, err := b.Load(t.Context(), "nobody")
	if err != nil || at.Exists() || at.State.Balance != 0 {
		t.Errorf("it is %+v, %v", at, err)
	}
	if _, err := b.Load(t.Context(), ""); !errors.Is(err, daybook.ErrInvalid) {
		t.Errorf("no id at all answers %v", err)
	}
}

func TestADecisionWithoutEventsStoresNothing(t *testing.T) {
	b := newBank(t, nil)
	result, err := b.Execute(t.Context(), "ann", emit(), nil)
	if err != nil || result.Version != 0 || b.driver.appends.Load() != 0 {
		t.Errorf("the result is %+v, %v, after %d appends", result, err, b.driver.appends.Load())
	}
}

func TestWhatCannotBeFoldedOrEncodedIsNotStored(t *testing.T) {

	for name, list := range map[string][]event{
		"evolve panics": {deposited{1}, deposited{666}}, "nil": {deposited{1}, nil}, "unregistered": {deposited{1}, stranger{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBank(t, nil)
			b.do("ann", deposit(5))
			_, err := b.Execute(t.Context(), "ann", emit(list...), nil)
			var panicked *aggregate.EvolveError
			var encode *codec.EncodeError
			switch {
			case name == "evolve panics" && (!errors.As(err, &panicked) || panicked.Version != 0 || panicked.Stream != b.Stream("ann") || panicked.Event != deposited{666}):
				t.Errorf("it fails with %v", err)
			case name == "nil" && !errors.Is(err, aggregate.ErrNilEvent):
				t.Errorf("it fails with %v", err)
			case name == "unregistered" && !errors.As(err, &encode):
				t.Errorf("it fails with %v", err)
			}
			if got := b.version(b.Stream("ann")); got != 1 || b.balance("ann") != 5 {
				t.Errorf("the stream has %d records, want 1", got)
			}
		})
	}
}

func TestAStoredEventThatTheFoldCannotTakeIsNamedAndStaysReadable(t *testing.T) {
	b := newBank(t, nil)
	b.fill("ann", 1)
	if _, err := b.store.Append(t.Context(), b.Stream("ann"), daybook.ExpectAny(), daybook.Event{Type: "deposited", Data: []byte(`{"Amount":666}`)}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Load(t.Context(), "ann")
	var panicked *aggregate.EvolveError
	if !errors.As(err, &panicked) || panicked.Version != 2 || len(panicked.Stack) == 0 {
		t.Errorf("it fails with %v", err)
	}
	n := 0
	for _, err := range b.store.ReadStream(t.Context(), b.Stream("ann"), daybook.StreamRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("the store reads %d records, want 2", n)
	}
}

// interfere runs once, inside the first decision.
func interfere(c command, with func()) command {
	var once sync.Once
	return func(a account) ([]event, error) { once.Do(with); return c(a) }
}

func TestAConflictIsDecidedAgainWithoutReading(t *testing.T) {
	var conflicts []aggregate.Conflict
	b := newBank(t, &options{Hooks: aggregate.Hooks{OnConflict: func(_ context.Context, c aggregate.Conflict) { conflicts = append(conflicts, c) }}})
	b.do("ann", deposit(100))
	before := b.driver.read.Load()
	result := b.do("ann", interfere(withdraw(60), func() { b.fill("ann", 3) }))
	if result.State.Balance != 43 || result.Version != 5 || result.Tries != 2 {
		t.Errorf("the result is %+v, want 100+3-60 at version 5 in 2 tries", result)
	}
	if len(conflicts) != 1 || conflicts[0].Missed != 3 || conflicts[0].Read != 0 || conflicts[0].Stream != b.Stream("ann") {
		t.Errorf("the conflicts were %+v, want one with 3 missed and none read", conflicts)
	}
	// The load reads 1, and Store fills the conflict by 3, with a few to find them.
	if got := b.driver.read.Load() - before; got > 8 {
		t.Errorf("%d records were read", got)
	}
	other := b.again(nil)
	spend := func() { _, _ = other.Execute(t.Context(), "ann", withdraw(10), nil) }
	if _, err := b.Execute(t.Context(), "ann", interfere(withdraw(40), spend), nil); !errors.Is(err, errFunds) {
		t.Errorf("what was missed makes the decision no, and it answers %v", err)
	}
}

func TestAConflictThatIsIncompleteReadsTheRest(t *testing.T) {
	driver := memory.New(nil)
	store := daybook.New(driver, &daybook.Options{MaxMissed: 2})
	defer store.Close()
	var told aggregate.Conflict
	repository, err := aggregate.New(store, "account", events, decider, &options{
		Hooks: aggregate.Hooks{OnConflict: func(_ context.Context, c aggregate.Conflict) { told = c }},
	})
	if err != nil {
		t.Fatal(err)
	}
	slow := interfere(withdraw(5), func() {
		for range 10 {
			if _, err := store.Append(t.Context(), repository.Stream("ann"), daybook.ExpectAny(), daybook.Event{Type: "deposited", Data: []byte(`{"Amount":1}`)}); err != nil {
				t.Error(err)
			}
		}
	})
	_, _ = repository.Execute(t.Context(), "ann", deposit(1), nil)
	result, err := repository.Execute(t.Context(), "ann", func(a account) ([]event, error) {
		list, err := slow(a)
		if a.Balance < 5 {
			return []event{deposited{0}}, nil
		}
		return list, err
	}, nil)
	if err != nil || result.Version != 12 || result.State.Balance != 6 {
		t.Errorf("the result is %+v, %v", result, err)
	}
	if told.Missed != 2 || told.Read != 8 {
		t.Errorf("the conflict was %+v, want 2 missed and 8 read", told)
	}
}

func TestTriesAreBoundedAndEachThirdWaitIsJittered(t *testing.T) {
	var slept []time.Duration
	b := newBank(t, nil)
	contended := b.again(&options{Retry: aggregate.Retry{
		MaxTries: 10, MinWait: 8 * time.Millisecond, MaxWait: 20 * time.Millisecond, Rand: func() float64 { return 0.5 },
		Sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil },
	}})
	_, err := contended.Execute(t.Context(), "ann", func(account) ([]event, error) {
		b.fill("ann", 1)
		return []event{deposited{1}}, nil
	}, nil)
	var gaveUp *aggregate.ContendedError
	if !errors.As(err, &gaveUp) || gaveUp.Tries != 10 || !errors.Is(err, daybook.ErrConflict) {
		t.Errorf("it fails with %v", err)
	}
	if want := []time.Duration{0, 0, 4, 0, 0, 8, 0, 0, 10}; !slices.EqualFunc(slept, want, func(a, b time.Duration) bool { return a == b*time.Millisecond }) {
		t.Errorf("it slept %v, want %v ms", slept, want)
	}
}

func TestACommandWithAnIDIsCarriedOutOnce(t *testing.T) {
	for name, c := range map[string]command{
		"decides the same again": deposit(10),
		"decides otherwise": func(a account) ([]event, error) {
			if a.Balance > 5 {
				return []event{deposited{1}}, nil
			}
			return []event{deposited{5}, deposited{5}}, nil
		},
		"refuses the second time": func(a account) ([]event, error) {
			if a.Balance > 5 {
				return nil, errFunds
			}
			return []event{deposited{10}}, nil
		},
		"refuses the second time what was two events": func(a account) ([]event, error) {
			if a.Balance > 5 {
				return nil, errFunds
			}
			return []event{deposited{5}, deposited{5}}, nil
		},
		"sees nothing to do": func(a account) ([]event, error) {
			if a.Balance > 5 {
				return nil, nil
			}
			return []event{deposited{10}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBank(t, nil)
			b.do("ann", deposit(1))
			by := &aggregate.CommandOptions{ID: daybook.IDOf("deposit 4711")}
			first, err := b.Execute(t.Context(), "ann", c, by)
			if err != nil || first.Receipt.Repeated {
				t.Fatalf("%+v, %v", first, err)
			}
			b.do("ann", deposit(100))
			again, err := b.Execute(t.Context(), "ann", c, by)
			if err != nil || !again.Receipt.Repeated || again.Receipt.Changesets[0] != first.Receipt.Changesets[0] {
				t.Errorf("the repeat is answered with %+v, %v; the first with %+v", again.Receipt, err, first.Receipt)
			}
			if again.State.Balance != 111 || again.Events != nil || b.balance("ann") != 111 {
				t.Errorf("the balance is %d, want 111 once", again.State.Balance)
			}
			if _, err := b.Execute(t.Context(), "bob", c, by); !errors.Is(err, daybook.ErrInvalid) {
				t.Errorf("the same id on another account answers %v", err)
			}
		})
	}
}

func TestAnUnknownOutcomeIsSentAgainUntilItIsKnown(t *testing.T) {
	for name, fault := range map[string]storagetest.Fault{
		"not stored": {Call: storagetest.CallAppend, Before: storagetest.ErrFault, Times: 2},
		"stored":     {Call: storagetest.CallAppend, After: storagetest.ErrFault, Times: 2},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := storagetest.NewFaulty(memory.New(nil))
			store := daybook.New(faulty, nil)
			defer store.Close()
			repository, err := aggregate.New(store, "account", events, decider, &options{Retry: aggregate.Retry{MinWait: time.Microsecond}})
			if err != nil {
				t.Fatal(err)
			}
			faulty.Cue(fault)
			result, err := repository.Execute(t.Context(), "ann", deposit(5), nil)
			if err != nil || result.Receipt.Repeated || result.State.Balance != 5 {
				t.Fatalf("%+v, %v", result, err)
			}
			fault.Times = -1
			faulty.Cue(fault)
			_, err = repository.Execute(t.Context(), "ann", deposit(5), nil)
			var unknown *aggregate.UnknownOutcomeError
			if !errors.As(err, &unknown) || errors.Is(err, daybook.ErrRefused) {
				t.Fatalf("a store that fails for ever answers %v", err)
			}
			faulty.Heal()
			again, err := repository.Execute(t.Context(), "ann", deposit(5), &aggregate.CommandOptions{ID: unknown.ID})
			if err != nil || again.State.Balance != 10 || again.Receipt.Repeated != (name == "stored") {
				t.Errorf("the repeat gives %+v, %v; want a balance of 10", again, err)
			}
		})
	}
}

func TestPersistAppendsWhereTheAggregateWasLoaded(t *testing.T) {
	b := newBank(t, nil)
	at, _ := b.Load(t.Context(), "ann")
	result, err := b.Persist(t.Context(), at, []event{deposited{3}}, nil)
	if err != nil || result.State.Balance != 3 || result.Version != 1 {
		t.Errorf("%+v, %v", result, err)
	}
	if _, err := b.Persist(t.Context(), at, []event{deposited{3}}, nil); !errors.Is(err, daybook.ErrConflict) {
		t.Errorf("the second on the same state answers %v", err)
	}
	if result, err := b.Persist(t.Context(), at, nil, nil); err != nil || result.Version != 0 {
		t.Errorf("nothing to persist answers %+v, %v", result, err)
	}
	if _, err := b.Persist(t.Context(), aggregate.Loaded[account]{Stream: daybook.Stream("order-1")}, []event{deposited{1}}, nil); err == nil {
		t.Error("an aggregate of another type is taken")
	}
}

func TestTheContextOfACommandIsThatOfItsEvents(t *testing.T) {
	b := newBank(t, nil)
	by := &aggregate.CommandOptions{Context: daybook.Context{Who: "teller-3", Why: &daybook.Cause{What: "deposit slip"}}, Metadata: []byte("m")}
	if _, err := b.Execute(t.Context(), "ann", deposit(1), by); err != nil {
		t.Fatal(err)
	}
	for record, err := range b.store.ReadStream(t.Context(), b.Stream("ann"), daybook.StreamRead{}) {
		if err != nil || record.Context.Who != "teller-3" || record.Context.Why.What != "deposit slip" || string(record.Changeset.Metadata) != "m" {
			t.Errorf("the record carries %+v, %v", record.Context, err)
		}
	}
}

func TestClaimsAndReferencesOfEventsHold(t *testing.T) {
	b := newBank(t, nil)
	b.do("ann", emit(opened{"DE1"}))
	var claim *daybook.ClaimError
	if _, err := b.Execute(t.Context(), "bob", emit(opened{"DE1"}), nil); !errors.As(err, &claim) || claim.Holder != b.Stream("ann") {
		t.Errorf("a taken number answers %v", err)
	}
	b.do("ann", emit(renumbered{"DE1", "DE2"}))
	b.do("bob", emit(opened{"DE1"}))
	var missing *daybook.ReferenceError
	if _, err := b.Execute(t.Context(), "bob", emit(linked{"zoe"}), nil); !errors.As(err, &missing) {
		t.Errorf("a link to nobody answers %v", err)
	}
	b.do("bob", emit(linked{"ann"}))
}

func TestPartitionsAreApart(t *testing.T) {
	b := newBank(t, nil)
	b.do("ann", deposit(1))
	other, err := b.In("tenant").Execute(t.Context(), "ann", deposit(5), nil)
	if err != nil || other.State.Balance != 5 || other.Stream.Partition != "tenant" || b.balance("ann") != 1 {
		t.Errorf("%+v, %v", other, err)
	}
}

func TestAsOfIsAPrefixOfTheHistory(t *testing.T) {
	b := newBank(t, nil)
	b.do("ann", deposit(1))
	b.clock.advance(time.Hour)
	b.do("ann", deposit(10))
	then := b.clock.now()
	b.clock.advance(time.Hour)
	b.do("ann", deposit(100))
	for _, c := range []struct {
		asOf aggregate.AsOf
		want int
	}{
		{aggregate.AsOf{}, 111}, {aggregate.AsOf{Version: 1}, 1}, {aggregate.AsOf{Version: 99}, 111},
		{aggregate.AsOf{Time: then}, 11}, {aggregate.AsOf{Time: then.Add(-time.Microsecond)}, 1},
		{aggregate.AsOf{Time: then, Version: 1}, 1}, {aggregate.AsOf{Time: time.UnixMicro(1).UTC()}, 0},
	} {
		at, err := b.LoadAsOf(t.Context(), "ann", c.asOf)
		if err != nil || at.State.Balance != c.want {
			t.Errorf("as of %+v the balance is %d, %v; want %d", c.asOf, at.State.Balance, err, c.want)
		}
	}
	if _, err := b.LoadAsOf(t.Context(), "ann", aggregate.AsOf{Version: -1}); !errors.Is(err, daybook.ErrInvalid) {
		t.Errorf("a negative version answers %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
