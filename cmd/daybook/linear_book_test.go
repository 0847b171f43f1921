package main

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

// What a store does when one call is made after the other.

// book is the state of the model: what a store holds. It never changes; a call
// that changes something makes another one.
type book struct {
	log       []*placed                  // what was deleted too
	receipts  []daybook.Receipt          // of all appends, and of imports as if they were some
	deletions []daybook.RecordedDeletion // without what is not compared
	heads     map[daybook.StreamID]daybook.Head
	holders   map[held]daybook.StreamID
	end       daybook.Position
	ordinal   daybook.Ordinal
	latest    time.Time // the last recorded time
}

// placed is a changeset where it stands in the log.
type placed struct {
	stream  daybook.StreamID
	last    daybook.Version
	records []daybook.Record // as far as reads ask for
}

// held is a claim in its partition.
type held struct {
	partition string
	claim     daybook.Claim
}

// seen is what is kept of a record that was read.
type seen struct {
	position daybook.Position
	version  daybook.Version
	id       daybook.ID
}

func seenOf(r *daybook.Record) seen { return seen{r.Position, r.Version, r.ID} }

func sameBook(a, b *book) bool {
	return len(a.log) == len(b.log) && a.end == b.end && a.latest.Equal(b.latest) &&
		slices.EqualFunc(a.receipts, b.receipts, func(x, y daybook.Receipt) bool { return x.AppendID == y.AppendID && x.Position() == y.Position() }) &&
		slices.EqualFunc(a.deletions, b.deletions, func(x, y daybook.RecordedDeletion) bool { return x.ID == y.ID }) &&
		maps.EqualFunc(a.heads, b.heads, sameHead) && maps.Equal(a.holders, b.holders)
}

func sameHead(a, b daybook.Head) bool {
	return a.Version == b.Version && a.Changeset == b.Changeset && a.First == b.First && a.Position == b.Position && a.RecordedAt.Equal(b.RecordedAt)
}

// sameReceipt compares what a repeat must be answered with again.
func sameReceipt(a, b daybook.Receipt) bool {
	return a.AppendID == b.AppendID && a.RecordedAt.Equal(b.RecordedAt) && slices.Equal(a.Changesets, b.Changesets)
}

// again returns a copy that can be changed by appendCall to it; its maps are
// copied by who changes them.
func (b *book) again() *book {
	after := *b
	after.log, after.receipts, after.deletions = slices.Clip(b.log), slices.Clip(b.receipts), slices.Clip(b.deletions)
	return &after
}

// receipt returns the receipt of an append that is stored; nil if it is not.
func (b *book) receipt(id daybook.ID) *daybook.Receipt {
	for i := range b.receipts {
		if b.receipts[i].AppendID == id {
			return &b.receipts[i]
		}
	}
	return nil
}

// deletion returns a deletion that was made; nil if it was not.
func (b *book) deletion(id daybook.ID) *daybook.RecordedDeletion {
	for i := range b.deletions {
		if b.deletions[i].ID == id {
			return &b.deletions[i]
		}
	}
	return nil
}

// stored returns the book after an append that was answered with a receipt; nil
// if that cannot be its receipt.
func (b *book) stored(a *daybook.Append, r daybook.Receipt) *book {
	if len(r.Changesets) != len(a.Changesets) || r.RecordedAt.Before(b.latest) || r.AppendID != a.ID {
		return nil
	}
	after := b.again()
	for i, c := range a.Changesets {
		at := r.Changesets[i]
		records := make([]daybook.Record, len(c.Events))
		for j, e := range c.Events {
			records[j] = daybook.Record{Event: e, Position: at.FirstPosition + daybook.Position(j)}
		}
		if head := b.heads[c.Stream]; at.Number != head.Changeset+1 || at.First != head.Version+1 {
			return nil
		}
		if after.place(c.Stream, at.Number, at.First, r.RecordedAt, records) != at {
			return nil
		}
	}
	after.settle(a.Changesets)
	after.receipts = append(after.receipts, r)
	return after
}

