package storagetest

import (
	"errors"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

var importPromises = []Promise{
	{
		Name: "what is imported is stored as it was", Feature: Importing, check: checkImport,
		Sentence: "A store that was copied record by record is not the same as the one it was copied from.",
	},
	{
		Name: "an import that cannot follow the log is refused whole", Feature: Importing, check: checkImportRefused,
		Sentence: "An import has broken the order of the log or of a stream, or stored a part of what was refused.",
	},
	{
		Name: "appends go on behind an import", Feature: Importing, check: checkImportAppend,
		Sentence: "After an import, appends stand at wrong versions or positions, or are refused.",
	},
	{
		Name: "an imported append is known by its id", Feature: Importing, check: checkImportRepeat,
		Sentence: "An append that was in flight when the store was copied is stored a second time.",
	},
	{
		Name: "imported claims are held", Feature: Importing, needs: []Feature{Claims, SeveralStreams}, check: checkImportClaims,
		Sentence: "After an import, a value that should be unique can be taken twice.",
	},
	{
		Name: "imported records are found by queries and conditions", Feature: Importing, needs: []Feature{Conditions}, check: checkImportConditions,
		Sentence: "After an import, decisions are made as if the imported records were not there.",
	},
}

// importAll imports, and must succeed.
func (b *book) importAll(changesets ...daybook.RecordedChangeset) {
	b.s.Helper()
	b.s.must(b.Import(b.s.Context(), changesets), "import")
}

// recordsIn returns the records of changesets, as they must be read.
func recordsIn(changesets []daybook.RecordedChangeset) []daybook.Record {
	var all []daybook.Record
	for i := range changesets {
		for _, r := range changesets[i].Records {
			r.Changeset, r.RecordedAt = &changesets[i].ChangesetHeader, changesets[i].RecordedAt
			if r.OccurredAt.IsZero() {
				r.OccurredAt = r.RecordedAt
			}
			all = append(all, r)
		}
	}
	return all
}

// someImport returns changesets with gaps between the positions, of streams of
// which one begins above version 1.
func someImport() []daybook.RecordedChangeset {
	return slices.Concat(
		recorded("account-1", 1, 1, 7, 2),
		recorded("account-2", 5, 40, 100, 3),
		recorded("account-1", 2, 3, 1000, 1),
		recorded("account-2", 6, 43, 1_000_000_000_000, 2),
	)
}

func checkImport(s *subject) {
	b := s.book()
	some := someImport()
	some[0].Metadata, some[1].Records[0].Tags = []byte("imported"), []string{"a", "b"}
	some[2].Records[0].OccurredAt = time.Time{}
	for i := range some {
		some[i].Ordinal = daybook.Ordinal(3 + 2*i)
	}
	b.importAll(some...)
	s.sameRecords(b.log(), recordsIn(some), "the log after an import")
	s.sameRecords(b.stream("account-2"), recordsIn([]daybook.RecordedChangeset{some[1], some[3]}), "a stream that begins above version 1")
	wanted := daybook.Head{Version: 44, Changeset: 6, First: 40, Position: 1_000_000_000_010, RecordedAt: some[3].RecordedAt}
	if head := b.head(daybook.Stream("account-2")); head != wanted {
		s.Errorf("the head is %+v, want %+v", head, wanted)
	}
	if end := b.end(); end != wanted.Position {
		s.Errorf("the log ends at %d, want %d", end, wanted.Position)
	}
	next := recorded("account-1", 3, 4, 1_000_000_000_020, 2)
	next[0].RecordedAt = some[3].RecordedAt // the same time will do
	b.importAll(next...)
	s.sameRecords(b.stream("account-1"), recordsIn([]daybook.RecordedChangeset{some[0], some[2], next[0]}), "a stream after a second import")
	for _, c := range []struct {
		stream string
		expect daybook.Expect
		count  int
	}{{"account-2", daybook.ExpectVersion(1), 2}, {"account-2", daybook.ExpectVersion(42), 1}, {"account-2", daybook.ExpectChangeset(2), 2}} {
		_, err := b.Append(s.Context(), daybook.Stream(c.stream), c.expect, events("more")...)
		var conflict *daybook.ConflictError
		if !errors.As(err, &conflict) || len(conflict.Missed) != c.count {
			s.Errorf("an append that expects %s of a stream from version 40 to 44 was answered with %v, want a conflict with %d changesets", c.expect, err, c.count)
		}
	}
}

func checkImportRefused(s *subject) {
	b := s.book()
	b.importAll(someImport()...)
	end := b.end()
	good := recorded("account-3", 1, 1, end+10, 2)[0]
	for what, spoil := range map[string]func(c *daybook.RecordedChangeset){
		"a position at the end of the log": func(c *daybook.RecordedChangeset) { c.Records[0].Position = end },
		"a position below the end":         func(c *daybook.RecordedChangeset) { c.Records[0].Position = 500 },
		"positions that do not rise":       func(c *daybook.RecordedChangeset) { c.Records[1].Position = c.Records[0].Position },
		"a recorded time that falls": func(c *daybook.RecordedChangeset) {
			c.RecordedAt = importTime
			c.Records[0].RecordedAt, c.Records[1].RecordedAt = importTime, importTime
		},
		"a version that leaves one out": func(c *daybook.RecordedChangeset) { continueStream(c, "account-1", 3, 5) },
		"a version that is taken":       func(c *daybook.RecordedChangeset) { continueStream(c, "account-1", 3, 3) },
		"a changeset number left out":   func(c *daybook.RecordedChangeset) { continueStream(c, "account-1", 4, 4) },
		"a changeset number taken":      func(c *daybook.RecordedChangeset) { continueStream(c, "account-1", 2, 4) },
	} {
		before := b.trace(daybook.Stream("account-3"), daybook.Stream("account-4"))
		bad := moved(good, end+20)
		spoil(&bad)
		first := recorded("account-4", 1, 1, end+5, 1)
		first[0].RecordedAt = b.head(daybook.Stream("account-2")).RecordedAt
		first[0].Records[0].RecordedAt = first[0].RecordedAt
		err := b.Import(s.Context(), append(first, bad))
		if !errors.Is(err, daybook.ErrRefused) {
			s.Errorf("an import with %s was answered with %v, want a refusal", what, err)
		}
		b.untouched(before, "an import with "+what)
	}
}

// continueStream makes c the changeset of a stream with a number and a first
// version.
func continueStream(c *daybook.RecordedChangeset, stream string, number daybook.ChangesetNumber, first daybook.Version) {
	c.Stream, c.Number, c.First = daybook.Stream(stream), number, first
	for i := range c.Records {
		c.Records[i].Stream, c.Records[i].Version = c.Stream, first+daybook.Version(i)
		c.Records[i].Changeset = &c.ChangesetHeader
	}
}

func checkImportAppend(s *subject) {
	b := s.book()
	some := someImport()
	b.importAll(some...)
	for _, c := range []struct {
		stream string
		expect daybook.Expect
		first  daybook.Version
		number daybook.ChangesetNumber
	}{
		{"account-1", daybook.ExpectVersion(3), 4, 3},
		{"account-2", daybook.ExpectVersion(44), 45, 7},
		{"account-2", daybook.ExpectChangeset(7), 47, 8},
		{"account-3", daybook.ExpectNone(), 1, 1},
	} {
		end := b.end()
		a := single(c.stream, c.expect, events("more", "more")...)
		receipt := b.appendAll(a)
		r := receipt.Changesets[0]
		if r.First != c.first || r.Number != c.number || r.FirstPosition <= end {
			s.Errorf("behind an import that ends at %d, an append to %s went to version %d, changeset %d, position %d; want version %d, changeset %d",
				end, c.stream, r.First, r.Number, r.FirstPosition, c.first, c.number)
		}
		s.sameRecords(b.readLog(daybook.LogRead{After: end}), want(a, receipt), "the log behind an import")
	}
	if log := b.log(); len(log) != 16 {
		s.Errorf("the log has %d records, want 16", len(log))
	}
	b.importAll(laterThan(b, "account-9", b.end()+5)...)
}

// laterThan returns a changeset of a new stream to import behind the log.
func laterThan(b *book, stream string, position daybook.Position) []daybook.RecordedChangeset {
	b.s.Helper()
	changesets := recorded(stream, 1, 1, position, 2)
	last := b.readLog(daybook.LogRead{Backwards: true, Limit: 1})
	changesets[0].RecordedAt = last[0].RecordedAt
	return changesets
}

func checkImportRepeat(s *subject) {
	b := s.book()
	some := someImport()
	both := slices.Concat(recorded("account-3", 1, 1, 2_000_000_000_000, 2), recorded("account-4", 9, 9, 2_000_000_000_100, 1))
	both[1].AppendID, both[1].RecordedAt = both[0].AppendID, both[0].RecordedAt
	b.importAll(append(some, both...)...)
	for _, imported := range [][]daybook.RecordedChangeset{some[1:2], some[2:3], both} {
		a := daybook.Append{ID: imported[0].AppendID}
		first := daybook.Receipt{AppendID: a.ID, RecordedAt: imported[0].RecordedAt}
		for _, c := range imported {
			shape := daybook.Changeset{Stream: c.Stream, Expect: daybook.ExpectNone()}
			for _, r := range c.Records {
				shape.Events = append(shape.Events, r.Event)
			}
			a.Changesets = append(a.Changesets, shape)
			first.Changesets = append(first.Changesets, daybook.ChangesetReceipt{
				Stream: c.Stream, Number: c.Number, First: c.First, Last: c.Last(),
				FirstPosition: c.Records[0].Position, LastPosition: c.Records[len(c.Records)-1].Position,
			})
		}
		if len(imported) > 1 && !s.offered(SeveralStreams) {
			continue
		}
		b.repeat(a, first, "an imported append to "+streamsOf(a))
		a.Changesets[0].Events = append(a.Changesets[0].Events, event("more"))
		var reused *daybook.ReusedIDError
		if _, err := b.AppendAll(s.Context(), a); !errors.As(err, &reused) {
			s.Errorf("an append of another shape with an imported id was answered with %v, want a *ReusedIDError", err)
		}
	}
}

func checkImportClaims(s *subject) {
	b := s.book()
	ann, bob := email("ann@example.org"), email("bob@example.org")
	one, two, three := daybook.Stream("account-1"), daybook.Stream("account-2"), daybook.Stream("account-3")
	some := slices.Concat(
		recorded("account-1", 1, 1, 10, 1), recorded("account-2", 1, 1, 20, 1),
		recorded("account-1", 2, 2, 30, 1), recorded("account-2", 2, 2, 40, 1),
	)
	some[0].Claims, some[1].Claims = ann, bob
	some[2].Releases, some[2].Claims = ann, bob // the last two are one append, a swap
	some[3].Releases, some[3].Claims = bob, ann
	some[3].AppendID, some[3].RecordedAt = some[2].AppendID, some[2].RecordedAt
	b.importAll(some...)
	b.refusedClaim(claiming(three, ann, nil), ann[0], two, "taking a claim that was imported")
	b.refusedClaim(claiming(three, bob, nil), bob[0], one, "taking a claim that was imported")
	b.appendAll(claiming(two, nil, ann))
	b.appendAll(claiming(three, ann, nil))
}

func checkImportConditions(s *subject) {
	b := s.book()
	some := someImport()
	some[2].Records[0].Tags = []string{"owner:ann"}
	b.importAll(some...)
	query := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"imported"}, Tags: []string{"owner:ann"}}}}
	b.hold(daybook.Filter{Query: query}, 1)
	_, err := b.AppendAll(s.Context(), conditional("decision-1", query, 999, event("decided")))
	var refused *daybook.ConditionError
	if !errors.As(err, &refused) || refused.Found != 1000 {
		s.Errorf("a condition that an imported record at 1000 breaks was answered with %v, want a *ConditionError that found it", err)
	}
	b.appendAll(conditional("decision-1", query, 1000, event("decided")))
}
