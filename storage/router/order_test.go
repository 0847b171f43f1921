package router_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/router"
	"github.com/daybook-go/daybook/storage/storagetest"
	"github.com/daybook-go/daybook/verify"
)

// storages are what routers of several processes stand over.
type storages struct {
	drivers []*storagetest.Faulty // of the members, and of the order behind them
	inner   []*memory.Driver
}

var memberNames = []string{"one", "two", "three"}

// newStorages returns empty ones, each with a clock of its own, which is ahead
// or behind.
func newStorages() *storages {
	s := &storages{}
	for i := range len(memberNames) + 1 {
		skew := time.Duration(i-1) * 30 * time.Second
		s.inner = append(s.inner, memory.New(&memory.Options{Now: func() time.Time { return time.Now().Add(skew) }}))
		s.drivers = append(s.drivers, storagetest.NewFaulty(lasting{s.inner[i]}))
	}
	return s
}

func (s *storages) order() *storagetest.Faulty { return s.drivers[len(memberNames)] }

// router returns another router over them: stream types a, b and c in one, two
// and three.
func (s *storages) router(t *testing.T, options *router.Options) *daybook.Store {
	t.Helper()
	var members []router.Member
	for i, name := range memberNames {
		members = append(members, router.Member{Name: name, Driver: s.drivers[i]})
	}
	driver := made(t, members, rules(t, "ALL.ALL", "one", "ALL.b", "two", "ALL.c", "three"), s.order(), options)
	return daybook.New(driver, &daybook.Options{PollInterval: time.Millisecond})
}

func gather[T any](all iter.Seq2[T, error]) ([]T, error) {
	var found []T
	for one, err := range all {
		if err != nil {
			return found, err
		}
		found = append(found, one)
	}
	return found, nil
}

