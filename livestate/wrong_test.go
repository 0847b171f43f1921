package livestate_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// TestWhatIsPutTogetherWronglyIsRefused has each mistake by itself, and what
// the error says.
func TestWhatIsPutTogetherWronglyIsRefused(t *testing.T) {
	store, f := newStore(t), newFolds()
	type hidden struct{ words int }
	hiding := livestate.NewFold("hidden-1", func() hidden { return hidden{} }, func(h hidden, _ event) hidden { h.words++; return h }, nil)
	var none *livestate.Fold[int, event]
	of := func(source livestate.Source, list []livestate.Folder[event], o *options) error {
		s, err := livestate.Start(store, source, events, list, o)
		if err == nil {
			s.Close()
		}
		return err
	}
	folds := func(list ...livestate.Folder[event]) error { return of(livestate.OfStream(text), list, nil) }
	with := func(o options) error { return of(livestate.OfStream(text), f.list(), &o) }
	from := func(source livestate.Source) error { return of(source, f.list(), nil) }
	query := func(item daybook.QueryItem) daybook.Filter {
		return daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{item}}}
	}
	for _, c := range []struct {
		err  error
		says string
	}{
		{second(livestate.Start(nil, livestate.OfStream(text), events, f.list(), nil)), "store: must not be nil"},
		{second(livestate.Start(store, livestate.OfStream(text), nil, f.list(), nil)), "codec: must not be nil"},
		{folds(), "folds: there must be one"},
		{folds(nil), "folds[0]: must not be nil"},
		{folds(f.length, none), "folds[1]: must not be nil"},
		{folds(f.length, f.length), `folds[1]: there are two of the name "length-1"`},
		{folds(livestate.NewFold("", func() int { return 0 }, addLength, nil)), `folds[0]: its name must be 1 to 64 letters`},
		{folds(livestate.NewFold("a/b", func() int { return 0 }, addLength, nil)), `(it is "a/b")`},
		{folds(livestate.NewFold(strings.Repeat("x", 65), func() int { return 0 }, addLength, nil)), "1 to 64 letters"},
		{folds(livestate.NewFold[int, event]("a", nil, addLength, nil)), "folds[0]: its functions must be set"},
		{folds(livestate.NewFold[int, event]("a", func() int { return 0 }, nil, nil)), "folds[0]: its functions must be set"},
		{from(livestate.Source{}), "source: must be OfStream or OfLog"},
		{from(livestate.OfStream(daybook.StreamID{})), "source: stream_id: must not be empty"},
		{from(livestate.OfStream(daybook.StreamID{Partition: "tenant"})), "source: stream_id: must not be empty"},
		{from(livestate.OfStream(daybook.Stream(strings.Repeat("x", 1025)))), "source: stream_id: 1025 bytes, the limit is 1024"},
		{from(livestate.OfLog(query(daybook.QueryItem{Types: []string{""}}))), "source: condition.query.items[0].types[0]: must not be empty"},
		{from(livestate.OfLog(query(daybook.QueryItem{Tags: []string{strings.Repeat("x", 257)}}))), "source: condition.query.items[0].tags[0]: 257 bytes, the limit is 256"},
		{with(options{SaveEvery: -1}), "options.SaveEvery: must not be negative (it is -1)"},
		{with(options{SaveEvery: 1}), "options.Snapshots: must be set to save with SaveEvery"},
		{with(options{Group: -2}), "options.Group: must not be negative (it is -2)"},
		{with(options{MaxQuarantine: -1}), "options.MaxQuarantine: must not be negative (it is -1)"},
		{with(options{RetryDelay: -time.Second}), "options.RetryDelay: must not be negative (it is -1s)"},
		{with(options{Retry: livestate.Retry{MinWait: -time.Second}}), "options.Retry.MinWait: must not be negative (it is -1s)"},
		{with(options{Retry: livestate.Retry{MaxWait: -time.Second}}), "options.Retry.MaxWait: must not be negative (it is -1s)"},
		{with(options{Retry: livestate.Retry{MinWait: time.Second, MaxWait: time.Millisecond}}), "options.Retry.MinWait: must not be above MaxWait (it is 1s, and MaxWait 1ms)"},
		{of(livestate.OfStream(text), []livestate.Folder[event]{f.length, hiding}, &options{Snapshots: livestate.Memory(1)}),
			"folds[1]: JSON loses a part of the state in a snapshot: livestate_test.hidden.words is not exported"},
	} {
		var setup *livestate.SetupError
		if !errors.As(c.err, &setup) || !errors.Is(c.err, daybook.ErrInvalid) || !strings.Contains(c.err.Error(), c.says) {
			t.Errorf("it says %v, want %q", c.err, c.says)
		}
	}
	if err := folds(hiding); err != nil {
		t.Errorf("without snapshots nothing is lost, and it answers %v", err)
	}
}

