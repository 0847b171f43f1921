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
		var wrapped *url.Error
		if ended := ctx.Err(); ended != nil {
			err = ended
		} else if errors.As(err, &wrapped) {
			err = wrapped.Err // without the URL: the server is named already
		}
		return nil, d.unreachable(sent.Load(), err)
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
	err := wire.DecodeError(reply.StatusCode, body)
	switch reply.StatusCode {
	case http.StatusInternalServerError:
		if errors.Is(err, daybook.ErrCorrupt) {
			return err
		}
		return d.unreachable(true, err)
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return d.unreachable(true, err)
	}
	return err
}

// ask sends a request until it is answered, and hands on the body of the reply.
func (d *Driver) ask(ctx context.Context, r request) ([]byte, error) {
	for try := 0; ; try++ {
		body, err := d.askOnce(ctx, r)
		var lost *UnreachableError
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
		return nil, d.unreachable(true, fmt.Errorf("the reply was cut: %w", err))
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
		return d.stranger(err)
	}
	return nil
}

// pause waits before the retry that follows a try, counted from 0.
func (d *Driver) pause(ctx context.Context, try int) error {
	longest := d.options.Backoff << min(try, 6)
	longest = min(longest, 40*d.options.Backoff)
	return d.options.Sleep(ctx, longest/2+time.Duration(d.options.Random()*float64(longest/2)))
}
