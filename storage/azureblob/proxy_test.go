package azureblob_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// gate stands before the blob service for several proxies at once, and lets a
// blob take only so many blocks: what the service does at 50,000.
type gate struct {
	service string
	limit   int // of blocks; 0 is that of the service

	mu     sync.Mutex // held while a block is appended
	blocks map[string]int
}

func newGate(service string, limit int) *gate {
	return &gate{service: service, limit: limit, blocks: map[string]int{}}
}

// proxy is one way to the service, on which requests are counted and fail on
// cue.
type proxy struct {
	*gate
	url string

	mu       sync.Mutex // guards all below
	requests map[string]int
	cue      func(kind string, n int) fault
}

// fault is what happens to a request.
type fault struct {
	before func()        // called before it is carried out
	after  func()        // called after it was
	status int           // it is refused with this status, and not carried out
	code   string        // of the service, with the status
	wait   string        // Retry-After, with the status
	delay  time.Duration // before it is carried out
	lost   bool          // the connection is cut before it is carried out
	cut    bool          // the connection is cut after it was carried out
	half   bool          // the answer breaks off in the middle
}

// proxyTo starts a proxy.
func proxyTo(t testing.TB, g *gate) *proxy {
	t.Helper()
	p := &proxy{gate: g, requests: map[string]int{}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL + g.service[strings.LastIndex(g.service, "/"):]
	return p
}

// onCue sets what happens to requests, by their kind and how many of that kind
// there were, from 1.
func (p *proxy) onCue(cue func(kind string, n int) fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cue, p.requests = cue, map[string]int{}
}

// counted returns how many requests of each kind there were since onCue.
func (p *proxy) counted() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counted := map[string]int{}
	for kind, n := range p.requests {
		counted[kind] = n
	}
	return counted
}

// kindOf names what a request does.
func kindOf(r *http.Request) string {
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodPut && query.Get("comp") == "appendblock":
		return "append"
	case query.Get("comp") == "list":
		return "list"
	case query.Get("restype") == "container":
		return "container"
	case r.Method == http.MethodPut && query.Get("comp") == "":
		return "create"
	case r.Method == http.MethodGet:
		return "read"
	}
	return r.Method + " " + query.Get("comp")
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	kind := kindOf(r)
	p.mu.Lock()
	p.requests[kind]++
	var f fault
	if p.cue != nil {
		f = p.cue(kind, p.requests[kind])
	}
	p.mu.Unlock()
	if f.before != nil {
		f.before()
	}
	if f.status != 0 {
		if f.wait != "" {
			w.Header().Set("Retry-After", f.wait)
		}
		w.Header().Set("x-ms-error-code", f.code)
		w.WriteHeader(f.status)
		return
	}
	if f.lost {
		cut(w)
		return
	}
	time.Sleep(f.delay) // what a slow network does
	response, answer, err := p.forward(r, kind, body)
	if f.after != nil {
		f.after()
	}
	if err != nil || f.cut {
		cut(w)
		return
	}
	for name, values := range response.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(response.StatusCode)
	if f.half {
		_, _ = w.Write(answer[:len(answer)/2])
		cut(w)
		return
	}
	_, _ = w.Write(answer)
}

// cut closes the connection of a request.
func cut(w http.ResponseWriter) {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = connection.Close()
		return
	}
	panic(http.ErrAbortHandler)
}

// forward carries a request out at the service.
func (g *gate) forward(r *http.Request, kind string, body []byte) (*http.Response, []byte, error) {
	if kind == "append" && g.limit > 0 {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.blocks[r.URL.Path] >= g.limit {
			header := http.Header{"X-Ms-Error-Code": {"BlockCountExceedsLimit"}}
			return &http.Response{StatusCode: http.StatusConflict, Header: header}, nil, nil
		}
	}
	target := g.service[:strings.LastIndex(g.service, "/")] + r.URL.RequestURI()
	request, err := http.NewRequest(r.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header = r.Header.Clone()
	request.ContentLength = int64(len(body))
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("the service's answer: %w", err)
	}
	if kind == "append" && g.limit > 0 && response.StatusCode == http.StatusCreated {
		g.blocks[r.URL.Path]++
	}
	return response, answer, nil
}
