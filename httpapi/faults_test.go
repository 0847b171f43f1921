package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/storage/memory"
)

// broken is a storage that answers every call with an error.
type broken struct{ err error }

func (b broken) Name() string { return "broken" }
func (b broken) Close() error { return nil }
func (b broken) Append(context.Context, daybook.Append) (daybook.Receipt, error) {
	return daybook.Receipt{}, b.err
}

func (b broken) ReadStream(context.Context, daybook.StreamID, daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return fails[daybook.Record](b.err)
}

func (b broken) ReadLog(context.Context, daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return fails[daybook.Record](b.err)
}

// brokenQuestions is broken in what a storage may offer besides.
type brokenQuestions struct{ broken }

func (b brokenQuestions) ListStreams(context.Context, daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return fails[daybook.StreamHead](b.err)
}

func (b brokenQuestions) Stats(context.Context) (daybook.Stats, error) { return daybook.Stats{}, b.err }

func (b brokenQuestions) Import(context.Context, []daybook.RecordedChangeset) error { return b.err }

func (b brokenQuestions) DeleteStream(context.Context, daybook.Deletion) (daybook.DeletionReceipt, error) {
	return daybook.DeletionReceipt{}, b.err
}

func (b brokenQuestions) ReadDeletions(context.Context, daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	return fails[daybook.RecordedDeletion](b.err)
}

func (b brokenQuestions) ClaimHolder(context.Context, string, daybook.Claim) (daybook.StreamID, bool, error) {
	return daybook.StreamID{}, false, b.err
}

func fails[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}

// oneRecord is a line that can be imported.
const oneRecord = `{"position":3,"stream_id":"a","version":1,"recorded_at":"2026-01-01T00:00:00Z","id":"01890a5d-ac96-774b-bcce-b302099a8057",` +
	`"type":"x","data":{},"changeset":{"number":1,"first":1,"count":1,"append_id":"01890a5d-ac96-774b-bcce-b302099a8057"}}`

// questions are requests of every kind that ask the store, with a good body.
var questions = []struct{ method, path, body string }{
	{"GET", "/streams", ""}, {"POST", "/streams/a", `{"events":[1]}`}, {"GET", "/streams/a/changesets", ""}, {"GET", "/streams/a/events", ""}, {"GET", "/changesets?checkpoint=1", ""},
	{"POST", "/appends", `{"changesets":[{"stream_id":"a","events":[{"type":"x"}]}]}`}, {"GET", "/streams/a", ""}, {"HEAD", "/streams/a", ""},
	{"GET", "/streams/a/records", ""}, {"GET", "/records", ""},
	{"GET", "/records?format=ndjson", ""}, {"GET", "/position", ""}, {"GET", "/heads", ""}, {"GET", "/heads?format=ndjson", ""}, {"GET", "/stats", ""}, {"GET", "/claims?kind=k&value=v", ""},
	{"DELETE", "/streams/a", ""}, {"GET", "/deletions", ""}, {"GET", "/deletions?format=ndjson", ""},
	{"POST", "/imports", oneRecord},
}

