package azuretable_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// proxy stands between a driver and the emulator: it counts requests, and does
// to some of them what a network or a busy service does.
type proxy struct {
	*httptest.Server
	target *url.URL

	mu      sync.Mutex // guards all below
	counts  map[string]int
	trouble func(r *http.Request, body []byte) trouble
}

// trouble is what becomes of a request.
type trouble struct {
	status int    // is answered instead of asking the service; 0 is none
	code   string // of the error, where there is a status
	cut    bool   // the connection ends after the service has carried it out
	lost   bool   // the connection ends before it has
	after  func() // is called when the service has carried it out
}

// newProxy returns a proxy in front of the emulator.
func newProxy(t testing.TB) *proxy {
	t.Helper()
	target, err := url.Parse(emulator(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, counts: map[string]int{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// endpoint is what takes the place of the emulator's.
func (p *proxy) endpoint() string { return p.URL + p.target.Path }

// troubled lets f say what becomes of requests; nil is nothing.
func (p *proxy) troubled(f func(r *http.Request, body []byte) trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = f
}

// take returns how many requests there were since it was asked last.
func (p *proxy) take() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := p.counts
	p.counts = map[string]int{}
	return counts
}

// kind names what a request is for.
func kind(r *http.Request, body []byte) string {
	switch {
	case r.Method == http.MethodPost && bytes.Contains(body, []byte(`"Settled"`)):
		return "create page"
	case r.Method == http.MethodPost && bytes.Contains(body, []byte(`"Done"`)):
		return "mark settled"
	case r.Method == http.MethodPost:
		return "settle"
	case strings.Contains(r.URL.Path, "!!appends"):
		return "look up id"
	case strings.Contains(r.URL.Path, "!!streams") || strings.Contains(r.URL.Path, "!!claims"):
		return "look up head"
	case strings.Contains(r.URL.RawQuery, "pages"):
		return "read pages"
	default:
		return "read records"
	}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var what trouble
	p.mu.Lock()
	p.counts[kind(r, body)]++
	decide := p.trouble
	p.mu.Unlock()
	if decide != nil {
		what = decide(r, body)
	}
	switch {
	case what.lost:
		panic(http.ErrAbortHandler)
	case what.status > 0:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("x-ms-error-code", what.code)
		w.WriteHeader(what.status)
		_, _ = io.WriteString(w, `{"odata.error":{"code":"`+what.code+`","message":{"lang":"en-US","value":"as the test wants it"}}}`)
		return
	}
	answer, content, err := p.pass(r, body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if what.after != nil {
		what.after()
	}
	if what.cut {
		panic(http.ErrAbortHandler)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(content)
}

// pass sends a request on as it is: its host is part of what was signed.
func (p *proxy) pass(r *http.Request, body []byte) (*http.Response, []byte, error) {
	there := *r.URL
	there.Scheme, there.Host = p.target.Scheme, p.target.Host
	request, err := http.NewRequestWithContext(r.Context(), r.Method, there.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	request.Header, request.Host = r.Header.Clone(), r.Host
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	return answer, content, err
}
