package disk

import (
	"slices"

	"github.com/daybook-go/daybook"
)

// What an append is decided by: the rounds that are not finished, from the
// newest back, and below them the index. All of this runs under writer.mu.

// head returns where a stream will end once all that is decided is written.
func (w *writer) head(id daybook.StreamID) daybook.Head {
	for _, r := range slices.Backward(w.queue) {
		if head, ok := r.heads[id]; ok {
			return head
		}
	}
	w.log.mu.RLock()
	defer w.log.mu.RUnlock()
	return w.log.index.head(id)
}

// holder returns who will hold a claim, and whether that hangs on what is not
// finished.
func (w *writer) holder(key claimKey) (h holding, pending bool) {
	for _, r := range slices.Backward(w.queue) {
		if h, ok := r.holders[key]; ok {
			return h, true
		}
	}
	w.log.mu.RLock()
	defer w.log.mu.RUnlock()
	stream, held := w.log.index.holders[key]
	return holding{stream, held}, false
}

// lastMatch returns the highest position above after that query selects.
func (w *writer) lastMatch(query daybook.Query, after daybook.Position) daybook.Position {
	for _, r := range slices.Backward(w.queue) {
		if found := r.lastMatch(query, after); found > 0 {
			return found
		}
	}
	w.log.mu.RLock()
	defer w.log.mu.RUnlock()
	return w.log.index.lastMatch(query, after)
}

// known returns an append by its id: the one that is not finished, or the
// place of its first frame.
func (w *writer) known(id daybook.ID) (pending *pendingAppend, at place, known bool) {
	for _, r := range slices.Backward(w.queue) {
		if p, ok := r.ids[id]; ok {
			return &p, 0, true
		}
	}
	w.log.mu.RLock()
	defer w.log.mu.RUnlock()
	at, known = w.log.index.appends[id]
	return nil, at, known
}

// check returns why a is refused, if it is, and whether that hangs on what is
// not visible yet: such an answer must not be given before that is.
func (w *writer) check(a *daybook.Append) (refusal error, pending bool) {
	for i := range a.Changesets {
		c := &a.Changesets[i]
		if head := w.head(c.Stream); !c.Expect.Holds(head) {
			return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: head}, head.Position > w.visible
		}
	}
	if a.Condition != nil {
		if found := w.lastMatch(a.Condition.Query, a.Condition.After); found > 0 {
			return &daybook.ConditionError{Condition: *a.Condition, Found: found}, found > w.visible
		}
	}
	if err := w.checkReferences(a); err != nil {
		return err, false
	}
	return w.checkClaims(a)
}

func (w *writer) checkReferences(a *daybook.Append) error {
	for i := range a.Changesets {
		for _, reference := range a.Changesets[i].References {
			created := slices.ContainsFunc(a.Changesets, func(c daybook.Changeset) bool { return c.Stream == reference })
			if !created && !w.head(reference).Exists() {
				return &daybook.ReferenceError{Stream: a.Changesets[i].Stream, Reference: reference}
			}
		}
	}
	return nil
}

// checkClaims looks at every release and claim as if the releases of the whole
// append had been carried out before its claims.
func (w *writer) checkClaims(a *daybook.Append) (refusal error, pending bool) {
	var released map[claimKey]bool
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Releases {
			key := claimKey{c.Stream.Partition, claim}
			if h, pending := w.holder(key); h.held && h.stream != c.Stream {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: h.stream}, pending
			}
			if released == nil {
				released = map[claimKey]bool{}
			}
			released[key] = true
		}
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Claims {
			key := claimKey{c.Stream.Partition, claim}
			if h, pending := w.holder(key); h.held && h.stream != c.Stream && !released[key] {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: h.stream}, pending
			}
		}
	}
	return nil, false
}
