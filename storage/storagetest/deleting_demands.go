package storagetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/daybook-go/daybook"
)

// The promises about deletions that are repeated, recorded and scrubbed, and
// about what appends demand of streams that were deleted.

// deletion returns a deletion as a Store hands it to a driver.
func deletion(stream string, through daybook.Version) daybook.Deletion {
	return daybook.Deletion{ID: daybook.NewID(), Stream: daybook.Stream(stream), Through: through}
}

// deletesAgain repeats a deletion, which must be answered with the first
// receipt and leave everything as it is.
func (b *book) deletesAgain(d daybook.Deletion, first daybook.DeletionReceipt, what string) {
	b.s.Helper()
	before := b.trace()
	again := b.delete(d)
	if !again.Repeated || again.Durability < first.Durability || first.Scrubbed && !again.Scrubbed {
		b.s.Errorf("%s, sent again, was answered with %+v, first with %+v", what, again, first)
	}
	again.Repeated, again.Durability, again.Scrubbed = first.Repeated, first.Durability, first.Scrubbed
	if again != first {
		b.s.Errorf("%s, sent again, was answered with another receipt: %+v, first %+v", what, again, first)
	}
	b.untouched(before, what+" was sent again")
}

func checkDeleteRepeat(s *subject) {
	b := s.book()
	b.fillDeletable()
	var made []daybook.Deletion
	var receipts []daybook.DeletionReceipt
	for _, d := range []daybook.Deletion{deletion("account-1", 3), deletion("account-1", 0), deletion("nobody-1", 0), deletion("account-2", 0)} {
		d.Expect = daybook.ExpectAny()
		if d.Stream.Name == "account-2" {
			d.Expect = daybook.ExpectVersion(3)
		}
		made, receipts = append(made, d), append(receipts, b.delete(d))
	}
	for _, name := range []string{"account-1", "nobody-1", "account-2"} {
		b.append(name, daybook.ExpectNone(), events("opened", "moved")...)
	}
	for i, d := range made {
		b.deletesAgain(d, receipts[i], fmt.Sprintf("deletion %d", i+1))
	}
	for _, change := range []func(d *daybook.Deletion){
		func(d *daybook.Deletion) { d.Stream.Name = "account-2" },
		func(d *daybook.Deletion) { d.Through = 4 },
		func(d *daybook.Deletion) { d.Scrub = true },
	} {
		d := made[0]
		change(&d)
		before := b.trace()
		_, err := b.DeleteStream(s.Context(), d)
		var reused *daybook.ReusedIDError
		if !errors.As(err, &reused) || reused.ID != d.ID || !reused.Deletion {
			s.Errorf("another deletion with a used id was answered with %+v, want a *ReusedIDError", err)
		}
		b.untouched(before, "another deletion with a used id")
	}
	if n := len(b.deletions(daybook.DeletionRead{})); n != len(made) {
		s.Errorf("%d deletions are recorded, want %d", n, len(made))
	}
	a := single("account-9", daybook.ExpectAny(), events("opened")...)
	a.ID = made[0].ID
	if receipt := b.appendAll(a); receipt.Repeated {
		s.Errorf("an append with the id of a deletion counts as stored")
	}
}

func checkDeleteAppendID(s *subject) {
	for _, d := range []daybook.Deletion{{Through: 4}, {}, {Scrub: true}} {
		b := s.book()
		var appends []daybook.Append
		var receipts []daybook.Receipt
		for _, expect := range []daybook.Expect{daybook.ExpectNone(), daybook.ExpectVersion(2), daybook.ExpectAny()} {
			a := single("account-1", expect, several(2, "deposited")...)
			appends, receipts = append(appends, a), append(receipts, b.appendAll(a))
		}
		d.Stream = daybook.Stream("account-1")
		b.delete(d)
		before := b.trace()
		for i, a := range appends {
			b.repeat(a, receipts[i], fmt.Sprintf("append %d, deleted since,", i+1))
			a.Changesets = append(a.Changesets[:0:0], a.Changesets...)
			a.Changesets[0].Events = a.Changesets[0].Events[:1]
			var reused *daybook.ReusedIDError
			if _, err := b.AppendAll(s.Context(), a); !errors.As(err, &reused) {
				s.Errorf("another append with the id of one whose records were deleted was answered with %v, want a *ReusedIDError", err)
			}
		}
		b.untouched(before, "appends whose records were deleted were sent again")
	}
}