// TestWhatAnAppendAsksWronglyIsRefusedAndStoresNothing has appends, and ways to
// make them, that cannot be carried out.
func TestWhatAnAppendAsksWronglyIsRefusedAndStoresNothing(t *testing.T) {
	store, f := newStore(t), newFolds()
	s := start(t, store, livestate.OfStream(text), f, nil)
	strayed := start(t, store, livestate.OfStream(text), f, &options{StreamOf: func(event) daybook.StreamID { return daybook.Stream("text-2") }})
	add := func(list ...event) error { return second(s.Add(t.Context(), nil, list...)) }
	var kept *livestate.Transaction[event]
	var late error
	_, _ = s.Transact(t.Context(), func(tx *livestate.Transaction[event]) error { kept = tx; return nil }, nil)
	late = kept.Add(added{Word: "late"})
	for _, c := range []struct {
		wrong string
		err   error
		is    error
		says  string
	}{
		{"no builder", second(livestate.Append[event, int](t.Context(), s, nil, nil)), daybook.ErrInvalid, "build: must not be nil"},
		{"no function", second(s.Transact(t.Context(), nil, nil)), daybook.ErrInvalid, "run: must not be nil"},
		{"a nil event", add(added{Word: "a"}, nil), codec.ErrNil, "the value is nil"},
		{"an event that a fold cannot take", add(added{Word: "long"}), daybook.ErrInvalid, `fold "length-1" cannot take the event livestate_test.added: too long`},
		{"100,000 events", add(slices.Repeat([]event{added{Word: "a"}}, 100_000)...), daybook.ErrInvalid, "events: 100000 events, the limit is 10000"},
		{"a large event", add(added{In: strings.Repeat("x", 17<<20)}), daybook.ErrInvalid, "bytes, the limit is 16777216"},
		{"a long tag", add(added{Word: strings.Repeat("x", 300)}), daybook.ErrInvalid, "changesets[0].events[0].tags[0]: 305 bytes, the limit is 256"},
		{"another stream", second(strayed.Add(t.Context(), nil, added{Word: "a"})), daybook.ErrInvalid, `sends livestate_test.added to stream "text-2", the source is stream "text-1"`},
		{"a transaction that has ended", late, daybook.ErrInvalid, "transaction: it has ended"},
		{"saving to nowhere", s.Save(t.Context()), daybook.ErrInvalid, "options.Snapshots: must be set to save"},
	} {
		if !errors.Is(c.err, c.is) || !errors.Is(c.err, daybook.ErrRefused) || !strings.Contains(fmt.Sprint(c.err), c.says) {
			t.Errorf("%s: it says %v, want %q", c.wrong, c.err, c.says)
		}
	}
	if head, _ := store.Head(t.Context(), text); head.Version != 0 {
		t.Errorf("%d records were stored", head.Version)
	}
}

func TestAClosedStoreAndAClosedServiceAreTold(t *testing.T) {
	store, f := newStore(t), newFolds()
	s := start(t, store, livestate.OfStream(text), f, nil)
	_ = store.Close()
	if _, err := s.Add(t.Context(), nil, added{Word: "a"}); !errors.Is(err, daybook.ErrClosed) {
		t.Errorf("an append to a closed store answers %v", err)
	}
	if _, err := s.Current(t.Context()); !errors.Is(err, daybook.ErrClosed) {
		t.Errorf("the current state of a closed store answers %v", err)
	}
	s.Close()
	if _, err := s.Add(t.Context(), nil, added{Word: "a"}); !errors.Is(err, livestate.ErrClosed) || !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("an append to a closed service answers %v", err)
	}
	s.Close() // again
}

