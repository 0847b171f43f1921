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
	b := &batch{}
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
