// Package httpapi serves a store over HTTP.
//
// [New] makes an http.Handler of a store, [Serve] runs it on a listener with
// the timeouts and the graceful shutdown that a server on the open Internet
// needs. docs/http.md describes the interface for those who call it,
// openapi.json (served at /openapi.json) draws it for programs.
//
// It has two halves. The paths of the first, the files ees_*.go, speak the
// contract of the Elastic Event Store to the letter, wherever that store
// itself does not break it. The paths of the second are native: they carry
// everything that a store can do, in the shapes of internal/wire.
//
// The handler knows no users. Whoever lets others than their own programs in
// puts a proxy in front that does.
package httpapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/daybook-go/daybook"
)

// Options of a Handler. Nil and zero fields mean the defaults.
type Options struct {
	// Version is what /version, /healthz and /openapi.json tell. Default
	// "dev".
	Version string
	// MaxBody bounds the body of a request, in bytes. Default 32 MiB. What an
	// append may carry besides is for the limits of the store.
	MaxBody int64
	// MaxPage bounds how many records or heads one JSON page holds. Default
	// 10,000. NDJSON has no such bound.
	MaxPage int
	// MaxPageBytes bounds how large a JSON page grows, in bytes: behind the
	// record that reaches it the page ends. Default 8 MiB.
	MaxPageBytes int64
	// BodyTimeout is how long the body of a request may take, and a second
	// more for every 16 KiB of it that have arrived. Default 30 s.
	BodyTimeout time.Duration
	// WriteTimeout is how long a client may take to accept one piece of a
	// reply, of at most 64 KiB, before its connection is cut. Default 30 s.
	WriteTimeout time.Duration
	// SlowReader is how long a client may take to accept one piece of a live
	// stream before it is dropped with a reason. Default 10 s; it should be
	// less than WriteTimeout.
	SlowReader time.Duration
	// Heartbeat is how long a live stream, or a read as NDJSON that looks for
	// the next record, may stay silent. Default 15 s.
	Heartbeat time.Duration
	// MaxWait is the longest that /position waits. Default, and at most, 60 s.
	MaxWait time.Duration
	// WholeReplies says that whatever hands the replies on does so only when
	// they have ended. Live streams, which do not end, are then not offered: who
	// asks for one is told what is.
	WholeReplies bool
	// TrustedOrigins are origins ("https://console.example.org") whose pages
	// may write although they come from elsewhere. Other pages that a browser
	// shows are refused; programs send no origin and are not.
	TrustedOrigins []string
	// Logger takes what operators should know: internal errors, panics,
	// dropped readers; and each request, at debug level. Default
	// slog.Default().
	Logger *slog.Logger
	// Now is the clock by which requests and slow readers are timed. Default
	// time.Now.
	Now func() time.Time
}

// Handler serves a store over HTTP. It may be used by many goroutines at once.
type Handler struct {
	store   *daybook.Store
	options Options
	origins *http.CrossOriginProtection
	openapi []byte
	shelf   *shelf
	bell    *bell
	failed  atomic.Bool // the store takes no more appends
	// prefix and requests name each request: prefix is that of this handler.
	prefix   string
	requests atomic.Uint64
}

// New returns a handler that serves store. It panics where one of
// Options.TrustedOrigins is not an origin.
func New(store *daybook.Store, options *Options) *Handler {
	h := &Handler{store: store, origins: http.NewCrossOriginProtection(), shelf: newShelf(), bell: &bell{store: store}, prefix: daybook.NewID().String()[24:] + "-"}
	if options != nil {
		h.options = *options
	}
	o := &h.options
	byDefault(&o.Version, "dev")
	byDefault(&o.MaxBody, 32<<20)
	byDefault(&o.MaxPage, 10_000)
	byDefault(&o.MaxPageBytes, 8<<20)
	byDefault(&o.BodyTimeout, 30*time.Second)
	byDefault(&o.WriteTimeout, 30*time.Second)
	byDefault(&o.SlowReader, 10*time.Second)
	byDefault(&o.Heartbeat, 15*time.Second)
	byDefault(&o.MaxWait, longestWait)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, origin := range o.TrustedOrigins {
		if err := h.origins.AddTrustedOrigin(origin); err != nil {
			panic(fmt.Sprintf("httpapi: trusted origin: %v", err))
		}
	}
	h.openapi = openAPI(o.Version)
	return h
}

// byDefault puts a default where a setting is zero.
func byDefault[T comparable](setting *T, value T) {
	var zero T
	if *setting == zero {
		*setting = value
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := h.newExchange(w, r)
	defer x.finish()
	if err := h.serve(x); err != nil {
		x.fail(err)
	} else {
		_ = x.end() // who has gone needs no answer
	}
	x.release()
}

func (h *Handler) serve(x *exchange) error {
	route, err := x.find()
	if err != nil {
		return err
	}
	if err := h.origins.Check(x.request); err != nil {
		return &problem{status: http.StatusForbidden, code: "CROSS_ORIGIN", message: "a page of another origin may not write here"}
	}
	if err := x.parseQuery(route); err != nil {
		return err
	}
	return route.serve(h, x)
}

// readBody reads the body of a request, as far as the limit allows, and at the
// pace that is asked of it. What it returns is the exchange's, and not to be
// kept behind it.
func (h *Handler) readBody(x *exchange) ([]byte, error) {
	limit := h.options.MaxBody
	if length := x.request.ContentLength; length > limit {
		x.overfull = true
		return nil, &daybook.LimitError{Field: "body", Value: length, Limit: limit, Unit: "bytes"}
	}
	body := &pacedBody{exchange: x, body: x.request.Body, start: time.Now(), grace: h.options.BodyTimeout}
	if x.request.ContentLength < 0 { // the server holds a body to the length that it announces
		body.body = http.MaxBytesReader(x.writer, x.request.Body, limit)
	}
	data, err := body.readAll()
	// The deadline must not outlive the body: the server reads on to see
	// whether the client is still there.
	_ = x.control.SetReadDeadline(time.Time{}) // a writer without deadlines never had one
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		x.overfull = true
		return nil, &daybook.LimitError{Field: "body", Value: tooLarge.Limit + 1, Limit: tooLarge.Limit, Unit: "bytes"}
	}
	if err != nil {
		return nil, bodyError(err, int64(len(data)))
	}
	return data, nil
}

// pacedBody is a body that must arrive in time: after grace, at 16 KiB a
// second at least. That is real time, since connections know no other.
type pacedBody struct {
	exchange *exchange
	body     io.Reader
	start    time.Time
	grace    time.Duration
	arrived  int64
	deadline time.Time // the one that was set last
}

const leastPace = 16 << 10 // bytes a second

func (b *pacedBody) Read(p []byte) (int, error) {
	earned := time.Duration(b.arrived/leastPace) * time.Second
	if deadline := b.start.Add(b.grace + earned); !deadline.Equal(b.deadline) {
		b.deadline = deadline
		_ = b.exchange.control.SetReadDeadline(deadline) // see readBody
	}
	n, err := b.body.Read(p)
	b.arrived += int64(n)
	return n, err
}
