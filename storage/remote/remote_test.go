package remote_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/remote"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// wayward is a server that goes wrong on cue, and otherwise serves a store in
// memory.
type wayward struct {
	*httptest.Server
	store    *daybook.Store // behind the server
	requests atomic.Int64
	// wrong is asked before each request, with its number from 1. If it
	// answers, it has dealt with it.
	wrong func(n int64, w http.ResponseWriter, r *http.Request, api http.Handler) bool
}

func newServer(t *testing.T, wrong func(n int64, w http.ResponseWriter, r *http.Request, api http.Handler) bool) *wayward {
	t.Helper()
	s := &wayward{store: daybook.New(memory.New(nil), nil), wrong: wrong}
	quiet := slog.New(slog.DiscardHandler)
	api := httpapi.New(s.store, &httpapi.Options{Logger: quiet})
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.requests.Add(1)
		if s.wrong == nil || !s.wrong(n, w, r, api) {
			api.ServeHTTP(w, r)
		}
	}))
	s.Config.ErrorLog = slog.NewLogLogger(quiet.Handler(), slog.LevelInfo)
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// open returns a driver for the server that does not wait between its tries.
func (s *wayward) open(t *testing.T, options remote.Options) *remote.Driver {
	t.Helper()
	options.Sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	driver, err := remote.Open(s.URL, &options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	return driver
}

func TestRemoteKeepsEveryPromise(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) daybook.Driver {
		return newServer(t, nil).open(t, remote.Options{})
	})
}

// hangUp cuts the connection.
func hangUp() { panic(http.ErrAbortHandler) }

// applyAndHangUp lets the server do what it is asked, and loses its reply.
func applyAndHangUp(r *http.Request, api http.Handler) {
	api.ServeHTTP(httptest.NewRecorder(), r)
	hangUp()
}

var opened = daybook.Event{Type: "opened", Data: []byte(`{"owner":"Ann"}`)}

func records(t *testing.T, store *daybook.Store) []daybook.Record {
	t.Helper()
	var all []daybook.Record
	for record, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, record)
	}
	return all
}

func TestAppendWhoseReplyIsLostIsStoredOnce(t *testing.T) {
	server := newServer(t, func(n int64, _ http.ResponseWriter, r *http.Request, api http.Handler) bool {
		if n <= 3 {
			applyAndHangUp(r, api)
		}
		return false
	})
	store := daybook.New(server.open(t, remote.Options{}), nil)
	receipt, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), opened)
	if err != nil {
		t.Fatal(err)
	}
	if !receipt.Repeated || receipt.Position() != 1 {
		t.Errorf("receipt %+v, want the original one, repeated", receipt)
	}
	if n := len(records(t, server.store)); n != 1 {
		t.Errorf("%d records are stored, want 1", n)
	}
}

