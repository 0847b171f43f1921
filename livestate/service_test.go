package livestate_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/livestate"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// The tests count words: one fold is pure, the other changes its map in place.

type event interface{ event() }

type added struct {
	Word string
	In   string // the stream, where the source is the log
}
type removed struct{ Word string }

func (added) event()   {}
func (removed) event() {}

func (a added) Tags() []string { return []string{"word:" + a.Word} }

var events = codec.Must(codec.New[event](codec.Event[added]("added"), codec.Event[removed]("removed")))

var text = daybook.Stream("text-1")

func countWords(m map[string]int, e event) map[string]int {
	switch e := e.(type) {
	case added:
		if e.Word == "half" {
			m["half"] = 99 // damage that must not stay
			panic("half way")
		}
		m[e.Word]++
	case removed:
		delete(m, e.Word)
	}
	return m
}

func addLength(n int, e event) int {
	if a, ok := e.(added); ok {
		if a.Word == "long" {
			panic("too long")
		}
		n += len(a.Word)
	}
	return n
}

type folds struct {
	counts *livestate.Fold[map[string]int, event]
	length *livestate.Fold[int, event]
}

func newFolds() folds {
	return folds{
		counts: livestate.NewFold("counts-1", func() map[string]int { return map[string]int{} }, countWords, &livestate.FoldOptions[map[string]int]{Clone: maps.Clone[map[string]int]}),
		length: livestate.NewFold("length-1", func() int { return 0 }, addLength, nil),
	}
}

func (f folds) list() []livestate.Folder[event] { return []livestate.Folder[event]{f.counts, f.length} }

type (
	service = livestate.Service[event]
	options = livestate.Options[event]
)

// start starts a service and waits until it is ready.
func start(t *testing.T, store *daybook.Store, source livestate.Source, f folds, o *options) *service {
	t.Helper()
	s, err := livestate.Start(store, source, events, f.list(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func newStore(t *testing.T) *daybook.Store {
	t.Helper()
	store := daybook.New(memory.New(nil), nil)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// say appends words beside every service.
func say(t *testing.T, store *daybook.Store, words ...string) {
	t.Helper()
	for _, word := range words {
		event, err := events.Encode(added{Word: word})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Append(t.Context(), text, daybook.ExpectAny(), event); err != nil {
			t.Fatal(err)
		}
	}
}

func current(t *testing.T, s *service) *livestate.State {
	t.Helper()
	state, err := s.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestTheCurrentStateIncludesAllThatStood(t *testing.T) {
	store, f := newStore(t), newFolds()
	say(t, store, "a", "b", "a")
	s := start(t, store, livestate.OfStream(text), f, &options{Group: 2})
	before, err := s.Local()
	if err != nil || f.counts.Of(before)["a"] != 2 || f.length.Of(before) != 3 || before.Version() != 3 {
		t.Errorf("ready, it is %v, %v", before, err)
	}
	say(t, store, "a")
	if state := current(t, s); f.counts.Of(state)["a"] != 3 || state.Position() != 4 {
		t.Errorf("current, it is %+v", state)
	}
	if f.counts.Of(before)["a"] != 2 {
		t.Error("a state that was handed out has changed")
	}
}

func TestTheStateFollowsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, f := newStore(t), newFolds()
		s := start(t, store, livestate.OfStream(text), f, nil)
		say(t, store, "a")
		synctest.Wait()
		if state, _ := s.Local(); f.counts.Of(state)["a"] != 1 {
			t.Errorf("when all is quiet the local state is %v", f.counts.Of(state))
		}
	})
}

func TestCallersShareReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := storagetest.NewFaulty(memory.New(nil))
		store := daybook.New(faulty, nil)
		f := newFolds()
		// The background waits for ever, so that only callers read.
		faulty.Cue(storagetest.Fault{Call: storagetest.CallWait, Hold: storagetest.NewGate(), Times: -1})
		s := start(t, store, livestate.OfStream(text), f, nil)
		synctest.Wait()
		before, gate := faulty.Calls(storagetest.CallEnd), storagetest.NewGate()
		faulty.Cue(storagetest.Fault{Call: storagetest.CallEnd, Hold: gate})
		var group sync.WaitGroup
		group.Go(func() { current(t, s) })
		<-gate.Reached()
		say(t, store, "a")
		for range 20 {
			group.Go(func() {
				if state := current(t, s); f.counts.Of(state)["a"] != 1 {
					t.Error("a caller that came behind the append does not see it")
				}
			})
		}
		synctest.Wait()
		gate.Open()
		group.Wait()
		if got := faulty.Calls(storagetest.CallEnd) - before; got != 2 {
			t.Errorf("%d readings for 21 callers, want the one before the append and one for the others", got)
		}
	})
}

