package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/storage/memory"
)

// server is a store behind HTTP, on a real connection.
type server struct {
	t      *testing.T
	store  *daybook.Store
	url    string
	client *http.Client
	stop   func() error // shuts down and returns what Serve returned
}

// serve serves an empty store in memory until the test ends.
func serve(t *testing.T, options *httpapi.Options) *server {
	t.Helper()
	return serveStore(t, daybook.New(memory.New(nil), nil), options)
}

func serveStore(t *testing.T, store *daybook.Store, options *httpapi.Options) *server {
	t.Helper()
	var o httpapi.Options
	if options != nil {
		o = *options
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, listener, store, httpapi.New(store, &o), nil)
}

func serveOn(t *testing.T, listener net.Listener, store *daybook.Store, handler http.Handler, options *httpapi.ServerOptions) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var o httpapi.ServerOptions
	if options != nil {
		o = *options
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	go func() { ended <- httpapi.Serve(ctx, listener, handler, &o) }()
	stopped := false
	s := &server{t: t, store: store, url: "http://" + listener.Addr().String()}
	transport := &http.Transport{DisableCompression: true}
	s.client = &http.Client{Transport: &checkedTransport{t: t, next: transport}}
	s.stop = func() error {
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if !stopped {
			if err := s.stop(); err != nil {
				t.Errorf("the server did not shut down cleanly: %v", err)
			}
		}
		store.Close()
	})
	return s
}

// reply is what a request was answered with.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// do sends a request; header holds pairs of a name and a value.
func (s *server) do(method, path, body string, header ...string) *reply {
	s.t.Helper()
	response := s.open(method, path, strings.NewReader(body), header...)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v after %q", method, path, err, data)
	}
	return &reply{s.t, response.StatusCode, response.Header, data}
}

func (s *server) get(path string, header ...string) *reply {
	s.t.Helper()
	return s.do("GET", path, "", header...)
}

func (s *server) post(path, body string, header ...string) *reply {
	s.t.Helper()
	return s.do("POST", path, body, header...)
}

// open sends a request and leaves the reading of its reply to the caller.
func (s *server) open(method, path string, body io.Reader, header ...string) *http.Response {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	s.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return response
}

// openUnchecked sends a GET whose reply is not held against the document,
// because it is not whole.
func (s *server) openUnchecked(path string) *http.Response {
	s.t.Helper()
	response, err := http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	return response
}

// must fails the test unless the reply has the status.
func (r *reply) must(status int) *reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// is fails the test unless the reply has the status and a body that is equal
// to want as JSON.
func (r *reply) is(status int, want string) *reply {
	r.t.Helper()
	r.must(status)
	if got, want := compact(r.t, r.body), compact(r.t, []byte(want)); got != want {
		r.t.Errorf("the reply is\n%s\nwant\n%s", got, want)
	}
	return r
}

// fails fails the test unless the reply is an error with the status and code
// whose message contains all of the pieces.
func (r *reply) fails(status int, code string, pieces ...string) *reply {
	r.t.Helper()
	r.must(status)
	body := r.object()
	if body["error"] != code {
		r.t.Errorf("the error is %v, want %s: %s", body["error"], code, r.body)
	}
	message, _ := body["message"].(string)
	for _, piece := range pieces {
		if !strings.Contains(message, piece) {
			r.t.Errorf("the message %q does not contain %q", message, piece)
		}
	}
	return r
}

// object returns the body, which must be a JSON object. Numbers keep their
// digits.
func (r *reply) object() map[string]any {
	r.t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		r.t.Fatalf("the reply is not a JSON object: %v: %q", err, r.body)
	}
	return object
}

func compact(t *testing.T, data []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		t.Fatalf("not JSON: %v: %q", err, data)
	}
	return out.String()
}

// empty fails the test if anything was stored.
func (s *server) empty() {
	s.t.Helper()
	if end, err := s.store.End(context.Background()); err != nil || end != 0 {
		s.t.Errorf("the log ends at %d, %v; nothing should have been stored", end, err)
	}
}
