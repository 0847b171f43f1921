package storagetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
)

// onlyFor returns an append that carries, of what a demands, only what err
// says that it was refused for.
func onlyFor(a daybook.Append, err error) (alone daybook.Append, named bool) {
	alone = daybook.Append{Changesets: slices.Clone(a.Changesets)}
	for i := range alone.Changesets {
		c := &alone.Changesets[i]
		c.Expect, c.Claims, c.Releases, c.References = daybook.ExpectAny(), nil, nil, nil
	}
	var conflict *daybook.ConflictError
	var condition *daybook.ConditionError
	var claim *daybook.ClaimError
	var reference *daybook.ReferenceError
	switch {
	case errors.As(err, &condition):
		alone.Condition = a.Condition
		return alone, a.Condition != nil
	case errors.As(err, &conflict):
		for i, c := range a.Changesets {
			if c.Stream == conflict.Stream {
				alone.Changesets[i].Expect, named = c.Expect, true
			}
		}
	case errors.As(err, &claim):
		for i, c := range a.Changesets {
			other := func(other daybook.Claim) bool {
				return other != claim.Claim || c.Stream.Partition != claim.Stream.Partition
			}
			alone.Changesets[i].Claims = slices.DeleteFunc(slices.Clone(c.Claims), other)
			alone.Changesets[i].Releases = slices.DeleteFunc(slices.Clone(c.Releases), other)
			asked := len(alone.Changesets[i].Claims)+len(alone.Changesets[i].Releases) > 0
			named = named || asked && c.Stream == claim.Stream
		}
	case errors.As(err, &reference):
		for i, c := range a.Changesets {
			if c.Stream == reference.Stream && slices.Contains(c.References, reference.Reference) {
				alone.Changesets[i].References, named = []daybook.StreamID{reference.Reference}, true
			}
		}
	}
	return alone, named
}

// errorDifference returns what differs between two errors that name the same
// reason.
func (p *pair) errorDifference(mine, theirs error) string {
	var conflict, refConflict *daybook.ConflictError
	var condition, refCondition *daybook.ConditionError
	var claim, refClaim *daybook.ClaimError
	var reference, refReference *daybook.ReferenceError
	switch {
	case errors.As(mine, &conflict) && errors.As(theirs, &refConflict):
		found := conflict.Found
		found.Position = p.translated(found.Position)
		return firstDifference(
			field("stream", conflict.Stream, refConflict.Stream),
			field("expectation", conflict.Expect, refConflict.Expect),
			field("head that was found", found, refConflict.Found),
			p.missedDifference(conflict.Missed, refConflict.Missed),
		)
	case errors.As(mine, &condition) && errors.As(theirs, &refCondition):
		if err := p.recordsAgree(condition.Records, refCondition.Records); err != nil {
			return "the records that break the condition: " + err.Error()
		}
		return field("position that was found", p.translated(condition.Found), refCondition.Found)
	case errors.As(mine, &claim) && errors.As(theirs, &refClaim):
		return firstDifference(field("claim", claim.Claim, refClaim.Claim), field("holder", claim.Holder, refClaim.Holder))
	case errors.As(mine, &reference) && errors.As(theirs, &refReference):
		return field("reference", *reference, *refReference)
	}
	return "the kinds of the errors differ"
}

func (p *pair) missedDifference(mine, theirs []daybook.RecordedChangeset) string {
	if len(mine) != len(theirs) {
		return field("number of missed changesets", len(mine), len(theirs))
	}
	for i := range mine {
		if err := p.recordsAgree(mine[i].Records, theirs[i].Records); err != nil {
			return fmt.Sprintf("missed changeset %d: %v", i+1, err)
		}
	}
	return ""
}

// rank returns a random rank, 0 and the last included.
func (p *pair) rank() int { return p.random.IntN(len(p.at) + 1) }

func (p *pair) readStream() (string, error) {
	id := p.pools.stream()
	read := daybook.StreamRead{
		From: daybook.Version(max(0, p.random.IntN(14)-4)), To: daybook.Version(max(0, p.random.IntN(20)-8)),
		Limit: max(0, p.random.IntN(8)-4), Backwards: p.random.IntN(2) == 0,
	}
	what := fmt.Sprintf("read stream %q %s", id, describeStreamRead(read))
	mine, err := gather(p.b.ReadStream(p.s.Context(), id, read))
	if err != nil {
		return what, err
	}
	theirs, err := gather(p.ref.ReadStream(p.s.Context(), id, read))
	if err != nil {
		return what, err
	}
	return what, p.recordsAgree(mine, theirs)
}

