package disk_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// heldUp opens a store whose next sync waits at the gate.
func heldUp(t *testing.T) (*disk.Driver, *faultyFS, *gate) {
	t.Helper()
	fsys := newFaultyFS()
	d := open(t, t.TempDir(), &disk.Options{FS: fsys})
	add(t, d, "s-0", event(0))
	g := newGate()
	fsys.onSync(g.pass)
	return d, fsys, g
}

// result is how an append that ran beside the test ended.
type result struct {
	receipt daybook.Receipt
	err     error
}

func beside(do func() (daybook.Receipt, error)) <-chan result {
	done := make(chan result, 1)
	go func() {
		receipt, err := do()
		done <- result{receipt, err}
	}()
	return done
}

func TestNothingIsSeenBeforeItIsSynced(t *testing.T) {
	d, fsys, g := heldUp(t)
	store := daybook.New(d, nil)
	id := daybook.NewID()
	repeated := daybook.Append{ID: id, Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-0"), Events: events(1, 1), Claims: []daybook.Claim{{Kind: "k", Value: "v"}}}}}
	first := beside(func() (daybook.Receipt, error) { return store.AppendAll(t.Context(), repeated) })
	<-g.arrived
	// These hang on what is being synced.
	answers := map[string]<-chan result{
		"conflict": beside(func() (daybook.Receipt, error) {
			return store.Append(t.Context(), daybook.Stream("s-0"), daybook.ExpectVersion(1), event(2))
		}),
		"condition": beside(func() (daybook.Receipt, error) {
			return store.AppendAll(t.Context(), daybook.Append{
				Condition:  &daybook.Condition{After: 1},
				Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-1"), Events: events(2, 1)}},
			})
		}),
		"repeat": beside(func() (daybook.Receipt, error) { return store.AppendAll(t.Context(), repeated) }),
	}
	wantNoAnswer(t, d, repeated)
	if got := wholeLog(t, d); len(got) != 1 {
		t.Errorf("%d records are seen while the second is being synced", len(got))
	}
	if head, err := d.Head(t.Context(), daybook.Stream("s-0")); err != nil || head.Version != 1 {
		t.Errorf("head %+v, %v while version 2 is being synced", head, err)
	}
	// They do not depend on it: no need to wait.
	if _, err := store.Append(t.Context(), daybook.Stream("s-7"), daybook.ExpectVersion(9), event(2)); !errors.Is(err, daybook.ErrConflict) {
		t.Errorf("an append that expects version 9 of an empty stream answers %v", err)
	}
	for what, answer := range answers {
		select {
		case r := <-answer:
			t.Errorf("%s is answered with %v before what it hangs on is synced", what, r.err)
		default:
		}
	}
	fsys.onSync(func() error { return nil })
	g.open()
	if r := <-first; r.err != nil || r.receipt.Durability != daybook.DurabilityDisk {
		t.Errorf("the first append: %+v", r)
	}
	var conflict *daybook.ConflictError
	if r := <-answers["conflict"]; !errors.As(r.err, &conflict) || conflict.Found.Version != 2 || len(conflict.Missed) != 1 {
		t.Errorf("the conflict: %v, missed %+v", r.err, conflict)
	}
	if r := <-answers["condition"]; !errors.Is(r.err, daybook.ErrConflict) {
		t.Errorf("the condition: %v", r.err)
	}
	if r := <-answers["repeat"]; r.err != nil || !r.receipt.Repeated || r.receipt.Position() != 2 {
		t.Errorf("the repeat: %+v", r)
	}
}

// wantNoAnswer checks that who goes away while his append waits, or what it
// hangs on does, is told neither yes nor no.
func wantNoAnswer(t *testing.T, d *disk.Driver, repeated daybook.Append) {
	t.Helper()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	waiting := map[string]daybook.Append{
		"repeat": repeated, "append": {Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-2"), Events: events(3, 1)}}},
		"memory":    {Durability: daybook.DurabilityMemory, Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-5"), Events: events(3, 1)}}},
		"os":        {Durability: daybook.DurabilityOS, Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-6"), Events: events(3, 1)}}},
		"condition": {Condition: &daybook.Condition{After: 1}, Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-3"), Events: events(3, 1)}}},
		"conflict":  {Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-0"), Expect: daybook.ExpectVersion(1), Events: events(3, 1)}}},
		"claim":     {Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-4"), Claims: repeated.Changesets[0].Claims, Events: events(3, 1)}}},
	}
	for what, a := range waiting {
		if a.ID == (daybook.ID{}) {
			a.ID = daybook.NewID()
		}
		if _, err := d.Append(cancelled, a); !errors.Is(err, context.Canceled) || errors.Is(err, daybook.ErrRefused) {
			t.Errorf("%s: who went away is answered with %v, want the error of the context and no refusal", what, err)
		}
	}
}

func TestNothingIsAnsweredByADeletionBeforeItIsSynced(t *testing.T) {
	d, fsys, g := heldUp(t)
	fsys.onSync(func() error { return nil })
	for n := 1; n < 3; n++ {
		tagged := event(n)
		tagged.Tags = []string{"tag:1"}
		add(t, d, fmt.Sprint("s-", n), tagged)
	}
	fsys.onSync(g.pass)
	last := daybook.Stream("s-2")
	deleted := beside(func() (daybook.Receipt, error) {
		_, err := d.DeleteStream(t.Context(), daybook.Deletion{ID: daybook.NewID(), Stream: last})
		return daybook.Receipt{}, err
	})
	<-g.arrived
	tag := daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"tag:1"}}}}
	hanging := map[string]daybook.Append{
		"condition": {Condition: &daybook.Condition{Query: tag}, Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-3"), Events: events(3, 1)}}},
		"conflict":  {Changesets: []daybook.Changeset{{Stream: last, Expect: daybook.ExpectExists(), Events: events(3, 1)}}},
		"reference": {Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-4"), References: []daybook.StreamID{last}, Events: events(3, 1)}}},
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for what, a := range hanging {
		a.ID = daybook.NewID()
		if _, err := d.Append(gone, a); !errors.Is(err, context.Canceled) || errors.Is(err, daybook.ErrRefused) {
			t.Errorf("%s is answered with %v before the deletion that it hangs on is synced", what, err)
		}
	}
	if head, err := d.Head(t.Context(), last); err != nil || !head.Exists() {
		t.Errorf("head %+v, %v while the stream is being deleted", head, err)
	}
	fsys.onSync(func() error { return nil })
	g.open()
	if r := <-deleted; r.err != nil {
		t.Errorf("the deletion: %v", r.err)
	}
	for what, a := range hanging {
		a.ID = daybook.NewID()
		_, err := d.Append(t.Context(), a)
		var broken *daybook.ConditionError
		if !errors.Is(err, daybook.ErrConflict) || errors.As(err, &broken) && broken.Found != 2 {
			t.Errorf("%s, when the deletion is made: %v", what, err)
		}
	}
}

func TestAppendsThatComeTogetherShareASync(t *testing.T) {
	d, fsys, g := heldUp(t)
	before := fsys.syncs.Load()
	first := beside(func() (daybook.Receipt, error) { return addAt(t.Context(), d, "a-0", daybook.DurabilityDisk, event(0)) })
	<-g.arrived
	var others []<-chan result
	started := make(chan struct{}, 50)
	for n := range 50 {
		others = append(others, beside(func() (daybook.Receipt, error) {
			started <- struct{}{}
			return addAt(t.Context(), d, fmt.Sprintf("a-%d", n), daybook.DurabilityDisk, event(n))
		}))
	}
	for range others {
		<-started
	}
	fsys.onSync(func() error { return nil })
	g.open()
	for _, done := range append(others, first) {
		if r := <-done; r.err != nil {
			t.Fatal(r.err)
		}
	}
	// How many rounds the fifty take depends on when they are scheduled.
	if syncs := fsys.syncs.Load() - before; syncs > 40 {
		t.Errorf("51 appends took %d syncs", syncs)
	}
	if got := wholeLog(t, d); len(got) != 52 {
		t.Errorf("%d records, want 52", len(got))
	}
}

func TestEachDurabilityWaitsForNoMoreThanItAsks(t *testing.T) {
	fsys := newFaultyFS()
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{FS: fsys})
	fsys.onSync(func() error { return errors.New("nobody asked for this sync") })
	for _, level := range []daybook.Durability{daybook.DurabilityOS, daybook.DurabilityMemory, daybook.DurabilityOS} {
		receipt, err := addAt(t.Context(), d, "s-0", level, event(1))
		if err != nil || receipt.Durability < level {
			t.Errorf("asked for %s, got %s, %v", level, receipt.Durability, err)
		}
		if end, err := d.End(t.Context()); err != nil || end != receipt.Position() {
			t.Errorf("the log ends at %d, %v behind an append at %d", end, err, receipt.Position())
		}
	}
	fsys.onSync(func() error { return nil })
	receipt := add(t, d, "s-0", event(2))
	if receipt.Durability != daybook.DurabilityDisk {
		t.Errorf("the default is %s", receipt.Durability)
	}
	for _, level := range []daybook.Durability{daybook.DurabilityReplicated, daybook.DurabilityCloud} {
		if _, err := addAt(t.Context(), d, "s-0", level, event(1)); !errors.Is(err, daybook.ErrUnsupported) {
			t.Errorf("asked for %s: %v", level, err)
		}
	}
	all := wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, "after a close", wholeLog(t, open(t, dir, nil)), all)
}

func TestWhatIsOnlyInMemoryCanBeRead(t *testing.T) {
	fsys := newFaultyFS()
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{FS: fsys, SegmentBytes: 1})
	add(t, d, "s-0", event(0))
	g := newGate()
	fsys.onWrite(g.pass)
	for n := range 40 {
		some := events(n, 2)
		some[1].Data = make([]byte, 300)
		if _, err := addAt(t.Context(), d, fmt.Sprintf("s-%d", n%2), daybook.DurabilityMemory, some...); err != nil {
			t.Fatal(err)
		}
	}
	all := wholeLog(t, d)
	if len(all) != 81 {
		t.Fatalf("%d records, want 81", len(all))
	}
	back, err := readLog(t, d, daybook.LogRead{Backwards: true})
	if err != nil || len(back) != 81 || back[0].Position != 81 {
		t.Fatalf("backwards: %d records, %v", len(back), err)
	}
	stream, err := gather(d.ReadStream(t.Context(), daybook.Stream("s-1"), daybook.StreamRead{}))
	if err != nil || len(stream) != 40 {
		t.Fatalf("stream: %d records, %v", len(stream), err)
	}
	if now := filesOf(t, dir); len(now.segments()) != 1 {
		t.Errorf("%d segments were written while writing was held up", len(now.segments()))
	}
	// A repeat that asks for the disk has to wait for it.
	repeat := beside(func() (daybook.Receipt, error) {
		return d.Append(t.Context(), daybook.Append{ID: all[80].Changeset.AppendID, Changesets: []daybook.Changeset{{Stream: all[80].Stream, Events: events(39, 2)}}})
	})
	fsys.onWrite(func() error { return nil })
	g.open()
	if r := <-repeat; r.err != nil || !r.receipt.Repeated || r.receipt.Durability != daybook.DurabilityDisk {
		t.Errorf("the repeat: %+v", r)
	}
	wantRecords(t, "once written", wholeLog(t, d), all)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, "after a close", wholeLog(t, open(t, dir, nil)), all)
}

func TestFailedWriteEndsAllWriting(t *testing.T) {
	for _, op := range []string{"write", "sync"} {
		for _, stored := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s failed, stored %v", op, stored), func(t *testing.T) { failAndReopen(t, op, stored) })
		}
	}
}

func failAndReopen(t *testing.T, op string, stored bool) {
	fsys := newFaultyFS()
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{FS: fsys})
	add(t, d, "s-0", event(0))
	before := filesOf(t, dir)
	broken := errors.New("the disk is on fire")
	var calls atomic.Int64
	fail := func() error { calls.Add(1); return broken }
	if op == "write" {
		fsys.onWrite(fail)
	} else {
		fsys.onSync(fail)
	}
	a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-0"), Events: events(1, 2)}}}
	store := daybook.New(d, nil)
	for range 3 {
		_, err := store.AppendAll(t.Context(), a)
		var failed *disk.FailedError
		if !errors.As(err, &failed) || !errors.Is(err, daybook.ErrFailed) || !errors.Is(err, broken) || errors.Is(err, daybook.ErrRefused) {
			t.Fatalf("an append answers %v", err)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("the disk was tried %d times", n)
	}
	if got := wholeLog(t, d); len(got) != 1 {
		t.Errorf("%d records can be read, want the one before", len(got))
	}
	if err := d.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	after := filesOf(t, dir)
	if !stored {
		after = before
	}
	again := open(t, after.put(t), nil)
	if again.Recovery().Clean {
		t.Error("the close is taken for a clean one")
	}
	receipt, err := daybook.New(again, nil).AppendAll(t.Context(), a)
	if err != nil || receipt.Position() != 3 || receipt.Repeated != (stored && op == "sync") {
		t.Errorf("the same append again: %+v, %v", receipt, err)
	}
	if got := wholeLog(t, again); len(got) != 3 {
		t.Errorf("%d records, want 3", len(got))
	}
}

func TestSegmentsAreBegunWhenOneIsFull(t *testing.T) {
	dir := t.TempDir()
	options := &disk.Options{SegmentBytes: 8 << 10}
	d := open(t, dir, options)
	for n := range 60 {
		some := event(n)
		some.Data = make([]byte, 500)
		if n == 30 {
			some.Data = make([]byte, 20<<10)
		}
		add(t, d, fmt.Sprintf("s-%d", n%4), some)
	}
	all := wholeLog(t, d)
	found := filesOf(t, dir)
	var larger int
	for _, name := range found.segments() {
		if len(found[name]) > 8<<10 {
			larger++
		}
	}
	if n := len(found.segments()); n < 5 || larger != 1 {
		t.Errorf("%d segments, of which %d are larger than they may be", n, larger)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, options)
	wantRecords(t, "opened again", wholeLog(t, again), all)
	if r := again.Recovery(); r.Segments != len(found.segments()) || r.Records != 60 || !r.Clean {
		t.Errorf("recovery %+v", r)
	}
	back, err := readLog(t, again, daybook.LogRead{Backwards: true, After: 10, To: 50})
	if err != nil || len(back) != 40 || back[0].Position != 50 || back[39].Position != 11 {
		t.Errorf("backwards from 50 down to 11: %d records, %v", len(back), err)
	}
}

func TestRepeatThatAsksForMoreIsSynced(t *testing.T) {
	fsys := newFaultyFS()
	d := open(t, t.TempDir(), &disk.Options{FS: fsys})
	a := daybook.Append{ID: daybook.NewID(), Durability: daybook.DurabilityOS, Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-0"), Events: events(1, 1)}}}
	store := daybook.New(d, nil)
	for _, want := range []struct {
		ask, get daybook.Durability
		syncs    int64
	}{
		{daybook.DurabilityOS, daybook.DurabilityOS, 0}, {daybook.DurabilityMemory, daybook.DurabilityOS, 0},
		{daybook.DurabilityDisk, daybook.DurabilityDisk, 1}, {daybook.DurabilityDisk, daybook.DurabilityDisk, 0},
		{daybook.DurabilityMemory, daybook.DurabilityDisk, 0},
	} {
		before := fsys.syncs.Load()
		a.Durability = want.ask
		receipt, err := store.AppendAll(t.Context(), a)
		if err != nil || receipt.Durability != want.get || fsys.syncs.Load()-before != want.syncs {
			t.Errorf("asked for %s: %s, %v, after %d syncs, want %s after %d", want.ask, receipt.Durability, err, fsys.syncs.Load()-before, want.get, want.syncs)
		}
	}
}

func TestWhatWasRecoveredIsSyncedBeforeItIsRead(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	if _, err := addAt(t.Context(), d, "s-0", daybook.DurabilityOS, event(1)); err != nil {
		t.Fatal(err)
	}
	crashed := filesOf(t, dir)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	fsys := newFaultyFS()
	fsys.onSync(func() error { return errors.New("the disk is on fire") })
	if _, err := disk.Open(crashed.put(t), &disk.Options{FS: fsys}); err == nil {
		t.Error("a crashed store opens although what it holds cannot be synced")
	}
	d, err := disk.Open(dir, &disk.Options{FS: fsys})
	if err != nil {
		t.Fatalf("a store that was closed is synced when it is opened: %v", err)
	}
	fsys.onSync(func() error { return nil })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRecordedTimesNeverFall(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	options := &disk.Options{Now: func() time.Time { return now }}
	d := open(t, dir, options)
	start := now
	for _, step := range []time.Duration{0, time.Hour, -2 * time.Hour, time.Minute} {
		now = now.Add(step)
		if receipt := add(t, d, "s-0", event(1)); receipt.RecordedAt.Before(start) {
			t.Errorf("recorded at %s, behind %s", receipt.RecordedAt, start)
		} else {
			start = receipt.RecordedAt
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, dir, options)
	if receipt := add(t, d, "s-0", event(1)); !receipt.RecordedAt.Equal(start) {
		t.Errorf("recorded at %s, want %s, since the clock is behind", receipt.RecordedAt, start)
	}
	if r := d.Recovery(); r.Damage != nil {
		t.Error(r.Damage)
	}
}