func TestAnAppendIsDecidedOnWhatIsTrue(t *testing.T) {
	store, f := newStore(t), newFolds()
	tries := 0
	s := start(t, store, livestate.OfStream(text), f, &options{Hooks: livestate.Hooks{OnConflict: func(context.Context, livestate.Conflict) { tries++ }}})
	raced := false
	done, err := livestate.Append(t.Context(), s, func(state *livestate.State) ([]event, int, error) {
		if !raced {
			raced = true
			say(t, store, "x", "y")
		}
		return []event{added{Word: "z"}}, len(f.counts.Of(state)), nil
	}, nil)
	if err != nil || done.Result != 2 || f.counts.Of(done.State)["z"] != 1 || f.length.Of(done.State) != 3 {
		t.Errorf("%+v, %v", done, err)
	}
	if local, _ := s.Local(); f.counts.Of(local)["z"] != 1 {
		t.Error("the state lacks what was just appended")
	}
	errNo := errors.New("no")
	say(t, store, "w")
	_, err = livestate.Append(t.Context(), s, func(state *livestate.State) ([]event, int, error) {
		if f.counts.Of(state)["w"] == 0 {
			return nil, 0, errNo
		}
		return []event{removed{"w"}}, 0, nil
	}, nil)
	if err != nil {
		t.Errorf("an old no answers %v", err)
	}
	if _, err = livestate.Append(t.Context(), s, func(*livestate.State) ([]event, int, error) { return nil, 0, errNo }, nil); !errors.Is(err, errNo) {
		t.Errorf("a no answers %v", err)
	}
	if done, err := s.Add(t.Context(), nil); err != nil || done.Receipt.Changesets != nil {
		t.Errorf("nothing to append answers %+v, %v", done, err)
	}
}

func TestAnEventThatAFoldCannotTakeIsNotStored(t *testing.T) {
	store, f := newStore(t), newFolds()
	s := start(t, store, livestate.OfStream(text), f, nil)
	for _, word := range []string{"long", "half"} {
		_, err := s.Add(t.Context(), nil, added{Word: "a"}, added{Word: word})
		var failed *livestate.FoldError
		if !errors.As(err, &failed) || failed.Event.(added).Word != word {
			t.Errorf("it fails with %v", err)
		}
	}
	if _, err := s.Add(t.Context(), nil, nil); !errors.Is(err, codec.ErrNil) {
		t.Errorf("a nil event answers %v", err)
	}
	if head, _ := store.Head(t.Context(), text); head.Version != 0 || len(f.counts.Of(current(t, s))) != 0 {
		t.Errorf("%d records were stored", head.Version)
	}
}

func TestARecordThatBreaksAFoldIsPutAside(t *testing.T) {
	store, f := newStore(t), newFolds()
	snapshots := livestate.Memory(1)
	say(t, store, "a", "long", "half", "b")
	if _, err := store.Append(t.Context(), text, daybook.ExpectAny(), daybook.Event{Type: "unknown"}); err != nil {
		t.Fatal(err)
	}
	say(t, store, "c")
	s := start(t, store, livestate.OfStream(text), f, &options{Snapshots: snapshots, MaxQuarantine: 2})
	state := current(t, s)
	counts := f.counts.Of(state)
	if counts["half"] != 0 || counts["long"] != 1 || counts["c"] != 1 || f.length.Of(state) != len("ahalfbc") {
		t.Errorf("the states are %v and %d", counts, f.length.Of(state))
	}
	list, count := s.Quarantine()
	if count != 3 || len(list) != 2 {
		t.Errorf("%d are aside, %+v", count, list)
	}
	var inconsistent *livestate.InconsistentError
	if err := s.Save(t.Context()); !errors.As(err, &inconsistent) {
		t.Errorf("saving answers %v", err)
	}
	for range snapshots.Load(t.Context(), "counts-1") {
		t.Error("an inconsistent fold was saved")
	}
}

