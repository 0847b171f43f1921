package storagetest

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"golang.org/x/sync/errgroup"
)

var expectPromises = []Promise{
	{
		Name: "each Expect holds exactly where it should", Feature: Expecting, check: checkExpects,
		Sentence: "An append is stored that should have been refused, or refused that should have been stored.",
	},
	{
		Name: "a conflict says where the stream was found", Feature: Expecting, check: checkConflict,
		Sentence: "The caller of a refused append is told the wrong place of the stream, and decides again in vain.",
	},
	{
		Name: "a conflict brings the changesets that were missed", Feature: Expecting, check: checkMissed,
		Sentence: "The caller of a refused append decides again without having seen everything, or cut changesets.",
	},
	{
		Name: "of appends that expect the same version one is stored", Feature: Expecting, check: checkRace,
		Sentence: "Check and write are two steps: two decisions made on the same state of a stream were both stored.",
	},
}

// expectCase is an Expect against a stream with the changesets
// [1 2 3] [4] [5 6], or against one without records.
type expectCase struct {
	expect       daybook.Expect
	exists       bool
	holds, ahead bool
}

var expectCases = []expectCase{
	{expect: daybook.ExpectAny(), holds: true},
	{expect: daybook.ExpectNone(), holds: true},
	{expect: daybook.ExpectVersion(0), holds: true},
	{expect: daybook.ExpectChangeset(0), holds: true},
	{expect: daybook.ExpectExists(), ahead: true},
	{expect: daybook.ExpectVersion(1), ahead: true},
	{expect: daybook.ExpectChangeset(1), ahead: true},

	{exists: true, expect: daybook.ExpectAny(), holds: true},
	{exists: true, expect: daybook.ExpectExists(), holds: true},
	{exists: true, expect: daybook.ExpectNone()},
	{exists: true, expect: daybook.ExpectVersion(0)},
	{exists: true, expect: daybook.ExpectChangeset(0)},
	{exists: true, expect: daybook.ExpectVersion(6), holds: true},
	{exists: true, expect: daybook.ExpectVersion(5)}, // inside the last changeset
	{exists: true, expect: daybook.ExpectVersion(4)},
	{exists: true, expect: daybook.ExpectVersion(3)},
	{exists: true, expect: daybook.ExpectVersion(2)}, // inside the first changeset
	{exists: true, expect: daybook.ExpectVersion(1)},
	{exists: true, expect: daybook.ExpectVersion(7), ahead: true},
	{exists: true, expect: daybook.ExpectVersion(1 << 40), ahead: true},
	{exists: true, expect: daybook.ExpectChangeset(3), holds: true},
	{exists: true, expect: daybook.ExpectChangeset(2)},
	{exists: true, expect: daybook.ExpectChangeset(1)},
	{exists: true, expect: daybook.ExpectChangeset(4), ahead: true},
	{exists: true, expect: daybook.ExpectChangeset(6), ahead: true}, // a version, not a changeset
	{exists: true, expect: daybook.ExpectChangeset(1 << 40), ahead: true},
}

// prepare gives the stream of an expectCase.
func (c expectCase) prepare(b *book, stream string) {
	b.s.Helper()
	if c.exists {
		b.append(stream, daybook.ExpectAny(), several(3, "first")...)
		b.append(stream, daybook.ExpectAny(), several(1, "second")...)
		b.append(stream, daybook.ExpectAny(), several(2, "third")...)
	}
}

func checkExpects(s *subject) {
	b := s.book()
	for i, c := range expectCases {
		stream := numbered("account", i)
		c.prepare(b, stream)
		before := b.head(daybook.Stream(stream))
		_, err := b.driver.Append(s.Context(), single(stream, c.expect, events("more", "more")...))
		after := b.head(daybook.Stream(stream))
		what := fmt.Sprintf("an append that expects %s of a stream at version %d, changeset %d", c.expect, before.Version, before.Changeset)
		var conflict *daybook.ConflictError
		switch {
		case c.holds && err != nil:
			s.Errorf("%s: %v", what, err)
		case c.holds && after.Version != before.Version+2:
			s.Errorf("%s left the stream at version %d", what, after.Version)
		case !c.holds && !errors.As(err, &conflict):
			s.Errorf("%s was answered with %v, want a *ConflictError", what, err)
		case !c.holds && conflict.Ahead() != c.ahead:
			s.Errorf("%s was answered with %v, ahead %t, want %t", what, err, conflict.Ahead(), c.ahead)
		case !c.holds && after != before:
			s.Errorf("%s was refused, but the stream went from %+v to %+v", what, before, after)
		}
	}
}

