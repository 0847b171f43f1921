package storagetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"golang.org/x/sync/errgroup"
)

var repeatPromises = []Promise{
	{
		Name: "a repeat is answered with the first receipt, whatever it expects", Feature: Repeating, check: checkRepeat,
		Sentence: "A caller that lost an answer and asks again has his events stored twice, or is told of a conflict with himself.",
	},
	{
		Name: "a repeat beside the first is stored once", Feature: Repeating, check: checkRepeatRace,
		Sentence: "Two attempts of one append that run at the same time are both stored.",
	},
	{
		Name: "an id that another append used is refused", Feature: Repeating, check: checkReusedID,
		Sentence: "An append is answered with the receipt of another one, and silently lost.",
	},
	{
		Name: "a repeat finds what a failed append has stored", Feature: Repeating, check: checkFailedStored,
		Sentence: "After an answer was lost on the way back, the same append sent again is stored twice.",
	},
	{
		Name: "a repeat stores what a failed append has not", Feature: Repeating, check: checkFailedLost,
		Sentence: "After a request was lost on the way there, the same append sent again is not stored.",
	},
	{
		Name: "an append whose context ends is stored whole or not at all", Feature: Repeating, check: checkInterrupted,
		Sentence: "A caller that gave up is told that nothing was stored, though it was, or has his events stored twice when he asks again.",
	},
	{
		Name: "a repeat does not conflict with its own records", Feature: Repeating, needs: []Feature{Conditions}, check: checkRepeatCondition,
		Sentence: "A repeated append is refused by its condition because of the records that it stored the first time.",
	},
	{
		Name: "a repeat does not quarrel about its own claims", Feature: Repeating, needs: []Feature{Claims}, check: checkRepeatClaims,
		Sentence: "A repeated append is refused because of claims, or takes them again from who holds them now.",
	},
	{
		Name: "a repeat of several streams answers for each", Feature: Repeating, needs: []Feature{SeveralStreams}, check: checkRepeatSeveral,
		Sentence: "A repeated append of several streams is stored twice in some of them, or its receipt is cut.",
	},
}

// repeat sends an append again and holds the answer to the first receipt.
func (b *book) repeat(a daybook.Append, first daybook.Receipt, what string) {
	b.s.Helper()
	again, err := b.AppendAll(b.s.Context(), a)
	if err != nil {
		b.s.Errorf("%s, sent again: %v", what, err)
		return
	}
	if !again.Repeated {
		b.s.Errorf("%s, sent again, was stored a second time at position %d", what, again.Position())
		return
	}
	if d := receiptDifference(again, first); d != "" {
		b.s.Errorf("%s, sent again, was answered with another receipt: %s", what, d)
	}
	if again.Durability < first.Durability {
		b.s.Errorf("%s, sent again, has durability %s; it had %s", what, again.Durability, first.Durability)
	}
}

func checkRepeat(s *subject) {
	b := s.book()
	for _, prepared := range []bool{false, true} {
		for i, expect := range []daybook.Expect{
			daybook.ExpectAny(), daybook.ExpectNone(), daybook.ExpectExists(), daybook.ExpectVersion(2), daybook.ExpectChangeset(1),
		} {
			if holds := expect.Any() || prepared != expect.None(); !holds {
				continue
			}
			stream := numbered(fmt.Sprintf("prepared%t", prepared), i)
			if prepared {
				b.append(stream, daybook.ExpectNone(), several(2, "opened")...)
			}
			a := single(stream, expect, events("deposited", "withdrawn")...)
			what := fmt.Sprintf("an append to %q that expects %s", stream, expect)
			first := b.appendAll(a)
			b.repeat(a, first, what)
			b.append(stream, daybook.ExpectAny(), events("later")...)
			b.append("other-1", daybook.ExpectAny(), events("later")...)
			count := len(b.log())
			b.repeat(a, first, what+", after others have appended,")
			b.repeat(a, first, what+", a third time,")
			if after := len(b.log()); after != count {
				s.Errorf("%s, sent again, has left %d records more", what, after-count)
			}
		}
	}
}

