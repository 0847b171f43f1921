package sqlserver

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// queue gathers appends in batches. While one is on its way, what comes waits
// for the next; an append that finds nobody before it leaves at once, in the
// goroutine of its caller.
type queue struct {
	send func(ctx context.Context, b *batch) // gives each entry a receipt or an error

	mu      sync.Mutex // guards all below
	waiting []*entry
	sending bool // a batch is on its way
}

// entry is an append in the queue.
type entry struct {
	append  *daybook.Append
	events  int
	bytes   int
	receipt daybook.Receipt
	err     error
	done    chan struct{} // closed when receipt or err is set
}

// batch is appends that are stored by one call.
type batch struct {
	entries  []*entry
	events   int
	bytes    int
	together sqlstore.Together
}

// A batch is that large at most, unless it is one append.
const (
	maxEntries = 1000
	maxEvents  = 5000
	maxBytes   = 8 << 20
)

// add takes an append in, unless it is too large or depends on another.
func (b *batch) add(e *entry) bool {
	full := len(b.entries) == maxEntries || b.events+e.events > maxEvents || b.bytes+e.bytes > maxBytes
	if len(b.entries) > 0 && (full || b.together.Depends(e.append)) {
		return false
	}
	b.entries = append(b.entries, e)
	b.events += e.events
	b.bytes += e.bytes
	b.together.Add(e.append)
	return true
}

// append stores an append, with others that come meanwhile.
func (q *queue) append(ctx context.Context, a *daybook.Append) (daybook.Receipt, error) {
	e := &entry{append: a, done: make(chan struct{})}
	for i := range a.Changesets {
		e.events += len(a.Changesets[i].Events)
		for j := range a.Changesets[i].Events {
			e.bytes += len(a.Changesets[i].Events[j].Data)
		}
	}
	q.mu.Lock()
	if !q.sending {
		q.sending = true
		q.mu.Unlock()
		b := &batch{}
		b.add(e)
		q.send(ctx, b)
		q.next()
		return e.receipt, e.err
	}
	q.waiting = append(q.waiting, e)
	q.mu.Unlock()
	select {
	case <-e.done:
		return e.receipt, e.err
	case <-ctx.Done():
	}
	if q.leave(e) {
		return daybook.Receipt{}, fmt.Errorf("%w before it was sent: %w", daybook.ErrRefused, ctx.Err())
	}
	select {
	case <-e.done:
		return e.receipt, e.err
	default:
		return daybook.Receipt{}, fmt.Errorf("sqlserver: gave up waiting for the append to be stored, its outcome is unknown: %w", ctx.Err())
	}
}

// leave takes an append out of the queue. It reports whether it still was
// there: then nothing of it is stored.
func (q *queue) leave(e *entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, e)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// next sends what waits, as far as it can go together, when a batch was stored.
func (q *queue) next() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.sending = false
		return
	}
	b := &batch{}
	var left []*entry
	for _, e := range q.waiting {
		if !b.add(e) {
			left = append(left, e)
		}
	}
	q.waiting = left
	go func() {
		// It is stored for several callers, so none of their contexts ends it.
		q.send(context.Background(), b)
		q.next() // the next ones are on their way before these callers run
		for _, e := range b.entries {
			close(e.done)
		}
	}()
}