// place puts a changeset behind the log of a book that is being made, and returns
// its receipt; a zero one if it cannot stand there.
func (b *book) place(id daybook.StreamID, number daybook.ChangesetNumber, first daybook.Version, at time.Time, records []daybook.Record) daybook.ChangesetReceipt {
	if records[0].Position <= b.end {
		return daybook.ChangesetReceipt{}
	}
	for i := range records {
		r := &records[i]
		r.Stream, r.Version, r.RecordedAt = id, first+daybook.Version(i), at
	}
	last := records[len(records)-1]
	b.log = append(b.log, &placed{stream: id, last: last.Version, records: records})
	head, was := b.heads[id]
	if !was {
		head.First = first
	}
	head.Version, head.Changeset, head.Position, head.RecordedAt = last.Version, number, last.Position, at
	b.heads = maps.Clone(b.heads)
	b.heads[id] = head
	b.ordinal, b.end, b.latest = b.ordinal+1, last.Position, at
	return daybook.ChangesetReceipt{
		Stream: id, Number: number, Ordinal: b.ordinal, First: first, Last: last.Version, FirstPosition: records[0].Position, LastPosition: last.Position,
	}
}

// settle carries out the releases of an append, then its claims, in a book that
// is being made.
func (b *book) settle(changesets []daybook.Changeset) {
	b.holders = maps.Clone(b.holders)
	for _, c := range changesets {
		for _, claim := range c.Releases {
			delete(b.holders, held{c.Stream.Partition, claim})
		}
	}
	for _, c := range changesets {
		for _, claim := range c.Claims {
			b.holders[held{c.Stream.Partition, claim}] = c.Stream
		}
	}
}

// imported returns the book behind an import; nil if it must be refused.
func (b *book) imported(changesets []daybook.RecordedChangeset) *book {
	after := b.again()
	receipt := daybook.Receipt{AppendID: changesets[0].AppendID, RecordedAt: changesets[0].RecordedAt}
	for _, c := range changesets {
		head := after.heads[c.Stream]
		if c.RecordedAt.Before(after.latest) || head.Version > 0 && (c.First != head.Version+1 || c.Number != head.Changeset+1) {
			return nil
		}
		at := after.place(c.Stream, c.Number, c.First, c.RecordedAt, slices.Clone(c.Records))
		if at.Number == 0 {
			return nil
		}
		receipt.Changesets = append(receipt.Changesets, at)
		after.settle([]daybook.Changeset{{Stream: c.Stream, Claims: c.Claims}})
	}
	after.receipts = append(after.receipts, receipt)
	return after
}

// deleted returns the book behind a deletion, made at a time, and its receipt.
func (b *book) deleted(d *daybook.Deletion, at time.Time) (*book, daybook.DeletionReceipt) {
	after := b.again()
	head := b.heads[d.Stream]
	receipt := daybook.DeletionReceipt{ID: d.ID, Number: daybook.DeletionNumber(len(b.deletions) + 1), Stream: d.Stream, RecordedAt: at}
	for _, c := range b.log {
		if c.stream == d.Stream && c.last >= head.First && (d.Through == 0 || c.last <= d.Through) {
			receipt.Changesets++
			receipt.Records += int64(len(c.records))
		}
	}
	if head.Version > 0 {
		head.First += daybook.Version(receipt.Records)
		receipt.Through = head.First - 1
		after.heads = maps.Clone(b.heads)
		after.heads[d.Stream] = head
	}
	if receipt.Records > 0 && !head.Exists() {
		after.holders = maps.Clone(b.holders)
		maps.DeleteFunc(after.holders, func(_ held, holder daybook.StreamID) bool { return holder == d.Stream })
	}
	after.latest = at
	after.deletions = append(after.deletions, daybook.RecordedDeletion{Deletion: *d, Receipt: receipt})
	return after, receipt
}

// refusal says why an append must be refused; nothing if it must not.
func (b *book) refusal(a *daybook.Append) string {
	released := map[held]bool{}
	for _, c := range a.Changesets {
		for _, claim := range c.Releases {
			released[held{c.Stream.Partition, claim}] = true
		}
	}
	for _, c := range a.Changesets {
		other := func(claim daybook.Claim) bool {
			holder, is := b.holders[held{c.Stream.Partition, claim}]
			return is && holder != c.Stream
		}
		switch {
		case !c.Expect.Holds(b.heads[c.Stream]):
			return "expect"
		case slices.ContainsFunc(c.References, func(id daybook.StreamID) bool { return !b.exists(id, a) }):
			return "reference"
		case slices.ContainsFunc(c.Releases, other):
			return "release"
		case slices.ContainsFunc(c.Claims, func(claim daybook.Claim) bool { return other(claim) && !released[held{c.Stream.Partition, claim}] }):
			return "claim"
		}
	}
	if b.lastMatch(a.Condition) > 0 {
		return "condition"
	}
	return ""
}

