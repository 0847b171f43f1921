package storagetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
)

var deletePromises = []Promise{
	{
		Name: "a deleted stream is gone from every read, list and count", Feature: Deleting, check: checkDeleteWhole,
		Sentence: "What was deleted can still be read or counted, or something else went with it.",
	},
	{
		Name: "what goes are whole changesets up to a version", Feature: Deleting, check: checkDeleteThrough,
		Sentence: "More went than was asked for, or less, a changeset was cut in two, or the receipt says otherwise.",
	},
	{
		Name: "a running read shows a changeset whole or not at all", Feature: Deleting, check: checkDeleteBesideRead,
		Sentence: "A reader sees half of a changeset because the rest was deleted while it read.",
	},
	{
		Name: "a stream goes on above what was deleted", Feature: Deleting, check: checkDeleteGoesOn,
		Sentence: "A version, changeset number, position or ordinal is given a second time, so that two records have the same place.",
	},
	{
		Name: "each Expect holds exactly where it should, of what was deleted and of who deletes", Feature: Deleting, check: checkDeleteExpect,
		Sentence: "An append to a stream that was deleted, or a deletion, is made or refused against what it expects.",
	},
	{
		Name: "a repeated deletion takes nothing and is answered with the first receipt", Feature: Deleting, check: checkDeleteRepeat,
		Sentence: "A caller that lost an answer and asks again deletes what was appended since.",
	},
	{
		Name: "an append whose records were deleted stays known", Feature: Deleting, check: checkDeleteAppendID,
		Sentence: "A late repeat of an append brings back what was deleted.",
	},
	{
		Name: "deletions are recorded, in their order", Feature: Deleting, check: checkDeletions,
		Sentence: "Nobody can tell any more who deleted what, when and why.",
	},
	{
		Name: "a scrub is asked for and told", Feature: Deleting, check: checkScrub,
		Sentence: "Whoever must remove content is told that it is gone though it is not, or what was hidden before cannot be removed any more.",
	},
	{
		Name: "conditions do not see what was deleted", Feature: Deleting, needs: []Feature{Conditions}, check: checkDeleteConditions,
		Sentence: "A decision is refused because of records that nobody can read.",
	},
	{
		Name: "a reference to a deleted stream is refused", Feature: Deleting, needs: []Feature{References}, check: checkDeleteReferences,
		Sentence: "A new append refers to a stream that is not there any more.",
	},
	{
		Name: "a stream without records holds no claim, any other holds all of its own", Feature: Deleting, needs: []Feature{Claims}, check: checkDeleteClaims,
		Sentence: "A value of a deleted stream can never be taken again, or one that is still held is taken by another stream.",
	},
	{
		Name: "an import goes on above what was deleted", Feature: Deleting, needs: []Feature{Importing}, check: checkDeleteImport,
		Sentence: "An import gives versions of a deleted stream a second time.",
	},
	{
		Name: "appends and deletions have an order that explains every answer", Feature: Deleting, check: checkDeleteLinearizable,
		Sentence: "A deletion that runs beside appends takes what it did not expect, or leaves a state that never was.",
	},
	{
		Name: "every random history with deletions ends as it does in the reference", Feature: Deleting, check: checkDeleteHistories,
		Sentence: "Some series of appends and deletions is answered otherwise, or leaves another log, than the storage in memory says.",
	},
}

// delete deletes, and must succeed.
func (b *book) delete(d daybook.Deletion) daybook.DeletionReceipt {
	b.s.Helper()
	receipt, err := b.DeleteStream(b.s.Context(), d)
	if err != nil {
		b.s.Fatalf("delete from %q through %d: %v", d.Stream, d.Through, err)
	}
	return receipt
}

// deletions returns recorded deletions, and must succeed.
func (b *book) deletions(read daybook.DeletionRead) []daybook.RecordedDeletion {
	b.s.Helper()
	var all []daybook.RecordedDeletion
	for d, err := range b.ReadDeletions(b.s.Context(), read) {
		b.s.must(err, "read deletions %+v", read)
		all = append(all, d)
	}
	return all
}

