package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/daybook-go/daybook"
)

var reopenPromises = []Promise{
	{
		Name: "everything stored is there after reopening", Feature: Reopening, check: checkReopen,
		Sentence: "Something that was acknowledged is lost, or something refused has appeared, when the store is opened again.",
	},
	{
		Name: "a repeat is known after reopening", Feature: Reopening, check: checkReopenRepeat,
		Sentence: "An append whose answer was lost because the store went down is stored a second time.",
	},
	{
		Name: "claims are held after reopening", Feature: Reopening, needs: []Feature{Claims}, check: checkReopenClaims,
		Sentence: "After a restart, a value that should be unique can be taken twice, or not at all.",
	},
	{
		Name: "conditions see what was stored before reopening", Feature: Reopening, needs: []Feature{Conditions}, check: checkReopenConditions,
		Sentence: "After a restart, decisions are made as if what was stored before were not there.",
	},
	{
		Name: "what is imported is there after reopening", Feature: Reopening, needs: []Feature{Importing}, check: checkReopenImport,
		Sentence: "After a restart, an imported store is not what it was: its gaps, its beginnings or its ids are lost.",
	},
	{
		Name: "what was deleted is gone after reopening", Feature: Reopening, needs: []Feature{Deleting}, check: checkReopenDeleted,
		Sentence: "After a restart, something that was deleted is there again, or its places are given a second time.",
	},
	{
		Name: "what was acknowledged while the store was closed is there", Feature: Reopening, check: checkReopenRace,
		Sentence: "An append that was acknowledged while the store was being closed is lost.",
	},
	{
		Name: "a random history goes on over reopening as in the reference", Feature: Reopening, check: checkReopenHistories,
		Sentence: "Some series of calls is answered otherwise when the store is opened again on the way.",
	},
}

func checkReopen(s *subject) {
	b := s.book()
	b.turn() // also a store without anything
	b.fillTagged()
	b.fill()
	if _, err := b.Append(s.Context(), daybook.Stream("account-0"), daybook.ExpectNone(), events("refused")...); err == nil {
		s.Fatalf("an append to a stream with records that expects none was stored")
	}
	for range 3 {
		before := b.trace()
		b.turn()
		b.untouched(before, "reopening")
		head := b.head(daybook.Stream("account-0"))
		a := single("account-0", daybook.ExpectVersion(head.Version), events("more", "more")...)
		receipt := b.appendAll(a)
		c := receipt.Changesets[0]
		if c.First != head.Version+1 || c.Number != head.Changeset+1 || c.FirstPosition <= before.end {
			s.Errorf("after reopening, an append behind %+v in a log up to %d went to %+v", head, before.end, c)
		}
		if lastOrdinal := before.log[len(before.log)-1].Changeset.Ordinal; lastOrdinal != 0 && c.Ordinal != lastOrdinal+1 {
			s.Errorf("after reopening, ordinals go on from %d to %d", lastOrdinal, c.Ordinal)
		}
		s.sameRecords(b.readLog(daybook.LogRead{After: before.end}), want(a, receipt), "what was appended after reopening")
	}
	if _, err := b.Append(s.Context(), daybook.Stream("account-0"), daybook.ExpectVersion(6), events("late")...); !errors.Is(err, daybook.ErrConflict) {
		s.Errorf("an append that expects what the stream was before it was reopened was answered with %v, want a conflict", err)
	}
}

func checkReopenRepeat(s *subject) {
	b := s.book()
	var appends []daybook.Append
	var receipts []daybook.Receipt
	for i, expect := range []daybook.Expect{daybook.ExpectNone(), daybook.ExpectVersion(2), daybook.ExpectChangeset(2), daybook.ExpectAny()} {
		a := single("account-1", expect, several(2, numbered("kind", i))...)
		appends, receipts = append(appends, a), append(receipts, b.appendAll(a))
	}
	if s.offered(SeveralStreams) {
		a := together(changeset("account-2", "opened"), changeset("account-1", "moved"))
		appends, receipts = append(appends, a), append(receipts, b.appendAll(a))
	}
	refused := single("account-1", daybook.ExpectNone(), events("refused")...)
	if _, err := b.AppendAll(s.Context(), refused); !errors.Is(err, daybook.ErrConflict) {
		s.Fatalf("an append to a stream with records that expects none was answered with %v, want a conflict", err)
	}
	for range 2 {
		b.turn()
		count := len(b.log())
		for i, a := range appends {
			b.repeat(a, receipts[i], fmt.Sprintf("append %d, after reopening,", i+1))
		}
		other := single("account-9", daybook.ExpectAny(), events("other")...)
		other.ID = appends[0].ID
		var reused *daybook.ReusedIDError
		if _, err := b.AppendAll(s.Context(), other); !errors.As(err, &reused) {
			s.Errorf("after reopening, another append with a used id was answered with %v, want a *ReusedIDError", err)
		}
		if after := len(b.log()); after != count {
			s.Errorf("repeats after reopening have left %d records more", after-count)
		}
	}
	refused.Changesets[0].Expect = daybook.ExpectAny()
	if receipt := b.appendAll(refused); receipt.Repeated {
		s.Errorf("after reopening, the id of a refused append counts as used")
	}
}