func (b *book) exists(id daybook.StreamID, with *daybook.Append) bool {
	return b.heads[id].Exists() || slices.ContainsFunc(with.Changesets, func(c daybook.Changeset) bool { return c.Stream == id })
}

// lastMatch returns the last position that breaks a condition.
func (b *book) lastMatch(c *daybook.Condition) daybook.Position {
	if c == nil {
		return 0
	}
	for _, changeset := range slices.Backward(b.log) {
		if changeset.last < b.heads[changeset.stream].First {
			continue
		}
		for _, r := range slices.Backward(changeset.records) {
			if r.Position > c.After && c.Query.Matches(r.Type, r.Tags) {
				return r.Position
			}
		}
	}
	return 0
}

// refuses reports whether an append can have been refused with an error: what
// that says must be so.
func (b *book) refuses(a *daybook.Append, err error) bool {
	var conflict *daybook.ConflictError
	var condition *daybook.ConditionError
	var claim *daybook.ClaimError
	var reference *daybook.ReferenceError
	switch {
	case errors.As(err, &conflict):
		return slices.ContainsFunc(a.Changesets, func(c daybook.Changeset) bool { return b.disagrees(c.Stream, c.Expect, conflict) })
	case errors.As(err, &condition):
		return condition.Found > 0 && condition.Found == b.lastMatch(a.Condition)
	case errors.As(err, &claim):
		return claim.Holder != claim.Stream && claim.Holder.Name != "" && b.holders[held{claim.Stream.Partition, claim.Claim}] == claim.Holder
	case errors.As(err, &reference):
		return !b.exists(reference.Reference, a)
	}
	return false
}

// disagrees reports whether a stream is not where it is expected, but where a
// conflict says.
func (b *book) disagrees(id daybook.StreamID, expect daybook.Expect, conflict *daybook.ConflictError) bool {
	head := b.heads[id]
	return conflict.Stream == id && conflict.Expect == expect && !expect.Holds(head) && sameHead(conflict.Found, head)
}

// loose says what of each stream was being deleted while a read ran: the
// changesets that end in the stretch may be yielded or left out.
type loose map[daybook.StreamID]stretch

type stretch struct{ above, through daybook.Version }

// gives reports whether a read of changesets can have given what was seen.
// A changeset is there or not as a whole, but for what of it is wanted.
func (b *book) gives(got []seen, backwards bool, limit int, beside loose, wanted func(*daybook.Record) bool) bool {
	left := limit
	for c := range b.inOrder(backwards) {
		var records []seen
		for i := range c.records {
			if wanted(&c.records[i]) {
				records = append(records, seenOf(&c.records[i]))
			}
		}
		if len(records) == 0 {
			continue
		}
		if backwards {
			slices.Reverse(records)
		}
		deleting := c.last > beside[c.stream].above && c.last <= beside[c.stream].through
		gone := c.last < b.heads[c.stream].First
		if is := len(got) > 0 && got[0] == records[0]; !is {
			if !gone && !deleting {
				return false
			}
			continue
		}
		if gone && !deleting {
			return false
		}
		if limit > 0 && len(records) >= left {
			return slices.Equal(got, records[:left])
		}
		if len(got) < len(records) || !slices.Equal(got[:len(records)], records) {
			return false
		}
		got, left = got[len(records):], left-len(records)
	}
	return len(got) == 0
}

// inOrder yields the log forwards or backwards.
func (b *book) inOrder(backwards bool) iter.Seq[*placed] {
	return func(yield func(*placed) bool) {
		for i := range b.log {
			if backwards {
				i = len(b.log) - 1 - i
			}
			if !yield(b.log[i]) {
				return
			}
		}
	}
}
