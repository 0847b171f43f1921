package disk

import (
	"context"
	"iter"
	"slices"
	"sort"

	"github.com/daybook-go/daybook"
)

// How much readers read from a file at once.
const (
	logChunk    = 256 << 10
	streamChunk = 16 << 10
)

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		y := newYielder(ctx, yield, read.Limit, read.Backwards, read.Borrow)
		defer y.memory.release()
		if err := d.refresh(); err != nil {
			y.fail(err)
			return
		}
		e, s, err := d.log.stream(id)
		if err != nil {
			y.fail(err)
			return
		}
		r := streamReader{yielder: &y, log: d.log, extent: &e, id: id, read: read}
		// Damage hides whatever the stream has above its last known version.
		hidden := e.damage != nil && (read.To == 0 || read.To > s.head.Version)
		if hidden && read.Backwards {
			r.fail(e.damage)
			return
		}
		if r.frames(s.frames) && hidden && !r.ended {
			r.fail(e.damage)
		}
	}
}

// stream returns the extent of the log and what the index knows of a stream.
func (l *log) stream(id daybook.StreamID) (extent, stream, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return extent{}, stream{}, daybook.ErrClosed
	}
	var s stream
	if known := l.index.streams[id]; known != nil {
		s = *known
	}
	return l.extentLocked(), s, nil
}

// streamReader yields the records of one stream.
type streamReader struct {
	*yielder
	log    *log
	extent *extent
	id     daybook.StreamID
	read   daybook.StreamRead
	reader *frameReader
	at     int // the segment that reader reads
	f      frame
	c      changeset
	ended  bool // read.Until was reached
}

// frames yields what the read asks for from the frames of the stream. It
// reports whether to go on.
func (r *streamReader) frames(frames []streamFrame) bool {
	from := sort.Search(len(frames), func(i int) bool { return frames[i].first > r.read.From }) - 1
	frames = frames[max(from, 0):]
	if r.read.To > 0 {
		frames = frames[:sort.Search(len(frames), func(i int) bool { return frames[i].first > r.read.To })]
	}
	for i := range frames {
		if r.backwards {
			i = len(frames) - 1 - i
		}
		if !r.frame(frames[i]) {
			return false
		}
		if r.ended {
			break
		}
	}
	return true
}

func (r *streamReader) frame(place streamFrame) bool {
	if n := place.place.segment(); r.reader == nil || r.at != n {
		r.reader, r.at = r.log.reader(r.extent.segments[n], r.extent.limit(n), streamChunk), n
	}
	f, c := &r.f, &r.c
	if err := r.reader.read(f, place.place.offset()); err != nil {
		return r.fail(r.log.explain(r.extent, r.at, err))
	}
	if !r.read.Until.IsZero() && fromMicros(f.recorded).After(r.read.Until) {
		// Recorded times never fall: nothing behind this frame is asked for.
		r.ended = !r.backwards
		return true
	}
	broken := func(reason string) bool {
		return r.fail(r.log.explain(r.extent, r.at, &frameError{offset: f.offset, position: f.position, reason: reason}))
	}
	switch {
	case !c.begin(&f.frameHeader, f.body):
		return broken(errUndecodable.Error())
	case view(c.name) != r.id.Name || view(c.partition) != r.id.Partition || c.first != place.first:
		return broken("not the changeset that was indexed")
	}
	from, to := 0, c.count
	if r.read.From > c.first {
		from = int(min(r.read.From-c.first, daybook.Version(c.count)))
	}
	if r.read.To > 0 {
		to = int(min(max(r.read.To-c.first+1, 0), daybook.Version(c.count)))
	}
	more, err := r.records(c, from, to, &daybook.Query{})
	if err != nil {
		return broken(err.Error())
	}
	return more
}

