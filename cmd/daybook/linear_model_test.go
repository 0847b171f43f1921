package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/daybook-go/daybook"
)

// What a store does when one call is made after the other, with all that an
// append may ask, for porcupine.

// call is a call of a history: an append or, without one, a read.
type call struct {
	append *daybook.Append
	stream string // is read whole, or
	tag    string // all records with a tag are
}

// answer is what the call was answered.
type answer struct {
	unknown   bool // it was not answered
	err       error
	repeated  bool
	positions []daybook.Position // of an append: of each first record; of a read: of all
}

// stored is an append as the model has it.
type stored struct {
	append    *daybook.Append
	positions []daybook.Position // of the first record of each changeset
}

// book is the state of the model: the log. It never changes; an append makes
// another one.
type book []stored

func linearModel() porcupine.Model {
	return porcupine.Model{
		Init:  func() any { return book(nil) },
		Step:  func(state, input, output any) (bool, any) { return state.(book).step(input.(call), output.(answer)) },
		Equal: func(a, b any) bool { return slices.EqualFunc(a.(book), b.(book), sameStored) },
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%s -> %s", input.(call), output.(answer))
		},
	}
}

func sameStored(a, b stored) bool {
	return a.append.ID == b.append.ID && a.positions[0] == b.positions[0]
}

// step returns whether a call can have been answered so, and the log after it.
func (b book) step(c call, a answer) (bool, any) {
	if c.append == nil {
		return slices.Equal(b.read(c), a.positions), b
	}
	if i := slices.IndexFunc(b, func(s stored) bool { return s.append.ID == c.append.ID }); i >= 0 {
		return a.unknown || a.repeated && slices.Equal(a.positions, b[i].positions), b
	}
	if a.err != nil {
		return b.refuses(c.append, a.err), b
	}
	if a.repeated || len(a.positions) != len(c.append.Changesets) || a.positions[0] <= b.end() || b.refusal(c.append) != "" {
		return false, b
	}
	return true, append(slices.Clip(b), stored{c.append, a.positions})
}

func (b book) end() (end daybook.Position) {
	for _, s := range b {
		for i, c := range s.append.Changesets {
			end = max(end, s.positions[i]+daybook.Position(len(c.Events))-1)
		}
	}
	return end
}

// read returns the positions of what a call reads.
func (b book) read(c call) (positions []daybook.Position) {
	for _, s := range b {
		for i, changeset := range s.append.Changesets {
			for n, e := range changeset.Events {
				if c.stream != "" && changeset.Stream.Name == c.stream || c.stream == "" && slices.Contains(e.Tags, c.tag) {
					positions = append(positions, s.positions[i]+daybook.Position(n))
				}
			}
		}
	}
	return positions
}

func (b book) head(id daybook.StreamID) (h daybook.Head) {
	h.First = 1
	for _, s := range b {
		for _, c := range s.append.Changesets {
			if c.Stream == id {
				h.Version += daybook.Version(len(c.Events))
				h.Changeset++
			}
		}
	}
	if h.Version == 0 {
		return daybook.Head{}
	}
	return h
}

// holder returns which stream holds a claim.
func (b book) holder(claim daybook.Claim) (holder daybook.StreamID) {
	for _, s := range b {
		for _, c := range s.append.Changesets {
			if slices.Contains(c.Releases, claim) {
				holder = daybook.StreamID{}
			}
		}
		for _, c := range s.append.Changesets {
			if slices.Contains(c.Claims, claim) {
				holder = c.Stream
			}
		}
	}
	return holder
}

// refusal says why an append must be refused; nothing if it must not.
func (b book) refusal(a *daybook.Append) string {
	var released []daybook.Claim
	for _, c := range a.Changesets {
		released = append(released, c.Releases...)
	}
	for _, c := range a.Changesets {
		switch {
		case !c.Expect.Holds(b.head(c.Stream)):
			return "expect"
		case slices.ContainsFunc(c.References, func(r daybook.StreamID) bool { return !b.exists(r, a) }):
			return "reference"
		case slices.ContainsFunc(c.Releases, func(claim daybook.Claim) bool { return b.heldByAnother(claim, c.Stream) }):
			return "release"
		case slices.ContainsFunc(c.Claims, func(claim daybook.Claim) bool {
			return b.heldByAnother(claim, c.Stream) && !slices.Contains(released, claim)
		}):
			return "claim"
		}
	}
	if b.lastMatch(a.Condition) > 0 {
		return "condition"
	}
	return ""
}

