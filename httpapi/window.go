package httpapi

import (
	"context"
	"errors"
	"slices"
	"sort"
	"strconv"
	"sync/atomic"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// window is a part of a source in the form in which live readers send it, so
// that a record is read and written out once for all of them. Nobody fills it
// ahead: the first reader that wants more does. It forgets its beginning as it
// grows.
type window struct {
	source  source
	total   *atomic.Int64 // bytes of all windows of the shelf
	readers int           // guarded by the shelf
	view    atomic.Pointer[view]

	turn  chan struct{} // holds a value while someone fills; guards what is below
	bytes int64         // of the frames of the newest view
	frame []byte        // scratch
}

// view is what a window holds at one time. It is never changed; a later view
// may share memory with it, and have more behind.
type view struct {
	after  int64            // the pieces begin above this place
	to     int64            // and are all there are up to this one
	seen   daybook.Position // with the log reaching to here, there was nothing above to
	pieces []piece
}

// piece is a row of server-sent events that leaves with one write.
type piece struct {
	frames []byte
	marks  []mark // one for each event; at least one
}

// mark tells about one event of a piece, and what filters ask for.
type mark struct {
	place     int64
	until     int // where its frame ends
	stream    daybook.StreamID
	eventType string
	tags      []string
}

// part is what a window has for a reader: a piece, or the rest of one.
type part struct {
	piece
	from  int   // where its first frame begins
	place int64 // of the reader who has sent it
}

// Bytes of frames.
const (
	windowBytes = 4 << 20  // a window keeps, but for its last piece
	shelfBytes  = 16 << 20 // all windows keep, but for their last pieces
	fillBytes   = 512 << 10
)

// errForgotten tells a reader that the window does not hold its place any
// more.
var errForgotten = errors.New("forgotten")

// newWindow returns a window that begins above a place, with nothing in it.
func newWindow(s source, place int64, total *atomic.Int64) *window {
	w := &window{source: s, total: total, turn: make(chan struct{}, 1)}
	w.view.Store(&view{after: place, to: place})
	return w
}

// covers reports whether nothing is missing between a place and what the
// window will hold.
func (v *view) covers(place int64) bool { return v.after <= place && place <= v.to }

// next returns what stands above place, and fills the window where it has
// nothing there; more is false where the source has nothing either, as long as
// the log reaches to end. It fails with errForgotten where the window does not
// cover the place, and as the store does.
func (w *window) next(ctx context.Context, place int64, end daybook.Position) (p part, more bool, err error) {
	for {
		v := w.view.Load()
		switch {
		case !v.covers(place):
			return part{}, false, errForgotten
		case place < v.to:
			return v.above(place), true, nil
		case v.seen >= end:
			return part{}, false, nil
		}
		select {
		case w.turn <- struct{}{}:
		case <-ctx.Done():
			return part{}, false, ctx.Err()
		}
		if w.view.Load() == v {
			err = w.fill(ctx, end)
		}
		<-w.turn
		if err != nil {
			return part{}, false, err
		}
	}
}

// above returns the first part above a place that the view covers.
func (v *view) above(place int64) part {
	i := sort.Search(len(v.pieces), func(i int) bool { return v.pieces[i].last() > place })
	if i == len(v.pieces) {
		return part{place: v.to}
	}
	p := part{piece: v.pieces[i], place: v.pieces[i].last()}
	if i+1 == len(v.pieces) {
		p.place = v.to
	}
	if n := sort.Search(len(p.marks), func(i int) bool { return p.marks[i].place > place }); n > 0 {
		p.from, p.marks = p.marks[n-1].until, p.marks[n:]
	}
	return p
}

// last returns the place of the last event.
func (p *piece) last() int64 { return p.marks[len(p.marks)-1].place }

// fill adds what the source holds where the log reaches to end, up to about
// fillBytes. It fails only where it has added nothing: what was read before an
// error is sent before it.
func (w *window) fill(ctx context.Context, end daybook.Position) error {
	before := w.view.Load()
	to, err := w.source.reach(ctx, end)
	if err != nil {
		return err
	}
	v := *before
	v.pieces = slices.Clone(before.pieces)
	whole := true
	if to > v.to {
		if whole, err = w.read(ctx, &v, to); err != nil && v.to == before.to {
			return err
		}
	}
	if err == nil && whole {
		v.to, v.seen = max(to, v.to), end
	}
	w.forget(&v)
	w.view.Store(&v)
	return nil
}

// read adds the records up to a place to a view. It reports whether it added
// all of them.
func (w *window) read(ctx context.Context, v *view, to int64) (whole bool, err error) {
	added := 0
	for record, err := range w.source.read(ctx, v.to, to, &daybook.Filter{}) {
		if err != nil {
			return false, err
		}
		place := w.source.place(&record)
		w.frame = appendFrame(w.frame[:0], place, &record)
		v.add(w.frame, mark{place: place, stream: record.Stream, eventType: record.Type, tags: record.Tags})
		v.to = place
		w.bytes += int64(len(w.frame))
		w.total.Add(int64(len(w.frame)))
		if added += len(w.frame); added >= fillBytes {
			return false, nil
		}
	}
	return true, nil
}

// add puts an event at the end of a view. It writes only behind what earlier
// views hold.
func (v *view) add(frame []byte, m mark) {
	if n := len(v.pieces); n == 0 || len(v.pieces[n-1].frames)+len(frame) > largestPiece {
		v.pieces = append(v.pieces, piece{})
	}
	last := &v.pieces[len(v.pieces)-1]
	last.frames = append(last.frames, frame...)
	m.until = len(last.frames)
	last.marks = append(last.marks, m)
}

// forget drops the beginning of a view where the window, or the shelf, has
// grown too large.
func (w *window) forget(v *view) {
	drop, bytes := 0, int64(0)
	for len(v.pieces)-drop > 1 && (w.bytes-bytes > windowBytes || w.total.Load()-bytes > shelfBytes) {
		bytes += int64(len(v.pieces[drop].frames))
		v.after = v.pieces[drop].last()
		drop++
	}
	v.pieces = v.pieces[drop:]
	w.bytes -= bytes
	w.total.Add(-bytes)
	if cap(w.frame) > largestPiece {
		w.frame = nil
	}
}

// appendFrame appends the event that brings a record.
func appendFrame(out []byte, id int64, r *daybook.Record) []byte {
	out = append(out, "id: "...)
	out = strconv.AppendInt(out, id, 10)
	out = append(out, "\nevent: record\ndata: "...)
	out = wire.AppendRecord(out, r)
	return append(out, "\n\n"...)
}