// fillDeletable appends to three streams in turn, and returns the log. The
// changesets of account-1 are versions 1-2, 3 and 4-6, those of account-2 1 and
// 2-3; stream bill-1 has one, and the last record of the log.
func (b *book) fillDeletable() []daybook.Record {
	b.s.Helper()
	b.append("account-1", daybook.ExpectNone(), several(2, "opened", "red")...)
	b.append("account-2", daybook.ExpectNone(), several(1, "opened", "blue")...)
	b.append("account-1", daybook.ExpectVersion(2), several(1, "deposited", "red", "blue")...)
	b.append("account-2", daybook.ExpectVersion(1), several(2, "deposited", "red")...)
	b.append("account-1", daybook.ExpectVersion(3), several(3, "closed", "blue")...)
	b.append("bill-1", daybook.ExpectNone(), several(1, "opened", "red")...)
	return b.log()
}

// without returns the log without the records of a stream up to a version.
func without(log []daybook.Record, id daybook.StreamID, through daybook.Version) []daybook.Record {
	return slices.DeleteFunc(slices.Clone(log), func(r daybook.Record) bool { return r.Stream == id && r.Version <= through })
}

// shows reports where the store does not show exactly these records, of those
// that were ever there.
func (b *book) shows(log, ever []daybook.Record, what string) {
	b.s.Helper()
	b.s.sameRecords(b.log(), log, "the log "+what)
	backwards := slices.Clone(log)
	slices.Reverse(backwards)
	b.s.sameRecords(b.readLog(daybook.LogRead{Backwards: true}), backwards, "the log backwards "+what)
	for _, filter := range []daybook.Filter{
		{StreamTypes: []string{"account"}},
		{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"opened"}}}}},
		{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"red"}}, {Types: []string{"closed"}, Tags: []string{"blue"}}}}},
	} {
		wanted := slices.DeleteFunc(slices.Clone(log), func(r daybook.Record) bool { return !selects(filter, r) })
		b.s.sameRecords(b.readLog(daybook.LogRead{Filter: filter}), wanted, fmt.Sprintf("the log by %+v %s", filter, what))
	}
	streams, heads := map[daybook.StreamID][]daybook.Record{}, map[daybook.StreamID]daybook.Record{}
	for _, r := range ever {
		streams[r.Stream], heads[r.Stream] = nil, r
	}
	for i, r := range log {
		streams[r.Stream] = append(streams[r.Stream], r)
		b.s.sameRecords(b.readLog(daybook.LogRead{After: r.Position - 1, Limit: 2}), log[i:min(i+2, len(log))], fmt.Sprintf("the log behind %d %s", r.Position-1, what))
	}
	var listed []daybook.StreamHead
	for id, records := range streams {
		b.s.sameRecords(b.readStream(id, daybook.StreamRead{}), records, fmt.Sprintf("stream %q %s", id, what))
		slices.Reverse(records)
		b.s.sameRecords(b.readStream(id, daybook.StreamRead{Backwards: true}), records, fmt.Sprintf("stream %q backwards %s", id, what))
		last := heads[id]
		wanted := daybook.Head{Version: last.Version, Changeset: last.Changeset.Number, First: last.Version + 1, Position: last.Position, RecordedAt: last.RecordedAt}
		if n := len(records); n > 0 {
			wanted.First = records[n-1].Version
			listed = append(listed, daybook.StreamHead{Stream: id, Head: wanted})
		}
		if head := b.head(id); head != wanted || head.Exists() != (len(records) > 0) {
			b.s.Errorf("%s the head of %q is %+v, want %+v", what, id, head, wanted)
		}
	}
	b.counts(log, ever, listed, what)
}

// counts reports where the list, the statistics and the end do not agree with
// the records that are left.
func (b *book) counts(log, ever []daybook.Record, listed []daybook.StreamHead, what string) {
	b.s.Helper()
	end := ever[len(ever)-1]
	if told := b.end(); told != end.Position {
		b.s.Errorf("%s the log ends at %d, want %d, where the last record ever stood", what, told, end.Position)
	}
	if b.s.offered(ListingStreams) {
		slices.SortFunc(listed, func(x, y daybook.StreamHead) int { return x.Stream.Compare(y.Stream) })
		b.s.sameHeads(b.list(daybook.StreamList{}), listed, "the list of streams "+what)
	}
	if b.s.offered(Statistics) {
		stats := b.stats()
		wanted := count(log, false)
		wanted.LastPosition, wanted.LastOrdinal, stats.Bytes = end.Position, end.Changeset.Ordinal, 0
		if stats != wanted {
			b.s.Errorf("%s the statistics are %+v, want %+v", what, stats, wanted)
		}
	}
}

