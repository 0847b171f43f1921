package disk

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// deletions is what a part of the index knows of the deletions in its segment.
type deletions struct {
	made   []*deletion // by number
	ids    map[daybook.ID]*deletion
	hidden map[daybook.StreamID]logindex.Hiding
}

// hides returns what a deletion hides.
func (d *deletion) hides() (h logindex.Hiding) {
	if d.Receipt.Changesets > 0 {
		h.Through = d.Receipt.Through
	}
	if d.emptied {
		h.Emptied = d.Receipt.Through
	}
	return h
}

// addOther takes in what is not a changeset.
func (p *part) addOther(s *summary) {
	first := s.firstPosition()
	if p.first == 0 {
		p.begin, p.first, p.last = s.place, first, first-1
	}
	p.newest = s.place
	t := &p.totals
	t.LastOrdinal, t.LastRecorded = s.ordinal, s.recorded
	switch {
	case s.kind == kindScrubbed:
		t.Scrubbed = daybook.DeletionNumber(s.number)
	case s.deletion != nil:
		p.addDeletion(s.deletion, first-1)
	}
}

func (p *part) addDeletion(d *deletion, below daybook.Position) {
	if p.ids == nil {
		p.ids, p.hidden = map[daybook.ID]*deletion{}, map[daybook.StreamID]logindex.Hiding{}
	}
	p.made, p.ids[d.ID] = append(p.made, d), d
	if h := d.hides(); h != (logindex.Hiding{}) {
		all := p.hidden[d.Stream]
		all.Add(h)
		p.hidden[d.Stream] = all
	}
	t := &p.totals
	t.DeletedChangesets += d.Receipt.Changesets
	t.DeletedRecords += d.Receipt.Records
	t.LastDeletion, t.DeletedBelow = d.Receipt.Number, below
	if d.emptied {
		t.EmptiedStreams++
		t.LastEmptying = d.Receipt.Number
	}
}

// tellsMore reports whether a part tells of more than what stands before a place.
// A note that scrubs are done moves nothing else on.
func (p *part) tellsMore(end place) bool { return p.newest >= end }