// logOf returns the log of a store, and must succeed.
func logOf(t *testing.T, store *daybook.Store, read daybook.LogRead) []daybook.Record {
	t.Helper()
	log, err := gather(store.ReadLog(t.Context(), read))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// places says where records stand, for comparing two logs.
func places(log []daybook.Record) []string {
	var all []string
	for _, r := range log {
		all = append(all, fmt.Sprintf("%d %s/%d %s %s", r.Position, r.Stream, r.Version, r.ID, r.RecordedAt.Format(time.RFC3339Nano)))
	}
	return all
}

// sound verifies a store, and must find nothing.
func sound(t *testing.T, store *daybook.Store) {
	t.Helper()
	report, err := verify.Store(t.Context(), store, nil)
	if err != nil || !report.OK() {
		t.Errorf("verify found %v, %v", report.Findings, err)
	}
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d replays this", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// writer appends to streams of all stores through one of the routers, and keeps
// every receipt. What fails is sent again until it is answered.
type writer struct {
	store    *daybook.Store
	random   *rand.Rand
	receipts map[daybook.ID]daybook.Receipt
}

func (w *writer) run(ctx context.Context, appends int) error {
	w.receipts = map[daybook.ID]daybook.Receipt{}
	for range appends {
		a := daybook.Append{ID: daybook.NewID()}
		kind := [...]string{"a", "b", "c"}[w.random.IntN(3)]
		for i := range 1 + w.random.IntN(2) {
			c := daybook.Changeset{Stream: daybook.Stream(fmt.Sprintf("%s-%d", kind, 10*i+w.random.IntN(3)))}
			for range 1 + w.random.IntN(3) {
				c.Events = append(c.Events, daybook.Event{Type: "written"})
			}
			a.Changesets = append(a.Changesets, c)
		}
		receipt, err := w.send(ctx, a)
		if err != nil {
			return err
		}
		if w.random.IntN(8) == 0 {
			again, err := w.send(ctx, a)
			if again.Repeated = again.Repeated && err == nil; !again.Repeated || !slices.Equal(again.Changesets, receipt.Changesets) || !again.RecordedAt.Equal(receipt.RecordedAt) {
				return fmt.Errorf("append %s was answered with %+v, repeated with %+v, %w", a.ID, receipt, again, err)
			}
		}
		w.receipts[a.ID] = receipt
	}
	return nil
}

// send sends an append until it is answered.
func (w *writer) send(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	for {
		receipt, err := w.store.AppendAll(ctx, a)
		if !errors.Is(err, storagetest.ErrFault) {
			return receipt, err
		}
		if errors.Is(err, daybook.ErrRefused) {
			return receipt, fmt.Errorf("append %s: a fault says that it was refused: %w", a.ID, err)
		}
	}
}

// follow reads on from where it was until done, once more then, and returns
// what it saw.
func follow(ctx context.Context, store *daybook.Store, done *atomic.Bool) ([]daybook.Record, error) {
	var seen []daybook.Record
	for last := false; ; {
		read := daybook.LogRead{}
		if len(seen) > 0 {
			read.After = seen[len(seen)-1].Position
		}
		more, err := gather(store.ReadLog(ctx, read))
		if err != nil && !errors.Is(err, storagetest.ErrFault) {
			return seen, err
		}
		seen = append(seen, more...)
		if last && err == nil {
			return seen, nil
		}
		if last = done.Load(); !last && len(more) == 0 {
			// Not without end: who only reads may see all that it ever will.
			short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			_ = store.Wait(short, read.After)
			cancel()
		}
	}
}

// Four processes append through routers of their own, three follow the log
// through others; one in ten calls of the order and of the storages fails,
// carried out or not.
func TestRoutersOfSeveralProcessesGiveOneOrderWhateverFails(t *testing.T) {
	random := seeded(t)
	for _, faults := range []bool{false, true} {
		s := newStorages()
		var done atomic.Bool
		writers := make([]*writer, 4)
		seen := make([][]daybook.Record, 3)
		group, ctx := errgroup.WithContext(t.Context())
		for i := range seen {
			store := s.router(t, &router.Options{ReadOnly: i == 2})
			group.Go(func() (err error) {
				seen[i], err = follow(ctx, store, &done)
				return err
			})
		}
		for i := range writers {
			writers[i] = &writer{store: s.router(t, nil), random: rand.New(rand.NewPCG(random.Uint64(), 0))}
		}
		if faults {
			s.cue(random)
		}
		var writing sync.WaitGroup
		writing.Add(len(writers))
		for _, w := range writers {
			group.Go(func() error {
				defer writing.Done()
				return w.run(ctx, 40)
			})
		}
		go func() {
			writing.Wait()
			for _, driver := range s.drivers {
				driver.Heal()
			}
			done.Store(true)
		}()
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		s.judge(t, writers, seen)
	}
}

// cue lets calls fail, here and there.
func (s *storages) cue(random *rand.Rand) {
	for _, driver := range s.drivers {
		for range 200 {
			fault := storagetest.Fault{Call: storagetest.CallAppend, Skip: random.IntN(6), Before: storagetest.ErrFault}
			switch random.IntN(4) {
			case 0:
				fault.Call = storagetest.CallReadStream
			case 1:
				fault.Call = storagetest.CallEnd
			case 2:
				fault.Before, fault.After = nil, storagetest.ErrFault
			}
			driver.Cue(fault)
		}
	}
}

// judge holds what writers were answered and readers saw to the log in the end.
func (s *storages) judge(t *testing.T, writers []*writer, seen [][]daybook.Record) {
	t.Helper()
	last := s.router(t, nil)
	log := logOf(t, last, daybook.LogRead{})
	at := map[daybook.ID][]daybook.ChangesetReceipt{}
	for c, err := range daybook.Changesets(last.ReadLog(t.Context(), daybook.LogRead{})) {
		if err != nil {
			t.Fatal(err)
		}
		at[c.AppendID] = append(at[c.AppendID], daybook.ChangesetReceipt{
			Stream: c.Stream, Number: c.Number, First: c.First, Last: c.Last(),
			FirstPosition: c.Records[0].Position, LastPosition: c.Records[len(c.Records)-1].Position,
		})
	}
	told := 0
	for _, w := range writers {
		for id, receipt := range w.receipts {
			told++
			if !slices.Equal(at[id], receipt.Changesets) {
				t.Errorf("append %s stands at %+v, its receipt says %+v", id, at[id], receipt.Changesets)
			}
		}
	}
	if told != len(at) {
		t.Errorf("%d appends are there, %d were acknowledged", len(at), told)
	}
	for i, records := range seen {
		want := places(log)
		if i == 2 { // it only reads: what nobody has noted yet it does not see
			want = want[:min(len(want), len(records))]
		}
		if got := places(records); !slices.Equal(got, want) {
			t.Errorf("reader %d saw %d records, the log has %d; they differ", i, len(got), len(want))
		}
	}
	if again := places(logOf(t, s.router(t, nil), daybook.LogRead{})); !slices.Equal(again, places(log)) {
		t.Error("another router gives another order")
	}
	sound(t, last)
}

// A process ends between storing an append and noting it.
func TestWhatARouterLeftUnnotedIsTakenInOnceByWhoComesNext(t *testing.T) {
	s := newStorages()
	first := s.router(t, nil)
	if _, err := first.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectAny(), daybook.Event{Type: "noted"}); err != nil {
		t.Fatal(err)
	}
	s.order().Cue(storagetest.Fault{Call: storagetest.CallAppend, Times: -1, Before: daybook.ErrFull})
	lost := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("b-1"), Events: []daybook.Event{{Type: "left"}}}}}
	_, err := first.AppendAll(t.Context(), lost)
	if err == nil || errors.Is(err, daybook.ErrRefused) {
		t.Fatalf("an append that is stored and not noted was answered with %v, which must not say that it was refused", err)
	}
	reader := s.router(t, &router.Options{ReadOnly: true})
	if log := logOf(t, reader, daybook.LogRead{}); len(log) != 1 {
		t.Errorf("a router that only reads shows %d records, want the one that is noted", len(log))
	}
	if head, err := reader.Head(t.Context(), daybook.Stream("b-1")); err != nil || head.Exists() {
		t.Errorf("to a router that only reads, the stream has head %+v, %v", head, err)
	}
	_, appending := reader.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectAny(), daybook.Event{Type: "refused"})
	_, deleting := reader.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("a-1")})
	if !errors.Is(appending, daybook.ErrReadOnly) || !errors.Is(deleting, daybook.ErrReadOnly) {
		t.Errorf("a router that only reads answers %v and %v", appending, deleting)
	}
	s.order().Heal()
	second := s.router(t, nil)
	log := logOf(t, second, daybook.LogRead{})
	if len(log) != 2 || log[1].Type != "left" {
		t.Fatalf("the log is %v", places(log))
	}
	receipt, err := second.AppendAll(t.Context(), lost)
	if err != nil || !receipt.Repeated || receipt.Position() != log[1].Position || !receipt.RecordedAt.Equal(log[1].RecordedAt) {
		t.Errorf("sent again it was answered with %+v, %v; it stands at %d", receipt, err, log[1].Position)
	}
	if now := places(logOf(t, reader, daybook.LogRead{})); !slices.Equal(now, places(log)) {
		t.Errorf("the router that only reads shows %v, want %v", now, places(log))
	}
	sound(t, second)
}

