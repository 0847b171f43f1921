package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// exchange is one request and the reply to it. The reply is gathered in out
// and leaves in pieces; until the first one leaves, it can still become an
// error.
type exchange struct {
	handler *Handler
	request *http.Request
	writer  http.ResponseWriter
	control http.ResponseController
	id      string
	start   time.Time

	deadline time.Time // until which the client may accept what is written

	ees    bool       // the path is one of the Elastic Event Store's
	stream string     // the stream that the path names
	query  url.Values // its parameters

	overfull  bool // the body is larger than what is taken, and has not been read
	status    int
	out       []byte         // what has not left yet
	spare     *[1 << 10]byte // where out begins
	body      *bytes.Buffer  // what readBody has returned; nil if it was not called
	committed bool           // status and headers have left
	broken    error          // why the client cannot be written to
	sent      int64          // bytes
}

// Bytes: a reply leaves when it has gathered fullPiece, in pieces of at most
// largestPiece.
const (
	fullPiece    = 32 << 10
	largestPiece = 64 << 10
)

// Buffers that exchanges leave to others, unless they have grown too large.
var (
	outs   = sync.Pool{New: func() any { return new([1 << 10]byte) }}
	bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}
)

const largestPooled = 256 << 10 // bytes

// The values of headers that all replies have, ready made. Nobody writes into
// them: http.Header replaces or appends, and there is no room to append.
var (
	typeJSON = []string{formatJSON}
	noSniff  = []string{"nosniff"}
	noStore  = []string{"no-store"}
)

func (h *Handler) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{
		handler: h, request: r, writer: w, control: *http.NewResponseController(w), start: h.options.Now(), status: http.StatusOK,
		id:    string(strconv.AppendUint(append(make([]byte, 0, 40), h.prefix...), h.requests.Add(1), 10)),
		spare: outs.Get().(*[1 << 10]byte),
	}
	x.out = x.spare[:0]
	header := w.Header()
	header["Content-Type"], header["X-Content-Type-Options"], header["Cache-Control"] = typeJSON, noSniff, noStore
	header["X-Request-Id"] = []string{x.id}
	x.extend()
	return x
}

func (x *exchange) context() context.Context { return x.request.Context() }

// streamID returns the stream that the path and the parameter partition name.
func (x *exchange) streamID() daybook.StreamID {
	return daybook.StreamID{Partition: x.query.Get("partition"), Name: x.stream}
}

// extend gives the client time to accept the next piece, and up to an eighth
// more, so that not every piece has to move the deadline. It is real time,
// since connections know no other.
func (x *exchange) extend() {
	now, timeout := time.Now(), x.handler.options.WriteTimeout
	if x.deadline.Sub(now) < timeout {
		x.deadline = now.Add(timeout + timeout/8)
		_ = x.control.SetWriteDeadline(x.deadline) // a writer without deadlines waits for ever
	}
}

// room lets the reply leave when enough of it has gathered.
func (x *exchange) room() error {
	if len(x.out) < fullPiece {
		return x.broken
	}
	return x.send()
}

// send lets what has gathered leave.
func (x *exchange) send() error {
	_ = x.pass(x.out)
	if cap(x.out) > 4*largestPiece {
		x.out = nil // one large record must not be kept for the rest of a long reply
	}
	x.out = x.out[:0]
	return x.broken
}

// pass lets bytes leave, which stand behind all that has gathered.
func (x *exchange) pass(out []byte) error {
	if !x.committed {
		x.committed = true
		x.extend()
		x.writer.WriteHeader(x.status)
	}
	for len(out) > 0 && x.broken == nil {
		piece := out[:min(len(out), largestPiece)]
		x.extend()
		n, err := x.writer.Write(piece)
		x.sent += int64(n)
		x.broken = err
		out = out[len(piece):]
	}
	return x.broken
}

// end sends the last of the reply. One that has not begun to leave is told
// with its length.
func (x *exchange) end() error {
	if !x.committed {
		x.writer.Header().Set("Content-Length", strconv.Itoa(len(x.out)))
	}
	return x.send()
}

// flush is send, past the buffers of the server.
func (x *exchange) flush() error {
	if err := x.send(); err != nil {
		return err
	}
	x.extend()
	if err := x.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		x.broken = err
	}
	return x.broken
}

// lingering is how long the rest of a body that is too large is thrown away.
const lingering = 5 * time.Second

// linger throws away what a client still sends of a body that is too large: a
// connection that is closed while it sends takes the reply down with it.
func (x *exchange) linger() {
	_ = x.control.EnableFullDuplex() // else the server would not read on after the reply
	x.writer.Header().Set("Connection", "close")
	if err := x.end(); err != nil || x.request.Header.Get("Expect") != "" {
		return // who waits to be asked for the body sends none
	}
	if x.control.Flush() != nil || x.control.SetReadDeadline(time.Now().Add(lingering)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, x.request.Body) // whatever ends it, the reply has left
}

// release leaves the buffers to other exchanges. Nobody holds anything of them
// by now: a store keeps no memory of its callers, writers none of what was
// written.
func (x *exchange) release() {
	outs.Put(x.spare)
	if x.body != nil && x.body.Cap() <= largestPooled {
		x.body.Reset()
		bodies.Put(x.body)
	}
}

// finish ends the exchange: it answers for a panic and logs the request.
func (x *exchange) finish() {
	failure := recover()
	log := x.handler.options.Logger
	if failure != nil && failure != http.ErrAbortHandler { // net/http compares it so
		log.Error("panic", "request", x.id, "method", x.request.Method, "path", x.request.URL.Path, "panic", failure, "stack", string(debug.Stack()))
		if !x.committed {
			x.reply(errors.New("panic"))
			failure = nil
		} else {
			failure = http.ErrAbortHandler
		}
	}
	if log.Enabled(x.context(), slog.LevelDebug) {
		log.Debug("request", "request", x.id, "method", x.request.Method, "path", x.request.URL.Path, "status", x.status,
			"bytes", x.sent, "took", x.handler.options.Now().Sub(x.start))
	}
	if failure != nil {
		panic(failure)
	}
}

// readAll reads the body; the memory that it takes follows what has arrived,
// not what was announced.
func (b *pacedBody) readAll() ([]byte, error) {
	buffer := bodies.Get().(*bytes.Buffer)
	b.exchange.body = buffer
	if length := b.exchange.request.ContentLength; length > 0 {
		buffer.Grow(int(min(length, 64<<10)) + bytes.MinRead)
	}
	_, err := buffer.ReadFrom(b)
	return buffer.Bytes(), err
}

// bodyError says in our words why a body could not be read.
func bodyError(err error, arrived int64) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &problem{status: http.StatusRequestTimeout, code: "REQUEST_TIMEOUT", message: "the body did not arrive in time; nothing was stored"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &problem{status: http.StatusBadRequest, code: "INVALID_BODY", message: "the body ends too early, after " + strconv.FormatInt(arrived, 10) + " bytes; nothing was stored"}
	default:
		return &problem{status: http.StatusBadRequest, code: "INVALID_BODY", message: "the body cannot be read: " + err.Error() + "; nothing was stored"}
	}
}
