package sqlserver

import (
	"context"
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
	waiting []*sqlstore.Entry
	sending bool // a batch is on its way
}

// batch is appends that are stored by one call.
type batch struct{ sqlstore.Batch }

// append stores an append, with others that come meanwhile.
func (q *queue) append(ctx context.Context, a *daybook.Append) (daybook.Receipt, error) {
	e := sqlstore.NewEntry(a)
	q.mu.Lock()
	if !q.sending {
		q.sending = true
		q.mu.Unlock()
		b := &batch{}
		b.Take(e)
		q.send(ctx, b)
		q.next()
		return e.Receipt, e.Err
	}
	if ctx.Done() != nil {
		owned := a.Clone() // its caller may give up while it is on its way
		e.Append = &owned
	}
	q.waiting = append(q.waiting, e)
	q.mu.Unlock()
	return e.Await(ctx, "sqlserver", q.leave)
}

// leave takes an append out of the queue. It reports whether it still was
// there: then nothing of it is stored.
func (q *queue) leave(e *sqlstore.Entry) bool {
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
	var left []*sqlstore.Entry
	for _, e := range q.waiting {
		if !b.Take(e) {
			left = append(left, e)
		}
	}
	q.waiting = left
	go func() {
		// It is stored for several callers, so none of their contexts ends it.
		q.send(context.Background(), b)
		q.next() // the next ones are on their way before these callers run
		b.Wake()
	}()
}
