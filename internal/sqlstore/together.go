// Package sqlstore has what the drivers for SQL databases do alike: which
// appends one statement may store, and the JSON of what few appends carry.
package sqlstore

import (
	"slices"

	"github.com/daybook-go/daybook"
)

// Together is appends that one statement stores. They must not depend on one
// another: what one demands must not hang on whether another is stored.
type Together struct {
	// Streams are those that are appended to, with an index for each, in the
	// order in which they came.
	Streams map[daybook.StreamID]int

	appends []*daybook.Append
	ids     map[daybook.ID]bool
	claims  map[claimPlace]bool
}

// claimPlace is a claim where it is unique: in its partition.
type claimPlace struct {
	partition string
	claim     daybook.Claim
}

// Add takes an append in. It keeps a.
func (t *Together) Add(a *daybook.Append) {
	if t.ids == nil {
		t.ids, t.Streams = map[daybook.ID]bool{}, map[daybook.StreamID]int{}
	}
	t.appends = append(t.appends, a)
	t.ids[a.ID] = true
	for i := range a.Changesets {
		c := &a.Changesets[i]
		if _, there := t.Streams[c.Stream]; !there {
			t.Streams[c.Stream] = len(t.Streams)
		}
		for _, claims := range [...][]daybook.Claim{c.Releases, c.Claims} {
			for _, claim := range claims {
				if t.claims == nil {
					t.claims = map[claimPlace]bool{}
				}
				t.claims[claimPlace{c.Stream.Partition, claim}] = true
			}
		}
	}
}

// Depends reports whether it matters to an append which of those that were
// added are stored before it. Appends to one stream that expect nothing do not
// depend on one another.
func (t *Together) Depends(a *daybook.Append) bool {
	if t.ids[a.ID] || a.Condition != nil && t.matches(a.Condition.Query) {
		return true
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		if _, there := t.Streams[c.Stream]; there && !c.Expect.Any() {
			return true
		}
		for _, reference := range c.References {
			if _, there := t.Streams[reference]; there {
				return true
			}
		}
		held := func(claim daybook.Claim) bool { return t.claims[claimPlace{c.Stream.Partition, claim}] }
		if len(t.claims) > 0 && (slices.ContainsFunc(c.Releases, held) || slices.ContainsFunc(c.Claims, held)) {
			return true
		}
	}
	return false
}

// matches reports whether a query selects an event of those that were added.
func (t *Together) matches(query daybook.Query) bool {
	for _, a := range t.appends {
		for i := range a.Changesets {
			for j := range a.Changesets[i].Events {
				if event := &a.Changesets[i].Events[j]; query.Matches(event.Type, event.Tags) {
					return true
				}
			}
		}
	}
	return false
}