func checkRepeatRace(s *subject) {
	const attempts, rounds = 6, 10
	b := s.book()
	for round := range rounds {
		a := single("account-1", daybook.ExpectVersion(daybook.Version(2*round)), several(2, "deposited")...)
		receipts := make([]daybook.Receipt, attempts)
		group, ctx := errgroup.WithContext(s.Context())
		for i := range attempts {
			group.Go(func() (err error) {
				receipts[i], err = b.AppendAll(ctx, a)
				return err
			})
		}
		s.must(group.Wait(), "%d attempts of one append at a time", attempts)
		firsts := 0
		for _, receipt := range receipts {
			if !receipt.Repeated {
				firsts++
			}
			if d := receiptDifference(receipt, receipts[0]); d != "" {
				s.Errorf("two attempts of one append have different receipts: %s", d)
			}
		}
		if count := len(b.stream("account-1")); firsts != 1 || count != 2*(round+1) {
			s.Fatalf("of %d attempts of one append %d say that they were the first; the stream has %d records, want %d",
				attempts, firsts, count, 2*(round+1))
		}
	}
}

func checkReusedID(s *subject) {
	b := s.book()
	a := single("account-1", daybook.ExpectAny(), events("opened", "deposited")...)
	b.appendAll(a)
	before := b.trace(daybook.Stream("account-2"))
	others := map[string]daybook.Append{
		"another stream":    single("account-2", daybook.ExpectAny(), events("opened", "deposited")...),
		"another partition": together(daybook.Changeset{Stream: daybook.StreamID{Partition: "p", Name: "account-1"}, Events: events("opened", "deposited")}),
		"fewer events":      single("account-1", daybook.ExpectAny(), events("opened")...),
		"more events":       single("account-1", daybook.ExpectAny(), events("opened", "deposited", "deposited")...),
		"and a conflict":    single("account-1", daybook.ExpectNone(), events("opened")...),
	}
	if s.offered(SeveralStreams) {
		others["more streams"] = together(a.Changesets[0], changeset("account-2", "opened"))
	}
	for what, other := range others {
		other.ID = a.ID
		_, err := b.AppendAll(s.Context(), other)
		var reused *daybook.ReusedIDError
		if !errors.As(err, &reused) {
			s.Errorf("an append with a used id and %s was answered with %v, want a *ReusedIDError", what, err)
		} else if reused.ID != a.ID {
			s.Errorf("the error names id %s, want %s", reused.ID, a.ID)
		}
		b.untouched(before, "an append with a used id")
	}
}

// faultyBook returns a store on a fresh driver wrapped in a Faulty.
func (s *subject) faultyBook() (*book, *Faulty) {
	s.Helper()
	driver, _ := s.open()
	faulty := NewFaulty(driver)
	b := s.bookOn(faulty)
	s.books = append(s.books, b)
	return b, faulty
}

func checkFailedStored(s *subject) {
	b, faulty := s.faultyBook()
	for i, expect := range []daybook.Expect{daybook.ExpectNone(), daybook.ExpectVersion(2), daybook.ExpectChangeset(2), daybook.ExpectAny()} {
		a := single("account-1", expect, several(2, "deposited")...)
		faulty.Cue(Fault{Call: CallAppend, After: ErrFault})
		if _, err := b.AppendAll(s.Context(), a); !errors.Is(err, ErrFault) {
			s.Fatalf("the append that was to fail was answered with %v", err)
		}
		b.append("other-1", daybook.ExpectAny(), events("later")...)
		receipt := b.appendAll(a)
		if !receipt.Repeated || len(b.stream("account-1")) != 2*(i+1) {
			s.Errorf("an append that expects %s failed after it was stored; sent again, it says repeated %t, and the stream has %d records, want %d",
				expect, receipt.Repeated, len(b.stream("account-1")), 2*(i+1))
		}
		s.sameRecords(b.readStream(daybook.Stream("account-1"), daybook.StreamRead{From: daybook.Version(2*i + 1)}), want(a, receipt), "the records of the receipt")
	}
}

