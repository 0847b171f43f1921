package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// A live stream reads what is there, sends it, and waits for more. It keeps no
// records of its own: what a reader has not accepted stands in the store, or in
// the windows that all of them share, so that a thousand readers cost a
// thousand small buffers. While a reader is being written to, what is appended
// gathers in the log, and leaves together.

// live is a stream of server-sent events.
type live struct {
	*exchange
	ctx    context.Context // ends with the request, or when the server shuts down
	source source
	filter *daybook.Filter // nil: all records
	window *window         // nil: nothing is shared, for now
	beat   *time.Timer     // fires when the stream may have been silent for too long

	place   int64         // the id of the last event that was sent, or passed over
	told    int64         // the id that the client was told last
	last    time.Time     // when something was sent last; real time, like the timer's
	unsent  bool          // something was written and not flushed
	writing time.Duration // how long the client has taken for the present piece
}

var (
	errClosing = errors.New("the server is shutting down")
	errSlow    = errors.New("the reader is too slow")
)

// liveLog follows the log: the id of each event is the position of its record.
func (h *Handler) liveLog(x *exchange, read daybook.LogRead) error {
	if err := x.refuseEnds("to", "until", "backwards", "limit"); err != nil {
		return err
	}
	place, err := x.resumeAt(int64(read.After))
	if err != nil {
		return err
	}
	l := &live{exchange: x, source: source{store: h.store}, place: place}
	if f := &read.Filter; len(f.Partitions)+len(f.StreamTypes)+len(f.Query.Items) > 0 {
		l.filter = f
	}
	l.serve()
	return nil
}

// liveStream follows a stream: the id of each event is the version of its
// record. It waits for a stream that does not exist yet.
func (h *Handler) liveStream(x *exchange, read daybook.StreamRead) error {
	if err := x.refuseEnds("to", "until", "backwards", "limit"); err != nil {
		return err
	}
	if err := x.streamID().Validate(); err != nil {
		return err
	}
	place, err := x.resumeAt(max(int64(read.From)-1, 0))
	if err != nil {
		return err
	}
	l := &live{exchange: x, source: source{store: h.store, stream: x.streamID()}, place: place}
	l.serve()
	return nil
}

// refuseEnds refuses parameters that would end a stream that does not end.
func (x *exchange) refuseEnds(names ...string) error {
	for _, name := range names {
		if value := x.query.Get(name); value != "" {
			return &daybook.InvalidError{Field: name, Value: quoted(value), Reason: "a live stream runs forwards and does not end; ask for NDJSON"}
		}
	}
	return nil
}

// resumeAt returns the place behind which a live stream goes on: that of the
// header Last-Event-ID, which a browser sends when it connects again, else the
// one of the parameters.
func (x *exchange) resumeAt(place int64) (int64, error) {
	text := x.request.Header.Get("Last-Event-ID")
	if text == "" {
		return place, nil
	}
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 0 {
		return 0, &daybook.InvalidError{Field: "Last-Event-ID", Value: quoted(text), Reason: "must be a whole number, 0 or more"}
	}
	return id, nil
}

// serve sends events until the client leaves or has to, and tells it why.
func (l *live) serve() {
	ctx, cancel := context.WithCancelCause(l.context())
	defer cancel(nil)
	defer context.AfterFunc(draining(l.context()), func() { cancel(errClosing) })()
	l.ctx, l.told = ctx, l.place
	header := l.writer.Header()
	header.Set("Content-Type", formatSSE)
	header.Set("X-Accel-Buffering", "no") // proxies must not hold events back
	if l.request.ProtoMajor == 1 {
		// No chunks, as the specification of server-sent events recommends: each
		// would cost two writes more, and the end is told by an event.
		header.Set("Transfer-Encoding", "identity")
	}
	l.out = append(l.out, "retry: 2000\n\n"...)
	l.leave(l.follow())
}

// follow sends what is there, and what comes.
func (l *live) follow() error {
	if err := l.deliver(); err != nil {
		return err
	}
	h := l.handler
	l.beat = time.NewTimer(h.options.Heartbeat)
	defer l.beat.Stop()
	if err := h.shelf.renew(l.ctx, h.store); err != nil {
		return err
	}
	h.shelf.join(l.source)
	defer func() { h.shelf.leave(l.source, l.window) }()
	end, err := h.store.End(l.ctx)
	if err != nil {
		return err
	}
	h.bell.join(end)
	defer h.bell.leave()
	for {
		if err := l.catchUp(end); err != nil {
			return err
		}
		if err := l.deliver(); err != nil {
			return err
		}
		if end, err = l.wait(end); err != nil {
			return err
		}
	}
}

// nearEnd is how many places before the end of the log a reader with a filter
// may open a window. Further away it reads alone, since the storage may have
// an index for what it wants.
const nearEnd = 4096

// catchUp sends what the source has where the log reaches to end.
func (l *live) catchUp(end daybook.Position) error {
	parts := 0
	for l.ctx.Err() == nil {
		create := l.filter == nil || int64(end)-l.place <= nearEnd
		l.window = l.handler.shelf.move(l.source, l.window, l.place, create)
		if l.window == nil {
			return l.readAlone(end)
		}
		p, more, err := l.window.next(l.ctx, l.place, end)
		switch {
		case errors.Is(err, errForgotten):
			continue
		case err != nil || !more:
			return err
		}
		if err := l.sendPart(&p); err != nil {
			return err
		}
		l.place = p.place
		if parts++; parts%4 > 0 {
			continue
		}
		runtime.Gosched()                                      // who runs ahead of the others makes the window forget what they need
		if time.Since(l.last) >= l.handler.options.Heartbeat { // the filter wants little of what is there
			if err := l.heartbeat(); err != nil {
				return err
			}
		}
	}
	return l.ctx.Err()
}

