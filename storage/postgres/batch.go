package postgres

import (
	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// batch is appends that are stored by one call. They do not depend on one
// another: what one demands does not hang on whether another is stored. One
// that would depend waits for the next batch.
type batch struct {
	entries  []*entry
	events   int
	bytes    int
	together sqlstore.Together
	streams  map[daybook.StreamID]int // those of together
	// forecast is set where it is worked out what storing them will do.
	forecast *forecast
	// before is the batch from whose forecast that of this one goes on, where it
	// was on its way still; nil: there was none.
	before *batch
	// leaving is closed when it is about to be sent, done when it is settled.
	leaving, done chan struct{}
	// foretold is set where it was stored as the forecast says, before done.
	foretold bool
	// unsure is set where it was sent, and may be stored, although no answer
	// came.
	unsure bool
}

// A batch is that large at most, unless it is one append.
const (
	maxEntries = 1000
	maxEvents  = 5000
	maxBytes   = 8 << 20
)

// newBatch returns a batch of one append.
func newBatch(e *entry) *batch {
	b := &batch{leaving: make(chan struct{}), done: make(chan struct{})}
	b.put(e)
	return b
}

// add takes an append in, unless it is too large or depends on another.
func (b *batch) add(e *entry) bool {
	if len(b.entries) == maxEntries || b.events+e.events > maxEvents || b.bytes+e.bytes > maxBytes || b.together.Depends(e.append) {
		return false
	}
	b.put(e)
	return true
}

func (b *batch) put(e *entry) {
	b.entries = append(b.entries, e)
	b.events += e.events
	b.bytes += e.bytes
	b.together.Add(e.append)
	b.streams = b.together.Streams
}

// wake lets the callers of the batch go on.
func (b *batch) wake() {
	for _, e := range b.entries {
		close(e.done)
	}
}

// leave takes in that it is about to be sent, and waits until the one before it
// is: of two that are stored in order the first should be there first.
func (b *batch) leave() {
	if b.before != nil {
		<-b.before.leaving
	}
	b.left()
}

func (b *batch) left() {
	select {
	case <-b.leaving: // it is sent once more
	default:
		close(b.leaving)
	}
}

// settled takes in that nothing more will be done for it.
func (b *batch) settled() {
	b.left()
	b.before = nil
	close(b.done)
}

// stored waits until the batch is settled, and reports whether it was stored as
// its forecast says; of none it reports false.
func (b *batch) stored() bool {
	if b == nil {
		return false
	}
	<-b.done
	return b.foretold
}