func (b book) exists(id daybook.StreamID, with *daybook.Append) bool {
	return b.head(id).Exists() || slices.ContainsFunc(with.Changesets, func(c daybook.Changeset) bool { return c.Stream == id })
}

func (b book) heldByAnother(claim daybook.Claim, stream daybook.StreamID) bool {
	holder := b.holder(claim)
	return holder.Name != "" && holder != stream
}

// lastMatch returns the last position that breaks a condition. Its query is of
// one tag.
func (b book) lastMatch(c *daybook.Condition) daybook.Position {
	if c == nil {
		return 0
	}
	matches := b.read(call{tag: c.Query.Items[0].Tags[0]})
	if n := len(matches); n > 0 && matches[n-1] > c.After {
		return matches[n-1]
	}
	return 0
}

// refuses reports whether an append can have been refused with an error: what
// that says must be so.
func (b book) refuses(a *daybook.Append, err error) bool {
	var conflict *daybook.ConflictError
	var condition *daybook.ConditionError
	var claim *daybook.ClaimError
	var reference *daybook.ReferenceError
	switch {
	case errors.As(err, &conflict):
		head := b.head(conflict.Stream)
		return !conflict.Expect.Holds(head) && conflict.Found.Version == head.Version && conflict.Found.Changeset == head.Changeset
	case errors.As(err, &condition):
		return condition.Found == b.lastMatch(a.Condition)
	case errors.As(err, &claim):
		return claim.Holder != claim.Stream && b.holder(claim.Claim) == claim.Holder
	case errors.As(err, &reference):
		return !b.exists(reference.Reference, a)
	}
	return false
}

func (c call) String() string {
	if c.append == nil {
		return "read " + c.stream + c.tag
	}
	var text strings.Builder
	fmt.Fprintf(&text, "append %s", c.append.ID)
	for _, s := range c.append.Changesets {
		fmt.Fprintf(&text, " %s+%d (%s, claims %v, releases %v, refers to %v)", s.Stream, len(s.Events), s.Expect, s.Claims, s.Releases, s.References)
	}
	if c.append.Condition != nil {
		fmt.Fprintf(&text, " if nothing with %v after %d", c.append.Condition.Query.Items[0].Tags, c.append.Condition.After)
	}
	return text.String()
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%v repeated %v unknown %v", a.positions, a.repeated, a.unknown)
}

// settled returns a history whose appends without an answer are decided, by
// what the log holds in the end. One that is not there, or that a later try has
// stored, had no effect, and an effect that nobody was told of explains
// nothing. Several tries of one that is there are one call, which never
// returned.
func settled(history []porcupine.Operation, places map[daybook.ID][]daybook.Position) (kept []porcupine.Operation) {
	first := map[daybook.ID]bool{} // was answered by a receipt that is no repeat
	for _, o := range history {
		if c, a := o.Input.(call), o.Output.(answer); c.append != nil && !a.unknown && a.err == nil && !a.repeated {
			first[c.append.ID] = true
		}
	}
	merged := map[daybook.ID]int{}
	for _, o := range history {
		c, a := o.Input.(call), o.Output.(answer)
		if !a.unknown {
			kept = append(kept, o)
			continue
		}
		if c.append == nil || first[c.append.ID] || places[c.append.ID] == nil {
			continue
		}
		if at, there := merged[c.append.ID]; there {
			kept[at].Call = min(kept[at].Call, o.Call)
			continue
		}
		merged[c.append.ID] = len(kept)
		o.Output, o.Return = answer{unknown: true, positions: places[c.append.ID]}, int64(1<<62)
		kept = append(kept, o)
	}
	return kept
}

// explained looks for an order of the calls that explains every answer.
func explained(history []porcupine.Operation, patience time.Duration) porcupine.CheckResult {
	result, _ := porcupine.CheckOperationsVerbose(linearModel(), history, patience)
	return result
}