func checkConflict(s *subject) {
	b := s.book()
	for i, c := range expectCases {
		if c.holds {
			continue
		}
		stream := numbered("account", i)
		c.prepare(b, stream)
		b.append("other-1", daybook.ExpectAny(), events("noise")...)
		head := b.head(daybook.Stream(stream))
		_, err := b.driver.Append(s.Context(), single(stream, c.expect, events("more")...))
		var conflict *daybook.ConflictError
		if !errors.As(err, &conflict) {
			s.Errorf("an append that expects %s of %+v was answered with %v, want a *ConflictError", c.expect, head, err)
			continue
		}
		if conflict.Stream != daybook.Stream(stream) || conflict.Expect != c.expect || conflict.Found != head {
			s.Errorf("the conflict of stream %q, which expects %s and has the head %+v, says stream %q, expected %s, found %+v",
				stream, c.expect, head, conflict.Stream, conflict.Expect, conflict.Found)
		}
	}
}

func checkMissed(s *subject) {
	b := s.book()
	expectCase{exists: true}.prepare(b, "account-1")
	whole, err := gatherChangesets(b, "account-1")
	s.must(err, "the changesets of the stream")
	if len(whole) != 3 {
		s.Fatalf("3 appends to a stream gave %d changesets", len(whole))
	}
	for _, c := range []struct {
		expect daybook.Expect
		missed int // how many of the last changesets
	}{
		{daybook.ExpectNone(), 3}, {daybook.ExpectVersion(1), 3}, {daybook.ExpectVersion(2), 3}, {daybook.ExpectVersion(3), 2},
		{daybook.ExpectVersion(4), 1}, {daybook.ExpectVersion(5), 1}, {daybook.ExpectChangeset(1), 2}, {daybook.ExpectChangeset(2), 1},
		{daybook.ExpectVersion(7), 0}, {daybook.ExpectChangeset(4), 0},
	} {
		_, err := b.Append(s.Context(), daybook.Stream("account-1"), c.expect, events("more")...)
		var conflict *daybook.ConflictError
		if !errors.As(err, &conflict) {
			s.Errorf("an append that expects %s was answered with %v, want a *ConflictError", c.expect, err)
			continue
		}
		if len(conflict.Missed) != c.missed || conflict.Incomplete {
			s.Errorf("the conflict of an append that expects %s brings %d changesets, incomplete %t; want %d, all of them",
				c.expect, len(conflict.Missed), conflict.Incomplete, c.missed)
			continue
		}
		for i, missed := range conflict.Missed {
			wanted := whole[len(whole)-c.missed+i]
			if missed.Number != wanted.Number {
				s.Errorf("expected %s: missed changeset %d has number %d, want %d", c.expect, i+1, missed.Number, wanted.Number)
			}
			s.sameRecords(missed.Records, wanted.Records, fmt.Sprintf("expected %s: missed changeset %d", c.expect, i+1))
		}
	}
}

func gatherChangesets(b *book, stream string) ([]daybook.RecordedChangeset, error) {
	var all []daybook.RecordedChangeset
	for c, err := range daybook.Changesets(b.ReadStream(b.s.Context(), daybook.Stream(stream), daybook.StreamRead{})) {
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func checkRace(s *subject) {
	const writers, rounds = 8, 12
	b := s.book()
	for round := range rounds {
		won := make([]bool, writers)
		expect := daybook.ExpectVersion(daybook.Version(round))
		if round%2 == 1 {
			expect = daybook.ExpectChangeset(daybook.ChangesetNumber(round))
		}
		group, ctx := errgroup.WithContext(s.Context())
		for writer := range writers {
			group.Go(func() error {
				_, err := b.Append(ctx, daybook.Stream("account-1"), expect, event("raced"))
				won[writer] = err == nil
				if errors.Is(err, daybook.ErrConflict) {
					return nil
				}
				return err
			})
		}
		s.must(group.Wait(), "round %d", round+1)
		winners := 0
		for _, w := range won {
			if w {
				winners++
			}
		}
		if head := b.head(daybook.Stream("account-1")); winners != 1 || head.Version != daybook.Version(round+1) {
			s.Fatalf("of %d concurrent appends that expect %s, %d were stored, and the stream is at version %d",
				writers, expect, winners, head.Version)
		}
	}
}