func TestRecordThatIsSeenInItsStreamStandsInTheLog(t *testing.T) {
	s := newStorages()
	store := s.router(t, nil)
	past := daybook.New(s.inner[1], nil) // past the routers
	if _, err := past.Append(t.Context(), daybook.Stream("b-1"), daybook.ExpectAny(), daybook.Event{Type: "past"}, daybook.Event{Type: "past"}); err != nil {
		t.Fatal(err)
	}
	stream, err := gather(store.ReadStream(t.Context(), daybook.Stream("b-1"), daybook.StreamRead{Limit: 1}))
	if err != nil || len(stream) != 1 {
		t.Fatal(stream, err)
	}
	if _, err := store.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectAny(), daybook.Event{Type: "later"}); err != nil {
		t.Fatal(err)
	}
	log := logOf(t, store, daybook.LogRead{})
	if len(log) != 3 || log[0].Position != stream[0].Position || log[2].Type != "later" {
		t.Errorf("the stream begins at %d, the log is %v", stream[0].Position, places(log))
	}
	conflict := new(daybook.ConflictError)
	_, err = store.Append(t.Context(), daybook.Stream("b-1"), daybook.ExpectVersion(1), daybook.Event{Type: "refused"})
	if !errors.As(err, &conflict) || conflict.Found.Position != log[1].Position || len(conflict.Missed) != 1 || conflict.Missed[0].Records[0].Position != log[0].Position {
		t.Errorf("the conflict is %+v", err)
	}
}

func TestWaitingEndsForWhatWasWrittenPastTheRouters(t *testing.T) {
	s := newStorages()
	store := s.router(t, &router.Options{SurveyInterval: time.Millisecond})
	waiting := make(chan error, 1)
	go func() { waiting <- store.Wait(t.Context(), 0) }()
	if _, err := daybook.New(s.inner[2], nil).Append(t.Context(), daybook.Stream("c-1"), daybook.ExpectAny(), daybook.Event{Type: "past"}); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
	if log := logOf(t, store, daybook.LogRead{}); len(log) != 1 {
		t.Errorf("the log is %v", places(log))
	}
}

