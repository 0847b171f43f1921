package storagetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
)

var severalPromises = []Promise{
	{
		Name: "an append of several streams is stored in all of them", Feature: SeveralStreams, check: checkSeveral,
		Sentence: "An append of several streams has lost one, or its receipt tells of them in another order.",
	},
	{
		Name: "an append that one stream refuses is stored in none", Feature: SeveralStreams, check: checkAllOrNone,
		Sentence: "Half of an append was stored: what should have happened together has happened in one stream only.",
	},
	{
		Name: "an append that a condition refuses is stored in none", Feature: SeveralStreams, needs: []Feature{Conditions}, check: checkConditionOrNone,
		Sentence: "An append whose condition does not hold was stored in some of its streams.",
	},
	{
		Name: "an append that a claim refuses is stored in none", Feature: SeveralStreams, needs: []Feature{Claims}, check: checkClaimOrNone,
		Sentence: "An append that wants a claim of another stream was stored in some of its streams, or took its other claims.",
	},
	{
		Name: "an append that a reference refuses is stored in none", Feature: SeveralStreams, needs: []Feature{References}, check: checkReferenceOrNone,
		Sentence: "An append that refers to a stream that does not exist was stored in some of its streams.",
	},
	{
		Name: "several streams become visible at once", Feature: SeveralStreams, check: checkVisibleTogether,
		Sentence: "A reader sees what happened in one stream of an append and not yet what happened with it in another.",
	},
}

func checkSeveral(s *subject) {
	b := s.book()
	b.append("account-2", daybook.ExpectNone(), events("opened")...)
	a := together(changeset("account-3", "opened", "deposited"), changeset("account-1", "opened"), changeset("account-2", "deposited", "withdrawn"))
	a.Changesets[0].Expect, a.Changesets[1].Expect, a.Changesets[2].Expect = daybook.ExpectNone(), daybook.ExpectAny(), daybook.ExpectVersion(1)
	a.Changesets[0].Metadata, a.Changesets[2].Metadata = []byte("of 3"), []byte("of 2")
	other := daybook.Changeset{Stream: daybook.Stream("account-4"), Events: events("opened")}
	if s.offered(acrossPartitions) {
		other.Stream = daybook.StreamID{Partition: "north", Name: "account-1"}
	}
	a.Changesets = append(a.Changesets, other)
	receipt := b.appendAll(a)
	checkReceiptAlone(s, a, receipt)
	log := b.log()
	if len(log) != 7 {
		s.Fatalf("the log has %d records, want 7", len(log))
	}
	wanted := want(a, receipt)
	s.sameRecords(log[1:], wanted, "the log, compared with the receipt,")
	for _, r := range wanted {
		s.sameRecords(b.readStream(r.Stream, daybook.StreamRead{From: r.Version, To: r.Version}), []daybook.Record{r}, fmt.Sprintf("stream %q", r.Stream))
	}
}

// refusedWhole gives the driver an append that must be refused with a conflict
// and leave no trace, and returns the error.
func (b *book) refusedWhole(a daybook.Append, what string) error {
	b.s.Helper()
	var streams []daybook.StreamID
	for _, c := range a.Changesets {
		streams = append(streams, c.Stream)
	}
	before := b.trace(streams...)
	_, err := b.AppendAll(b.s.Context(), a)
	if !errors.Is(err, daybook.ErrConflict) {
		b.s.Errorf("%s was answered with %v, want a conflict", what, err)
	}
	b.untouched(before, what)
	return err
}

func checkAllOrNone(s *subject) {
	b := s.book()
	b.append("account-2", daybook.ExpectNone(), events("opened")...)
	for i, expect := range []daybook.Expect{daybook.ExpectNone(), daybook.ExpectVersion(3), daybook.ExpectChangeset(7)} {
		for refusing := range 3 {
			a := together(changeset("account-1", "opened"), changeset("account-3", "opened"), changeset("account-4", "opened"))
			a.Changesets[refusing] = daybook.Changeset{Stream: daybook.Stream("account-2"), Expect: expect, Events: events("more")}
			err := b.refusedWhole(a, fmt.Sprintf("append %d, refused by its stream %d of 3", i+1, refusing+1))
			var conflict *daybook.ConflictError
			if !errors.As(err, &conflict) || conflict.Stream != daybook.Stream("account-2") {
				s.Errorf("the error is %v, want a *ConflictError of account-2", err)
			}
		}
	}
}

