package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

const (
	typeJSON   = "application/json"
	typeNDJSON = "application/x-ndjson"
)

// request is what is sent to the server.
type request struct {
	method      string
	path        string // escaped
	params      url.Values
	contentType string // of body
	body        []byte
	accept      string
}

// unreachable is the error of a try that did not get an answer, or one that
// says to come again. It does not match ErrRefused.
type unreachable struct {
	err  error
	sent bool // the request may have reached the server
}

func (e *unreachable) Error() string { return e.err.Error() }
func (e *unreachable) Unwrap() error { return e.err }

// send sends a request once, and returns the reply if it is a good one. Its
// body must be closed.
func (d *Driver) send(ctx context.Context, r request) (*http.Response, error) {
	if d.closing.Err() != nil {
		return nil, daybook.ErrClosed
	}
	var sent atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	call, err := http.NewRequestWithContext(traced, r.method, d.base.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	call.URL = d.base.JoinPath()
	call.URL.RawPath = joined(d.base.EscapedPath(), r.path)
	if call.URL.Path, err = url.PathUnescape(call.URL.RawPath); err != nil {
		return nil, err
	}
	call.URL.RawQuery = r.params.Encode()
	for name, values := range d.options.Header {
		call.Header[name] = values
	}
	call.Header.Set("Accept", r.accept)
	call.Header.Set("User-Agent", "daybook-remote")
	if r.contentType != "" {
		call.Header.Set("Content-Type", r.contentType)
	}
	reply, err := d.options.Client.Do(call)
	if err != nil {
		if ended := ctx.Err(); ended != nil {
			err = ended
		}
		return nil, &unreachable{err: fmt.Errorf("asking %s: %w", d.base.Redacted(), err), sent: sent.Load()}
	}
	if reply.StatusCode == http.StatusOK {
		return reply, nil
	}
	defer reply.Body.Close()
	return nil, d.failure(reply)
}

func joined(base, path string) string {
	for len(base) > 0 && base[len(base)-1] == '/' {
		base = base[:len(base)-1]
	}
	return base + path
}

// failure returns the error that a reply stands for.
func (d *Driver) failure(reply *http.Response) error {
	// Half a body gives an error that names the status only, which is true.
	body, _ := io.ReadAll(io.LimitReader(reply.Body, maxLine))
	var code struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &code) == nil && code.Error == "STREAM_NOT_FOUND" {
		return errNoStream
	}
	err := wire.DecodeError(reply.StatusCode, body)
	switch reply.StatusCode {
	case http.StatusInternalServerError:
		if errors.Is(err, daybook.ErrCorrupt) {
			return err
		}
		return &unreachable{err: err, sent: true}
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &unreachable{err: err, sent: true}
	}
	return err
}

// errNoStream is the answer for a stream without records.
var errNoStream = errors.New("the server: there is no such stream")

// ask sends a request until it is answered, and hands on the body of the reply.
func (d *Driver) ask(ctx context.Context, r request) ([]byte, error) {
	for try := 0; ; try++ {
		body, err := d.askOnce(ctx, r)
		var lost *unreachable
		if !errors.As(err, &lost) || ctx.Err() != nil || try >= d.options.Retries {
			return body, err
		}
		if pause := d.pause(ctx, try); pause != nil {
			return nil, err
		}
	}
}

// askOnce is one try of ask.
func (d *Driver) askOnce(ctx context.Context, r request) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, d.options.Timeout)
	defer cancel()
	reply, err := d.send(limited, r)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		return nil, &unreachable{err: fmt.Errorf("the reply of %s was cut: %w", d.base.Redacted(), err), sent: true}
	}
	return body, nil
}

// get asks for a JSON document.
func (d *Driver) get(ctx context.Context, path string, params url.Values, into any) error {
	body, err := d.ask(ctx, request{method: http.MethodGet, path: path, params: params, accept: typeJSON})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s does not answer like a Daybook server: %w", d.base.Redacted(), err)
	}
	return nil
}

// pause waits before the retry that follows a try, counted from 0.
func (d *Driver) pause(ctx context.Context, try int) error {
	longest := d.options.Backoff << min(try, 6)
	longest = min(longest, 40*d.options.Backoff)
	return d.options.Sleep(ctx, longest/2+time.Duration(d.options.Random()*float64(longest/2)))
}