func TestTwoProgramsNeverBothSucceed(t *testing.T) {
	query := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"added"}}}}
	for name, source := range map[string]livestate.Source{
		"stream": livestate.OfStream(text), "log": livestate.OfLog(daybook.Filter{Query: query, StreamTypes: []string{"text"}}),
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			o := &options{}
			if name == "log" {
				o.StreamOf = func(e event) daybook.StreamID { return daybook.Stream("text-" + e.(added).In) }
			}
			var group sync.WaitGroup
			var mu sync.Mutex
			won := map[string]int{}
			for p := range 3 {
				f := newFolds()
				s := start(t, store, source, f, o)
				for g := range 4 {
					group.Go(func() {
						for i := range 10 {
							word := fmt.Sprint("w", (i+g)%10)
							done, err := livestate.Append(t.Context(), s, func(state *livestate.State) ([]event, bool, error) {
								if f.counts.Of(state)[word] > 0 {
									return nil, false, nil
								}
								return []event{added{Word: word, In: fmt.Sprint(p + 1)}}, true, nil
							}, nil)
							if err != nil {
								t.Error(err)
							}
							if done.Result {
								mu.Lock()
								won[word]++
								mu.Unlock()
							}
							if i == 5 { // noise that the condition sees and the filter does not
								e, _ := events.Encode(added{Word: "noise"})
								_, _ = store.Append(t.Context(), daybook.Stream("noise-1"), daybook.ExpectAny(), e)
							}
						}
					})
				}
			}
			group.Wait()
			for i := range 10 {
				if n := won[fmt.Sprint("w", i)]; n != 1 {
					t.Errorf("%d programs were the first to add w%d", n, i)
				}
			}
			f := newFolds()
			if state := current(t, start(t, store, source, f, nil)); len(f.counts.Of(state)) != 10 {
				t.Errorf("the log says %v", f.counts.Of(state))
			}
		})
	}
}

func TestAppendsToTheLogAreOfTheSource(t *testing.T) {
	store, f := newStore(t), newFolds()
	only := livestate.OfLog(daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"word:a"}}}}})
	var setup *livestate.SetupError
	s := start(t, store, only, f, nil)
	if _, err := s.Add(t.Context(), nil, added{Word: "a"}); !errors.As(err, &setup) {
		t.Errorf("without StreamOf it answers %v", err)
	}
	s = start(t, store, only, f, &options{StreamOf: func(e event) daybook.StreamID { return daybook.Stream("text-" + e.(added).In) }})
	if _, err := s.Add(t.Context(), nil, added{Word: "b", In: "1"}); !errors.As(err, &setup) {
		t.Errorf("an event that the source does not select answers %v", err)
	}
	if _, err := s.Add(t.Context(), nil, added{Word: "a", In: "1"}, added{Word: "a", In: "2"}, added{Word: "a", In: "1"}); !errors.As(err, &setup) {
		t.Errorf("mixed streams answer %v", err)
	}
	if done, err := s.Add(t.Context(), nil, added{Word: "a", In: "1"}, added{Word: "a", In: "2"}); err != nil || len(done.Receipt.Changesets) != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	if f.counts.Of(current(t, s))["a"] != 2 {
		t.Errorf("it is %v", f.counts.Of(current(t, s)))
	}
}

func TestAnAppendWithAnIDIsStoredOnce(t *testing.T) {
	store, f := newStore(t), newFolds()
	s := start(t, store, livestate.OfStream(text), f, nil)
	by := &livestate.AppendOptions{ID: daybook.IDOf("once"), Context: daybook.Context{Who: "ann"}}
	for i := range 2 {
		done, err := s.Add(t.Context(), by, added{Word: "a"})
		if err != nil || done.Receipt.Repeated != (i == 1) || f.counts.Of(done.State)["a"] != 1 {
			t.Errorf("time %d: %+v, %v", i, done, err)
		}
	}
}

