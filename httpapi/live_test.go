package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/internal/wire"
)

// listener reads server-sent events.
type listener struct {
	t     *testing.T
	body  *http.Response
	lines *bufio.Reader
}

// sent is one event; one of a comment has its text in comment.
type sent struct{ id, name, data, comment string }

func (s *server) listen(path string, header ...string) *listener {
	s.t.Helper()
	response := s.open("GET", path, http.NoBody, append(header, "Accept", "text/event-stream")...)
	s.t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != 200 {
		s.t.Fatalf("status %d", response.StatusCode)
	}
	return &listener{s.t, response, bufio.NewReader(response.Body)}
}

// next returns the next event, false when the stream has ended.
func (l *listener) next() (sent, bool) {
	l.t.Helper()
	var event sent
	for {
		line, err := l.lines.ReadString('\n')
		if err != nil {
			return event, false
		}
		if line == "\n" {
			return event, true
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			event.id = value
		case "event":
			event.name = value
		case "data":
			event.data = value
		case "":
			event.comment = value
		}
	}
}

// record returns the next event, which must be a record.
func (l *listener) record() (id string, record daybook.Record) {
	l.t.Helper()
	for {
		event, more := l.next()
		if event.name == "" && more {
			continue
		}
		record, err := wire.DecodeRecord([]byte(event.data))
		if !more || event.name != "record" || err != nil {
			l.t.Fatalf("%+v came instead of a record", event)
		}
		return event.id, record
	}
}

// last returns the last event but for comments; the stream must end.
func (l *listener) last() sent {
	l.t.Helper()
	var last sent
	for {
		event, more := l.next()
		if !more {
			return last
		}
		if event.name != "" {
			last = event
		}
	}
}

func TestALiveLogSendsWhatIsThereAndWhatComes(t *testing.T) {
	s := serve(t, nil)
	mixed(t, s.store)
	all, some := s.listen("/records"), s.listen("/records?tag=a&partition=")
	for want := 1; want <= 6; want++ {
		if id, record := all.record(); id != fmt.Sprint(want) || int(record.Position) != want {
			t.Fatalf("record %d came as %s at %d", want, id, record.Position)
		}
	}
	for _, want := range []string{"1", "5"} {
		if id, _ := some.record(); id != want {
			t.Fatalf("record %s came, want %s", id, want)
		}
	}
	s.post("/streams/new", `{"events":[{"type":"late"}]}`).must(200)
	if id, record := all.record(); id != "7" || record.Type != "late" || string(record.Data) != `{"type":"late"}` {
		t.Errorf("%s came: %+v", id, record)
	}
	s.post("/appends", `{"changesets":[{"stream_id":"x","events":[{"type":"x","tags":["a"]}]}]}`).must(200)
	if id, _ := some.record(); id != "8" {
		t.Errorf("record %s came, want 8", id)
	}
	if got := all.body.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("the content type is %s", got)
	}
}

func TestALiveStreamResumesBehindTheLastEvent(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	s.post("/streams/other", `{"events":[1]}`).must(200)
	s.post("/streams/abcd?expected_last_event=6", `{"events":[7]}`).must(200)
	for _, test := range []struct{ path, header, want string }{
		{"/records", "", "1"}, {"/records?after=3", "", "4"}, {"/records", "6", "7"}, {"/records?after=3", "5", "6"}, {"/records?after=5", "0", "1"},
		{"/streams/abcd/records", "", "1"}, {"/streams/abcd/records?from=3", "", "3"}, {"/streams/abcd/records?from=3", "6", "7"}, {"/streams/abcd/records", "6", "7"},
	} {
		var header []string
		if test.header != "" {
			header = []string{"Last-Event-ID", test.header}
		}
		if id, _ := s.listen(test.path, header...).record(); id != test.want {
			t.Errorf("%s after %q begins with %s, want %s", test.path, test.header, id, test.want)
		}
	}
}

func TestALiveStreamWaitsForAStreamThatDoesNotExistYet(t *testing.T) {
	s := serve(t, nil)
	l := s.listen("/streams/later/records")
	s.post("/streams/other", `{"events":[1]}`).must(200)
	s.post("/streams/later", `{"events":[1,2]}`).must(200)
	for _, want := range []string{"1", "2"} {
		if id, record := l.record(); id != want || record.Stream.Name != "later" {
			t.Errorf("%s of %s came, want %s", id, record.Stream, want)
		}
	}
}