func checkDeletions(s *subject) {
	b := s.book()
	if some := b.deletions(daybook.DeletionRead{}); len(some) > 0 {
		s.Errorf("a fresh store has %d deletions", len(some))
	}
	b.fillDeletable()
	var wanted []daybook.RecordedDeletion
	for i, d := range []daybook.Deletion{
		{Stream: daybook.Stream("account-1"), Through: 4, Who: "ann", Why: "request 42: ä\u0301 \" \\ 😀"},
		{Stream: daybook.Stream("nobody-1"), Why: "nothing"},
		{Stream: daybook.Stream("account-2"), Expect: daybook.ExpectVersion(3)},
		{Stream: daybook.StreamID{Partition: "north", Name: "account-1"}, Who: "bob"},
		{Stream: daybook.Stream("account-1")},
	} {
		d.ID = daybook.NewID()
		receipt := b.delete(d)
		if receipt.Number != daybook.DeletionNumber(i+1) || receipt.ID != d.ID {
			s.Errorf("deletion %d, with id %s, was answered with %+v", i+1, d.ID, receipt)
		}
		d.Expect = daybook.ExpectAny()
		wanted = append(wanted, daybook.RecordedDeletion{Deletion: d, Receipt: receipt})
		b.append("account-1", daybook.ExpectAny(), events("more")...)
	}
	for _, read := range []daybook.DeletionRead{
		{}, {After: 2}, {After: 5}, {After: 50}, {Limit: 2}, {After: 1, Limit: 3}, {Limit: 50},
		{Stream: daybook.Stream("account-1")}, {Stream: daybook.Stream("account-1"), After: 1}, {Stream: daybook.Stream("account-1"), Limit: 1},
		{Stream: daybook.Stream("account-3")}, {Stream: daybook.StreamID{Partition: "north", Name: "account-1"}},
	} {
		var these []daybook.RecordedDeletion
		for _, d := range wanted {
			if d.Receipt.Number > read.After && (read.Stream == daybook.StreamID{} || d.Stream == read.Stream) && (read.Limit == 0 || len(these) < read.Limit) {
				these = append(these, d)
			}
		}
		s.sameDeletions(b.deletions(read), these, fmt.Sprintf("the deletions of %+v", read))
	}
}

// sameDeletions reports the first difference of two lists of deletions. A scrub
// may be done meanwhile.
func (s *subject) sameDeletions(got, want []daybook.RecordedDeletion, what string) {
	s.Helper()
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if d := timeField("recorded time", g.Receipt.RecordedAt, w.Receipt.RecordedAt); d != "" {
			s.Errorf("%s: deletion %d: %s", what, i+1, d)
		}
		g.Receipt.RecordedAt, g.Receipt.Scrubbed, g.Receipt.Durability = w.Receipt.RecordedAt, w.Receipt.Scrubbed, w.Receipt.Durability
		if g != w {
			s.Errorf("%s: deletion %d is %+v, want %+v", what, i+1, g, w)
			return
		}
	}
	if len(got) != len(want) {
		s.Errorf("%s: got %d, want %d", what, len(got), len(want))
	}
}

func checkScrub(s *subject) {
	b := s.book()
	log := b.fillDeletable()
	id := daybook.Stream("account-1")
	if receipt := b.delete(deletion("account-1", 2)); receipt.Scrubbed {
		s.Errorf("a deletion that asked for no scrub says that it is done")
	}
	scrub := deletion("account-1", 4)
	scrub.Scrub = true
	receipt := b.delete(scrub)
	if receipt.Through != 3 || receipt.Records != 1 {
		s.Errorf("a scrub through 4, of which 2 versions were deleted before and one can be, says %+v", receipt)
	}
	b.shows(without(log, id, 3), log, "after a scrub")
	b.deletesAgain(scrub, receipt, "a scrub")
	b.delete(deletion("account-1", 0))
	all := deletion("account-1", 0)
	all.Scrub = true
	if receipt := b.delete(all); receipt.Through != 6 || receipt.Records != 0 {
		s.Errorf("a scrub of what was deleted before says %+v", receipt)
	}
	b.shows(without(log, id, 6), log, "after a scrub of what was deleted before")
	for i, d := range b.deletions(daybook.DeletionRead{}) {
		if asked := i%2 == 1; d.Scrub != asked || d.Receipt.Scrubbed && !asked || asked && receipt.Scrubbed && !d.Receipt.Scrubbed {
			s.Errorf("deletion %d is recorded as %+v; a scrub was asked for: %t", i+1, d, asked)
		}
	}
}

func checkDeleteConditions(s *subject) {
	b := s.book()
	b.fillDeletable()
	red := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"opened"}, Tags: []string{"red"}}, {Types: []string{"closed"}}}}
	b.delete(deletion("account-1", 0))
	_, err := b.AppendAll(s.Context(), conditional("decision-1", red, 0, event("decided")))
	var refused *daybook.ConditionError
	last := b.head(daybook.Stream("bill-1")).Position
	if !errors.As(err, &refused) || refused.Found != last || len(refused.Records) != 1 {
		s.Errorf("a condition that one record breaks, at %d, besides deleted ones, was answered with %+v", last, err)
	}
	b.delete(deletion("bill-1", 0))
	if _, err := b.AppendAll(s.Context(), conditional("decision-1", red, 0, event("decided"))); err != nil {
		s.Errorf("a condition that only deleted records break: %v", err)
	}
	b.append("account-1", daybook.ExpectNone(), events("closed")...)
	if _, err := b.AppendAll(s.Context(), conditional("decision-1", red, 0, event("decided"))); !errors.As(err, &refused) {
		s.Errorf("a condition that a record behind the deletion breaks was answered with %v, want a *ConditionError", err)
	}
}