func checkDeleteWhole(s *subject) {
	for _, id := range []daybook.StreamID{daybook.Stream("account-1"), daybook.Stream("account-2"), daybook.Stream("bill-1")} {
		b := s.book()
		log := b.fillDeletable()
		receipt := b.delete(daybook.Deletion{Stream: id, Expect: daybook.ExpectExists()})
		left := without(log, id, receipt.Through)
		b.shows(left, log, fmt.Sprintf("after %q was deleted", id))
		if receipt.Records != int64(len(log)-len(left)) || receipt.Stream != id || receipt.Number != 1 || receipt.Repeated || receipt.Durability == 0 {
			s.Errorf("the receipt of deleting %q is %+v, %d records went", id, receipt, len(log)-len(left))
		}
		if last := log[len(log)-1]; receipt.RecordedAt.Before(last.RecordedAt) {
			s.Errorf("the deletion was recorded at %v, the last record before it at %v", receipt.RecordedAt, last.RecordedAt)
		}
		b.append("bill-2", daybook.ExpectNone(), events("opened")...)
		if last := b.readLog(daybook.LogRead{Backwards: true, Limit: 1}); last[0].RecordedAt.Before(receipt.RecordedAt) {
			s.Errorf("a record behind the deletion was recorded at %v, the deletion at %v", last[0].RecordedAt, receipt.RecordedAt)
		}
	}
	b := s.book()
	log := b.fillDeletable()
	for _, name := range []string{"account-2", "bill-1", "account-1"} {
		b.delete(daybook.Deletion{Stream: daybook.Stream(name)})
	}
	b.shows(nil, log, "after all was deleted")
}

func checkDeleteThrough(s *subject) {
	id := daybook.Stream("account-1")
	for _, c := range []struct {
		through, gone       daybook.Version
		changesets, records int64
	}{
		{1, 0, 0, 0}, {2, 2, 1, 2}, {3, 3, 2, 3}, {4, 3, 2, 3}, {5, 3, 2, 3}, {6, 6, 3, 6}, {7, 6, 3, 6}, {1 << 40, 6, 3, 6}, {0, 6, 3, 6},
	} {
		b := s.book()
		log := b.fillDeletable()
		what := fmt.Sprintf("after a deletion through version %d of 6", c.through)
		receipt := b.delete(daybook.Deletion{Stream: id, Through: c.through})
		if receipt.Through != c.gone || receipt.Changesets != c.changesets || receipt.Records != c.records {
			s.Errorf("%s the receipt says %+v, want through %d, %d changesets, %d records", what, receipt, c.gone, c.changesets, c.records)
		}
		b.shows(without(log, id, c.gone), log, what)
		again := b.delete(daybook.Deletion{Stream: id, Through: 3})
		if again.Through != max(c.gone, 3) || again.Records != max(0, 3-c.records) || again.Number != 2 {
			s.Errorf("%s a second one through 3 says %+v", what, again)
		}
		b.shows(without(log, id, max(c.gone, 3)), log, what+", and one through 3,")
	}
}

func checkDeleteBesideRead(s *subject) {
	id := daybook.Stream("account-1")
	for _, place := range []daybook.Version{1, 4, 5} {
		for _, read := range []string{"log", "log backwards", "stream"} {
			b := s.book()
			b.fillDeletable()
			records := b.ReadStream(s.Context(), id, daybook.StreamRead{})
			if read != "stream" {
				records = b.ReadLog(s.Context(), daybook.LogRead{Backwards: read == "log backwards"})
			}
			seen := map[daybook.ChangesetNumber]int{}
			counts := map[daybook.ChangesetNumber]int{}
			for r, err := range records {
				s.must(err, "read the %s while %q is deleted", read, id)
				if r.Stream != id {
					continue
				}
				if r.Version == place {
					b.delete(daybook.Deletion{Stream: id})
				}
				seen[r.Changeset.Number]++
				counts[r.Changeset.Number] = r.Changeset.Count
			}
			for number, n := range seen {
				if n != counts[number] {
					s.Errorf("a read of the %s during which %q was deleted, at version %d, shows %d of %d records of changeset %d", read, id, place, n, counts[number], number)
				}
			}
		}
	}
}

