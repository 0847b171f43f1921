package disk

import (
	"github.com/daybook-go/daybook"
)

// selected yields what the read asks for from the frames of the records that
// the index selects.
func (r *logReader) selected(of *selector) bool {
	after, to := r.read.After, r.top()
	if i, nth, ok := r.extent.find(after + 1); ok && !of.byQuery() {
		// A changeset is selected by its first record; others may stand above.
		after = min(after, r.extent.marksOf(i).At(nth).Position-1)
	}
	var next int64                 // where the frame behind the one that was read begins
	var low, high daybook.Position // what was read of
	for position := range r.log.selected(of, after, to, r.backwards) {
		if low <= position && position <= high {
			continue
		}
		if !r.follows(position, next) {
			if err := r.find(position, next); err != nil {
				return r.failReading(err)
			}
		}
		if !r.one() {
			return false
		}
		if r.ended {
			break
		}
		next, low, high = r.frame.offset+r.frame.size(), r.frame.position, max(r.parts.lastPosition(), position)
	}
	if err := r.log.index.sealed.failure(); err != nil {
		return r.fail(err)
	}
	return true
}

// follows reads the frame at an offset, if it has been fetched and the record at
// the position is its first. It reports whether it has: records that are
// selected often follow each other.
func (r *logReader) follows(position daybook.Position, behind int64) bool {
	if r.backwards || behind < r.reader.start || behind == 0 {
		return false
	}
	window := r.reader.window
	at := behind - r.reader.start
	if at+frameHeaderSize > int64(len(window)) {
		return false
	}
	size, first := peekFrameHeader(window[at:])
	if first != position || at+size > int64(len(window)) {
		return false
	}
	return r.reader.read(&r.frame, behind) == nil && r.holds(position)
}

// find reads the frame of the record at a position. Forwards, it begins at an
// offset that is known to lie behind the frames before it.
func (r *logReader) find(position daybook.Position, behind int64) error {
	i, nth, _ := r.extent.find(position)
	marks := r.extent.marksOf(i)
	first := marks.At(nth).Offset
	from := first
	if i == r.at && !r.backwards {
		from = max(from, behind)
	}
	r.use(i, leastChunk, 0)
	until := r.markEnd(marks, nth)
	if from < r.reader.start || until > r.reader.start+int64(len(r.reader.window)) {
		r.coverSelected(from, until)
	}
	if err := r.reader.read(&r.frame, r.reader.hop(from, until, position)); err == nil && r.holds(position) {
		return nil
	}
	// A length on the way may be damaged: look again, and check each.
	for offset := first; offset < until; offset += r.frame.size() {
		if err := r.reader.read(&r.frame, offset); err != nil {
			return err
		}
		if r.holds(position) {
			return nil
		}
	}
	return &frameError{offset: first, position: position, reason: "the record that was indexed is not there"}
}

// holds reports whether the frame that was read holds the position.
func (r *logReader) holds(position daybook.Position) bool {
	f, c := &r.frame, &r.parts
	if position < f.position || !c.begin(f) {
		return false
	}
	if f.flags&flagGaps == 0 {
		return position < f.position+daybook.Position(f.count)
	}
	_, ok := c.decode(&r.memory)
	return ok && position <= c.lastPosition()
}

// coverSelected makes the window hold what stands between two offsets. Where
// reads follow each other closely, it reads on.
func (r *logReader) coverSelected(from, until int64) {
	near := from >= r.reader.start && from <= r.reader.start+int64(len(r.reader.window))
	if near && !r.backwards && len(r.reader.window) > 0 {
		r.reader.chunk = min(2*r.reader.chunk, mostChunk)
	} else {
		r.reader.chunk = leastChunk
	}
	size := until - from
	if near {
		size = max(size, r.reader.chunk)
	}
	r.reader.cover(from, from+min(size, 2*mostChunk))
}
