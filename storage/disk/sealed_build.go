package disk

import (
	"errors"
	"io"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// build makes the index of a segment, which must not change any more: of a part
// of the index in memory that tells of all of it; without one, of what it
// holds. All segments before it must be covered.
func (x *sealed) build(s *segment, p *part) (*sealedRow, error) {
	if p == nil {
		var err error
		if p, err = x.read(s, nil); err != nil {
			return nil, err
		}
	}
	return x.writePart(s, p)
}

func (x *sealed) writePart(s *segment, p *part) (*sealedRow, error) {
	return x.write([]*segment{s}, func(to io.Writer) (int64, error) { return p.write(to, x.store, s) })
}

// read reads a segment, and returns what the index would have in memory of it.
// Before are the indexes of the segments before it that are not used yet.
func (x *sealed) read(s *segment, before []*sealedRow) (*part, error) {
	return x.readPaced(s, before, unpaced)
}

// unpaced is for who has nothing to say about how fast something goes.
func unpaced(int64) error { return nil }

// readPaced is read, and tells of each frame how many bytes it has. An error ends
// it.
func (x *sealed) readPaced(s *segment, before []*sealedRow, pace func(bytes int64) error) (*part, error) {
	p := newPart(s.number)
	err := x.log.readPart(p, s, segmentHeaderSize, s.end, func(id daybook.StreamID) (daybook.Head, error) {
		return x.headBefore(id, s.number, before)
	}, pace)
	if err == nil {
		err = x.failure()
	}
	return p, err
}

// readPart reads a piece of a segment into an empty part, which needs to know
// where the streams end before it. It tells of each frame how many bytes it has.
func (l *log) readPart(p *part, s *segment, from, end int64, headBefore func(daybook.StreamID) (daybook.Head, error), pace func(bytes int64) error) error {
	var held []*summary // of the append that is not whole yet
	_, err := l.reader(s, end, scanChunk).walk(from, func(f *frame) error {
		next, ok := summarise(f, s.number)
		if !ok {
			return &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error(), sound: true}
		}
		if err := pace(f.size()); err != nil {
			return err
		}
		if next.isOther() {
			p.addOther(next)
			return nil
		}
		if held = append(held, next); f.more() {
			return nil
		}
		err := p.take(held, func(first *summary) (daybook.Head, error) { return headBefore(first.stream) })
		held = held[:0]
		return err
	})
	if fault, ok := errors.AsType[*frameError](err); ok {
		err = &daybook.CorruptError{
			File: s.name, Offset: fault.offset, Position: max(fault.position, s.header.first), Reason: fault.reason,
		}
	}
	return err
}

// take takes in appends, whole. It asks where a stream ended before a changeset
// of it, the first in the segment.
func (p *part) take(summaries []*summary, before func(*summary) (daybook.Head, error)) error {
	for i, summary := range summaries {
		if i == 0 || summary.appendID != summaries[i-1].appendID {
			p.addAppend(summary)
		}
		st, made := p.streams.get(summary.stream)
		if made {
			head, err := before(summary)
			if err != nil {
				return err
			}
			st.end = endOf(head)
		}
		p.add(st, summary)
	}
	for one := range byAppend(summaries) {
		p.settle(one, func(claimKey) {})
	}
	return nil
}

// headBefore returns where a stream ends below a segment: by indexes that are
// not used yet, or those that are and stand before them.
func (x *sealed) headBefore(id daybook.StreamID, segment int, before []*sealedRow) (daybook.Head, error) {
	for _, r := range slices.Backward(before) {
		if head, found, err := r.Head(id); found || err != nil {
			return head, err
		}
	}
	return x.headBelow(id, segment-len(before)), nil
}

// rebuild makes the index of a row anew, from its segments, unless somebody
// else has: one index of each segment, which is also how one is taken apart. An
// error of pace, which is told how many bytes were read, ends it.
func (x *sealed) rebuild(row *sealedRow, pace func(bytes int64) error) (err error) {
	row.again.Lock()
	defer row.again.Unlock()
	if !x.has(row) {
		return nil
	}
	var rows []*sealedRow
	for _, s := range row.span {
		var p *part
		p, err = x.readPaced(s, rows, pace)
		var again *sealedRow
		if err == nil {
			again, err = x.writePart(s, p)
		}
		if err != nil {
			break
		}
		again.part = row.part
		rows = append(rows, again)
	}
	if err == nil {
		err = x.replaceRow(row, rows...)
	}
	if err != nil {
		for _, r := range rows {
			x.leave(true, r.name)
		}
		if !x.has(row) {
			err = nil // another has come in its place, or its segments were compacted
		}
		return errors.Join(err, closeRows(rows))
	}
	if len(rows) > 1 {
		return x.remove(row.name)
	}
	return nil
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
	as := last.asItIs()
	row, err := x.build(as, x.log.index.partOf(as))
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

// merge makes one index of several where that is due, and nobody works on them. It
// reports whether it did.
func (x *sealed) merge() (bool, error) {
	if !x.making.TryLock() {
		return false, nil
	}
	defer x.making.Unlock()
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
	if err != nil {
		x.leave(true, merged.name)
		return false, errors.Join(err, merged.close())
	}
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