func TestAppendIsSentAgainAfterEveryPassingFailure(t *testing.T) {
	timeouts := map[string]time.Duration{"silence": 500 * time.Millisecond}
	for name, wrong := range map[string]func(w http.ResponseWriter, r *http.Request){
		"cut before it was read":  func(http.ResponseWriter, *http.Request) { hangUp() },
		"internal error":          func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"bad gateway":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"unavailable":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"too many requests":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"silence":                 func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"a reply that is cut":     func(w http.ResponseWriter, _ *http.Request) { cutReply(w, `{"append_id":"`) },
		"a store that is closing": func(w http.ResponseWriter, _ *http.Request) { answer(w, 503, `{"error":"CLOSED","message":"closed"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, func(n int64, w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				if n <= 2 {
					_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client has gone
					wrong(w, r)
				}
				return n <= 2
			})
			store := daybook.New(server.open(t, remote.Options{Timeout: timeouts[name]}), nil)
			if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), opened); err != nil {
				t.Fatal(err)
			}
			if n := server.requests.Load(); n < 3 {
				t.Errorf("%d requests, want 3", n)
			}
			if n := len(records(t, server.store)); n != 1 {
				t.Errorf("%d records are stored, want 1", n)
			}
		})
	}
}

// cutReply sends the beginning of a reply and cuts the connection.
func cutReply(w http.ResponseWriter, beginning string) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, beginning) // the connection is cut anyway
	_ = http.NewResponseController(w).Flush()
	hangUp()
}

func answer(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that has gone needs no answer
}

func TestAppendThatIsNeverAnsweredHasAnUnknownOutcome(t *testing.T) {
	server := newServer(t, func(_ int64, _ http.ResponseWriter, r *http.Request, api http.Handler) bool {
		applyAndHangUp(r, api)
		return true
	})
	store := daybook.New(server.open(t, remote.Options{Retries: 2}), nil)
	_, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), opened)
	var unreachable *remote.UnreachableError
	if errors.Is(err, daybook.ErrRefused) || !errors.As(err, &unreachable) || !unreachable.Sent {
		t.Errorf("error %v, want one that does not claim that the append was refused", err)
	}
	if n := server.requests.Load(); n != 3 {
		t.Errorf("%d requests, want one and two retries", n)
	}
}

func TestAppendThatWasNeverSentIsRefused(t *testing.T) {
	server := newServer(t, nil)
	driver := server.open(t, remote.Options{Retries: 1})
	server.Close()
	_, err := daybook.New(driver, nil).Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), opened)
	if !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("error %v, want one that matches ErrRefused: nobody has heard of the append", err)
	}
}

func TestRefusalThatMayPassIsNoProofAfterALostReply(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		proof  bool
	}{
		"a conflict":             {409, `{"error":"OPTIMISTIC_CONCURRENCY_EXCEPTION","message":"m","stream_id":"a","expect":{"version":1},"found":{"version":2}}`, true},
		"a conflict ahead":       {409, `{"error":"OPTIMISTIC_CONCURRENCY_EXCEPTION","message":"m","stream_id":"a","expect":{"version":3},"found":{"version":2}}`, false},
		"a stream that exists":   {409, `{"error":"OPTIMISTIC_CONCURRENCY_EXCEPTION","message":"m","stream_id":"a","expect":"none","found":{"version":2,"first_version":1}}`, false},
		"a condition":            {409, `{"error":"CONDITION_FAILED","message":"m","condition":{"query":{},"after":0},"found":2,"records":[]}`, false},
		"a claim":                {409, `{"error":"CLAIM_HELD","message":"m","stream_id":"a","claim":{"kind":"k","value":"v"},"holder":{"stream_id":"b"}}`, false},
		"invalid input":          {400, `{"error":"INVALID_INPUT","message":"m","field":"f","value":"v","reason":"r"}`, true},
		"a store that is closed": {503, `{"error":"CLOSED","message":"m"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, func(n int64, w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				_, _ = io.Copy(io.Discard, r.Body) // see above
				if n == 1 {
					hangUp()
				}
				answer(w, c.status, c.body)
				return true
			})
			driver := server.open(t, remote.Options{Retries: 2})
			_, err := driver.Append(t.Context(), daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("a"), Events: []daybook.Event{opened}}}})
			if err == nil || errors.Is(err, daybook.ErrRefused) != c.proof {
				t.Errorf("error %v; matches ErrRefused: %t, want %t", err, errors.Is(err, daybook.ErrRefused), c.proof)
			}
		})
	}
}

func TestImportWhoseReplyIsLostIsNotSentAgain(t *testing.T) {
	source := daybook.New(memory.New(nil), nil)
	if _, err := source.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), opened); err != nil {
		t.Fatal(err)
	}
	var log []daybook.RecordedChangeset
	for changeset := range daybook.Changesets(source.ReadLog(t.Context(), daybook.LogRead{})) {
		log = append(log, changeset)
	}
	server := newServer(t, func(_ int64, _ http.ResponseWriter, r *http.Request, api http.Handler) bool {
		applyAndHangUp(r, api)
		return true
	})
	err := daybook.New(server.open(t, remote.Options{}), nil).Import(t.Context(), log)
	if err == nil || errors.Is(err, daybook.ErrRefused) {
		t.Errorf("error %v, want one that leaves the outcome open", err)
	}
	if n := server.requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// scissors cut a reply behind so many bytes.
type scissors struct {
	http.ResponseWriter
	left int
}

