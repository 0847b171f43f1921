package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
)

// heldQueue returns a queue whose batches wait to be let go, and are told.
func heldQueue() (q *queue, sent chan *batch, letGo chan struct{}) {
	sent, letGo = make(chan *batch, 100), make(chan struct{})
	q = &queue{send: func(_ context.Context, b *batch) {
		sent <- b
		<-letGo
		for _, e := range b.Entries {
			e.Receipt.AppendID = e.Append.ID
		}
	}}
	return q, sent, letGo
}

// waitFor waits until so many appends wait in the queue.
func (q *queue) waitFor(t *testing.T, n int) {
	t.Helper()
	for t.Context().Err() == nil {
		q.mu.Lock()
		waiting := len(q.waiting)
		q.mu.Unlock()
		if waiting == n {
			return
		}
	}
	t.Fatalf("the test ended before %d appends were waiting", n)
}

func TestWhatComesWhileABatchIsOnItsWayGoesTogether(t *testing.T) {
	q, sent, letGo := heldQueue()
	var running sync.WaitGroup
	start := func(a daybook.Append) {
		running.Go(func() {
			receipt, err := q.append(context.Background(), &a)
			if err != nil || receipt.AppendID != a.ID {
				t.Errorf("append %s gets the receipt of %s, %v", a.ID, receipt.AppendID, err)
			}
		})
	}
	start(depositTo("first", daybook.ExpectAny(), 1))
	if b := <-sent; len(b.Entries) != 1 {
		t.Errorf("the first, which finds nobody before it, goes with %d others", len(b.Entries)-1)
	}
	const others = 20
	for i := range others {
		start(depositTo(fmt.Sprint("other", i), daybook.ExpectAny(), 1))
	}
	q.waitFor(t, others)
	start(depositTo("other0", daybook.ExpectNone(), 1)) // it may hang on one of those before
	q.waitFor(t, others+1)
	letGo <- struct{}{}
	if b := <-sent; len(b.Entries) != others {
		t.Errorf("%d go together, want %d", len(b.Entries), others)
	}
	letGo <- struct{}{}
	if b := <-sent; len(b.Entries) != 1 {
		t.Errorf("%d go last, want the one that depends on another", len(b.Entries))
	}
	letGo <- struct{}{}
	running.Wait()
	if q.sending || len(q.waiting) > 0 {
		t.Errorf("the queue is not empty: %d wait", len(q.waiting))
	}
}

func TestAnAppendThatIsGivenUpIsRefusedUntilItIsSentAndUnknownAfterwards(t *testing.T) {
	q, sent, letGo := heldQueue()
	var running sync.WaitGroup
	start := func(ctx context.Context, stream string) chan error {
		done := make(chan error, 1)
		a := depositTo(stream, daybook.ExpectAny(), 1)
		running.Go(func() {
			_, err := q.append(ctx, &a)
			done <- err
		})
		return done
	}
	first := start(context.Background(), "first")
	<-sent
	ctx, cancel := context.WithCancel(context.Background())
	waits := start(ctx, "waits")
	q.waitFor(t, 1)
	cancel()
	if err := <-waits; !errors.Is(err, daybook.ErrRefused) || !errors.Is(err, context.Canceled) {
		t.Errorf("one that was not sent gets %v, want it to match ErrRefused and the error of its context", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	onItsWay := start(ctx, "on its way")
	q.waitFor(t, 1)
	letGo <- struct{}{}
	<-sent
	cancel()
	if err := <-onItsWay; errors.Is(err, daybook.ErrRefused) || !errors.Is(err, context.Canceled) {
		t.Errorf("one that was sent gets %v, want the error of its context alone", err)
	}
	letGo <- struct{}{}
	if err := <-first; err != nil {
		t.Error(err)
	}
	running.Wait()
}
