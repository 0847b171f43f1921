package storagetest

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"golang.org/x/sync/errgroup"
)

var claimPromises = []Promise{
	{
		Name: "a claim is held by one stream of a partition", Feature: Claims, check: checkClaims,
		Sentence: "A value that should be unique is held by two streams, or refused though nobody holds it.",
	},
	{
		Name: "a refused claim names its holder", Feature: Claims, check: checkClaimError,
		Sentence: "The caller is not told who holds what it wants, or told wrong.",
	},
	{
		Name: "a released claim can be taken again", Feature: Claims, check: checkRelease,
		Sentence: "A value that was given back stays taken, or was given back by a stream that does not hold it.",
	},
	{
		Name: "taking what one holds and releasing what nobody holds do nothing", Feature: Claims, check: checkIdleClaims,
		Sentence: "A caller must know what its stream holds before it may claim or release.",
	},
	{
		Name: "releases are carried out before claims", Feature: Claims, needs: []Feature{SeveralStreams}, check: checkSwap,
		Sentence: "Two streams cannot swap what they hold in one append, or both lose it.",
	},
	{
		Name: "of streams that want the same claim one takes it", Feature: Claims, check: checkClaimRace,
		Sentence: "Check and write are two steps: two streams that asked at the same time both hold the claim.",
	},
}

var claimLookupPromises = []Promise{
	{
		Name: "the holder of a claim is told", Feature: ClaimLookup, needs: []Feature{Claims}, check: checkClaimHolder,
		Sentence: "Whoever looks up a claim is sent to the wrong stream, or to none.",
	},
}

// claiming returns an append by which a stream takes and releases claims.
func claiming(id daybook.StreamID, takes, releases []daybook.Claim) daybook.Append {
	return together(daybook.Changeset{Stream: id, Events: events("claimed"), Claims: takes, Releases: releases})
}

func email(value string) []daybook.Claim { return []daybook.Claim{{Kind: "email", Value: value}} }

// refusedClaim gives the driver an append that must be refused because of a
// claim of the holder.
func (b *book) refusedClaim(a daybook.Append, claim daybook.Claim, holder daybook.StreamID, what string) {
	b.s.Helper()
	err := b.refusedWhole(a, what)
	var refused *daybook.ClaimError
	if !errors.As(err, &refused) {
		b.s.Errorf("%s was answered with %v, want a *ClaimError", what, err)
		return
	}
	if wanted := (daybook.ClaimError{Stream: a.Changesets[0].Stream, Claim: claim, Holder: holder}); *refused != wanted {
		b.s.Errorf("%s was answered with %+v, want %+v", what, *refused, wanted)
	}
}

func checkClaims(s *subject) {
	b := s.book()
	b.appendAll(claiming(daybook.Stream("user-1"), email("ann@example.org"), nil))
	if _, err := b.AppendAll(s.Context(), claiming(daybook.Stream("user-2"), email("ann@example.org"), nil)); !errors.Is(err, daybook.ErrConflict) {
		s.Errorf("a second stream that wants the claim was answered with %v, want a conflict", err)
	}
	for i, other := range []struct {
		partition string
		claim     daybook.Claim
	}{
		{"", daybook.Claim{Kind: "email", Value: "Ann@example.org"}},
		{"", daybook.Claim{Kind: "email", Value: "ann@example.org "}},
		{"", daybook.Claim{Kind: "Email", Value: "ann@example.org"}},
		{"", daybook.Claim{Kind: "emai", Value: "lann@example.org"}},
		{"", daybook.Claim{Kind: "email/", Value: "ann@example.org"}},
		{"", daybook.Claim{Kind: "email", Value: "/ann@example.org"}},
		{"", daybook.Claim{Kind: "iban", Value: "ann@example.org"}},
		{"", daybook.Claim{Kind: "émail", Value: "ann@example.org"}},
		{"", daybook.Claim{Kind: "e\u0301mail", Value: "ann@example.org"}},
		{"north", daybook.Claim{Kind: "email", Value: "ann@example.org"}},
		{"North", daybook.Claim{Kind: "email", Value: "ann@example.org"}},
	} {
		id := daybook.StreamID{Partition: other.partition, Name: numbered("other", i)}
		if _, err := b.AppendAll(s.Context(), claiming(id, []daybook.Claim{other.claim}, nil)); err != nil {
			s.Errorf("claim %q of partition %q, which nobody holds: %v", other.claim, other.partition, err)
		}
		again := daybook.StreamID{Partition: other.partition, Name: "again-1"}
		if _, err := b.AppendAll(s.Context(), claiming(again, []daybook.Claim{other.claim}, nil)); !errors.Is(err, daybook.ErrConflict) {
			s.Errorf("claim %q of partition %q, wanted by a second stream, was answered with %v, want a conflict", other.claim, other.partition, err)
		}
	}
}

func checkClaimError(s *subject) {
	b := s.book()
	ann, bob := email("ann@example.org"), email("bob@example.org")
	for _, partition := range []string{"", "north"} {
		one, two := daybook.StreamID{Partition: partition, Name: "user-1"}, daybook.StreamID{Partition: partition, Name: "user-2"}
		b.appendAll(claiming(one, append(ann, bob...), nil))
		b.refusedClaim(claiming(two, ann, nil), ann[0], one, "taking a claim of another stream")
		b.refusedClaim(claiming(two, append(email("free@example.org"), bob...), nil), bob[0], one, "taking two claims, one of another stream")
		b.refusedClaim(claiming(two, nil, bob), bob[0], one, "releasing a claim of another stream")
		b.refusedClaim(claiming(two, bob, bob), bob[0], one, "releasing and taking a claim of another stream")
	}
}

