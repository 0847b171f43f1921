package disk

import (
	"context"
	"iter"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// How much of the log is read at once: little for a read that may want little,
// more the longer it goes on.
const (
	leastChunk = 16 << 10
	mostChunk  = 256 << 10
)

// ReadLog implements daybook.Driver.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		if d.watch == nil {
			d.log.read(ctx, read, yield)
			return
		}
		left := read
		d.readOn(yield, func(l *log, yield func(daybook.Record, error) bool) { l.read(ctx, left, yield) }, func(last daybook.Record, n int) bool {
			if left.Limit > 0 {
				left.Limit -= n
			}
			if left.Backwards {
				left.To = last.Position - 1
				return left.To > left.After
			}
			left.After = last.Position
			return true
		})
	}
}

// read yields what a read of the log asks for.
func (l *log) read(ctx context.Context, read daybook.LogRead, yield func(daybook.Record, error) bool) {
	r := logReader{recordReader: newRecordReader(ctx, yield, read.Limit, read.Backwards, read.Borrow), read: read}
	defer r.release()
	e, err := l.extent()
	if err != nil {
		r.fail(err)
		return
	}
	r.log, r.extent = l, &e
	hidden := e.damage != nil && (read.To == 0 || read.To > e.last)
	if hidden && read.Backwards {
		r.fail(e.damage)
		return
	}
	if r.walk() && hidden && !r.ended {
		r.fail(e.damage)
	}
}

// logReader yields records of the log.
type logReader struct {
	recordReader
	read    daybook.LogRead
	ended   bool    // read.To or read.Until was reached
	offsets []int64 // of frames that are read backwards
}

// walk yields what the read asks for, by the shortest way. It reports whether
// to go on.
func (r *logReader) walk() bool {
	of, selectable := selectorOf(&r.read.Filter)
	switch {
	case selectable:
		return r.selected(&of)
	case r.read.Backwards:
		return r.backward()
	default:
		return r.forward()
	}
}

// forward yields what the read asks for from frame to frame.
func (r *logReader) forward() bool {
	from, nth, ok := r.extent.find(r.read.After + 1)
	if !ok {
		return true
	}
	offset := r.extent.marksOf(from).At(nth).Offset
	for i := from; i < len(r.extent.segments); i++ {
		r.use(i, leastChunk, mostChunk)
		for offset < r.reader.limit && !r.ended {
			if err := r.reader.take(&r.frame, offset); err != nil {
				return r.failReading(err)
			}
			offset += r.frame.size()
			if !r.one() {
				return false
			}
		}
		offset = segmentHeaderSize
	}
	return true
}

// top returns the highest position that the read can want, as far as marks tell.
func (r *logReader) top() daybook.Position {
	to := r.extent.last
	if r.read.To > 0 {
		to = min(to, r.read.To)
	}
	if r.backwards && !r.read.Until.IsZero() {
		to = min(to, r.extent.recordedUpTo(r.read.Until))
	}
	return to
}

// backward yields what the read asks for, from the highest position down. It
// reads from mark to mark, since frames can only be found forwards.
func (r *logReader) backward() bool {
	i, nth, ok := r.extent.find(r.top())
	if !ok {
		return true
	}
	ahead := 1 // how many marks are read at once
	for ; i >= 0; i-- {
		marks := r.extent.marksOf(i)
		if nth < 0 {
			nth = marks.Len() - 1
		}
		r.use(i, leastChunk, 0)
		for ; nth >= 0; nth-- {
			until := r.markEnd(marks, nth)
			if from := marks.At(nth).Offset; from < r.reader.start || len(r.reader.window) == 0 {
				r.coverMarks(marks, max(0, nth+1-ahead), nth)
				ahead = min(2*ahead, mostChunk/markEvery)
			}
			if !r.between(marks.At(nth).Offset, until) {
				return false
			}
			if marks.At(nth).Position <= r.read.After {
				return true
			}
		}
	}
	return true
}

// markEnd returns where the frames of a mark end.
func (r *logReader) markEnd(marks *logindex.Marks, nth int) int64 {
	if nth+1 < marks.Len() {
		return marks.At(nth + 1).Offset
	}
	return r.reader.limit
}

// coverMarks makes the window hold the frames of some marks, the first of them
// only as far as they are not too large.
func (r *logReader) coverMarks(marks *logindex.Marks, from, to int) {
	end := r.markEnd(marks, to)
	for from < to && end-marks.At(from).Offset > 2*mostChunk {
		from++
	}
	r.reader.cover(marks.At(from).Offset, min(end, marks.At(from).Offset+2*mostChunk))
}

// between yields backwards what stands between two offsets of a segment.
func (r *logReader) between(from, until int64) bool {
	r.offsets = r.offsets[:0]
	for offset := from; offset < until; {
		if err := r.reader.skim(&r.frame, offset); err != nil {
			return r.failReading(err)
		}
		r.offsets = append(r.offsets, offset)
		offset += r.frame.size()
	}
	for _, offset := range slices.Backward(r.offsets) {
		if err := r.reader.take(&r.frame, offset); err != nil {
			return r.failReading(err)
		}
		if !r.one() {
			return false
		}
	}
	return true
}

// one yields what the read asks for from the frame that was read.
func (r *logReader) one() bool {
	f, c := &r.frame, &r.parts
	if (r.read.To > 0 && f.position > r.read.To) || (!r.read.Until.IsZero() && fromMicros(f.recorded).After(r.read.Until)) {
		// Positions rise and recorded times never fall along the log.
		r.ended = !r.backwards
		return true
	}
	if hidden, ok := r.hides(); hidden || !ok {
		return ok
	}
	if !c.begin(f) {
		return r.broken(errUndecodable.Error())
	}
	if r.read.Filter.Partitions != nil || r.read.Filter.StreamTypes != nil {
		if err := r.ctx.Err(); err != nil { // there may be nothing to yield for long
			return r.fail(err)
		}
		if !r.sound() {
			return false
		}
		partition, name, ok := c.stored()
		if !ok {
			return r.broken(errUndecodable.Error())
		}
		if !r.read.Filter.MatchesStream(daybook.StreamID{Partition: view(partition), Name: view(name)}) {
			return true
		}
	}
	if f.flags&flagGaps != 0 {
		if !r.sound() {
			return false
		}
		if _, ok := c.decode(&r.memory); !ok {
			return r.broken(errUndecodable.Error())
		}
	}
	from, to := 0, c.count
	if f.position <= r.read.After {
		from = c.atOrBelow(r.read.After)
	}
	if r.read.To > 0 {
		to = c.atOrBelow(r.read.To)
	}
	return r.records(from, to, &r.read.Filter.Query)
}
