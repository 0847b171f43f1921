// Package remote is the HTTP client of a Daybook server as a driver: a Store
// on it behaves like a Store on the server's own storage, with the network
// between.
//
// An append whose reply is lost is sent again by the driver itself, with its
// id, so that it is stored once and answered with its receipt. Reads stream in
// constant memory; one that is cut goes on where it was cut. Only when that
// has failed for a while does an error come back.
package remote

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// Driver is the client of one server.
type Driver struct {
	base    *url.URL
	options Options
	own     *http.Transport // nil where the caller gave a client
	// closing ends with Close, by close: those who wait would else never notice.
	closing context.Context
	close   context.CancelFunc
}

// Options of a Driver. Nil and zero fields mean the defaults.
type Options struct {
	// Client sends the requests. It must not have a Timeout, which would cut
	// long reads. Default a client of its own.
	Client *http.Client
	// Header is sent with every request: for a proxy that wants to know who
	// asks.
	Header http.Header
	// Retries is how many more times a request is sent, or a read that made
	// no progress begun, after the server could not be reached or the reply
	// was lost. Default 5; negative is none.
	Retries int
	// Backoff is the longest pause before the first retry. It doubles with
	// each, up to 40 times itself; half of each pause is random. Default
	// 100 ms.
	Backoff time.Duration
	// Timeout bounds one try of a request that is not a read of many records,
	// and the silence within one that is. Default one minute.
	Timeout time.Duration
	// Sleep pauses between tries, and returns the error of ctx when that ends
	// first. Default by the clock.
	Sleep func(ctx context.Context, d time.Duration) error
	// Random returns a number from 0 up to, not including, 1. Default
	// math/rand/v2.
	Random func() float64
}

// Open returns a driver for the server at a URL: "http://127.0.0.1:7070". It
// does not ask the server anything yet. A URL of another kind is an
// *daybook.InvalidError.
func Open(address string, options *Options) (*Driver, error) {
	base, err := url.Parse(address)
	if err != nil {
		return nil, &daybook.InvalidError{Field: "url", Value: fmt.Sprintf("%q", address), Reason: "must be a URL like http://127.0.0.1:7070"}
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, &daybook.InvalidError{Field: "url", Value: fmt.Sprintf("%q", base.Redacted()), Reason: "must be http:// or https://, a host, and nothing behind the path"}
	}
	d := &Driver{base: base}
	d.closing, d.close = context.WithCancel(context.Background())
	if options != nil {
		d.options = *options
	}
	o := &d.options
	if o.Client == nil {
		d.own = transport()
		o.Client = &http.Client{Transport: d.own}
	}
	switch {
	case o.Retries == 0:
		o.Retries = 5
	case o.Retries < 0:
		o.Retries = 0
	}
	if o.Backoff <= 0 {
		o.Backoff = 100 * time.Millisecond
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return d, nil
}

// transport keeps as many connections open as callers of one process are
// likely to use at once; the two of the default would be opened and closed for
// every request of a third.
func transport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        256,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
}

// Name returns "remote".
func (d *Driver) Name() string { return "remote" }

// Close ends all waiting and the idle connections, and refuses further calls.
func (d *Driver) Close() error {
	d.close()
	if d.own != nil {
		d.own.CloseIdleConnections()
	}
	return nil
}

// streamPath returns the path of a stream, what stands behind it included. The
// dots are escaped because a name may be "..", which proxies would resolve.
func streamPath(id daybook.StreamID, behind string) string {
	return "/streams/" + strings.ReplaceAll(url.PathEscape(id.Name), ".", "%2E") + behind
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