func TestAContextThatEndsBetweenTwoTriesOfAnAppendIsTold(t *testing.T) {
	store, f := newStore(t), newFolds()
	ctx, cancel := context.WithCancel(t.Context())
	s := start(t, store, livestate.OfStream(text), f, &options{Retry: livestate.Retry{Sleep: func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }}})
	_, err := livestate.Append(ctx, s, func(*livestate.State) ([]event, int, error) {
		say(t, store, "quick")
		return []event{added{Word: "slow"}}, 0, nil
	}, nil)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, daybook.ErrConflict) || !strings.Contains(err.Error(), "quicker 1 times") {
		t.Errorf("it answers %v", err)
	}
	if _, err := s.Add(ctx, nil, added{Word: "slow"}); !errors.Is(err, context.Canceled) || !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("a context that has ended before answers %v", err)
	}
	if state := current(t, s); f.counts.Of(state)["slow"] != 0 {
		t.Error("it is stored")
	}
}

// TestACallFromInsideIsRefusedInsteadOfWaitingForItself calls a service from its
// own functions.
func TestACallFromInsideIsRefusedInsteadOfWaitingForItself(t *testing.T) {
	store := newStore(t)
	var s *service
	var folded []error
	calling := livestate.NewFold("calling-1", func() int { return 0 }, func(n int, e event) int {
		if s != nil && e.(added).Word == "call" {
			_, added := s.Add(t.Context(), nil, added{Word: "inner"})
			_, current := s.Current(t.Context())
			folded = append(folded, added, current)
		}
		return n + 1
	}, nil)
	s, err := livestate.Start(store, livestate.OfStream(text), events, []livestate.Folder[event]{calling}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	inner := map[string]error{}
	_, err = livestate.Append(t.Context(), s, func(*livestate.State) ([]event, int, error) {
		_, inner["a builder"] = s.Add(t.Context(), nil, added{Word: "inner"})
		return nil, 0, nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Transact(t.Context(), func(*livestate.Transaction[event]) error {
		_, inner["a transaction"] = s.Transact(t.Context(), func(*livestate.Transaction[event]) error { return nil }, nil)
		return nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), nil, added{Word: "call"}); err != nil {
		t.Fatal(err)
	}
	inner["a fold of a new event"] = folded[0]
	folded = nil
	say(t, store, "call") // and in the background, or in Current
	current(t, s)
	inner["a fold of a record"], inner["the current state in a fold"] = folded[0], folded[1]
	for from, err := range inner {
		var setup *livestate.SetupError
		if !errors.As(err, &setup) || setup.What != "call" {
			t.Errorf("a call from %s answers %v", from, err)
		}
	}
	if head, _ := store.Head(t.Context(), text); head.Version != 2 {
		t.Errorf("%d records are stored, want the 2 calls", head.Version)
	}
}

func TestHooksThatPanicKeepNoOtherFromBeingCalled(t *testing.T) {
	store, f := newStore(t), newFolds()
	s := start(t, store, livestate.OfStream(text), f, nil)
	failed := errors.New("failed")
	for name, run := range map[string]func(tx *livestate.Transaction[event], called *[]string) error{
		"commit": func(tx *livestate.Transaction[event], called *[]string) error {
			tx.OnCommit(func([]event) { *called = append(*called, "first"); panic("mine") })
			tx.OnCommit(func([]event) { *called = append(*called, "second") })
			return tx.Add(added{Word: "a"})
		},
		"abort": func(tx *livestate.Transaction[event], called *[]string) error {
			tx.OnAbort(func() { *called = append(*called, "first"); panic("mine") })
			tx.OnAbort(func() { *called = append(*called, "second") })
			return failed
		},
	} {
		var called []string
		func() {
			defer func() {
				if recover() != "mine" {
					t.Errorf("%s: the panic is swallowed", name)
				}
			}()
			_, _ = s.Transact(t.Context(), func(tx *livestate.Transaction[event]) error { return run(tx, &called) }, nil)
		}()
		if !slices.Equal(called, []string{"first", "second"}) {
			t.Errorf("%s: called were %q", name, called)
		}
	}
	if _, err := s.Add(t.Context(), nil, added{Word: "b"}); err != nil {
		t.Errorf("after a panic of a hook an append answers %v", err)
	}
	if state := current(t, s); f.counts.Of(state)["a"] != 1 || f.counts.Of(state)["b"] != 1 {
		t.Errorf("the state is %v", f.counts.Of(state))
	}
}

// bursting is an encoding that panics.
type bursting struct{ codec.JSON }

func (bursting) Encode(any) ([]byte, error) { panic("burst") }
func (bursting) Decode([]byte, any) error   { panic("burst") }

func TestASnapshotThatPanicsEndsNoProgram(t *testing.T) {
	store, snapshots := newStore(t), livestate.Memory(1)
	say(t, store, "a")
	sound := livestate.NewFold("length-1", func() int { return 0 }, addLength, nil)
	fold := livestate.NewFold("length-1", func() int { return 0 }, addLength, &livestate.FoldOptions[int]{Encoding: bursting{}})
	for _, one := range []*livestate.Fold[int, event]{sound, fold} {
		s, err := livestate.Start(store, livestate.OfStream(text), events, []livestate.Folder[event]{one}, &options{Snapshots: snapshots})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		state, _ := s.Local()
		if one.Of(state) != 1 {
			t.Errorf("the state is %d, want 1", one.Of(state))
		}
		if err := s.Save(t.Context()); (err != nil) != (one == fold) {
			t.Errorf("saving answers %v", err)
		}
		s.Close()
	}
}

func TestSnapshotsInADirectoryWithoutANameAreRefused(t *testing.T) {
	files := livestate.Files("", 1)
	if err := files.Save(t.Context(), livestate.Snapshot{Fold: "a"}); !errors.Is(err, daybook.ErrInvalid) {
		t.Errorf("saving answers %v", err)
	}
	for _, err := range files.Load(t.Context(), "a") {
		if !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("loading answers %v", err)
		}
	}
}

func TestAFoldThatIsAskedForAStateThatIsNotItsOwnSaysWhich(t *testing.T) {
	s := start(t, newStore(t), livestate.OfStream(text), newFolds(), nil)
	for name, ask := range map[string]func(){
		"of another service": func() { newFolds().counts.Of(current(t, s)) },
		"no state":           func() { newFolds().counts.Of(nil) },
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, "counts-1") {
					t.Errorf("%s: %v", name, text)
				}
			}()
			ask()
		}()
	}
}

// TestAStoreThatFailsForEverLeavesTheOutcomeOpen and says with which id the
// append can be sent again.
func TestAStoreThatFailsForEverLeavesTheOutcomeOpen(t *testing.T) {
	faulty := storagetest.NewFaulty(memory.New(nil))
	store := daybook.New(faulty, nil)
	defer store.Close()
	s := start(t, store, livestate.OfStream(text), newFolds(), &options{Retry: livestate.Retry{Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}})
	faulty.Cue(storagetest.Fault{Call: storagetest.CallAppend, After: storagetest.ErrFault, Times: -1})
	_, err := s.Add(t.Context(), nil, added{Word: "a"})
	var unknown *livestate.UnknownOutcomeError
	if !errors.As(err, &unknown) || errors.Is(err, daybook.ErrRefused) {
		t.Fatalf("it answers %v", err)
	}
	faulty.Heal()
	if done, err := s.Add(t.Context(), &livestate.AppendOptions{ID: unknown.ID}, added{Word: "a"}); err != nil || !done.Receipt.Repeated {
		t.Errorf("sent again it is answered %+v, %v", done, err)
	}
}

func second[T any](_ T, err error) error { return err }
