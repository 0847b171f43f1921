package disk

import (
	"context"
	"iter"
	"sort"

	"github.com/daybook-go/daybook"
)

// How a stream is read: its frames may lie far apart. At first so much is read
// for one, later as much as those before it had; those that are near each other
// are read at once, up to a size.
const (
	frameGuess = 1 << 10
	nearBytes  = 16 << 10
	runBytes   = 256 << 10
)

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		if d.watch == nil {
			d.log.readStream(ctx, id, read, yield)
			return
		}
		left := read
		d.readOn(yield, func(l *log, yield func(daybook.Record, error) bool) { l.readStream(ctx, id, left, yield) }, func(last daybook.Record, n int) bool {
			if left.Limit > 0 {
				left.Limit -= n
			}
			if left.Backwards {
				left.To = last.Version - 1
				return left.To > 0 && left.To >= left.From
			}
			left.From = last.Version + 1
			return true
		})
	}
}

// readStream yields what a read of a stream asks for.
func (l *log) readStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead, yield func(daybook.Record, error) bool) {
	r := streamReader{recordReader: newRecordReader(ctx, yield, read.Limit, read.Backwards, read.Borrow), id: id, read: read, guess: frameGuess}
	defer r.release()
	e, head, places, err := l.stream(id, read)
	if err != nil {
		r.fail(err)
		return
	}
	// What is deleted from now on is shown: so the read is that of one moment.
	r.log, r.extent, r.through = l, &e, head.First-1
	// Damage hides whatever the stream has above its last known version.
	hidden := e.damage != nil && (read.To == 0 || read.To > head.Version)
	if hidden && read.Backwards {
		r.fail(e.damage)
		return
	}
	if r.pages(places) && hidden && !r.ended {
		r.fail(e.damage)
	}
}

// streamReader yields the records of one stream.
type streamReader struct {
	recordReader
	id    daybook.StreamID
	read  daybook.StreamRead
	guess int64 // of the size of the next frame
	ended bool  // read.Until was reached
	// through is what is hidden.
	through daybook.Version
}

// pages yields what the read asks for from all the frames of the stream. It
// reports whether to go on.
func (r *streamReader) pages(places *streamPlaces) bool {
	for !r.ended {
		frames, err := places.next()
		if err != nil {
			return r.fail(err)
		}
		if len(frames) == 0 {
			break
		}
		r.replaced = places.replaced
		if !r.frames(frames) {
			return false
		}
	}
	return true
}

// frames yields what the read asks for from some frames of the stream. It
// reports whether to go on.
func (r *streamReader) frames(frames []streamFrame) bool {
	from := sort.Search(len(frames), func(i int) bool { return frames[i].first > r.read.From }) - 1
	frames = frames[max(from, 0):]
	if r.read.To > 0 {
		frames = frames[:sort.Search(len(frames), func(i int) bool { return frames[i].first > r.read.To })]
	}
	for len(frames) > 0 && !r.ended {
		n := r.run(frames)
		for range n {
			place := &frames[0]
			if r.backwards {
				place = &frames[len(frames)-1]
				frames = frames[:len(frames)-1]
			} else {
				frames = frames[1:]
			}
			if !r.one(place) {
				return false
			}
			if r.ended {
				break
			}
		}
	}
	return true
}

// run reads the next frames that stand near each other, and returns how many
// they are.
func (r *streamReader) run(frames []streamFrame) int {
	next := func(i int) place {
		if r.backwards {
			i = len(frames) - 1 - i
		}
		return frames[i].place
	}
	first := next(0)
	last, n, most := first, 1, len(frames)
	if r.left > 0 {
		most = min(most, r.left)
	}
	for ; n < most; n++ {
		p := next(n)
		gap, span := p.offset()-last.offset(), p.offset()-first.offset()
		if p.segment() != first.segment() || max(gap, -gap) > nearBytes || max(span, -span) > runBytes {
			break
		}
		last = p
	}
	r.use(first.segment(), r.guess, 0)
	r.reader.cover(min(first.offset(), last.offset()), max(first.offset(), last.offset())+r.guess)
	return n
}

// one yields what the read asks for from one frame.
func (r *streamReader) one(at *streamFrame) bool {
	f, c := &r.frame, &r.parts
	if err := r.reader.take(f, at.place.offset()); err != nil {
		return r.failReading(err)
	}
	r.guess = max(f.size()+f.size()/8, r.guess-r.guess/8)
	if !r.read.Until.IsZero() && fromMicros(f.recorded).After(r.read.Until) {
		// Recorded times never fall: nothing behind this frame is asked for.
		r.ended = !r.backwards
		return true
	}
	if f.kind != kindChangeset || f.first <= r.through {
		return r.sound()
	}
	if !c.begin(f) {
		return r.broken(errUndecodable.Error())
	}
	if partition, name, ok := c.stored(); !ok || view(name) != r.id.Name || view(partition) != r.id.Partition || c.first != at.first {
		return r.broken("not the changeset that was indexed")
	}
	from, to := 0, c.count
	if r.read.From > c.first {
		from = int(min(r.read.From-c.first, daybook.Version(c.count)))
	}
	if r.read.To > 0 {
		to = int(min(max(r.read.To-c.first+1, 0), daybook.Version(c.count)))
	}
	return r.records(from, to, &everything)
}

// everything is the query that selects every record.
var everything daybook.Query