func TestALiveStreamRefusesWhatWouldEndIt(t *testing.T) {
	s := serve(t, nil)
	for _, path := range []string{"/records?", "/streams/a/records?"} {
		for _, param := range []string{"to=3", "until=2026-01-01T00:00:00Z", "backwards=true", "limit=1"} {
			name, _, _ := strings.Cut(param, "=")
			if got := s.get(path+param, "Accept", "text/event-stream").fails(400, "INVALID_INPUT", "NDJSON").object()["field"]; got != name {
				t.Errorf("%s names the field %v", param, got)
			}
		}
		s.get(path+"format=sse", "Last-Event-ID", "x").fails(400, "INVALID_INPUT", "Last-Event-ID")
		s.get(path+"format=sse", "Last-Event-ID", "-1").fails(400, "INVALID_INPUT", "Last-Event-ID")
	}
	s.get("/streams/!!!RESERVED:x/records?format=sse").fails(400, "INVALID_INPUT", "reserved")
}

func TestASilentLiveStreamSendsHeartbeats(t *testing.T) {
	s := serve(t, &httpapi.Options{Heartbeat: time.Millisecond})
	l := s.listen("/records?type=none")
	beats := 0
	for beats < 3 {
		event, more := l.next()
		if !more {
			t.Fatal("the stream ended")
		}
		if event.comment == "heartbeat" {
			beats++
		}
	}
	// What the filter passes over moves the place, so that resuming does not
	// look at it again.
	s.twoChangesets()
	for {
		event, more := l.next()
		if !more {
			t.Fatal("the stream ended")
		}
		if event.id == "6" {
			break
		}
	}
}

func TestWhatIsWaitingLeavesTogether(t *testing.T) {
	s := serve(t, nil)
	fill(t, s.store, 5000)
	ctx, cancel := context.WithCancel(t.Context())
	w := &flushWriter{header: http.Header{}, lines: 5000, all: cancel}
	httpapi.New(s.store, nil).ServeHTTP(w, httptest.NewRequest("GET", "/records?format=sse", nil).WithContext(ctx))
	if w.records != 5000 || w.flushes > 100 {
		t.Errorf("%d records left in %d flushes", w.records, w.flushes)
	}
}

// flushWriter counts the records that are written and the flushes, and calls
// all when enough have been flushed.
type flushWriter struct {
	header                  http.Header
	lines, records, flushes int
	all                     func()
}

func (w *flushWriter) Header() http.Header { return w.header }
func (w *flushWriter) WriteHeader(int)     {}
func (w *flushWriter) Write(p []byte) (int, error) {
	w.records += bytes.Count(p, []byte("\nevent: record\n"))
	return len(p), nil
}

func (w *flushWriter) FlushError() error {
	w.flushes++
	if w.records == w.lines {
		w.all()
	}
	return nil
}

func TestManyReadersAtTheTailSeeEverythingInOrder(t *testing.T) {
	s := serve(t, nil)
	const readers, records = 60, 300
	var wait sync.WaitGroup
	for range readers {
		l := s.listen("/records")
		wait.Go(func() {
			for want := 1; want <= records; want++ {
				event, more := l.next()
				for more && event.name == "" {
					event, more = l.next()
				}
				if event.id != fmt.Sprint(want) {
					t.Errorf("%q came, want %d", event.id, want)
					return
				}
			}
		})
	}
	for range records {
		if _, err := s.store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), daybook.Event{Type: "e"}); err != nil {
			t.Fatal(err)
		}
	}
	wait.Wait()
}

// Readers share what they send in a tail of bounded size, and fall out of it
// when they lag: either way each gets every record once, in order.
func TestReadersInAndBehindTheSharedTailSeeEverything(t *testing.T) {
	for _, test := range []struct {
		name              string
		rounds, each, pad int
	}{{"many", 200, 100, 0}, {"large", 30, 2, 200_000}} {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, nil)
			all, odd := s.listen("/records"), s.listen("/records?tag=odd")
			data := []byte(`"` + strings.Repeat("x", test.pad) + `"`)
			var wait sync.WaitGroup
			follow := func(l *listener, first, step int) {
				for want := first; want <= test.rounds*test.each; want += step {
					event, more := l.next()
					for more && event.name == "" {
						event, more = l.next()
					}
					if event.id != fmt.Sprint(want) || len(event.data) < test.pad {
						t.Errorf("%q came with %d bytes, want %d", event.id, len(event.data), want)
						return
					}
				}
			}
			wait.Go(func() { follow(all, 1, 1) })
			wait.Go(func() { follow(odd, 1, 2) })
			for range test.rounds {
				events := make([]daybook.Event, test.each)
				for i := range events {
					events[i] = daybook.Event{Type: "e", Data: data, Tags: [][]string{{"odd"}, nil}[i%2]}
				}
				if _, err := s.store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), events...); err != nil {
					t.Fatal(err)
				}
			}
			wait.Wait()
		})
	}
}

