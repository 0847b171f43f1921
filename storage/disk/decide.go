package disk

import (
	"slices"

	"github.com/daybook-go/daybook"
)

// What an append is decided by: the index, which holds all that was decided
// before. It only changes under writer.mu, under which all of this runs.

// head returns where a stream will end once all that is decided is written.
func (w *writer) head(id daybook.StreamID) daybook.Head {
	x := &w.log.index
	return headBehind(x.head(id), x.hidings.of(id, decidedView))
}

// hidden reports whether readers cannot see a position yet. An answer that
// hangs on one must not be given before they can.
func (w *writer) hidden(position daybook.Position) bool { return position > w.log.index.shown.last }

// check returns why a is refused, if it is, and whether that hangs on what is
// not visible yet: such an answer must not be given before that is.
func (w *writer) check(a *daybook.Append, d *draft) (refusal error, pending bool) {
	x := &w.log.index
	for i := range a.Changesets {
		c, s := &a.Changesets[i], d.summaries[i]
		before := x.head(c.Stream)
		head := headBehind(before, x.hidings.of(c.Stream, decidedView))
		s.revives = head.Version > 0 && !head.Exists()
		if s.before, s.looked = before, true; !c.Expect.Holds(head) {
			return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: head}, w.hidden(head.Position) || !x.hidings.isSettled(c.Stream)
		}
	}
	if a.Condition != nil {
		found, err := w.lastMatch(a.Condition)
		if err != nil {
			return err, false
		}
		if found > 0 {
			// It is the last one also because of what deletions have taken.
			return &daybook.ConditionError{Condition: *a.Condition, Found: found}, w.hidden(found) || len(x.hiddenHiding) > 0
		}
	}
	if err, pending := w.checkReferences(a); err != nil {
		return err, pending
	}
	return w.checkClaims(a)
}

func (w *writer) checkReferences(a *daybook.Append) (refusal error, pending bool) {
	for i := range a.Changesets {
		for _, reference := range a.Changesets[i].References {
			created := slices.ContainsFunc(a.Changesets, func(c daybook.Changeset) bool { return c.Stream == reference })
			if !created && !w.head(reference).Exists() {
				return &daybook.ReferenceError{Stream: a.Changesets[i].Stream, Reference: reference}, !w.log.index.hidings.isSettled(reference)
			}
		}
	}
	return nil, false
}

// checkClaims looks at every release and claim as if the releases of the whole
// append had been carried out before its claims.
func (w *writer) checkClaims(a *daybook.Append) (refusal error, pending bool) {
	x := &w.log.index
	var released map[claimKey]bool
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Releases {
			key := claimKey{c.Stream.Partition, claim}
			if holder, held := x.holder(key); held && holder != c.Stream {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}, x.hidesClaim(key)
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
			if holder, held := x.holder(key); held && holder != c.Stream && !released[key] {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}, x.hidesClaim(key)
			}
		}
	}
	return nil, false
}
