package disk

import (
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// build makes the index of some neighbouring sealed segments from what they
// hold. All segments before them must be covered.
func (x *sealed) build(span []*segment) (*sealedRow, error) {
	b := logindex.NewBuilder(x.store)
	since := map[daybook.StreamID]daybook.Version{}
	for i, s := range span {
		marks := make([]logindex.Mark, 0, len(s.marks))
		for _, m := range s.marks {
			marks = append(marks, logindex.Mark{Position: m.position, Offset: m.offset})
		}
		b.Segment(logindex.Segment{First: s.header.first, Bytes: s.end, Seed: s.seed, Marks: marks})
		if err := x.buildSegment(b, s, i, marks, since); err != nil {
			return nil, err
		}
	}
	if err := x.failure(); err != nil {
		return nil, err
	}
	return x.write(span, b.WriteTo)
}

// buildSegment adds what a segment holds, as the ith of an index, and completes
// its marks.
func (x *sealed) buildSegment(b *logindex.Builder, s *segment, i int, marks []logindex.Mark, since map[daybook.StreamID]daybook.Version) error {
	var held []logindex.Changeset
	_, err := x.log.reader(s, s.end, scanChunk).walk(segmentHeaderSize, func(f *frame) error {
		summary, ok := summarise(f, s.number)
		if !ok {
			return &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error(), sound: true}
		}
		c := summary.indexed(i)
		if len(marks) > 0 && marks[0].Offset == f.offset {
			marks[0].RecordedAt, marks = c.RecordedAt, marks[1:]
		}
		begun, known := since[c.Stream]
		if !known {
			head := x.headBelow(c.Stream, s.number-i)
			if begun = head.First; !head.Exists() {
				begun = c.First
			}
			since[c.Stream] = begun
		}
		c.Since = begun
		held = append(held, c)
		if !f.more() {
			b.Add(held)
			held = held[:0]
		}
		return nil
	})
	var fault *frameError
	if errors.As(err, &fault) {
		return &daybook.CorruptError{
			File: s.name, Offset: fault.offset, Position: max(fault.position, s.header.first), Reason: fault.reason,
		}
	}
	return err
}

// indexed returns what an index in which the segment is the ith learns of the
// changeset.
func (s *summary) indexed(i int) logindex.Changeset {
	c := logindex.Changeset{
		Place: logindex.PlaceOf(i, s.place.offset()), Stream: s.stream, AppendID: s.appendID, Number: s.number,
		Ordinal: s.ordinal, First: s.first, RecordedAt: s.recorded, Claims: s.claims, Releases: s.releases,
		Records: make([]logindex.Record, len(s.selectors)),
	}
	for j := range s.selectors {
		r := &s.selectors[j]
		c.Records[j] = logindex.Record{Position: r.position, Type: r.eventType, Tags: r.tags}
	}
	return c
}

// rebuild makes the index of a row anew, from its segments, unless somebody
// else has.
func (x *sealed) rebuild(row *sealedRow) error {
	row.again.Lock()
	defer row.again.Unlock()
	x.mu.RLock()
	there := slices.Contains(x.rows, row)
	x.mu.RUnlock()
	if !there {
		return nil
	}
	again, err := x.build(row.span)
	if err != nil {
		return err
	}
	again.part = row.part
	_, err = x.replace(again)
	return err
}

// partAfter is how much of the last segment must be new for its index to be
// made when the store is closed: less is read faster than a file is made.
const partAfter = 1 << 20

// buildPart makes the index of what the last segment holds when the store is
// closed, so that the next opening need not read it.
func (x *sealed) buildPart(last *segment, least int64) error {
	x.mu.RLock()
	have := int64(segmentHeaderSize)
	if n := len(x.rows); n > 0 && x.rows[n-1].part {
		have = x.rows[n-1].span[0].end
	}
	x.mu.RUnlock()
	if x.next() != last.number || last.end-have < least {
		return nil
	}
	row, err := x.build([]*segment{last.asItIs()})
	if err != nil {
		return err
	}
	row.part = true
	return x.add(row)
}

// asItIs returns the segment as it is now, for what must not see it grow.
func (s *segment) asItIs() *segment {
	is := &segment{number: s.number, name: s.name, seed: s.seed, header: s.header, end: s.end, marks: s.marks}
	is.written.Store(s.end)
	return is
}

// mergeWidth is how many indexes of about one size are made into one. A record
// is then written again once for each power of it, and a lookup asks less than
// mergeWidth indexes for each.
const mergeWidth = 4

// merge makes one index of several where that is due. It reports whether it
// did.
func (x *sealed) merge() (bool, error) {
	x.mu.RLock()
	from, due := dueForMerge(x.rows)
	if !due {
		x.mu.RUnlock()
		return false, nil
	}
	rows := append([]*sealedRow(nil), x.rows[from:from+mergeWidth]...)
	x.mu.RUnlock()
	// Rows are closed by who merges, or builds one anew because it is damaged:
	// then this merge fails, and the next does not.
	var span []*segment
	runs := make([]*logindex.Run, len(rows))
	for i := range rows {
		runs[i], span = rows[i].Run, append(span, rows[i].span...)
	}
	merged, err := x.write(span, func(w io.Writer) (int64, error) {
		return logindex.Merge(w, rows[0].first == 0, runs...)
	})
	if err != nil {
		return false, err
	}
	old, err := x.replace(merged)
	for _, row := range old {
		err = errors.Join(err, x.remove(row.name))
	}
	return err == nil, err
}

// dueForMerge returns the first of mergeWidth neighbours of one tier. The
// oldest come first, so that tiers never rise from the oldest to the newest.
func dueForMerge(rows []*sealedRow) (from int, due bool) {
	same, tier := 0, -1
	for i := range rows {
		if rows[i].part {
			break
		}
		t := 0
		for n := len(rows[i].span); n >= mergeWidth; n /= mergeWidth {
			t++
		}
		if t != tier {
			same, tier = 0, t
		}
		if same++; same == mergeWidth {
			return i - mergeWidth + 1, true
		}
	}
	return 0, false
}

// remove removes a file that another has replaced. One that is still there
// when the store is opened next is removed then.
func (x *sealed) remove(name string) error {
	if name == "" {
		return nil
	}
	if err := x.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