func checkConditionOrNone(s *subject) {
	b := s.book()
	b.append("account-2", daybook.ExpectNone(), event("opened", "owner:ann"))
	a := together(changeset("account-1", "opened"), changeset("account-3", "opened"))
	a.Condition = &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"owner:ann"}}}}}
	var condition *daybook.ConditionError
	if err := b.refusedWhole(a, "an append whose condition does not hold"); !errors.As(err, &condition) {
		s.Errorf("the error is %v, want a *ConditionError", err)
	}
}

func checkClaimOrNone(s *subject) {
	b := s.book()
	wanted, free := daybook.Claim{Kind: "email", Value: "ann@example.org"}, daybook.Claim{Kind: "email", Value: "bob@example.org"}
	holder := single("account-2", daybook.ExpectNone(), event("opened"))
	holder.Changesets[0].Claims = []daybook.Claim{wanted}
	b.appendAll(holder)
	a := together(changeset("account-1", "opened"), changeset("account-3", "opened"))
	a.Changesets[0].Claims, a.Changesets[1].Claims = []daybook.Claim{free}, []daybook.Claim{wanted}
	var claim *daybook.ClaimError
	if err := b.refusedWhole(a, "an append that wants a claim of another stream"); !errors.As(err, &claim) {
		s.Errorf("the error is %v, want a *ClaimError", err)
	}
	second := single("account-4", daybook.ExpectNone(), event("opened"))
	second.Changesets[0].Claims = []daybook.Claim{free}
	b.appendAll(second)
}

func checkReferenceOrNone(s *subject) {
	b := s.book()
	a := together(changeset("account-1", "opened"), changeset("account-3", "opened"))
	a.Changesets[1].References = []daybook.StreamID{daybook.Stream("account-1"), daybook.Stream("owner-1")}
	var reference *daybook.ReferenceError
	if err := b.refusedWhole(a, "an append that refers to a missing stream"); !errors.As(err, &reference) {
		s.Errorf("the error is %v, want a *ReferenceError", err)
	}
}

func checkVisibleTogether(s *subject) {
	b := s.book()
	whole := func(records []daybook.Record) error {
		count := map[daybook.ID]int{}
		for _, r := range records {
			if r.Changeset.Metadata != nil {
				count[r.Changeset.AppendID]++
			}
		}
		for id, n := range count {
			if n != 4 {
				return fmt.Errorf("of append %s %d of 4 records are in the log", id, n)
			}
		}
		return nil
	}
	appendPairs := func(ctx context.Context) error {
		for range 4 {
			a := together(changeset("left-1", "moved", "moved"), changeset("right-1", "moved", "moved"))
			a.Changesets[0].Metadata, a.Changesets[1].Metadata = []byte("4"), []byte("4")
			if _, err := b.AppendAll(ctx, a); err != nil {
				return err
			}
		}
		return nil
	}
	s.run(b, 2, 20,
		appendPairs,
		func(ctx context.Context) error {
			records, err := gather(b.ReadLog(ctx, daybook.LogRead{}))
			if err != nil {
				return err
			}
			return whole(records)
		},
		func(ctx context.Context) error {
			left, err := gather(b.ReadStream(ctx, daybook.Stream("left-1"), daybook.StreamRead{}))
			if err != nil {
				return err
			}
			right, err := gather(b.ReadStream(ctx, daybook.Stream("right-1"), daybook.StreamRead{}))
			if err == nil && len(right) < len(left) {
				err = fmt.Errorf("after a read of %d records on the left there are %d on the right", len(left), len(right))
			}
			return err
		},
	)
}
