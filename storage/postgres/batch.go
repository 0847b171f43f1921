package postgres

import (
	"slices"

	"github.com/daybook-go/daybook"
)

// batch is appends that are stored by one call. They do not depend on one
// another: what one demands does not hang on whether another is stored. One
// that would depend waits for the next batch.
type batch struct {
	entries []*entry
	events  int
	bytes   int
	ids     map[daybook.ID]bool
	streams map[daybook.StreamID]int // those that are appended to; the index of each
	claims  map[claimKey]bool
	// forecast is set where it is worked out what storing them will do.
	forecast *forecast
	// unsure is set where it was sent, and may be stored, although no answer
	// came.
	unsure bool
}

// claimKey is a claim where it is unique: in its partition.
type claimKey struct {
	partition string
	claim     daybook.Claim
}

// A batch is that large at most, unless it is one append.
const (
	maxEntries = 1000
	maxEvents  = 5000
	maxBytes   = 8 << 20
)

// newBatch returns a batch of one append.
func newBatch(e *entry) *batch {
	b := &batch{ids: map[daybook.ID]bool{}, streams: map[daybook.StreamID]int{}}
	b.put(e)
	return b
}

// add takes an append in, unless it is too large or depends on another.
func (b *batch) add(e *entry) bool {
	if len(b.entries) == maxEntries || b.events+e.events > maxEvents || b.bytes+e.bytes > maxBytes || b.depends(e.append) {
		return false
	}
	b.put(e)
	return true
}

func (b *batch) put(e *entry) {
	b.entries = append(b.entries, e)
	b.events += e.events
	b.bytes += e.bytes
	b.ids[e.append.ID] = true
	for i := range e.append.Changesets {
		c := &e.append.Changesets[i]
		if _, there := b.streams[c.Stream]; !there {
			b.streams[c.Stream] = len(b.streams)
		}
		for _, claims := range [...][]daybook.Claim{c.Releases, c.Claims} {
			for _, claim := range claims {
				if b.claims == nil {
					b.claims = map[claimKey]bool{}
				}
				b.claims[claimKey{c.Stream.Partition, claim}] = true
			}
		}
	}
}

// depends reports whether it matters to an append which of those in the batch
// are stored before it.
func (b *batch) depends(a *daybook.Append) bool {
	if b.ids[a.ID] || a.Condition != nil && b.matches(a.Condition.Query) {
		return true
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		if _, there := b.streams[c.Stream]; there && !c.Expect.Any() {
			return true
		}
		for _, reference := range c.References {
			if _, there := b.streams[reference]; there {
				return true
			}
		}
		held := func(claim daybook.Claim) bool { return b.claims[claimKey{c.Stream.Partition, claim}] }
		if len(b.claims) > 0 && (slices.ContainsFunc(c.Releases, held) || slices.ContainsFunc(c.Claims, held)) {
			return true
		}
	}
	return false
}

// matches reports whether a query selects an event of the batch.
func (b *batch) matches(query daybook.Query) bool {
	for _, e := range b.entries {
		for i := range e.append.Changesets {
			for j := range e.append.Changesets[i].Events {
				if event := &e.append.Changesets[i].Events[j]; query.Matches(event.Type, event.Tags) {
					return true
				}
			}
		}
	}
	return false
}
