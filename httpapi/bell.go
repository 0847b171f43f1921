package httpapi

import (
	"context"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// bell tells live readers that the log has grown. All of them share one wait
// on the store, by a watcher that runs while there are readers, and are woken
// together.
type bell struct {
	store *daybook.Store

	mu      sync.Mutex // guards all below
	readers int
	stop    context.CancelFunc // ends the watcher; nil while none runs
	stroke  chan struct{}      // closed, and replaced, when end has risen
	end     daybook.Position   // of the log, as far as the watcher has seen it
	err     error              // why the watcher gave up; nil while it runs
}

// Between two strokes the watcher rests, the longer the more readers there
// are, so that more leaves with each write: writing to all of them for each
// record would leave no time for anything else. The stroke that ends a silence
// comes at once.
const (
	restPerReader = 50 * time.Microsecond
	leastRest     = time.Millisecond // a shorter one is not worth a timer
	longestRest   = 50 * time.Millisecond
)

// join adds a reader who knows that the log reaches to end.
func (b *bell) join(end daybook.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers++
	if b.stop != nil {
		return
	}
	var ctx context.Context
	ctx, b.stop = context.WithCancel(context.Background()) // no reader's: all may leave but one
	b.stroke, b.end, b.err = make(chan struct{}), end, nil
	go b.watch(ctx, end)
}

// leave takes a reader away who had joined.
func (b *bell) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers--
	if b.readers == 0 && b.stop != nil {
		b.stop()
		b.stop = nil
	}
}

// listen returns how far the log is known to reach, and a channel that is
// closed when that rises. It fails as the watcher did.
func (b *bell) listen() (daybook.Position, <-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end, b.stroke, b.err
}

// watch strikes the bell until ctx ends or the store fails.
func (b *bell) watch(ctx context.Context, after daybook.Position) {
	for {
		end := after
		err := b.store.Wait(ctx, after)
		if err == nil {
			end, err = b.store.End(ctx)
		}
		readers, more := b.strike(ctx, end, err)
		if !more {
			return
		}
		after = max(after, end)
		if rest := min(time.Duration(readers)*restPerReader, longestRest); rest >= leastRest {
			timer := time.NewTimer(rest)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
		}
	}
}

// strike tells the readers what the watcher has seen. It returns how many
// there are, and whether to go on watching.
func (b *bell) strike(ctx context.Context, end daybook.Position, err error) (readers int, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case ctx.Err() != nil: // the last reader has left; there may be another watcher by now
		return 0, false
	case err != nil:
		b.err = err
		b.stop()
		b.stop = nil
		close(b.stroke)
		b.stroke = make(chan struct{}) // who is not told by err must not spin
		return 0, false
	case end > b.end:
		b.end = end
		close(b.stroke)
		b.stroke = make(chan struct{})
	}
	return b.readers, true
}