func TestALiveStreamHasNoChunks(t *testing.T) {
	s := serve(t, nil)
	for _, path := range []string{"/records", "/streams/a/records"} {
		if l := s.listen(path); l.body.TransferEncoding != nil || !l.body.Close {
			t.Errorf("%s is sent as %v", path, l.body.TransferEncoding)
		}
	}
}

func TestALiveStreamTellsThatTheServerShutsDown(t *testing.T) {
	s := serve(t, nil)
	fill(t, s.store, 3)
	log, stream := s.listen("/records"), s.listen("/streams/none/records")
	for range 3 {
		log.record()
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	for _, l := range []*listener{log, stream} {
		if last := l.last(); last.name != "closing" || !strings.Contains(last.data, "shutting down") {
			t.Errorf("the last event is %+v", last)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestALiveStreamTellsThatTheStoreFailed(t *testing.T) {
	inner := newMemory()
	fill(t, daybook.New(inner, nil), 5)
	log := &lockedBuffer{}
	s := serveStore(t, daybook.New(damaged{inner, 3}, nil), &httpapi.Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	// The end of the log of this storage is found by reading it, which fails.
	if last := s.listen("/records").last(); last.name != "failed" || !strings.HasPrefix(last.data, `{"error":"CORRUPT"`) {
		t.Errorf("the last event is %+v", last)
	}
	if !strings.Contains(log.String(), "checksum") {
		t.Errorf("the log does not tell of it: %s", log)
	}
}

// A reader that takes a piece too late is told so; the clock is the test's,
// and moves while the server is held up in writing.
func TestASlowReaderIsDroppedWithAReason(t *testing.T) {
	clock := newClock()
	log := &lockedBuffer{}
	pipes := newPipeListener()
	store := daybook.New(newMemory(), nil)
	handler := httpapi.New(store, &httpapi.Options{Now: clock.now, SlowReader: 10 * time.Second, WriteTimeout: time.Minute, Logger: slog.New(slog.NewTextHandler(log, nil))})
	s := serveOn(t, pipes, store, handler, nil)
	s.client = &http.Client{Transport: &http.Transport{DialContext: pipes.dial}}
	l := s.listen("/records")
	l.next() // the greeting
	fill(t, store, 3)
	for want := 1; want <= 3; want++ {
		l.record()
	}
	// The reader stops reading: the next piece does not leave.
	pipes.hold()
	fill(t, store, 2)
	<-pipes.held
	clock.add(11 * time.Second)
	pipes.release()
	var ids []string
	event, more := l.next()
	for ; more && event.name == "record"; event, more = l.next() {
		ids = append(ids, event.id)
	}
	if !slices.Equal(ids, []string{"4", "5"}) || event.name != "dropped" || !strings.Contains(event.data, "too slow") || !strings.Contains(event.data, "10s") {
		t.Errorf("after %v came %+v", ids, event)
	}
	if last := l.last(); last != (sent{}) {
		t.Errorf("the stream goes on with %+v", last)
	}
	if !strings.Contains(log.String(), "dropped") {
		t.Errorf("the log does not tell of it: %s", log)
	}
}

// A reader that takes nothing at all is cut off; there is no way to tell it.
func TestAReaderThatStopsReadingIsCutOff(t *testing.T) {
	log := &lockedBuffer{}
	pipes := newPipeListener()
	store := daybook.New(newMemory(), nil)
	handler := httpapi.New(store, &httpapi.Options{WriteTimeout: 20 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(log, nil))})
	serveOn(t, pipes, store, handler, nil)
	connection, err := pipes.dial(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "GET /records?format=sse HTTP/1.1\r\nHost: test\r\n\r\n")
	if _, err := connection.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the log to tell of the lost reader", func() bool { return strings.Contains(log.String(), "live reader lost") })
}
