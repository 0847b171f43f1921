package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/daybook-go/daybook"
)

// errUndecodable is the reason for a frame whose checksums match and whose
// body makes no sense.
var errUndecodable = errors.New("the checksums match, but the body cannot be decoded")

// recordReader reads frames and hands their records to a caller, who may have
// had enough.
type recordReader struct {
	ctx       context.Context
	yield     func(daybook.Record, error) bool
	left      int // how many more are wanted; all, if it began at 0
	backwards bool
	memory    recordMemory

	log    *log
	extent *extent
	at     int // the segment that reader reads; -1 before the first
	of     *segment
	// replaced are segments as the places that are read now tell of them, where
	// they were compacted since the read began.
	replaced map[int]*segment
	reader   frameReader
	file     *openFile // of that segment; nil where it could not be opened
	frame    frame     // the one that was read last
	parts    changeset
	// What is hidden for it, and how it comes to what is not written yet.
	view      perspective
	unwritten func(s *segment, b []byte, offset int64) (written int64) // nil: log.unwritten
	// When the last frame was recorded, as it stands in it and as a time.
	micros   int64
	recorded time.Time
}

func newRecordReader(ctx context.Context, yield func(daybook.Record, error) bool, limit int, backwards, lent bool) recordReader {
	r := recordReader{ctx: ctx, yield: yield, left: limit, backwards: backwards, memory: newRecordMemory(lent), at: -1, micros: noTime}
	return r
}

// release gives back what other reads can use. No record that was lent is good
// after it.
func (r *recordReader) release() {
	if r.reader.window != nil {
		r.memory.window = r.reader.window
	}
	r.memory.release()
	r.letGo()
	if r.extent != nil {
		r.log.leave(r.extent.era)
	}
}

// letGo closes the file of the segment, as far as this read goes.
func (r *recordReader) letGo() {
	if r.file != nil {
		r.log.files.release(r.file)
		r.file = nil
	}
}

// use makes reader read a segment, at first in chunks of some size.
func (r *recordReader) use(segment int, chunk, grow int64) {
	s, limit := r.extent.segments[segment], r.extent.limit(segment)
	if now := r.replaced[segment]; now != nil {
		s, limit = now, now.end
	}
	if s == r.of {
		return
	}
	window := r.reader.window
	if window == nil {
		window = r.memory.window
	}
	r.letGo()
	source := segmentSource{log: r.log, segment: s, copy: r.log.unwritten}
	if r.unwritten != nil {
		source.copy = r.unwritten
	}
	r.reader = frameReader{source: source, seed: s.seed, limit: limit, chunk: chunk}
	// A segment that is not written yet has no file; reading tells whether
	// that is an error.
	if file, err := r.log.files.acquire(s.name); err == nil {
		r.file = file
		source.held = file
		r.reader.source = source
	}
	r.reader.grow, r.reader.window, r.at, r.of = grow, window[:0], segment, s
}

// fail yields an error. Nothing may be yielded after it, so it reports that
// there is nothing to go on with.
func (r *recordReader) fail(err error) bool {
	r.yield(daybook.Record{}, err)
	return false
}

// failReading is fail for what went wrong in the segment that is read.
func (r *recordReader) failReading(err error) bool {
	return r.fail(r.log.explain(r.extent, r.at, err))
}

// broken is fail for a frame that is wrong, whether its checksums match or not.
func (r *recordReader) broken(reason string) bool {
	if err := r.frame.check(); err != nil {
		return r.failReading(err)
	}
	return r.failReading(&frameError{offset: r.frame.offset, position: r.frame.position, reason: reason})
}

// records yields those records of the frame, from one to below another, that
// the query selects; all, if it has no items. It reports whether to go on.
func (r *recordReader) records(from, to int, query *daybook.Query) bool {
	m, c := &r.memory, &r.parts
	if len(query.Items) > 0 && !r.sound() {
		return false
	}
	spans, ok := c.cut(m.spans)
	if len(spans) > len(m.spans) {
		m.spans = spans
	}
	if !ok {
		return r.broken(errUndecodable.Error())
	}
	// A variable, and not a field: it is handed over with one copy, and the
	// garbage collector need not be told of what is put into it.
	var record daybook.Record
	for n := range to - from {
		i := from + n
		if r.backwards {
			i = to - 1 - n
		}
		s := &spans[i]
		head := c.body[s.head:s.data:s.data]
		if len(query.Items) > 0 {
			var matches bool
			if matches, m.views, ok = matchesHead(head, query, m.views); !ok {
				return r.broken(errUndecodable.Error())
			} else if !matches {
				continue
			}
		}
		if record.Changeset == nil {
			if record.Stream, ok = c.decode(m); !ok {
				return r.broken(errUndecodable.Error())
			}
			record.Changeset, record.RecordedAt = c.header(m), r.time(c.recorded)
			record.ContentType = daybook.ContentTypeJSON
		}
		mask := binary.LittleEndian.Uint16(head)
		texts, end := m.selectorsOf(head)
		if texts == nil {
			return r.broken(errUndecodable.Error())
		}
		record.ID, record.Type, record.Tags = daybook.ID(head[2:headFront]), texts.eventType, texts.tags
		record.OccurredAt, record.Data = record.RecordedAt, m.keep(c.body[s.data:s.end])
		if (mask != 0 || end != len(head)) && !m.optional(head[end:], mask, &record.Event) {
			return r.broken(errUndecodable.Error())
		}
		record.Version, record.Position = c.first+daybook.Version(i), c.positionOf(i)
		if err := r.ctx.Err(); err != nil {
			return r.fail(err)
		}
		// Only now: the processor sums the body while it finishes the record.
		if !r.sound() {
			return false
		}
		r.left--
		if !r.yield(record, nil) || r.left == 0 {
			return false
		}
		if mask != 0 {
			record.ContentType, record.Context = daybook.ContentTypeJSON, daybook.Context{}
		}
	}
	return r.sound()
}

// sound checks the body of the frame before something is decided by it. It
// reports whether to go on.
func (r *recordReader) sound() bool {
	if err := r.frame.check(); err != nil {
		return r.failReading(err)
	}
	return true
}

// time returns when a frame was recorded.
func (r *recordReader) time(micros int64) time.Time {
	if micros != r.micros {
		r.micros, r.recorded = micros, fromMicros(micros)
	}
	return r.recorded
}
