package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// What Lambda hands on of a reply, in bytes: largestReply of JSON, the body in
// it as a text or in base64. A page of records that has reached largestPage
// fits in either way, unless its last record is larger than a megabyte.
const (
	largestReply = 6<<20 - 4<<10
	largestPage  = 3 << 20
)

// errTooLarge ends a reply that Lambda would not hand on.
var errTooLarge = errors.New("the reply is larger than what Lambda hands on")

// reply gathers the reply to a request.
type reply struct {
	header   http.Header
	status   int
	body     bytes.Buffer
	overfull bool
}

// Header implements http.ResponseWriter.
func (r *reply) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *reply) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
}

// Write implements http.ResponseWriter. It refuses more than can be handed on.
func (r *reply) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if r.body.Len()+len(p) > largestReply {
		r.overfull = true
		return 0, errTooLarge
	}
	return r.body.Write(p)
}

// answer answers the request in an event.
func (f *Function) answer(ctx context.Context, payload []byte) ([]byte, error) {
	if deadline, bound := ctx.Deadline(); bound {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-farewell))
		defer cancel()
	}
	request, e, err := f.request(ctx, payload)
	if err != nil {
		return nil, err
	}
	r := &reply{header: http.Header{}}
	cut := f.serve(r, request)
	if !r.overfull && !cut {
		if out, err := r.encode(e.first()); err != nil || len(out) <= largestReply {
			return out, err
		}
	}
	return r.instead(cut && !r.overfull).encode(e.first())
}

// serve lets the API answer. It reports whether a reply was given up that had
// begun.
func (f *Function) serve(r *reply, request *http.Request) (cut bool) {
	defer func() {
		if failure := recover(); failure != nil {
			if failure != http.ErrAbortHandler { // net/http compares it so
				panic(failure)
			}
			cut = true
		}
	}()
	f.api.ServeHTTP(r, request)
	return false
}

// instead returns the reply for one that cannot be handed on. One that tells a
// failure keeps its status.
func (r *reply) instead(cut bool) *reply {
	said := &reply{header: http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}}, status: r.status}
	if id := r.header.Get("X-Request-Id"); id != "" {
		said.header.Set("X-Request-Id", id)
	}
	code, message := "REPLY_TOO_LARGE", fmt.Sprintf("%v, %d bytes: ask for less, by limit, from and to", errTooLarge, largestReply)
	switch {
	case cut:
		said.status, code, message = http.StatusInternalServerError, "INTERNAL", "the reply could not be written to its end"
	case r.status < http.StatusBadRequest:
		said.status = http.StatusRequestEntityTooLarge
	}
	body, _ := json.Marshal(map[string]string{"error": code, "message": message}) // cannot fail
	said.body.Write(append(body, '\n'))
	return said
}

// encoded is a reply in either payload; what the other one has is left out.
type encoded struct {
	Status       int                 `json:"statusCode"`
	Headers      map[string]string   `json:"headers,omitempty"`
	MultiHeaders map[string][]string `json:"multiValueHeaders,omitempty"`
	Cookies      []string            `json:"cookies,omitempty"`
	Body         string              `json:"body"`
	Base64       bool                `json:"isBase64Encoded"`
}

// encode returns the reply as Lambda hands it on: in payload 1.0, or 2.0.
func (r *reply) encode(first bool) ([]byte, error) {
	r.WriteHeader(http.StatusOK)
	e := encoded{Status: r.status}
	if first {
		e.MultiHeaders = r.header
	} else {
		e.Headers = map[string]string{}
		for name, values := range r.header {
			if name == "Set-Cookie" {
				e.Cookies = values
				continue
			}
			e.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	e.Body, e.Base64 = r.text()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(&e); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// text returns the body as a text, or in base64 where it is none, or where that
// is shorter: each quotation mark of JSON takes two bytes in a text.
func (r *reply) text() (body string, inBase64 bool) {
	data := r.body.Bytes()
	if !utf8.Valid(data) {
		return base64.StdEncoding.EncodeToString(data), true
	}
	if longer := bytes.Count(data, []byte{'"'}) + bytes.Count(data, []byte{'\\'}) + bytes.Count(data, []byte{'\n'}); longer > len(data)/3+4 {
		return base64.StdEncoding.EncodeToString(data), true
	}
	return string(data), false
}