func checkDeleteGoesOn(s *subject) {
	for _, through := range []daybook.Version{0, 3} {
		for _, name := range []string{"account-1", "bill-1"} {
			b := s.book()
			log := b.fillDeletable()
			id, last := daybook.Stream(name), log[len(log)-1]
			head := b.head(id)
			gone := b.delete(daybook.Deletion{Stream: id, Through: through}).Through
			for range 2 {
				a := single(name, daybook.ExpectVersion(head.Version), several(2, "opened", "red")...)
				receipt := b.appendAll(a)
				c := receipt.Changesets[0]
				if c.First != head.Version+1 || c.Number != head.Changeset+1 || c.FirstPosition <= last.Position || last.Changeset.Ordinal != 0 && c.Ordinal != last.Changeset.Ordinal+1 {
					s.Errorf("an append to %q, deleted through %d of %+v in a log up to %s, went to %+v", id, through, head, place(last), c)
				}
				log = append(log, want(a, receipt)...)
				log[len(log)-2].Position = c.FirstPosition
				head, last = b.head(id), log[len(log)-1]
			}
			b.shows(without(log, id, gone), log, fmt.Sprintf("after %q was deleted through %d and went on", id, through))
		}
	}
}

// deleteCases say which Expect holds of account-1 after a deletion through a
// version of its 6, in 3 changesets.
var deleteCases = []struct {
	through daybook.Version
	expect  daybook.Expect
	holds   bool
}{
	{3, daybook.ExpectAny(), true},
	{3, daybook.ExpectNone(), false},
	{3, daybook.ExpectExists(), true},
	{3, daybook.ExpectVersion(6), true},
	{3, daybook.ExpectVersion(3), false},
	{3, daybook.ExpectChangeset(3), true},
	{3, daybook.ExpectChangeset(2), false},
	{3, daybook.ExpectChangeset(1), false},
	{6, daybook.ExpectAny(), true},
	{6, daybook.ExpectNone(), true},
	{6, daybook.ExpectExists(), false},
	{6, daybook.ExpectVersion(6), true},
	{6, daybook.ExpectVersion(5), false},
	{6, daybook.ExpectVersion(7), false},
	{6, daybook.ExpectChangeset(3), true},
	{6, daybook.ExpectChangeset(2), false},
}

func checkDeleteExpect(s *subject) {
	id := daybook.Stream("account-1")
	for _, c := range deleteCases {
		for _, deletes := range []bool{false, true} {
			b := s.book()
			b.fillDeletable()
			b.delete(daybook.Deletion{Stream: id, Through: c.through})
			before, head := b.trace(id), b.head(id)
			var err error
			what := fmt.Sprintf("of a stream of 6 versions without the first %d, an append that expects %s", c.through, c.expect)
			if deletes {
				what = fmt.Sprintf("of a stream of 6 versions without the first %d, a deletion that expects %s", c.through, c.expect)
				_, err = b.DeleteStream(s.Context(), daybook.Deletion{Stream: id, Expect: c.expect})
			} else {
				_, err = b.Append(s.Context(), id, c.expect, events("more")...)
			}
			if c.holds {
				if err != nil {
					s.Errorf("%s: %v", what, err)
				}
				continue
			}
			b.untouched(before, what)
			var conflict *daybook.ConflictError
			if !errors.As(err, &conflict) || conflict.Found != head || conflict.Stream != id || conflict.Expect != c.expect {
				s.Errorf("%s was answered with %+v, want a *ConflictError that found %+v", what, err, head)
			}
			if n := len(b.deletions(daybook.DeletionRead{})); n != 1 {
				s.Errorf("%s has left %d recorded deletions, want 1", what, n)
			}
		}
	}
	b := s.book()
	for _, expect := range []daybook.Expect{daybook.ExpectAny(), daybook.ExpectNone()} {
		if receipt := b.delete(daybook.Deletion{Stream: id, Expect: expect}); receipt.Through != 0 || receipt.Records != 0 || receipt.Changesets != 0 {
			s.Errorf("deleting a stream that never was says %+v", receipt)
		}
	}
	if _, err := b.DeleteStream(s.Context(), daybook.Deletion{Stream: id, Expect: daybook.ExpectExists()}); !errors.Is(err, daybook.ErrConflict) {
		s.Errorf("deleting a stream that never was, though it is expected, was answered with %v, want a conflict", err)
	}
}
