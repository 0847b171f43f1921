package httpapi_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// follow fails the test unless the listener gets the events with these ids,
// each once and in order.
func (l *listener) follow(first, last int) {
	l.t.Helper()
	for want := first; want <= last; want++ {
		event, more := l.next()
		for more && event.name == "" {
			event, more = l.next()
		}
		if event.id != fmt.Sprint(want) {
			l.t.Errorf("%q came, want %d", event.id, want)
			return
		}
	}
}

func TestManyReadersOfOneStreamSeeItsRecordsOnly(t *testing.T) {
	s := serve(t, nil)
	const readers, rounds = 20, 150
	var wait sync.WaitGroup
	for range readers {
		l := s.listen("/streams/filled/records")
		wait.Go(func() { l.follow(1, 2*rounds) })
	}
	for range rounds {
		fill(t, s.store, 2)
		if _, err := s.store.Append(t.Context(), daybook.Stream("other"), daybook.ExpectAny(), daybook.Event{Type: "e"}); err != nil {
			t.Fatal(err)
		}
	}
	wait.Wait()
}

// More places than can be shared at once: some readers share, some do not, and
// those who lag meet the others in the end.
func TestReadersThatComeBackAtManyPlacesSeeEverything(t *testing.T) {
	s := serve(t, nil)
	const before, after = 4500, 500
	fill(t, s.store, before)
	var wait sync.WaitGroup
	for n := range 16 {
		place := n / 2 * 500
		all := s.listen("/records", "Last-Event-ID", fmt.Sprint(place))
		wait.Go(func() { all.follow(place+1, before+after) })
		stream := s.listen("/streams/filled/records", "Last-Event-ID", fmt.Sprint(place))
		wait.Go(func() { stream.follow(place+1, before+after) })
	}
	for range after / 10 {
		fill(t, s.store, 10)
	}
	wait.Wait()
}

// A place that the log has not reached yet is where a reader begins.
func TestAReaderMayWaitForAPlaceBeyondTheEnd(t *testing.T) {
	s := serve(t, nil)
	fill(t, s.store, 5)
	for _, path := range []string{"/records", "/streams/filled/records"} {
		one, two := s.listen(path, "Last-Event-ID", "7"), s.listen(path, "Last-Event-ID", "7")
		defer one.follow(8, 9)
		defer two.follow(8, 9)
	}
	fill(t, s.store, 1)
	fill(t, s.store, 3)
}

// counted is a storage that counts what is asked of it.
type counted struct {
	*memory.Driver
	waits, mostWaits, yielded atomic.Int64
}

func (w *counted) Wait(ctx context.Context, after daybook.Position) error {
	n := w.waits.Add(1)
	defer w.waits.Add(-1)
	for most := w.mostWaits.Load(); n > most && !w.mostWaits.CompareAndSwap(most, n); most = w.mostWaits.Load() {
	}
	return w.Driver.Wait(ctx, after)
}

func (w *counted) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		for record, err := range w.Driver.ReadLog(ctx, read) {
			w.yielded.Add(1)
			if !yield(record, err) {
				return
			}
		}
	}
}

func TestReadersAtTheTailShareOneWaitAndOneReading(t *testing.T) {
	driver := &counted{Driver: newMemory()}
	s := serveStore(t, daybook.New(driver, nil), nil)
	const readers, records = 30, 500
	var listeners []*listener
	for range readers {
		l := s.listen("/records")
		l.next() // the greeting
		listeners = append(listeners, l)
	}
	fill(t, s.store, 1)
	for _, l := range listeners {
		l.follow(1, 1)
	}
	alone := driver.yielded.Load()
	fill(t, s.store, records)
	for _, l := range listeners {
		l.follow(2, records+1)
	}
	if got := driver.mostWaits.Load(); got != 1 {
		t.Errorf("%d readers waited on the storage, want one for all", got)
	}
	if got := driver.yielded.Load() - alone; got > 2*records {
		t.Errorf("%d records were read from the storage for %d readers of %d", got, readers, records)
	}
	for _, l := range listeners {
		l.body.Body.Close()
	}
	waitFor(t, "the wait on the storage to end with the last reader", func() bool { return driver.waits.Load() == 0 })
	l := s.listen("/records", "Last-Event-ID", fmt.Sprint(records+1))
	fill(t, s.store, 1)
	l.follow(records+2, records+2)
}

// waitless is a storage whose Wait fails once it is told to.
type waitless struct {
	*memory.Driver
	fail chan struct{}
}

func (f *waitless) Wait(ctx context.Context, after daybook.Position) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waited := make(chan error, 1)
	go func() { waited <- f.Driver.Wait(ctx, after) }()
	select {
	case err := <-waited:
		return err
	case <-f.fail:
		return &daybook.CorruptError{File: "log", Reason: "checksum"}
	}
}

func TestAllReadersAreToldThatTheStorageFailed(t *testing.T) {
	driver := &waitless{newMemory(), make(chan struct{})}
	s := serveStore(t, daybook.New(driver, nil), nil)
	one, two, stream := s.listen("/records"), s.listen("/records?type=filled"), s.listen("/streams/filled/records")
	fill(t, s.store, 1)
	for _, l := range []*listener{one, two, stream} {
		l.follow(1, 1)
	}
	close(driver.fail)
	for _, l := range []*listener{one, two, stream} {
		if last := l.last(); last.name != "failed" || !strings.HasPrefix(last.data, `{"error":"CORRUPT"`) {
			t.Errorf("the last event is %+v", last)
		}
	}
}

// What readers share was read before a deletion: who begins after it must not
// find there what was deleted.
func TestAReaderWhoBeginsAfterADeletionDoesNotSeeWhatWent(t *testing.T) {
	for _, path := range []string{"/records", "/records?type=filled&type=kept"} {
		s := serve(t, nil)
		one, two := s.listen(path), s.listen(path)
		fill(t, s.store, 1)
		one.follow(1, 1)
		two.follow(1, 1)
		for range 5 {
			fill(t, s.store, 1)
		}
		one.follow(2, 6)
		two.follow(2, 6)
		for n := range 3 {
			through := daybook.Version(3 + n)
			if _, err := s.store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("filled"), Through: through}); err != nil {
				t.Fatal(err)
			}
			last := 7 + n
			if _, err := s.store.Append(t.Context(), daybook.Stream("kept"), daybook.ExpectAny(), daybook.Event{Type: "kept"}); err != nil {
				t.Fatal(err)
			}
			late := s.listen(path)
			if first, _ := late.record(); first != fmt.Sprint(through+1) {
				t.Errorf("after a deletion through %d, a reader of %s begins with event %s", through, path, first)
			}
			one.follow(last, last) // who was there goes on
			two.follow(last, last)
		}
	}
}