// sendPart sends those events of a part that the filter selects.
func (l *live) sendPart(p *part) error {
	if l.filter == nil {
		if n := len(p.marks); n > 0 {
			l.told = p.marks[n-1].place
		}
		return l.write(p.frames[p.from:])
	}
	from := p.from
	for i := range p.marks {
		m := &p.marks[i]
		frame := p.frames[from:m.until]
		from = m.until
		if !l.filter.MatchesStream(m.stream) || !l.filter.Query.Matches(m.eventType, m.tags) {
			continue
		}
		l.out = append(l.out, frame...)
		if err := l.note(m.place); err != nil {
			return err
		}
	}
	return nil
}

// readAlone sends what the source has where the log reaches to end, past all
// windows.
func (l *live) readAlone(end daybook.Position) error {
	to, err := l.source.reach(l.ctx, end)
	if err != nil || to <= l.place {
		return err
	}
	filter := l.filter
	if filter == nil {
		filter = &daybook.Filter{}
	}
	for record, err := range pulsed(l.exchange, l.source.read(l.ctx, l.place, to, filter), l.heartbeat) {
		if err != nil {
			return err
		}
		place := l.source.place(&record)
		l.out = appendFrame(l.out, place, &record)
		if err := l.note(place); err != nil {
			return err
		}
	}
	l.place = to
	return nil
}

// note remembers that the record with the id stands in the reply, and lets the
// reply leave when enough of it has gathered.
func (l *live) note(id int64) error {
	l.place, l.told = id, id
	if len(l.out) < fullPiece {
		return nil
	}
	return l.deliver()
}

// write sends frames that are shared with others, behind what has gathered. It
// does not flush: more may follow.
func (l *live) write(frames []byte) error {
	if len(l.out) > 0 {
		if err := l.deliver(); err != nil {
			return err
		}
	}
	l.unsent = true
	l.writing = 0
	return l.timed(1+len(frames)/largestPiece, func() error { return l.pass(frames) })
}

// deliver sends what has gathered or was written, past all buffers.
func (l *live) deliver() error {
	if len(l.out) == 0 && !l.unsent {
		return nil
	}
	if len(l.out) > 0 {
		l.writing = 0
	}
	l.unsent = false
	return l.timed(1+len(l.out)/largestPiece, l.flush)
}

// timed drops a reader that takes too long for pieces.
func (l *live) timed(pieces int, send func() error) error {
	now := l.handler.options.Now
	start := now()
	if err := send(); err != nil {
		return err
	}
	l.last = time.Now()
	l.writing += now().Sub(start)
	if l.writing > time.Duration(pieces)*l.handler.options.SlowReader {
		return errSlow
	}
	return nil
}

// wait waits until the log reaches beyond end, and keeps the connection alive
// meanwhile. It returns how far the log reaches.
func (l *live) wait(end daybook.Position) (daybook.Position, error) {
	for {
		reached, stroke, err := l.handler.bell.listen()
		if err != nil || reached > end {
			return reached, err
		}
		select {
		case <-stroke:
		case <-l.beat.C:
			silent := l.handler.options.Heartbeat - time.Since(l.last)
			if silent <= 0 {
				silent = l.handler.options.Heartbeat
				if err := l.heartbeat(); err != nil {
					return 0, err
				}
			}
			l.beat.Reset(silent)
		case <-l.ctx.Done():
			return 0, l.ctx.Err()
		}
	}
}

// heartbeat tells the client that the server is there, and how far it has
// looked: an event of an id alone moves the place of the client, who sees
// nothing of it.
func (l *live) heartbeat() error {
	l.out = append(l.out, ": heartbeat\n"...)
	if l.place > l.told {
		l.told = l.place
		l.out = append(l.out, "id: "...)
		l.out = strconv.AppendInt(l.out, l.told, 10)
		l.out = append(l.out, '\n')
	}
	l.out = append(l.out, '\n')
	return l.deliver()
}

// leave ends the stream, and tells the client why, if it can be told.
func (l *live) leave(err error) {
	log := l.handler.options.Logger
	event, reason := "failed", wire.AppendError(nil, err)
	switch {
	case errors.Is(context.Cause(l.ctx), errClosing):
		event, reason = "closing", appendReason(errClosing.Error()+"; connect again")
	case l.broken != nil:
		log.Warn("live reader lost", "request", l.id, "place", l.place, "error", l.broken)
		return
	case l.ctx.Err() != nil:
		return
	case errors.Is(err, errSlow):
		log.Warn("live reader dropped", "request", l.id, "place", l.place, "error", err)
		event, reason = "dropped", appendReason(fmt.Sprintf("%v: a piece took longer than %v; connect again", err, l.handler.options.SlowReader))
	default:
		l.logInternal(err)
	}
	// What was gathered but not sent is dropped: the client resumes behind the
	// last event that it has seen.
	l.out = append(l.out[:0], "event: "+event+"\ndata: "...)
	l.out = append(append(l.out, reason...), "\n\n"...)
	_ = l.flush() // the client may be gone
}

func appendReason(reason string) []byte {
	return append(wire.AppendString([]byte(`{"reason":`), reason), '}')
}

// drainKey is the key of the context that ends when a server begins to shut
// down, in the contexts of its requests.
type drainKey struct{}

// draining returns a context that ends when the server that serves the request
// begins to shut down.
func draining(ctx context.Context) context.Context {
	if drain, ok := ctx.Value(drainKey{}).(context.Context); ok {
		return drain
	}
	return context.Background()
}

var _ http.Handler = (*Handler)(nil)