func checkFailedLost(s *subject) {
	b, faulty := s.faultyBook()
	for i, expect := range []daybook.Expect{daybook.ExpectNone(), daybook.ExpectVersion(2), daybook.ExpectChangeset(2), daybook.ExpectAny()} {
		a := single("account-1", expect, several(2, "deposited")...)
		faulty.Cue(Fault{Call: CallAppend, Before: ErrFault})
		if _, err := b.AppendAll(s.Context(), a); !errors.Is(err, ErrFault) {
			s.Fatalf("the append that was to fail was answered with %v", err)
		}
		receipt := b.appendAll(a)
		if receipt.Repeated || len(b.stream("account-1")) != 2*(i+1) {
			s.Errorf("an append that expects %s failed before it was stored; sent again, it says repeated %t, and the stream has %d records, want %d",
				expect, receipt.Repeated, len(b.stream("account-1")), 2*(i+1))
		}
	}
}

func checkInterrupted(s *subject) {
	b := s.book()
	for round := range 40 {
		a := single("account-1", daybook.ExpectVersion(daybook.Version(3*round)), several(3, "deposited")...)
		ctx, cancel := context.WithCancel(s.Context())
		if round%4 == 0 {
			cancel() // before; else at some moment of the append
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			cancel()
		}()
		_, err := b.driver.Append(ctx, a)
		<-ended
		receipt := b.appendAll(a)
		switch {
		case err == nil && !receipt.Repeated:
			s.Fatalf("an append that was acknowledged while its context ended is stored a second time when it is sent again")
		case errors.Is(err, daybook.ErrRefused) && receipt.Repeated:
			s.Fatalf("an append whose context ended was answered with %v, which says that nothing was stored; sent again, it is a repeat", err)
		}
		stream := b.readStream(daybook.Stream("account-1"), daybook.StreamRead{From: daybook.Version(3*round + 1)})
		if !s.sameRecords(stream, want(a, receipt), "the stream after an append whose context ended, sent again,") {
			return
		}
	}
}

func checkRepeatCondition(s *subject) {
	b := s.book()
	a := single("account-1", daybook.ExpectNone(), event("opened", "owner:ann"))
	a.Condition = &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"owner:ann"}}}}}
	first := b.appendAll(a)
	b.repeat(a, first, "an append whose condition its own record breaks")
	b.append("account-2", daybook.ExpectAny(), event("opened", "owner:ann"))
	b.repeat(a, first, "an append whose condition a later record breaks")
	if count := len(b.log()); count != 2 {
		s.Errorf("the log has %d records, want 2", count)
	}
}

func checkRepeatClaims(s *subject) {
	b := s.book()
	claim := daybook.Claim{Kind: "email", Value: "ann@example.org"}
	take := func(stream string) daybook.Append {
		a := single(stream, daybook.ExpectAny(), event("took"))
		a.Changesets[0].Claims = []daybook.Claim{claim}
		return a
	}
	a := take("account-1")
	first := b.appendAll(a)
	b.repeat(a, first, "an append that takes a claim")
	release := single("account-1", daybook.ExpectAny(), event("gave back"))
	release.Changesets[0].Releases = []daybook.Claim{claim}
	released := b.appendAll(release)
	b.appendAll(take("account-2"))
	b.repeat(a, first, "an append whose claim another stream holds now")
	b.repeat(release, released, "an append that releases what another stream holds now")
	_, err := b.AppendAll(s.Context(), take("account-3"))
	var held *daybook.ClaimError
	if !errors.As(err, &held) || held.Holder != daybook.Stream("account-2") {
		s.Errorf("after the repeats the claim of account-2 was answered with %v, want a *ClaimError that names it", err)
	}
}

func checkRepeatSeveral(s *subject) {
	b := s.book()
	b.append("account-2", daybook.ExpectNone(), events("opened")...)
	a := together(changeset("account-1", "opened", "deposited"), changeset("account-2", "deposited"), changeset("account-3", "opened"))
	a.Changesets[0].Expect, a.Changesets[1].Expect = daybook.ExpectNone(), daybook.ExpectVersion(1)
	first := b.appendAll(a)
	b.append("account-2", daybook.ExpectAny(), events("later")...)
	b.repeat(a, first, "an append of three streams")
	if count := len(b.log()); count != 6 {
		s.Errorf("the log has %d records, want 6", count)
	}
	swapped := together(a.Changesets[2], a.Changesets[1], a.Changesets[0])
	swapped.ID = a.ID
	if _, err := b.AppendAll(s.Context(), swapped); !errors.Is(err, daybook.ErrInvalid) {
		s.Errorf("the same id with the streams in another order was answered with %v, want a *ReusedIDError", err)
	}
}