func (s *scissors) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *scissors) Write(p []byte) (int, error) {
	if len(p) > s.left {
		n, _ := s.ResponseWriter.Write(p[:s.left])
		_ = http.NewResponseController(s.ResponseWriter).Flush() // the connection is cut anyway
		s.left = 0
		return n, io.ErrShortWrite
	}
	s.left -= len(p)
	return s.ResponseWriter.Write(p)
}

// cutting serves replies that are each cut behind so many bytes.
func cutting(bytes int) func(int64, http.ResponseWriter, *http.Request, http.Handler) bool {
	return func(n int64, w http.ResponseWriter, r *http.Request, api http.Handler) bool {
		cut := &scissors{ResponseWriter: w, left: bytes}
		api.ServeHTTP(cut, r)
		if cut.left == 0 {
			hangUp()
		}
		return true
	}
}

// fill appends n events to a stream, and returns the log.
func fill(t *testing.T, store *daybook.Store, n int) []daybook.Record {
	t.Helper()
	for i := range n {
		stream := daybook.Stream([]string{"account-1", "account-2"}[i%2])
		if _, err := store.Append(t.Context(), stream, daybook.ExpectAny(), opened); err != nil {
			t.Fatal(err)
		}
	}
	return records(t, store)
}

func TestReadThatIsCutGoesOnWhereItWasCut(t *testing.T) {
	server := newServer(t, cutting(700)) // about two records
	all := fill(t, server.store, 21)
	store := daybook.New(server.open(t, remote.Options{}), nil)
	for name, read := range map[string]daybook.LogRead{
		"forwards":            {},
		"backwards":           {Backwards: true},
		"a part":              {After: 3, To: 17},
		"a part backwards":    {After: 3, To: 17, Backwards: true},
		"limited":             {Limit: 8},
		"limited, backwards":  {Limit: 8, Backwards: true},
		"one type of streams": {Filter: daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"opened"}}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			var want, got []daybook.Position
			for record, err := range server.store.ReadLog(t.Context(), read) {
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, record.Position)
			}
			before := server.requests.Load()
			for record, err := range store.ReadLog(t.Context(), read) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, record.Position)
			}
			if !slices.Equal(got, want) {
				t.Errorf("read positions %v, want %v", got, want)
			}
			if server.requests.Load()-before < 3 {
				t.Errorf("only %d requests: nothing was cut", server.requests.Load()-before)
			}
		})
	}
	for _, backwards := range []bool{false, true} {
		var got []daybook.Version
		for record, err := range store.ReadStream(t.Context(), daybook.Stream("account-1"), daybook.StreamRead{Backwards: backwards}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, record.Version)
		}
		if len(got) != (len(all)+1)/2 || got[0] != daybook.Version(map[bool]int{false: 1, true: len(got)}[backwards]) {
			t.Errorf("backwards %t: read versions %v of a stream of %d", backwards, got, (len(all)+1)/2)
		}
	}
}

func TestReadThatMakesNoProgressEndsWithAnError(t *testing.T) {
	server := newServer(t, cutting(10))
	fill(t, server.store, 3)
	driver := server.open(t, remote.Options{Retries: 2})
	var got error
	for record, err := range driver.ReadLog(t.Context(), daybook.LogRead{}) {
		if err == nil {
			t.Fatalf("read %+v of a reply that was cut in its first line", record)
		}
		got = err
	}
	var unreachable *remote.UnreachableError
	if !errors.As(got, &unreachable) {
		t.Errorf("error %v, want *remote.UnreachableError", got)
	}
	if n := server.requests.Load(); n != 3 {
		t.Errorf("%d requests, want one and two retries", n)
	}
}

func TestReadThatFallsSilentGoesOn(t *testing.T) {
	server := newServer(t, func(n int64, w http.ResponseWriter, r *http.Request, api http.Handler) bool {
		if n > 1 {
			return false
		}
		cut := &scissors{ResponseWriter: w, left: 700}
		api.ServeHTTP(cut, r)
		<-r.Context().Done()
		return true
	})
	fill(t, server.store, 9)
	driver := server.open(t, remote.Options{Timeout: 200 * time.Millisecond})
	n := 0
	for _, err := range driver.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 9 || server.requests.Load() < 2 {
		t.Errorf("%d records in %d requests, want 9 in two or more", n, server.requests.Load())
	}
}

