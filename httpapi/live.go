package httpapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// A live stream reads what is there, sends it, and waits for more. It keeps no
// records of its own: what a reader has not accepted stands in the store, or in
// the tail that all of them share, so that a thousand readers cost a thousand
// small buffers. While a reader is being written to, what is appended gathers
// in the log, and leaves together.

// live is a stream of server-sent events.
type live struct {
	*exchange
	ctx   context.Context // ends with the request, or when the server shuts down
	place int64           // the id of the last event that was sent, or passed over
	told  int64           // the id that the client was told last
	last  time.Time       // when something was sent last
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
	return h.serveLive(x, place, func(l *live) (daybook.Position, error) {
		end, err := h.store.End(l.ctx)
		if err != nil || end <= daybook.Position(l.place) {
			return max(end, daybook.Position(l.place)), err
		}
		records, reached, ok, err := h.tail.read(l.ctx, h.store, daybook.Position(l.place), end)
		switch {
		case err != nil:
			return 0, err
		case ok:
			err = l.sendTail(records, &read.Filter)
		default:
			reached = end
			read.After, read.To = daybook.Position(l.place), end
			err = l.sendLog(h.store.ReadLog(l.ctx, read))
		}
		if err == nil {
			l.place = int64(reached)
		}
		return reached, err
	})
}

// sendTail sends those records of the tail that the filter selects.
func (l *live) sendTail(records []tailRecord, filter *daybook.Filter) error {
	for i := range records {
		r := &records[i]
		if !filter.Matches(&r.Record) {
			continue
		}
		l.out = append(l.out, r.frame...)
		if err := l.note(int64(r.Position)); err != nil {
			return err
		}
	}
	return nil
}

// sendLog sends records whose ids are their positions.
func (l *live) sendLog(records iter.Seq2[daybook.Record, error]) error {
	for record, err := range pulsed(l.exchange, records, l.heartbeat) {
		if err != nil {
			return err
		}
		l.out = appendFrame(l.out, int64(record.Position), &record)
		if err := l.note(int64(record.Position)); err != nil {
			return err
		}
	}
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
	return h.serveLive(x, place, func(l *live) (daybook.Position, error) {
		// The end of the log is asked for first: what is appended behind it
		// wakes the wait, even if the head has told of it already.
		end, err := h.store.End(l.ctx)
		if err != nil {
			return 0, err
		}
		head, err := h.store.Head(l.ctx, l.streamID())
		if err != nil || int64(head.Version) <= l.place {
			return end, err
		}
		read.From, read.To = daybook.Version(l.place)+1, head.Version
		for record, err := range h.store.ReadStream(l.ctx, l.streamID(), read) {
			if err != nil {
				return 0, err
			}
			l.out = appendFrame(l.out, int64(record.Version), &record)
			if err := l.note(int64(record.Version)); err != nil {
				return 0, err
			}
		}
		return end, nil
	})
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

// serveLive begins a live stream, and calls catchUp for what is new each time
// that the log has grown. catchUp returns the position behind which more is
// waited for.
func (h *Handler) serveLive(x *exchange, place int64, catchUp func(l *live) (daybook.Position, error)) error {
	ctx, cancel := context.WithCancelCause(x.context())
	defer cancel(nil)
	defer context.AfterFunc(draining(x.context()), func() { cancel(errClosing) })()
	l := &live{exchange: x, ctx: ctx, place: place, told: place}
	header := x.writer.Header()
	header.Set("Content-Type", formatSSE)
	header.Set("X-Accel-Buffering", "no") // proxies must not hold events back
	x.out = append(x.out, "retry: 2000\n\n"...)
	h.readers.Add(1)
	defer h.readers.Add(-1)
	err := l.deliver()
	for err == nil {
		l.gather()
		var end daybook.Position
		if end, err = catchUp(l); err == nil && len(l.out) > 0 {
			err = l.deliver()
		}
		if err == nil {
			err = l.wait(end)
		}
	}
	l.leave(err)
	return nil
}

// gather holds a reader back that has only just been written to, the longer
// the more readers there are, so that more leaves with each write: writing to
// all of them for each record would leave no time for anything else. One that
// comes after a pause is not held back.
func (l *live) gather() {
	const perReader, least, most = 20 * time.Microsecond, time.Millisecond, 50 * time.Millisecond
	pause := min(time.Duration(l.handler.readers.Load())*perReader, most) - l.handler.options.Now().Sub(l.last)
	if pause < least {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ctx.Done():
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

// note remembers that the record with the id stands in the reply, and lets the
// reply leave when enough of it has gathered.
func (l *live) note(id int64) error {
	l.place, l.told = id, id
	if len(l.out) < fullPiece {
		return nil
	}
	return l.deliver()
}

// deliver sends what has gathered, and drops a reader that takes too long.
func (l *live) deliver() error {
	now, pieces := l.handler.options.Now, 1+len(l.out)/largestPiece
	start := now()
	if err := l.flush(); err != nil {
		return err
	}
	l.last = now()
	if l.last.Sub(start) > time.Duration(pieces)*l.handler.options.SlowReader {
		return errSlow
	}
	return nil
}

// wait waits until the log has grown beyond end, and keeps the connection
// alive meanwhile.
func (l *live) wait(end daybook.Position) error {
	silent := l.handler.options.Heartbeat - l.handler.options.Now().Sub(l.last)
	if silent <= 0 {
		return l.heartbeat()
	}
	ctx, cancel := context.WithTimeout(l.ctx, silent)
	defer cancel()
	err := l.handler.store.Wait(ctx, end)
	switch {
	case l.ctx.Err() != nil:
		return l.ctx.Err()
	case ctx.Err() != nil:
		return l.heartbeat()
	}
	return err
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