func checkRelease(s *subject) {
	b := s.book()
	ann := email("ann@example.org")
	one, two := daybook.Stream("user-1"), daybook.Stream("user-2")
	b.appendAll(claiming(one, ann, nil))
	b.refusedClaim(claiming(two, ann, nil), ann[0], one, "taking what is held")
	b.appendAll(claiming(one, nil, ann))
	b.appendAll(claiming(two, ann, nil))
	b.refusedClaim(claiming(one, ann, nil), ann[0], two, "taking back what was given away")
	b.refusedClaim(claiming(one, nil, ann), ann[0], two, "releasing what was given away")
	b.appendAll(claiming(two, ann, ann))
	b.refusedClaim(claiming(one, ann, nil), ann[0], two, "taking what its holder has released and taken in one append")
	b.appendAll(claiming(two, nil, ann))
	b.appendAll(claiming(one, ann, nil))
}

func checkIdleClaims(s *subject) {
	b := s.book()
	ann := email("ann@example.org")
	one, two := daybook.Stream("user-1"), daybook.Stream("user-2")
	b.appendAll(claiming(one, nil, ann))
	b.appendAll(claiming(one, ann, nil))
	b.appendAll(claiming(one, ann, nil))
	b.refusedClaim(claiming(two, ann, nil), ann[0], one, "taking what another stream has taken twice")
	b.appendAll(claiming(one, nil, ann))
	b.appendAll(claiming(one, nil, ann))
	b.appendAll(claiming(two, ann, nil))
}

func checkSwap(s *subject) {
	b := s.book()
	ann, bob := email("ann@example.org"), email("bob@example.org")
	one, two := daybook.Stream("user-1"), daybook.Stream("user-2")
	b.appendAll(claiming(one, ann, nil))
	b.appendAll(claiming(two, bob, nil))
	swap := together(
		daybook.Changeset{Stream: one, Events: events("swapped"), Claims: bob, Releases: ann},
		daybook.Changeset{Stream: two, Events: events("swapped"), Claims: ann, Releases: bob},
	)
	if _, err := b.AppendAll(s.Context(), swap); err != nil {
		s.Errorf("two streams that swap what they hold: %v", err)
	}
	three := daybook.Stream("user-3")
	b.refusedClaim(claiming(three, ann, nil), ann[0], two, "taking what was swapped")
	b.refusedClaim(claiming(three, bob, nil), bob[0], one, "taking what was swapped")
	hand := together(
		daybook.Changeset{Stream: three, Events: events("took"), Claims: ann},
		daybook.Changeset{Stream: two, Events: events("gave"), Releases: ann},
	)
	if _, err := b.AppendAll(s.Context(), hand); err != nil {
		s.Errorf("a stream that takes what a later changeset of the append releases: %v", err)
	}
	b.refusedClaim(claiming(two, ann, nil), ann[0], three, "taking what was handed on")
}

func checkClaimRace(s *subject) {
	const writers, rounds = 6, 12
	b := s.book()
	for round := range rounds {
		claim := email(fmt.Sprintf("%d@example.org", round))
		won := make([]bool, writers)
		group, ctx := errgroup.WithContext(s.Context())
		for writer := range writers {
			group.Go(func() error {
				_, err := b.AppendAll(ctx, claiming(daybook.Stream(numbered("user", writer)), claim, nil))
				won[writer] = err == nil
				var refused *daybook.ClaimError
				if errors.As(err, &refused) {
					return nil
				}
				return err
			})
		}
		s.must(group.Wait(), "round %d", round+1)
		winner, winners := "", 0
		for writer, w := range won {
			if w {
				winner = numbered("user", writer)
				winners++
			}
		}
		if winners != 1 {
			s.Fatalf("%d streams asked for a claim at the same time, %d took it", writers, winners)
		}
		b.refusedClaim(claiming(daybook.Stream("user-late"), claim, nil), claim[0], daybook.Stream(winner), "a claim asked for later")
	}
}

func checkClaimHolder(s *subject) {
	b := s.book()
	ann := email("ann@example.org")
	one, two := daybook.Stream("user-1"), daybook.Stream("user-2")
	is := func(partition string, holder daybook.StreamID, when string) {
		s.Helper()
		if told, held := b.holder(partition, ann[0]); told != holder || held != (holder != daybook.StreamID{}) {
			s.Errorf("%s the holder is %q (held %t), want %q", when, told, held, holder)
		}
	}
	is("", daybook.StreamID{}, "before anybody took it")
	b.appendAll(claiming(one, ann, nil))
	is("", one, "after one took it")
	is("north", daybook.StreamID{}, "in another partition")
	b.refusedClaim(claiming(two, ann, nil), ann[0], one, "taking what is held")
	is("", one, "after another was refused")
	b.appendAll(claiming(one, nil, ann))
	is("", daybook.StreamID{}, "after it was released")
	b.appendAll(claiming(two, ann, nil))
	is("", two, "after another took it")
	north := daybook.StreamID{Partition: "north", Name: "user-1"}
	b.appendAll(claiming(north, ann, nil))
	is("north", north, "after it was taken in another partition")
	is("", two, "after it was taken in another partition")
}
