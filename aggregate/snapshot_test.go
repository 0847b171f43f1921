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
)

// notes gathers what became of snapshots.
type notes struct {
	mu   sync.Mutex
	list []aggregate.SnapshotNote
}

func (n *notes) add(note aggregate.SnapshotNote) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, note)
}

func (n *notes) outcomes() (all []aggregate.SnapshotOutcome) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, note := range n.list {
		all = append(all, note.Outcome)
	}
	n.list = nil
	return all
}

func (n *notes) hooks() aggregate.Hooks { return aggregate.Hooks{OnSnapshot: n.add} }

func every(n int) *savings { return &savings{Name: "v1", Policy: aggregate.Every(n)} }

// settle closes a repository, so that its snapshots are written.
func settle(t *testing.T, r *accounts) {
	t.Helper()
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestALoadReadsWhatStandsBehindTheSnapshot(t *testing.T) {
	b := newBank(t, nil)
	b.fill("ann", 9_989)
	saving := b.again(&options{Snapshots: every(9_990)})
	if _, err := saving.Execute(t.Context(), "ann", deposit(1), nil); err != nil {
		t.Fatal(err)
	}
	settle(t, saving)
	b.fill("ann", 10)
	before := b.driver.read.Load()
	at, err := b.again(&options{Snapshots: every(9_990)}).Load(t.Context(), "ann")
	if err != nil || at.State.Balance != 10_000 || at.Version != 10_000 {
		t.Fatalf("%+v, %v", at, err)
	}
	if got := b.driver.read.Load() - before; got != 10 {
		t.Errorf("%d records of the account were read, want 10", got)
	}
}

func TestSnapshotsAreTakenWhereTheRuleOfTheIntervalSays(t *testing.T) {
	seen := &notes{}
	b := newBank(t, &options{Snapshots: every(3), Hooks: seen.hooks()})
	var versions []daybook.Version
	for _, n := range []int{1, 1, 1, 2, 7, 1, 1} { // 1 2 3! 5 12! 13 14
		b.do("ann", emit(slices.Repeat([]event{deposited{1}}, n)...))
	}
	settle(t, b.accounts)
	seen.mu.Lock()
	for _, note := range seen.list {
		versions = append(versions, note.Version)
	}
	seen.mu.Unlock()
	if want := []daybook.Version{3, 12}; !slices.Equal(versions, want) {
		t.Errorf("snapshots were taken at %v, want %v", versions, want)
	}
}

func TestSnapshotsByTimeAreTakenWhenTheLastIsOld(t *testing.T) {
	seen := &notes{}
	policy := aggregate.AnyOf(aggregate.Every(0), aggregate.EveryPeriod(time.Hour))
	b := newBank(t, &options{Snapshots: &savings{Name: "v1", Policy: policy}, Hooks: seen.hooks(), Cache: 1})
	for _, wait := range []time.Duration{0, 30 * time.Minute, 30 * time.Minute, 59 * time.Minute, time.Minute} {
		b.clock.advance(wait)
		b.do("ann", deposit(1)) // the third and the fifth are due
	}
	settle(t, b.accounts)
	if got := b.version(aggregate.SnapshotStream(b.Stream("ann"))); got != 2 {
		t.Errorf("%d snapshots were taken, want 2", got)
	}
}

func TestSnapshotsThatCannotBeUsedArePassedOver(t *testing.T) {
	b := newBank(t, nil)
	saving := b.again(&options{Snapshots: every(10)})
	for range 20 {
		if _, err := saving.Execute(t.Context(), "ann", deposit(1), nil); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, saving)
	streams := aggregate.StreamSnapshots(b.store)
	newest, err := streams.Newest(t.Context(), b.Stream("ann"), "v1", aggregate.AsOf{})
	if err != nil || newest == nil || newest.Version != 20 {
		t.Fatalf("the newest snapshot is %+v, %v", newest, err)
	}
	load := func(with *savings) (aggregate.Loaded[account], []aggregate.SnapshotOutcome) {
		t.Helper()
		seen := &notes{}
		at, err := b.again(&options{Snapshots: with, Hooks: seen.hooks()}).Load(t.Context(), "ann")
		if err != nil || at.State.Balance != 20 || at.Version != 20 {
			t.Errorf("%+v, %v", at, err)
		}
		return at, seen.outcomes()
	}
	before := b.driver.read.Load()
	damaged := *newest
	damaged.Data = []byte(`{"Balance":`)
	if err := streams.Save(t.Context(), damaged); err != nil {
		t.Fatal(err)
	}
	if _, got := load(every(10)); !slices.Equal(got, []aggregate.SnapshotOutcome{aggregate.SnapshotUnreadable}) {
		t.Errorf("a damaged snapshot is %v", got)
	}
	if got := b.driver.read.Load() - before; got != 10 {
		t.Errorf("%d records were read, want the 10 behind the one before", got)
	}
	changed := every(10)
	changed.Samples = []event{deposited{1}}
	if _, got := load(changed); !slices.Contains(got, aggregate.SnapshotStale) {
		t.Errorf("snapshots of another fold are %v", got)
	}
	renamed := every(10)
	renamed.Name = "v2"
	if _, got := load(renamed); got != nil {
		t.Errorf("snapshots of another name are %v", got)
	}
	missing := every(10)
	missing.Store = failing{}
	if _, got := load(missing); !slices.Equal(got, []aggregate.SnapshotOutcome{aggregate.SnapshotFailed}) {
		t.Errorf("a store of snapshots that fails is %v", got)
	}
}

// failing is a store of snapshots that does not work.
type failing struct{}

var errNoStore = errors.New("no such store")

func (failing) Save(context.Context, aggregate.Snapshot) error { return errNoStore }
func (failing) Forget(context.Context, daybook.StreamID, daybook.Deletion) error {
	return errNoStore
}
func (failing) Newest(context.Context, daybook.StreamID, string, aggregate.AsOf) (*aggregate.Snapshot, error) {
	return nil, errNoStore
}

func TestASnapshotOfAnotherTypeIsStale(t *testing.T) {
	b := newBank(t, nil)
	saving := b.again(&options{Snapshots: every(1)})
	_, _ = saving.Execute(t.Context(), "ann", deposit(7), nil)
	settle(t, saving)
	type other struct{ Balance string }
	seen := &notes{}
	repository, err := aggregate.New(b.store, "account", events, aggregate.Decider[other, command, event]{
		Decide: func(other, command) ([]event, error) { return nil, nil },
		Evolve: func(o other, e event) other { o.Balance += "x"; return o },
	}, &aggregate.Options[other, event]{Snapshots: &aggregate.Snapshots[other, event]{Name: "v1", Policy: aggregate.Every(1)}, Hooks: seen.hooks()})
	if err != nil {
		t.Fatal(err)
	}
	at, err := repository.Load(t.Context(), "ann")
	if err != nil || at.State.Balance != "x" || !slices.Contains(seen.outcomes(), aggregate.SnapshotStale) {
		t.Errorf("%+v, %v", at, err)
	}
}

func TestAsOfUsesASnapshotWithinItsBound(t *testing.T) {
	b := newBank(t, nil)
	saving := b.again(&options{Snapshots: every(10)})
	for range 35 {
		b.clock.advance(time.Minute)
		if _, err := saving.Execute(t.Context(), "ann", deposit(1), nil); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, saving)
	noon := b.clock.now().Add(-10 * time.Minute) // version 25
	for _, asOf := range []aggregate.AsOf{{Version: 25}, {Time: noon}} {
		before := b.driver.read.Load()
		at, err := b.again(&options{Snapshots: every(10)}).LoadAsOf(t.Context(), "ann", asOf)
		if err != nil || at.State.Balance != 25 {
			t.Errorf("as of %+v: %+v, %v", asOf, at, err)
		}
		if got := b.driver.read.Load() - before; got != 5 {
			t.Errorf("as of %+v reads %d records, want the 5 behind the snapshot at 20", asOf, got)
		}
	}
}

func TestADeletedAggregateDoesNotComeBackFromItsSnapshots(t *testing.T) {
	for _, byRepository := range []bool{true, false} {
		seen := &notes{}
		b := newBank(t, &options{Snapshots: every(1), Cache: 10, Hooks: seen.hooks()})
		b.do("ann", deposit(7))
		settle(t, b.accounts)
		var err error
		if byRepository {
			_, err = b.Delete(t.Context(), "ann", daybook.Deletion{Who: "support"})
		} else {
			_, err = b.store.DeleteStream(t.Context(), daybook.Deletion{Stream: b.Stream("ann")})
		}
		if err != nil {
			t.Fatal(err)
		}
		at, err := b.again(&options{Snapshots: every(1), Hooks: seen.hooks()}).Load(t.Context(), "ann")
		if err != nil || at.Exists() || at.State.Balance != 0 {
			t.Errorf("after deleting (by the repository: %v) it is %+v, %v", byRepository, at, err)
		}
		if outlived := slices.Contains(seen.outcomes(), aggregate.SnapshotOutlived); outlived == byRepository {
			t.Errorf("by the repository: %v, a snapshot was left over: %v", byRepository, outlived)
		}
		if byRepository && b.balance("ann") != 0 {
			t.Error("it lives on in the cache")
		}
	}
}

func TestSnapshotsThatWaitTooLongAreDroppedAndCloseWritesTheRest(t *testing.T) {
	seen, gate := &notes{}, &slow{entered: make(chan struct{}, 10), open: make(chan struct{})}
	b := newBank(t, &options{Snapshots: &savings{Name: "v1", Policy: aggregate.Every(1), Store: gate, Queue: 1}, Hooks: seen.hooks()})
	b.do("ann", deposit(1))
	<-gate.entered
	b.do("ann", deposit(1)) // waits
	b.do("ann", deposit(1)) // is dropped
	if got := seen.outcomes(); !slices.Equal(got, []aggregate.SnapshotOutcome{aggregate.SnapshotDropped}) {
		t.Errorf("with the queue full: %v", got)
	}
	close(gate.open)
	settle(t, b.accounts)
	if got := seen.outcomes(); len(got) != 2 || gate.saved != 2 {
		t.Errorf("after Close %d were written, %v", gate.saved, got)
	}
	b.do("ann", deposit(1)) // still works
}

// slow is a store of snapshots that waits.
type slow struct {
	failing
	entered, open chan struct{}
	saved         int
}

func (s *slow) Save(ctx context.Context, _ aggregate.Snapshot) error {
	s.entered <- struct{}{}
	select {
	case <-s.open:
		s.saved++
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *slow) Newest(context.Context, daybook.StreamID, string, aggregate.AsOf) (*aggregate.Snapshot, error) {
	return nil, nil
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	gate := &slow{entered: make(chan struct{}, 10), open: make(chan struct{})}
	b := newBank(t, &options{Snapshots: &savings{Name: "v1", Policy: aggregate.Every(1), Store: gate}})
	b.do("ann", deposit(1))
	<-gate.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close answers %v", err)
	}
}

func TestTheCacheSavesReadingAndIsNeverBelieved(t *testing.T) {
	b := newBank(t, &options{Cache: 1})
	b.do("ann", deposit(10))
	before := b.driver.read.Load()
	b.do("ann", deposit(10))
	if got := b.driver.read.Load() - before; got != 0 {
		t.Errorf("a command on a cached account reads %d records", got)
	}
	other := b.again(nil)
	_, _ = other.Execute(t.Context(), "ann", withdraw(20), nil)
	if _, err := b.Execute(t.Context(), "ann", withdraw(1), nil); !errors.Is(err, errFunds) {
		t.Errorf("a stale yes answers %v", err)
	}
	_, _ = other.Execute(t.Context(), "ann", deposit(5), nil)
	if result, err := b.Execute(t.Context(), "ann", withdraw(5), nil); err != nil || result.State.Balance != 0 {
		t.Errorf("a stale no answers %+v, %v", result, err)
	}
	_, _ = other.Execute(t.Context(), "ann", deposit(3), nil)
	if got := b.balance("ann"); got != 3 {
		t.Errorf("a load gives %d, want 3", got)
	}
	b.do("bob", deposit(1)) // puts ann out
	before = b.driver.read.Load()
	b.do("ann", deposit(1))
	if b.driver.read.Load() == before {
		t.Error("a cache of one holds two")
	}
}

func TestTheFingerprintSeesWhatTheSamplesReach(t *testing.T) {
	b := newBank(t, nil)
	type renamed account // the same structure by another name
	for name, c := range map[string]struct {
		samples []event
		evolve  func(account, event) account
		stale   bool
	}{
		"as it was":                   {[]event{deposited{1}, withdrawn{1}}, evolve, false},
		"changed where samples reach": {[]event{deposited{1}, withdrawn{1}}, func(a account, e event) account { a.Balance += 7; return evolve(a, e) }, true},
		"changed where none reach": {[]event{deposited{1}, withdrawn{1}}, func(a account, e event) account {
			if _, ok := e.(opened); ok {
				a.Balance += 7
			}
			return evolve(a, e)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			with := every(1)
			with.Samples = c.samples
			saving := b.again(&options{Snapshots: with})
			if _, err := saving.Execute(t.Context(), name, deposit(5), nil); err != nil {
				t.Fatal(err)
			}
			settle(t, saving)
			seen := &notes{}
			repository, err := aggregate.New(b.store, "account", events, aggregate.Decider[renamed, command, event]{
				Decide: func(renamed, command) ([]event, error) { return nil, nil },
				Evolve: func(r renamed, e event) renamed { return renamed(c.evolve(account(r), e)) },
			}, &aggregate.Options[renamed, event]{Hooks: seen.hooks(), Snapshots: &aggregate.Snapshots[renamed, event]{
				Name: "v1", Policy: aggregate.Every(1), Samples: c.samples,
			}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := repository.Load(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			if stale := slices.Contains(seen.outcomes(), aggregate.SnapshotStale); stale != c.stale {
				t.Errorf("the snapshot is stale: %v, want %v", stale, c.stale)
			}
		})
	}
}
