package sqlstore

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
)

// Entry is an append in the queue of a driver.
type Entry struct {
	Append  *daybook.Append
	Events  int
	Bytes   int // of the data of the events
	Receipt daybook.Receipt
	Err     error
	// Plain says that the driver has a shorter way to store it: it sets and reads
	// this.
	Plain bool
	Done  chan struct{} // closed when Receipt or Err is set
}

// NewEntry returns an entry of an append.
func NewEntry(a *daybook.Append) *Entry {
	e := &Entry{Append: a, Done: make(chan struct{})}
	for i := range a.Changesets {
		e.Events += len(a.Changesets[i].Events)
		for j := range a.Changesets[i].Events {
			e.Bytes += len(a.Changesets[i].Events[j].Data)
		}
	}
	return e
}

// Await waits until an append that was put into a queue is done, or its caller
// gives up. leave takes it out of the queue; it reports whether it still was
// there: then nothing of it is stored. driver is what errors begin with.
func (e *Entry) Await(ctx context.Context, driver string, leave func(*Entry) bool) (daybook.Receipt, error) {
	select {
	case <-e.Done:
		return e.Receipt, e.Err
	case <-ctx.Done():
	}
	if leave(e) {
		return daybook.Receipt{}, fmt.Errorf("%w before it was sent: %w", daybook.ErrRefused, ctx.Err())
	}
	select {
	case <-e.Done:
		return e.Receipt, e.Err
	default:
		return daybook.Receipt{}, fmt.Errorf("%s: gave up waiting for the append to be stored, its outcome is unknown: %w", driver, ctx.Err())
	}
}

// Batch is appends that are stored by one call. They do not depend on one
// another: what one demands does not hang on whether another is stored.
type Batch struct {
	Entries []*Entry
	Events  int
	Bytes   int
	// Together has the streams, and what else appends may depend on.
	Together Together
}

// A batch is that large at most, unless it is one append.
const (
	maxEntries = 1000
	maxEvents  = 5000
	maxBytes   = 8 << 20
)

// Take takes an append in, unless it is too large or depends on another.
func (b *Batch) Take(e *Entry) bool {
	full := len(b.Entries) == maxEntries || b.Events+e.Events > maxEvents || b.Bytes+e.Bytes > maxBytes
	if len(b.Entries) > 0 && (full || b.Together.Depends(e.Append)) {
		return false
	}
	b.Entries = append(b.Entries, e)
	b.Events += e.Events
	b.Bytes += e.Bytes
	b.Together.Add(e.Append)
	return true
}

// Wake lets the callers of the batch go on.
func (b *Batch) Wake() {
	for _, e := range b.Entries {
		close(e.Done)
	}
}

// Fail gives each append of the batch an error.
func (b *Batch) Fail(err error) {
	for _, e := range b.Entries {
		e.Err = err
	}
}