func TestAnAppendWithAnIDIsCarriedOutOnceWhateverTheBuilderSaysByThen(t *testing.T) {
	errNo := errors.New("no")
	one := added{Word: "a", In: "1"}
	says := func(list []event, err error) func() ([]event, error) {
		return func() ([]event, error) { return list, err }
	}
	for name, again := range map[string]func() ([]event, error){
		"the same": says([]event{one}, nil), "more": says([]event{one, one}, nil), "nothing": says(nil, nil), "no": says(nil, errNo),
	} {
		for of, source := range map[string]livestate.Source{
			"stream": livestate.OfStream(text), "log": livestate.OfLog(daybook.Filter{StreamTypes: []string{"text"}}),
		} {
			t.Run(name+" of a "+of, func(t *testing.T) {
				store, f := newStore(t), newFolds()
				s := start(t, store, source, f, &options{StreamOf: func(event) daybook.StreamID { return text }})
				by := &livestate.AppendOptions{ID: daybook.IDOf("once"), Metadata: []byte("m")}
				first, err := s.Add(t.Context(), by, one)
				if err != nil || first.Receipt.Repeated {
					t.Fatalf("%+v, %v", first, err)
				}
				say(t, store, "b", "c")
				var log []string
				done, err := s.Transact(t.Context(), func(tx *livestate.Transaction[event]) error {
					tx.OnCommit(func([]event) { log = append(log, "commit") })
					tx.OnAbort(func() { log = append(log, "abort") })
					list, err := again()
					return errors.Join(tx.Add(list...), err)
				}, by)
				if err != nil || !done.Receipt.Repeated || done.Receipt.Changesets[0] != first.Receipt.Changesets[0] {
					t.Errorf("the repeat is answered with %+v, %v; the first with %+v", done.Receipt, err, first.Receipt)
				}
				if counts := f.counts.Of(done.State); counts["a"] != 1 || counts["c"] != 1 || !slices.Equal(log, []string{"commit"}) {
					t.Errorf("the state is %v, called were %q", counts, log)
				}
				_, err = livestate.Append(t.Context(), s, func(*livestate.State) ([]event, int, error) { return nil, 0, errNo }, &livestate.AppendOptions{ID: daybook.IDOf("other")})
				if !errors.Is(err, errNo) {
					t.Errorf("a no to an id that nobody has answers %v", err)
				}
				if _, err := store.AppendAll(t.Context(), daybook.Append{ID: daybook.IDOf("else"), Changesets: []daybook.Changeset{
					{Stream: daybook.Stream("book-1"), Events: []daybook.Event{{Type: "x"}}},
				}}); err != nil {
					t.Fatal(err)
				}
				var reused *daybook.ReusedIDError
				if _, err := s.Add(t.Context(), &livestate.AppendOptions{ID: daybook.IDOf("else")}); !errors.As(err, &reused) {
					t.Errorf("an id that somebody else has answers %v", err)
				}
				for record, err := range store.ReadStream(t.Context(), text, daybook.StreamRead{Limit: 1}) {
					if err != nil || string(record.Changeset.Metadata) != "m" {
						t.Errorf("the metadata is %q, %v", record.Changeset.Metadata, err)
					}
				}
			})
		}
	}
}

func TestAServiceThatCannotReadTriesAgainAndSaysSo(t *testing.T) {
	faulty := storagetest.NewFaulty(memory.New(nil))
	store := daybook.New(faulty, nil)
	defer store.Close()
	say(t, store, "a")
	faulty.Cue(storagetest.Fault{Call: storagetest.CallEnd, Before: storagetest.ErrFault, Times: 2})
	waiting, proceed := make(chan struct{}), make(chan struct{})
	f := newFolds()
	s, err := livestate.Start(store, livestate.OfStream(text), events, f.list(), &options{
		Retry: livestate.Retry{Sleep: func(ctx context.Context, _ time.Duration) error {
			waiting <- struct{}{}
			<-proceed
			return ctx.Err()
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		<-waiting
		if p := s.Progress(); p.Ready || !errors.Is(p.Err, storagetest.ErrFault) {
			t.Errorf("the progress is %+v", p)
		}
		if _, err := s.Local(); !errors.Is(err, livestate.ErrNotReady) {
			t.Errorf("the local state answers %v", err)
		}
		if _, err := s.Add(t.Context(), nil, added{Word: "b"}); !errors.Is(err, livestate.ErrNotReady) {
			t.Errorf("an append answers %v", err)
		}
		proceed <- struct{}{}
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := s.Current(t.Context()); !errors.Is(err, livestate.ErrClosed) {
		t.Errorf("after Close the current state answers %v", err)
	}
	if state, err := s.Local(); err != nil || f.counts.Of(state)["a"] != 1 {
		t.Errorf("after Close the local state answers %v", err)
	}
}