func checkReopenClaims(s *subject) {
	b := s.book()
	ann, bob := email("ann@example.org"), email("bob@example.org")
	one, two := daybook.Stream("user-1"), daybook.Stream("user-2")
	b.appendAll(claiming(one, append(ann, bob...), nil))
	b.appendAll(claiming(one, nil, bob))
	b.turn()
	b.refusedClaim(claiming(two, ann, nil), ann[0], one, "taking, after reopening, what is held")
	b.appendAll(claiming(two, bob, nil))
	b.turn()
	b.refusedClaim(claiming(one, bob, nil), bob[0], two, "taking, after reopening, what was taken after reopening")
	b.appendAll(claiming(one, nil, ann))
	b.appendAll(claiming(two, ann, nil))
}

func checkReopenConditions(s *subject) {
	b := s.book()
	b.fillTagged()
	log := b.log()
	b.turn()
	for _, c := range queryCases {
		query := daybook.Query{Items: c.items}
		var last daybook.Position
		for _, r := range log {
			if matches(query, r.Type, r.Tags) {
				last = r.Position
			}
		}
		if last == 0 {
			continue
		}
		_, err := b.AppendAll(s.Context(), conditional("decision-1", query, last-1, event("decided")))
		var refused *daybook.ConditionError
		if !errors.As(err, &refused) || refused.Found != last {
			s.Errorf("after reopening, a condition of %+v behind %d was answered with %v, want a *ConditionError that found %d", c.items, last-1, err, last)
		}
		b.hold(daybook.Filter{Query: query}, c.count)
	}
	only := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"renamed"}}}}
	b.appendAll(conditional("decision-1", only, log[len(log)-1].Position, event("decided")))
}

func checkReopenImport(s *subject) {
	b := s.book()
	some := someImport()
	b.importAll(some...)
	before := b.trace()
	b.turn()
	b.untouched(before, "reopening")
	s.sameRecords(b.log(), recordsIn(some), "the log after an import and reopening")
	a := single("account-2", daybook.ExpectNone(), several(3, "imported")...)
	a.ID = some[1].AppendID
	if receipt := b.appendAll(a); !receipt.Repeated || len(receipt.Changesets) != 1 || receipt.Changesets[0].First != 40 {
		s.Errorf("after reopening, a repeat of an imported append was answered with %+v", receipt)
	}
	receipt := b.append("account-2", daybook.ExpectVersion(44), events("more")...)
	if c := receipt.Changesets[0]; c.First != 45 || c.Number != 7 || c.FirstPosition <= before.end {
		s.Errorf("after reopening, an append behind an import that ends at %d went to %+v", before.end, c)
	}
}

func checkReopenDeleted(s *subject) {
	b := s.book()
	log := b.fillDeletable()
	again := single("account-2", daybook.ExpectNone(), event("opened", "blue"))
	made := []daybook.Deletion{deletion("account-1", 4), deletion("bill-1", 0), deletion("nobody-1", 0), deletion("account-2", 0)}
	made[1].Scrub, made[3].Who, made[3].Why = true, "ann", "request 42"
	var receipts []daybook.DeletionReceipt
	for _, d := range made {
		receipts = append(receipts, b.delete(d))
	}
	receipt := b.appendAll(again)
	log = append(log, want(again, receipt)...)
	left := without(without(without(log, daybook.Stream("account-1"), 3), daybook.Stream("bill-1"), 1), daybook.Stream("account-2"), 3)
	recorded := b.deletions(daybook.DeletionRead{})
	for range 2 {
		b.turn()
		b.shows(left, log, "after deletions and reopening")
		s.sameDeletions(b.deletions(daybook.DeletionRead{}), recorded, "the deletions after reopening")
		for i, d := range made {
			b.deletesAgain(d, receipts[i], fmt.Sprintf("deletion %d, after reopening,", i+1))
		}
		b.repeat(again, receipt, "an append behind a deletion, after reopening,")
	}
	b.delete(deletion("account-2", 0))
	b.turn()
	if _, err := b.Append(s.Context(), daybook.Stream("account-2"), daybook.ExpectExists(), events("more")...); !errors.Is(err, daybook.ErrConflict) {
		s.Errorf("after reopening, an append that expects a deleted stream to exist was answered with %v, want a conflict", err)
	}
	if c := b.append("account-2", daybook.ExpectVersion(4), events("opened")...).Changesets[0]; c.First != 5 || c.Number != 4 || c.FirstPosition <= receipt.Position() {
		s.Errorf("after reopening, an append to a deleted stream of 4 versions went to %+v", c)
	}
}

func checkReopenRace(s *subject) {
	const writers = 4
	b := s.book()
	started, ended := make(chan struct{}, writers), make(chan int, writers)
	for writer := range writers {
		go func() {
			acknowledged := 0
			for {
				_, err := b.Store.Append(s.Context(), daybook.Stream(numbered("writer", writer)), daybook.ExpectAny(), several(2, "written")...)
				if acknowledged == 0 {
					started <- struct{}{}
				}
				if err != nil {
					ended <- acknowledged
					return
				}
				acknowledged++
			}
		}()
	}
	total := 0
	s.eventually("closing while appends run", func(context.Context) error {
		for range writers {
			<-started
		}
		if err := b.shut(); err != nil {
			return err
		}
		for range writers {
			total += <-ended
		}
		return nil
	})
	b.turn()
	log := b.log()
	s.must(wellFormed(log), "the log after reopening")
	if len(log) < 2*total || len(log) > 2*(total+writers) {
		s.Errorf("%d appends of 2 records were acknowledged until the store was closed; there are %d records", total, len(log))
	}
}

func checkReopenHistories(s *subject) {
	random := s.random()
	for i := range 4 {
		p := newPair(s, rand.New(rand.NewPCG(random.Uint64(), 0)))
		p.reopens, p.deletes = true, i > 1 && s.offered(Deleting)
		p.run(80)
	}
}