// ReadLog implements daybook.Driver.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		y := newYielder(ctx, yield, read.Limit, read.Backwards, read.Borrow)
		defer y.memory.release()
		if err := d.refresh(); err != nil {
			y.fail(err)
			return
		}
		e, _, err := d.log.stream(daybook.StreamID{})
		if err != nil {
			y.fail(err)
			return
		}
		r := logReader{yielder: &y, log: d.log, extent: &e, read: read}
		hidden := e.damage != nil && (read.To == 0 || read.To > e.last)
		switch {
		case hidden && read.Backwards:
			r.fail(e.damage)
		case read.Backwards:
			r.backward()
		case r.forward() && hidden && !r.ended:
			r.fail(e.damage)
		}
	}
}

// logReader yields records of the log.
type logReader struct {
	*yielder
	log    *log
	extent *extent
	read   daybook.LogRead
	f      frame
	c      changeset
	ended  bool // read.To or read.Until was reached
}

// forward yields what the read asks for. It reports whether to go on.
func (r *logReader) forward() bool {
	from, nth, ok := r.extent.find(r.read.After + 1)
	if !ok {
		return true
	}
	offset := r.extent.marksOf(from)[nth].offset
	for i := from; i < len(r.extent.segments); i++ {
		reader := r.log.reader(r.extent.segments[i], r.extent.limit(i), logChunk)
		for offset < reader.limit && !r.ended {
			if err := reader.read(&r.f, offset); err != nil {
				return r.fail(r.log.explain(r.extent, i, err))
			}
			offset += r.f.size()
			if !r.frame(i) {
				return false
			}
		}
		offset = segmentHeaderSize
	}
	return true
}

// backward yields what the read asks for, from the highest position down. It
// reads from mark to mark, since frames can only be found forwards.
func (r *logReader) backward() bool {
	to := r.read.To
	if to == 0 || to > r.extent.last {
		to = r.extent.last
	}
	i, nth, ok := r.extent.find(to)
	if !ok {
		return true
	}
	for ; i >= 0; i-- {
		marks := r.extent.marksOf(i)
		if nth < 0 {
			nth = len(marks) - 1
		}
		reader := r.log.reader(r.extent.segments[i], r.extent.limit(i), markEvery)
		for ; nth >= 0; nth-- {
			until := reader.limit
			if nth+1 < len(marks) {
				until = marks[nth+1].offset
			}
			if !r.between(i, reader, marks[nth].offset, until) {
				return false
			}
			if marks[nth].position <= r.read.After {
				return true
			}
		}
	}
	return true
}

// between yields backwards what stands between two offsets of a segment.
func (r *logReader) between(i int, reader *frameReader, from, until int64) bool {
	var offsets []int64
	for offset := from; offset < until; {
		f, err := reader.at(offset)
		if err != nil {
			return r.fail(r.log.explain(r.extent, i, err))
		}
		offsets = append(offsets, offset)
		offset += f.size()
	}
	for _, offset := range slices.Backward(offsets) {
		if err := reader.read(&r.f, offset); err != nil {
			return r.fail(r.log.explain(r.extent, i, err))
		}
		if !r.frame(i) {
			return false
		}
	}
	return true
}

// frame yields what the read asks for from the frame of the ith segment that
// was read.
func (r *logReader) frame(i int) bool {
	f, c := &r.f, &r.c
	if (r.read.To > 0 && f.position > r.read.To) || (!r.read.Until.IsZero() && fromMicros(f.recorded).After(r.read.Until)) {
		// Positions rise and recorded times never fall along the log.
		r.ended = !r.backwards
		return true
	}
	if err := r.ctx.Err(); err != nil {
		return r.fail(err)
	}
	broken := func() bool {
		return r.fail(r.log.explain(r.extent, i, &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error()}))
	}
	if !c.begin(&f.frameHeader, f.body) {
		return broken()
	}
	if !r.read.Filter.MatchesStream(daybook.StreamID{Partition: view(c.partition), Name: view(c.name)}) {
		return true
	}
	from, to := 0, c.count
	if f.flags&flagGaps != 0 && !c.decode(&r.memory) {
		return broken()
	}
	if f.position <= r.read.After {
		from = c.atOrBelow(r.read.After)
	}
	if r.read.To > 0 {
		to = c.atOrBelow(r.read.To)
	}
	more, err := r.records(c, from, to, &r.read.Filter.Query)
	if err != nil {
		return broken()
	}
	return more
}