func checkDeleteReferences(s *subject) {
	b := s.book()
	b.fillDeletable()
	b.delete(deletion("account-1", 3))
	b.appendAll(referring(daybook.Stream("order-1"), daybook.Stream("account-1")))
	b.delete(deletion("account-1", 0))
	err := b.refusedWhole(referring(daybook.Stream("order-1"), daybook.Stream("account-1")), "a reference to a deleted stream")
	var refused *daybook.ReferenceError
	if !errors.As(err, &refused) || refused.Reference != daybook.Stream("account-1") {
		s.Errorf("a reference to a deleted stream was answered with %v, want a *ReferenceError", err)
	}
	b.appendAll(referring(daybook.Stream("account-1"), daybook.Stream("account-1")))
	b.appendAll(referring(daybook.Stream("order-1"), daybook.Stream("account-1")))
}

func checkDeleteClaims(s *subject) {
	b := s.book()
	ann, bob, eve := email("ann@example.org"), email("bob@example.org"), email("eve@example.org")
	one, two := daybook.Stream("user-1"), daybook.Stream("user-2")
	held := func(holder daybook.StreamID, claims ...[]daybook.Claim) {
		s.Helper()
		for _, claim := range claims {
			if !s.offered(ClaimLookup) {
				continue
			}
			if told, is := b.holder("", claim[0]); told != holder || is != (holder != daybook.StreamID{}) {
				s.Errorf("the holder of %v is said to be %q (%t), want %q", claim[0], told, is, holder)
			}
		}
	}
	b.appendAll(claiming(one, ann, nil))
	b.appendAll(claiming(one, bob, nil))
	b.appendAll(claiming(two, eve, nil))
	b.delete(deletion("user-1", 1))
	b.refusedClaim(claiming(two, ann, nil), ann[0], one, "taking what a stream took in a changeset that was deleted")
	held(one, ann, bob)
	b.appendAll(claiming(one, nil, bob))
	b.delete(deletion("user-1", 2))
	held(daybook.StreamID{}, bob)
	b.delete(deletion("user-1", 0))
	held(daybook.StreamID{}, ann, bob)
	held(two, eve)
	b.refusedClaim(claiming(one, eve, nil), eve[0], two, "taking what a stream holds that was not deleted")
	b.appendAll(claiming(two, ann, nil))
	b.refusedClaim(claiming(one, ann, nil), ann[0], two, "taking, after a deletion, what another has taken since")
	b.appendAll(claiming(one, bob, nil))
	held(one, bob)
	held(two, ann, eve)
}

func checkDeleteImport(s *subject) {
	b := s.book()
	b.append("import-1", daybook.ExpectNone(), several(3, "opened")...)
	b.append("import-1", daybook.ExpectVersion(3), several(1, "closed")...)
	b.delete(deletion("import-1", 0))
	head, end := b.head(daybook.Stream("import-1")), b.end()
	next := func(number daybook.ChangesetNumber, first daybook.Version) []daybook.RecordedChangeset {
		some := recorded("import-1", number, first, end+7, 2)
		some[0].RecordedAt = head.RecordedAt.AddDate(1, 0, 0)
		return some
	}
	for _, wrong := range [][]daybook.RecordedChangeset{next(1, 1), next(3, 1), next(1, 5), next(4, 5), next(3, 6)} {
		before := b.trace(daybook.Stream("import-1"))
		if err := b.Import(s.Context(), wrong); !errors.Is(err, daybook.ErrInvalid) {
			s.Errorf("an import of changeset %d, version %d, to a deleted stream that ended at %+v was answered with %v, want ErrInvalid",
				wrong[0].Number, wrong[0].First, head, err)
		}
		b.untouched(before, "an import that cannot follow a deleted stream")
	}
	b.importAll(next(3, 5)...)
	if after := b.head(daybook.Stream("import-1")); after.Version != 6 || after.First != 5 || after.Changeset != 3 {
		s.Errorf("after an import to a deleted stream its head is %+v", after)
	}
}

func checkDeleteLinearizable(s *subject) { s.linearizable(true) }

func checkDeleteHistories(s *subject) {
	random := s.random()
	histories := 10
	if testing.Short() {
		histories = 3
	}
	for range histories {
		p := newPair(s, rand.New(rand.NewPCG(random.Uint64(), 0)))
		p.deletes = true
		p.run(120)
	}
}