func TestAStorageThatFailsIsAnsweredByTheTable(t *testing.T) {
	secret := errors.New("password of the database: hunter2")
	tests := []struct {
		err    error
		status int
		code   string
	}{
		{secret, 500, "INTERNAL"},
		{fmt.Errorf("reading: %w", &daybook.CorruptError{File: "0001.log", Offset: 9, Position: 3, Reason: "checksum"}), 500, "CORRUPT"},
		{daybook.ErrClosed, 503, "CLOSED"},
		{fmt.Errorf("the disk is full: %w", daybook.ErrRefused), 503, "REFUSED"},
		{fmt.Errorf("waiting: %w", context.DeadlineExceeded), 504, "TIMEOUT"},
		{&daybook.UnsupportedError{Driver: "broken", Feature: "anything"}, 501, "NOT_SUPPORTED"},
		{daybook.ErrReadOnly, 403, "READ_ONLY"},
		{fmt.Errorf("hunter2: %w", daybook.ErrFull), 507, "STORAGE_FULL"},
		{fmt.Errorf("hunter2: %w", daybook.ErrFailed), 503, "STORAGE_FAILED"},
	}
	for _, test := range tests {
		t.Run(test.code, func(t *testing.T) {
			log := &lockedBuffer{}
			s := serveStore(t, daybook.New(brokenQuestions{broken{test.err}}, nil), &httpapi.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
			for _, q := range questions {
				writes := q.method == "POST" || q.method == "DELETE"
				optional := writes || strings.Contains("/streams /stats /heads /claims /deletions", strings.SplitN(q.path, "?", 2)[0])
				if (test.status == 403 || test.status == 507) && !writes || test.status == 501 && !optional {
					continue // no storage answers a read so
				}
				r := s.do(q.method, q.path, q.body)
				if q.method == "HEAD" {
					r.must(test.status)
					continue
				}
				r.fails(test.status, test.code)
				if bytes.Contains(r.body, []byte("hunter2")) {
					t.Errorf("%s %s lets out what is inside: %s", q.method, q.path, r.body)
				}
				if logged := log.String(); test.status == 500 && (!strings.Contains(logged, test.err.Error()) || !strings.Contains(logged, r.header.Get("X-Request-Id"))) {
					t.Errorf("%s %s: the log does not tell of request %s: %s", q.method, q.path, r.header.Get("X-Request-Id"), logged)
				}
			}
			s.get("/healthz").must(503)
			s.do("HEAD", "/healthz", "").must(503)
			s.get("/version").must(200)
		})
	}
}

// readable is a storage that failed: it is read, and takes no appends.
type readable struct{ *memory.Driver }

func (readable) Append(context.Context, daybook.Append) (daybook.Receipt, error) {
	return daybook.Receipt{}, fmt.Errorf("no space left: %w", daybook.ErrFailed)
}

func TestAServerWhoseStorageFailedIsUnwellAndCanBeRead(t *testing.T) {
	inner := newMemory()
	fill(t, daybook.New(inner, nil), 3)
	s := serveStore(t, daybook.New(readable{inner}, nil), nil)
	s.get("/healthz").must(200)
	s.post("/streams/a", `{"events":[1]}`).fails(503, "STORAGE_FAILED", "unknown")
	s.get("/healthz").fails(503, "STORAGE_FAILED")
	if got := s.get("/records").positions(); len(got) != 3 {
		t.Errorf("%d records are read, want 3", len(got))
	}
}

// fullUp is a storage without room: it is read, and refuses appends.
type fullUp struct{ *memory.Driver }

func (fullUp) Append(context.Context, daybook.Append) (daybook.Receipt, error) {
	return daybook.Receipt{}, fmt.Errorf("no space left: %w", daybook.ErrFull)
}

func TestAServerWhoseStorageIsFullSaysThatNothingWasStoredAndIsWell(t *testing.T) {
	inner := newMemory()
	fill(t, daybook.New(inner, nil), 3)
	s := serveStore(t, daybook.New(fullUp{inner}, nil), nil)
	s.post("/streams/a", `{"events":[1]}`).fails(507, "STORAGE_FULL", "nothing of this was stored")
	// To start it again cannot help, so it does not ask for that.
	s.get("/healthz").must(200)
	if got := s.get("/records").positions(); len(got) != 3 {
		t.Errorf("%d records are read, want 3", len(got))
	}
}

func TestAStorageThatOffersLittleIsAnsweredByTheTable(t *testing.T) {
	s := serveStore(t, daybook.New(plain{newMemory()}, nil), nil)
	s.twoChangesets()
	for _, path := range []string{"/streams", "/stats", "/heads", "/claims?kind=k&value=v", "/deletions"} {
		s.get(path).fails(501, "NOT_SUPPORTED")
	}
	s.do("DELETE", "/streams/abcd", "").fails(501, "NOT_SUPPORTED")
	s.post("/imports", questions[len(questions)-1].body).fails(501, "NOT_SUPPORTED")
	s.get("/position").is(200, `{"position":6}`)
	s.get("/streams/abcd/events?from=6").must(200)
}

// plain is a storage that offers nothing but what it must.
type plain struct{ daybook.Driver }

// damaged is a storage that cannot be read beyond a position.
type damaged struct {
	daybook.Driver
	after daybook.Position
}

func (d damaged) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		for record, err := range d.Driver.ReadLog(ctx, read) {
			if err == nil && record.Position > d.after {
				err = &daybook.CorruptError{File: "0001.log", Offset: 9, Position: record.Position, Reason: "checksum"}
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

func TestAnErrorInTheMiddleIsTheLastLineOfNDJSON(t *testing.T) {
	for _, before := range []int{3, 3000} { // within the first piece, and far behind it
		inner := newMemory()
		store := daybook.New(inner, nil)
		fill(t, store, before+10)
		s := serveStore(t, daybook.New(damaged{inner, daybook.Position(before)}, nil), nil)
		r := s.get("/records", "Accept", "application/x-ndjson").must(200)
		lines := bytes.Split(bytes.TrimSuffix(r.body, []byte("\n")), []byte("\n"))
		if len(lines) != before+1 || !bytes.HasPrefix(lines[before], []byte(`{"error":"CORRUPT"`)) {
			t.Errorf("%d lines came, the last is %s", len(lines), lines[len(lines)-1])
		}
	}
}

// A part of a JSON document must not pass for the whole: either the reply is
// an error, or the connection is cut.
func TestAnErrorInTheMiddleOfJSONCutsTheConnection(t *testing.T) {
	inner := newMemory()
	fill(t, daybook.New(inner, nil), 3000)
	s := serveStore(t, daybook.New(damaged{inner, 10}, nil), nil)
	s.get("/records").fails(500, "CORRUPT")
	s.get("/changesets").fails(500, "CORRUPT")
	s = serveStore(t, daybook.New(damaged{inner, 2000}, nil), nil)
	for _, path := range []string{"/records?limit=10000", "/changesets?limit=10000"} {
		response := s.openUnchecked(path)
		if _, err := io.Copy(io.Discard, response.Body); response.StatusCode == 200 && err == nil {
			t.Errorf("%s ends as if it were whole", path)
		}
		response.Body.Close()
	}
}

// panicking is a storage with a bug.
type panicking struct{ daybook.Driver }

func (panicking) Append(context.Context, daybook.Append) (daybook.Receipt, error) { panic("a bug") }

func TestAPanicIsLoggedAndTheServerLives(t *testing.T) {
	log := &lockedBuffer{}
	s := serveStore(t, daybook.New(panicking{newMemory()}, nil), &httpapi.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	r := s.post("/streams/a", `{"events":[1]}`).fails(500, "INTERNAL")
	if logged := log.String(); !strings.Contains(logged, "a bug") || !strings.Contains(logged, r.header.Get("X-Request-Id")) || !strings.Contains(logged, "faults_test.go") {
		t.Errorf("the log does not tell where the bug is: %s", logged)
	}
	s.get("/version").must(200)
}

// lockedBuffer is a buffer that many goroutines may write to.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// fill appends n events to the stream "filled", several to a changeset.
func fill(t *testing.T, store *daybook.Store, n int) {
	t.Helper()
	for n > 0 {
		events := make([]daybook.Event, min(n, 100))
		for i := range events {
			events[i] = daybook.Event{Type: "filled", Data: []byte(`{"some":"data"}`)}
		}
		if _, err := store.Append(t.Context(), daybook.Stream("filled"), daybook.ExpectAny(), events...); err != nil {
			t.Fatal(err)
		}
		n -= len(events)
	}
}