// write writes the deletions into an index file.
func (p *deletions) write(w *logindex.Writer) {
	var told []byte
	for _, d := range p.made {
		told = d.tell(told[:0])
		w.Deletion(d.Receipt.Number, told)
	}
	byID := slices.SortedFunc(maps.Values(p.ids), func(a, b *deletion) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for _, d := range byID {
		w.DeletionID(d.ID, d.Receipt.Number)
	}
}

func (p *deletions) writeHidings(w *logindex.Writer) {
	for _, id := range slices.SortedFunc(maps.Keys(p.hidden), daybook.StreamID.Compare) {
		w.Hiding(id, p.hidden[id])
	}
}

// hiddenHiding is what a deletion hides that is not shown yet.
type hiddenHiding struct {
	number daybook.DeletionNumber
	stream daybook.StreamID
	hiding logindex.Hiding
}

// addOther takes in what is not a changeset. Readers see it when it is shown.
func (x *index) addOther(s *summary) {
	x.at(s.place.segment()).addOther(s)
	t := &x.tally
	t.latest = s.recorded
	switch d := s.deletion; {
	case s.kind == kindScrubbed:
		t.scrubbed = daybook.DeletionNumber(s.number)
	case d != nil:
		t.deletions = d.Receipt.Number
		t.changesets -= d.Receipt.Changesets
		t.records -= d.Receipt.Records
		if d.emptied {
			t.streams--
			x.emptied(d)
		}
		x.hidings.add(d.Stream, d.hides(), s.firstPosition()-1)
		x.hiddenHiding = append(x.hiddenHiding, hiddenHiding{d.Receipt.Number, d.Stream, d.hides()})
	}
}

// emptied takes in that a stream has no records any more. If it may have had the
// highest number of a changeset, the longest of the others is looked for when
// somebody asks.
func (x *index) emptied(d *deletion) {
	if head := x.head(d.Stream); head.Changeset >= x.tally.longest {
		x.emptying, x.tally.longest = d.Receipt.Number, 0
	}
}

// showHidings hides from readers what deletions took that are shown.
func (x *index) showHidings() {
	n := 0
	for n < len(x.hiddenHiding) && x.hiddenHiding[n].number <= x.shown.deletions {
		x.hidings.show(x.hiddenHiding[n].stream, x.hiddenHiding[n].hiding)
		n++
	}
	x.hiddenHiding = slices.Delete(x.hiddenHiding, 0, n)
}

// refusesOther is refuses for what is not a changeset.
func (f *succession) refusesOther(s *summary) (reason string) {
	switch {
	case s.firstPosition() <= f.last:
		return fmt.Sprintf("position %d does not lie above %d", s.firstPosition(), f.last)
	case s.recorded.Before(f.latest):
		return "the recorded time falls"
	case s.deletion != nil && s.deletion.Receipt.Number != f.deletions+1:
		return fmt.Sprintf("deletion %d does not follow deletion %d", s.deletion.Receipt.Number, f.deletions)
	case s.deletion != nil:
		f.deletions++
	}
	f.latest = s.recorded
	return ""
}

// deletionOf returns the deletion with an id, among all that is decided; nil if
// there is none.
func (x *index) deletionOf(id daybook.ID) *deletion {
	for _, p := range x.parts {
		if d := p.ids[id]; d != nil {
			return d
		}
	}
	return x.sealed.deletionOf(id)
}

// recentDeletions returns the deletions behind a number that the parts in memory
// have and that are shown, in order.
func (x *index) recentDeletions(after daybook.DeletionNumber) (recent []*deletion) {
	for _, p := range x.parts {
		for _, d := range p.made {
			if d.Receipt.Number > after && d.Receipt.Number <= x.shown.deletions {
				recent = append(recent, d)
			}
		}
	}
	return recent
}

// deletionOf returns the deletion with an id; nil if there is none.
func (x *sealed) deletionOf(id daybook.ID) (found *deletion) {
	x.each(true, func(r *sealedRow) (bool, error) {
		number, ok, err := r.DeletionNumber(id)
		if !ok || err != nil {
			return false, err
		}
		for told, err := range r.Deletions(number - 1) {
			if err == nil {
				found, err = toldDeletion(told)
			}
			return true, err
		}
		return false, fmt.Errorf("%w: deletion %d is missing", logindex.ErrDamaged, number)
	})
	return found
}

// deletionsPage is how many deletions are read from index files at once.
const deletionsPage = 256

// deletions returns the first deletions behind a number.
func (x *sealed) deletions(after daybook.DeletionNumber) (page []*deletion) {
	x.each(false, func(r *sealedRow) (full bool, err error) {
		if r == x.rows[0] {
			page = page[:0] // also if an earlier round met a damaged row
		}
		for told, err := range r.Deletions(after) {
			if err != nil {
				return false, err
			}
			d, err := toldDeletion(told)
			if err != nil {
				return false, fmt.Errorf("%w: %w", logindex.ErrDamaged, err)
			}
			if page = append(page, d); len(page) == deletionsPage {
				return true, nil
			}
		}
		return false, nil
	})
	return page
}

// readHidings reads what the deletions of an index have hidden.
func (r *sealedRow) readHidings() (err error) {
	for h, err := range r.Hidings() {
		if err != nil {
			return err
		}
		r.hidings = append(r.hidings, h)
	}
	return nil
}

// adoptHidings takes in, decided and shown, what an index tells of deletions.
func (x *index) adoptHidings(r *sealedRow) {
	below := r.Totals().DeletedBelow
	for _, h := range r.hidings {
		x.hidings.add(h.Stream, h.Hiding, below)
		x.hidings.show(h.Stream, h.Hiding)
	}
	x.hidings.add(daybook.StreamID{}, logindex.Hiding{}, below)
	r.hidings = nil
}

// tallyOf returns what stands in the log up to the end of index files.
func tallyOf(t logindex.Totals) tally {
	of := tally{
		last: t.LastPosition, ordinal: t.LastOrdinal, latest: t.LastRecorded, streams: t.Streams - t.EmptiedStreams,
		changesets: t.Changesets - t.DeletedChangesets, records: t.Records - t.DeletedRecords, longest: t.LongestStream,
		deletions: t.LastDeletion, emptying: t.LastEmptying, scrubbed: t.Scrubbed,
	}
	if of.emptying > 0 {
		of.longest = 0
	}
	return of
}

// isBehind reports whether less stands in the log than up to the end of index
// files.
func (t *tally) isBehind(totals logindex.Totals) bool {
	return cmp.Or(cmp.Compare(t.last, totals.LastPosition), cmp.Compare(t.deletions, totals.LastDeletion), cmp.Compare(t.scrubbed, totals.Scrubbed)) < 0
}

// walkedLongest is the highest changeset number of the streams that had records
// when a deletion was shown, found by a look at all of them. It holds for as long as
// the changesets behind that deletion are counted one by one.
type walkedLongest struct {
	walkedAt
	longest daybook.ChangesetNumber
}

type walkedAt struct {
	emptying  daybook.DeletionNumber
	adoptions int
}

func (x *index) walkAt() walkedAt { return walkedAt{x.shown.emptying, x.adoptions} }