func TestPositionsOfTheFirstStoreStayWhenOthersJoinIt(t *testing.T) {
	s := newStorages()
	for i, kind := range []string{"a", "b"} {
		for n := range 10 {
			if _, err := daybook.New(s.inner[i], nil).Append(t.Context(), daybook.Stream(fmt.Sprintf("%s-%d", kind, n%3)), daybook.ExpectAny(), daybook.Event{Type: "before"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := logOf(t, daybook.New(lasting{s.inner[0]}, nil), daybook.LogRead{})
	store := s.router(t, nil)
	log := logOf(t, store, daybook.LogRead{})
	if len(log) != 20 || !slices.Equal(places(log[:10]), places(before)) {
		t.Errorf("the log was %v and is %v", places(before), places(log))
	}
	sound(t, store)
}

func TestStoreThatIsAnotherOneIsNotTakenForIt(t *testing.T) {
	s := newStorages()
	store := s.router(t, nil)
	if _, err := store.Append(t.Context(), daybook.Stream("b-1"), daybook.ExpectAny(), daybook.Event{Type: "stored"}); err != nil {
		t.Fatal(err)
	}
	members := []router.Member{{Name: "one", Driver: lasting{s.inner[0]}}, {Name: "two", Driver: memory.New(nil)}, {Name: "three", Driver: lasting{s.inner[2]}}}
	_, err := router.New(t.Context(), members, rules(t, "ALL.ALL", "one"), lasting{s.inner[3]}, nil)
	var corrupt *daybook.CorruptError
	if !errors.As(err, &corrupt) {
		t.Errorf("an empty store in place of one with records: %v", err)
	}
	_, err = router.New(t.Context(), []router.Member{{Name: "one", Driver: lasting{s.inner[0]}}, {Name: "zwei", Driver: lasting{s.inner[1]}}},
		rules(t, "ALL.ALL", "one"), lasting{s.inner[3]}, nil)
	var invalid *daybook.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != "stores" {
		t.Errorf("a store that was renamed: %v", err)
	}
}

// A router that looks at an empty order while another one of the same process
// writes its first entry.
func TestOrderThatBeginsWhileItIsReadIsNotTakenForLost(t *testing.T) {
	s := newStorages()
	gate := storagetest.NewGate()
	slow := &late{Driver: lasting{s.inner[3]}, gate: gate}
	members := []router.Member{{Name: "one", Driver: lasting{s.inner[0]}}, {Name: "two", Driver: lasting{s.inner[1]}}, {Name: "three", Driver: lasting{s.inner[2]}}}
	driver := made(t, members, rules(t, "ALL.ALL", "one", "ALL.b", "two", "ALL.c", "three"), slow, nil)
	slow.waits.Store(true)
	ended := make(chan error, 1)
	go func() {
		_, err := driver.End(t.Context())
		ended <- err
	}()
	<-gate.Reached()
	if _, err := driver.Append(t.Context(), daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{one(daybook.Stream("b-1"))}}); err != nil {
		t.Fatal(err)
	}
	gate.Open()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := s.inner[3].DeleteStream(t.Context(), daybook.Deletion{ID: daybook.NewID(), Stream: daybook.Stream("order")}); err != nil {
		t.Fatal(err)
	}
	var corrupt *daybook.CorruptError
	if _, err := driver.End(t.Context()); !errors.As(err, &corrupt) {
		t.Errorf("an order that was lost: %v", err)
	}
}

// late gives what it read when the gate is open.
type late struct {
	daybook.Driver
	gate  *storagetest.Gate
	waits atomic.Bool
}

func (l *late) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	found, err := gather(l.Driver.ReadStream(ctx, id, read))
	return func(yield func(daybook.Record, error) bool) {
		if l.waits.Swap(false) {
			hold := storagetest.NewFaulty(memory.New(nil))
			hold.Cue(storagetest.Fault{Call: storagetest.CallEnd, Hold: l.gate})
			_, _ = daybook.New(hold, nil).End(ctx)
		}
		for _, record := range found {
			if !yield(record, nil) {
				return
			}
		}
		if err != nil {
			yield(daybook.Record{}, err)
		}
	}
}