func TestErrorInTheMiddleOfAReadComesBackTyped(t *testing.T) {
	server := newServer(t, func(_ int64, w http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
		answer(w, 200, `{"error":"CORRUPT","message":"m","file":"1.segment","offset":7,"position":3,"reason":"checksum"}`+"\n")
		return true
	})
	var corrupt *daybook.CorruptError
	for _, err := range server.open(t, remote.Options{}).ReadLog(t.Context(), daybook.LogRead{}) {
		if !errors.As(err, &corrupt) || corrupt.File != "1.segment" || corrupt.Position != 3 {
			t.Errorf("error %v, want the corruption that the server told", err)
		}
	}
	if corrupt == nil {
		t.Error("no error came back")
	}
}

func TestStoppingAReadEndsItsRequest(t *testing.T) {
	ended := make(chan struct{})
	server := newServer(t, func(_ int64, w http.ResponseWriter, r *http.Request, api http.Handler) bool {
		defer close(ended)
		api.ServeHTTP(&scissors{ResponseWriter: w, left: 700}, r)
		<-r.Context().Done()
		return true
	})
	fill(t, server.store, 9)
	for range server.open(t, remote.Options{}).ReadLog(t.Context(), daybook.LogRead{}) {
		break
	}
	<-ended
}

func TestNameOfAStreamMayBeAnything(t *testing.T) {
	server := newServer(t, nil)
	store := daybook.New(server.open(t, remote.Options{}), nil)
	for _, name := range []string{".", "..", "a/b", "a%2Fb", "a b", "ä", "?", "#", "a&b=c", "records", "\n", strings.Repeat("x", daybook.MaxNameLen)} {
		id := daybook.StreamID{Partition: "p/" + name[:min(len(name), 2)], Name: name}
		if _, err := store.Append(t.Context(), id, daybook.ExpectNone(), opened); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		head, err := store.Head(t.Context(), id)
		if err != nil || head.Version != 1 {
			t.Errorf("%q: head %+v, error %v", name, head, err)
		}
		n := 0
		for record, err := range store.ReadStream(t.Context(), id, daybook.StreamRead{}) {
			if err != nil || record.Stream != id {
				t.Errorf("%q: record of %q, error %v", name, record.Stream, err)
			}
			n++
		}
		if n != 1 {
			t.Errorf("%q: %d records, want 1", name, n)
		}
	}
}

func TestServerMayStandBelowAPath(t *testing.T) {
	server := newServer(t, nil)
	inner := server.Config.Handler
	server.Config.Handler = http.StripPrefix("/events", inner)
	driver, err := remote.Open(server.URL+"/events/", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close()
	if _, err := daybook.New(driver, nil).Append(t.Context(), daybook.Stream("a/b"), daybook.ExpectNone(), opened); err != nil {
		t.Fatal(err)
	}
	if head, err := driver.Head(t.Context(), daybook.Stream("a/b")); err != nil || head.Version != 1 {
		t.Errorf("head %+v, error %v", head, err)
	}
}

func TestCloseEndsWaiting(t *testing.T) {
	asked := make(chan struct{})
	server := newServer(t, func(_ int64, _ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		close(asked)
		<-r.Context().Done()
		return true
	})
	driver := server.open(t, remote.Options{})
	waited := make(chan error)
	go func() { waited <- driver.Wait(context.WithoutCancel(t.Context()), 0) }()
	<-asked
	if err := driver.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, daybook.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
}

func TestURLThatIsNoServerIsRefused(t *testing.T) {
	for _, address := range []string{"", "localhost:7070", "ftp://host", "http://", "http://host/?a=b", "http://host/#a", "http://ho st"} {
		if _, err := remote.Open(address, nil); !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("%q: error %v, want one that matches ErrInvalid", address, err)
		}
	}
}

func TestHeaderGoesWithEveryRequest(t *testing.T) {
	var got atomic.Value
	server := newServer(t, func(_ int64, _ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		got.Store(r.Header.Get("Authorization"))
		return false
	})
	driver := server.open(t, remote.Options{Header: http.Header{"Authorization": {"Bearer ann"}}})
	if _, err := driver.End(t.Context()); err != nil || got.Load() != "Bearer ann" {
		t.Errorf("header %v, error %v", got.Load(), err)
	}
}