func (p *pair) readLog() (string, error) {
	after, to := p.rank(), p.rank()
	if p.random.IntN(2) == 0 {
		to = 0
	}
	read := daybook.LogRead{
		After: p.position(p.at, after), To: p.position(p.at, to), Filter: p.pools.filter(),
		Limit: max(0, p.random.IntN(8)-4), Backwards: p.random.IntN(2) == 0,
	}
	if p.random.IntN(5) == 0 {
		read.Until = p.clock
	}
	what := "read the log " + describeLogRead(read)
	mine, err := gather(p.b.ReadLog(p.s.Context(), read))
	if err != nil {
		return what, err
	}
	read.After, read.To = p.position(p.refAt, after), p.position(p.refAt, to)
	theirs, err := gather(p.ref.ReadLog(p.s.Context(), read))
	if err != nil {
		return what, err
	}
	return what, p.recordsAgree(mine, theirs)
}

func (p *pair) compareLog() (string, error) {
	what := "read all of the log"
	mine, err := gather(p.b.ReadLog(p.s.Context(), daybook.LogRead{}))
	if err != nil {
		return what, err
	}
	theirs, err := gather(p.ref.ReadLog(p.s.Context(), daybook.LogRead{}))
	if err != nil {
		return what, err
	}
	return what, p.recordsAgree(mine, theirs)
}

func (p *pair) compareHeads() (string, error) { return p.headsAgree(p.pools.streams()...) }

// headsAgree returns how the heads of streams, and the end, differ.
func (p *pair) headsAgree(streams ...daybook.StreamID) (string, error) {
	for _, id := range streams {
		what := fmt.Sprintf("head of %q", id)
		mine, err := p.b.Head(p.s.Context(), id)
		if err != nil {
			return what, err
		}
		theirs, err := p.ref.Head(p.s.Context(), id)
		if err != nil {
			return what, err
		}
		mine.Position = p.translated(mine.Position)
		if mine != theirs {
			return what, fmt.Errorf("%+v, that of the reference %+v", mine, theirs)
		}
	}
	end, err := p.b.End(p.s.Context())
	if err == nil && end != p.position(p.at, len(p.at)) {
		err = fmt.Errorf("the log ends at %d, its last record stands at %d", end, p.position(p.at, len(p.at)))
	}
	return "heads and end", err
}

func (p *pair) compareClaims() (string, error) {
	what := "who holds the claims"
	if !p.s.offered(ClaimLookup) || !p.s.offered(Claims) {
		return what, nil
	}
	for _, partition := range []string{"", "north", "south"} {
		for _, claim := range p.claims {
			holder, held, err := p.b.ClaimHolder(p.s.Context(), partition, claim)
			if err != nil {
				return what, err
			}
			refHolder, refHeld, err := p.ref.ClaimHolder(p.s.Context(), partition, claim)
			if err != nil || holder != refHolder || held != refHeld {
				return what, fmt.Errorf("claim %v of partition %q is held by %q (%t), in the reference by %q (%t), %v",
					claim, partition, holder, held, refHolder, refHeld, err)
			}
		}
	}
	return what, nil
}

func (p *pair) compareStats() (string, error) {
	what := "statistics"
	if !p.s.offered(Statistics) {
		return what, nil
	}
	mine, err := p.b.Stats(p.s.Context())
	if err != nil {
		return what, err
	}
	theirs, err := p.ref.Stats(p.s.Context())
	mine.LastPosition, mine.Bytes = p.translated(mine.LastPosition), 0
	if mine.LastOrdinal == 0 {
		theirs.LastOrdinal = 0
	}
	if err == nil && mine != theirs {
		err = fmt.Errorf("%+v, those of the reference %+v", mine, theirs)
	}
	return what, err
}

func (p *pair) compareLists() (string, error) {
	what := "list of streams"
	if !p.s.offered(ListingStreams) {
		return what, nil
	}
	for range 10 {
		list := daybook.StreamList{Filter: p.pools.filter(), Limit: max(0, p.random.IntN(9)-3)}
		list.Filter.Query = daybook.Query{}
		if p.random.IntN(2) == 0 {
			list.After = p.pools.stream()
		}
		mine, err := gatherHeads(p.b.ListStreams(p.s.Context(), list))
		if err != nil {
			return what, err
		}
		theirs, err := gatherHeads(p.ref.ListStreams(p.s.Context(), list))
		if err != nil {
			return what, err
		}
		for i := range mine {
			mine[i].Position = p.translated(mine[i].Position)
		}
		if !slices.Equal(mine, theirs) {
			return what, fmt.Errorf("%+v gives %+v, in the reference %+v", list, mine, theirs)
		}
	}
	return what, nil
}
