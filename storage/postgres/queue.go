package postgres

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// queue gathers appends in batches. While batches are on their way, what comes
// waits for the next one; one that finds nobody before it leaves at once, in
// the goroutine of its caller.
type queue struct {
	driver *Driver

	mu      sync.Mutex // guards all below
	waiting []*sqlstore.Entry
	sending int    // how many batches are on their way
	newest  *batch // of those that were sent; nil: none is on its way
}

// maxSending is how many batches are on their way at once. The server stores
// one after the other; the second is received while the first is stored.
const maxSending = 2

// leastSecond is how many appends a batch must have to leave before the one
// before it is stored: a small one is quicker, and could overtake it.
const leastSecond = 32

// append stores an append, with others that come meanwhile. What a transaction
// that is open has promised it waits for here, where it keeps nobody up.
func (q *queue) append(ctx context.Context, a *daybook.Append) (receipt daybook.Receipt, err error) {
	err = q.driver.whileBusy(ctx, func() error {
		receipt, err = q.try(ctx, a)
		return err
	})
	return receipt, err
}

// try sends an append, with others that come meanwhile.
func (q *queue) try(ctx context.Context, a *daybook.Append) (daybook.Receipt, error) {
	e := sqlstore.NewEntry(a)
	e.Plain = isPlain(a)
	q.mu.Lock()
	if q.sending == 0 && len(q.waiting) == 0 {
		q.sending++
		b := newBatch(e)
		q.driver.known.forecast(b)
		q.newest = b
		q.mu.Unlock()
		q.driver.send(ctx, b)
		q.sent()
		return e.Receipt, e.Err
	}
	if ctx.Done() != nil {
		owned := a.Clone() // its caller may give up while it is on its way
		e.Append = &owned
	}
	q.waiting = append(q.waiting, e)
	q.sendLocked()
	q.mu.Unlock()
	return e.Await(ctx, q.driver.Name(), q.leave)
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

// sent takes in that a batch was stored.
func (q *queue) sent() {
	q.mu.Lock()
	q.sending--
	if q.sending == 0 {
		q.newest = nil
	}
	q.sendLocked()
	q.mu.Unlock()
}

// sendLocked sends what waits, as far as it can go now: a batch whose outcome is
// worked out may follow another such one, once it is as large; every other goes
// alone.
func (q *queue) sendLocked() {
	for len(q.waiting) > 0 {
		known := q.driver.known.foresees(q.waiting[0])
		if q.sending > 0 && (!known || q.newest.forecast == nil || len(q.waiting) < max(len(q.newest.Entries), leastSecond)) || q.sending == maxSending {
			return
		}
		b := newBatch(q.waiting[0])
		left := q.waiting[:0:0]
		for _, e := range q.waiting[1:] {
			if q.driver.known.foresees(e) != known || !b.Take(e) {
				left = append(left, e)
			}
		}
		q.waiting = left
		if q.sending > 0 {
			b.before = q.newest
		}
		q.sending++
		q.driver.known.forecast(b)
		q.newest = b
		go func() {
			// It is stored for several callers, so none of their contexts ends it.
			q.driver.send(context.Background(), b)
			if all := q.countWaiting() + len(b.Entries); all < 2*leastSecond {
				// Few append: one batch of what waits and of what the callers of this
				// one bring next is sooner stored than two.
				b.Wake()
				q.gather(all)
				q.sent()
				return
			}
			q.sent() // the next ones are on their way before these callers run
			b.Wake()
		}()
	}
}

// maxYields is how often gather lets others run.
const maxYields = 8

// gather lets callers that were just woken come with what they append next,
// until so many wait, or nobody comes.
func (q *queue) gather(enough int) {
	before := q.countWaiting()
	for range maxYields {
		runtime.Gosched()
		now := q.countWaiting()
		if now >= enough || now == before {
			return
		}
		before = now
	}
}

func (q *queue) countWaiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
