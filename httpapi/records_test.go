package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/internal/wire"
)

// positions returns the positions of the records of a reply, whichever form it
// has.
func (r *reply) positions() []int {
	r.t.Helper()
	r.must(200)
	var positions []int
	if strings.HasPrefix(r.header.Get("Content-Type"), "application/x-ndjson") {
		for line := range bytes.Lines(r.body) {
			record, err := wire.DecodeRecord(line)
			if err != nil {
				r.t.Fatal(err)
			}
			positions = append(positions, int(record.Position))
		}
		return positions
	}
	var page struct {
		Records []struct {
			Position int `json:"position"`
		} `json:"records"`
	}
	if err := json.Unmarshal(r.body, &page); err != nil {
		r.t.Fatal(err)
	}
	for _, record := range page.Records {
		positions = append(positions, record.Position)
	}
	return positions
}

// mixed fills a store with 6 records in 3 streams and 2 partitions.
func mixed(t *testing.T, store *daybook.Store) {
	t.Helper()
	stream := func(partition, name string) daybook.StreamID {
		return daybook.StreamID{Partition: partition, Name: name}
	}
	for _, e := range []struct {
		stream daybook.StreamID
		event  daybook.Event
	}{
		{stream("", "order-1"), daybook.Event{Type: "opened", Tags: []string{"a", "b"}}}, {stream("p", "order-1"), daybook.Event{Type: "opened", Tags: []string{"a"}}},
		{stream("", "order-1"), daybook.Event{Type: "closed", Tags: []string{"b"}}}, {stream("", "user-1"), daybook.Event{Type: "opened"}},
		{stream("", "order-1"), daybook.Event{Type: "noted", Tags: []string{"a"}}}, {stream("p", "user-1"), daybook.Event{Type: "closed", Tags: []string{"a", "b"}}},
	} {
		if _, err := store.Append(t.Context(), e.stream, daybook.ExpectAny(), e.event); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheLogIsReadAsTheParametersSay(t *testing.T) {
	s := serve(t, nil)
	mixed(t, s.store)
	query := url.QueryEscape(`{"items":[{"types":["closed"]},{"tags":["a","b"]}]}`)
	for params, want := range map[string][]int{
		"": {1, 2, 3, 4, 5, 6}, "after=4": {5, 6}, "to=2": {1, 2}, "after=1&to=3": {2, 3}, "limit=2": {1, 2}, "backwards=true&limit=2": {6, 5}, "backwards=1&to=3": {3, 2, 1},
		"partition=p": {2, 6}, "partition=": {1, 3, 4, 5}, "partition=&partition=p": {1, 2, 3, 4, 5, 6}, "stream_type=user": {4, 6}, "type=opened": {1, 2, 4},
		"type=opened&type=closed": {1, 2, 3, 4, 6},
		"tag=a":                   {1, 2, 5, 6}, "tag=a&tag=b": {1, 6}, "type=opened&tag=b": {1}, "query=" + query: {1, 3, 6},
		"until=2000-01-01T00:00:00Z": nil, "until=9000-01-01T00:00:00Z&limit=1": {1}, "after=99": nil, "after=9223372036854775807": nil,
		"to=9223372036854775807&limit=1": {1}, "type=none": nil,
	} {
		for _, format := range []string{"json", "ndjson"} {
			if got := s.get("/records?format=" + format + "&" + params).positions(); !slices.Equal(got, want) {
				t.Errorf("%s as %s gives %v, want %v", params, format, got, want)
			}
		}
	}
}

func TestAStreamIsReadAsTheParametersSay(t *testing.T) {
	s := serve(t, nil)
	mixed(t, s.store)
	for params, want := range map[string][]int{
		"": {1, 3, 5}, "from=2": {3, 5}, "to=2": {1, 3}, "from=2&to=2": {3}, "limit=1": {1}, "backwards=true": {5, 3, 1}, "backwards=true&limit=1": {5}, "partition=p": {2},
		"from=9": nil, "from=9223372036854775807": nil, "until=2000-01-01T00:00:00Z": nil,
	} {
		for _, format := range []string{"json", "ndjson"} {
			if got := s.get("/streams/order-1/records?format=" + format + "&" + params).positions(); !slices.Equal(got, want) {
				t.Errorf("%s as %s gives %v, want %v", params, format, got, want)
			}
		}
	}
}

func TestPagesLeadToTheNext(t *testing.T) {
	s := serve(t, &httpapi.Options{MaxPage: 7})
	fill(t, s.store, 20)
	for _, test := range []struct{ path, next, param string }{
		{"/records?", "next_after", "after"}, {"/records?backwards=true&", "next_to", "to"},
		{"/streams/filled/records?", "next_from", "from"}, {"/streams/filled/records?backwards=true&", "next_to", "to"},
		{"/streams/filled/records?limit=3&", "next_from", "from"}, {"/records?backwards=true&limit=5&after=2&", "next_to", "to"},
	} {
		var all []int
		path := test.path
		for range 20 {
			r := s.get(path)
			got := r.positions()
			all = append(all, got...)
			next, more := r.object()[test.next]
			if len(got) > 7 || len(got) == 0 || !more {
				break
			}
			path = fmt.Sprintf("%s%s=%v", test.path, test.param, next)
		}
		want := 20
		if strings.Contains(test.path, "after=2") {
			want = 18
		}
		slices.Sort(all)
		if len(slices.Compact(all)) != want || len(all) != want {
			t.Errorf("%s gives %v in all", test.path, all)
		}
	}
	s.get("/records?after=20").is(200, `{"records":[],"next_after":20}`)
	s.get("/streams/filled/records?from=21").is(200, `{"records":[],"next_from":21}`)
	s.get("/records?backwards=true&to=1").must(200)
	if next, more := s.get("/records?backwards=true&to=1").object()["next_to"]; more {
		t.Errorf("before the first record there is a page from %v", next)
	}
}

func TestStreamsAreListed(t *testing.T) {
	s := serve(t, nil)
	mixed(t, s.store)
	names := func(r *reply) (names []string) {
		t.Helper()
		r.must(200)
		lines := bytes.Split(bytes.TrimSpace(r.body), []byte("\n"))
		if !strings.Contains(r.header.Get("Content-Type"), "ndjson") {
			var page struct {
				Heads []json.RawMessage `json:"heads"`
			}
			if err := json.Unmarshal(r.body, &page); err != nil {
				t.Fatal(err)
			}
			lines = nil
			for _, head := range page.Heads {
				lines = append(lines, head)
			}
		}
		for _, line := range lines {
			if len(line) > 0 {
				head, err := wire.DecodeHead(line)
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, head.Stream.String())
			}
		}
		return names
	}
	for params, want := range map[string][]string{
		"": {"order-1", "user-1", "p/order-1", "p/user-1"}, "partition=p": {"p/order-1", "p/user-1"}, "stream_type=user": {"user-1", "p/user-1"}, "limit=1": {"order-1"},
		"after=order-1": {"user-1", "p/order-1", "p/user-1"}, "after=order-1&after_partition=p": {"p/user-1"}, "after=z&after_partition=p": nil,
	} {
		for _, format := range []string{"json", "ndjson"} {
			if got := names(s.get("/heads?format=" + format + "&" + params)); !slices.Equal(got, want) {
				t.Errorf("%s as %s gives %q, want %q", params, format, got, want)
			}
		}
	}
	page := s.get("/heads?limit=3").must(200).object()
	if page["next_after"] != "order-1" || page["next_after_partition"] != "p" {
		t.Errorf("the next page is after %v in %v", page["next_after"], page["next_after_partition"])
	}
}

func TestAHeadTellsWhereAStreamEnds(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	r := s.get("/streams/abcd").must(200)
	head, err := wire.DecodeHead(r.body)
	if err != nil || head.Version != 6 || head.Changeset != 2 || head.First != 1 || head.Position != 6 || head.RecordedAt.IsZero() {
		t.Errorf("the head is %s, %v", r.body, err)
	}
	if r := s.do("HEAD", "/streams/abcd", "").must(200); len(r.body) != 0 {
		t.Errorf("HEAD has the body %q", r.body)
	}
	s.do("HEAD", "/streams/none", "").must(404)
	s.do("HEAD", "/streams/abcd?x=1", "").must(400)
	s.do("HEAD", "/streams/"+strings.Repeat("x", 1025), "").must(413)
}

func TestAFormatIsChosenByParameterOrHeader(t *testing.T) {
	s := serve(t, nil)
	fill(t, s.store, 1)
	const json, ndjson = "application/json", "application/x-ndjson"
	for _, test := range []struct{ query, accept, want string }{
		{"", "", json}, {"", "*/*", json}, {"", "application/*", json}, {"", ndjson, ndjson}, {"", "application/json;q=0.5, application/x-ndjson", ndjson},
		{"", "application/x-ndjson;q=0.1, */*;q=0.5", json},
		{"", "text/html, application/json;q=0.9", json}, {"", "application/json;q=0, */*", ndjson}, {"?format=ndjson", json, ndjson}, {"?format=json", ndjson, json}, {"?format=", ndjson, ndjson},
	} {
		var header []string
		if test.accept != "" {
			header = []string{"Accept", test.accept}
		}
		if r := s.get("/records"+test.query, header...).must(200); r.header.Get("Content-Type") != test.want {
			t.Errorf("%q with Accept %q gives %s, want %s", test.query, test.accept, r.header.Get("Content-Type"), test.want)
		}
	}
	for _, path := range []string{"/records", "/streams/filled/records", "/heads"} {
		s.get(path, "Accept", "text/html").fails(406, "NOT_ACCEPTABLE", "application/json")
		s.get(path+"?format=xml").fails(400, "INVALID_INPUT", "ndjson")
	}
	s.get("/heads?format=sse").fails(400, "INVALID_INPUT", "json, ndjson")
}

func TestANativePathRefusesParametersThatItDoesNotKnow(t *testing.T) {
	s := serve(t, nil)
	mixed(t, s.store)
	for _, path := range []string{"/records?form=1", "/streams/a/records?after=1", "/streams/a?version=1", "/heads?type=a", "/position?from=1", "/stats?x",
		"/claims?kind=a&valeu=b", "/healthz?x=1", "/openapi.json?v=3", "/records?limit=1&limit=2", "/records?x=%zz", "/records?partition%2B=x"} {
		s.get(path).fails(400, "INVALID_INPUT")
	}
	s.post("/appends?durability=disk", `{}`).fails(400, "INVALID_INPUT", "durability")
	s.do("HEAD", "/healthz?x=1", "").must(400)
	for path, field := range map[string]string{
		"/records?after=-1": "after", "/records?after=x": "after", "/records?limit=1.5": "limit", "/records?backwards=maybe": "backwards", "/records?until=now": "until",
		"/records?query=x":         "query",
		"/records?query={}&type=a": "query", "/streams/order-1/records?from=x": "from", "/position?wait=long": "wait", "/position?wait=-1s": "wait", "/position?after=x": "after",
		"/claims?kind=k": "claim.value", "/heads?limit=x": "limit",
		"/records?type=%FF": "query.items[0].types[0]",
	} {
		if got := s.get(path).fails(400, "INVALID_INPUT").object()["field"]; got != field {
			t.Errorf("%s names the field %v, want %s", path, got, field)
		}
	}
	s.get("/claims?kind=k&value="+strings.Repeat("v", 4097)).fails(413, "LIMIT_EXCEEDED", "4096")
	s.get("/records?type="+strings.Repeat("t", 257)).fails(413, "LIMIT_EXCEEDED", "256")
}

func TestThePositionIsWaitedFor(t *testing.T) {
	inner := waiting{newMemory(), make(chan struct{}, 1)}
	s := serveStore(t, daybook.New(inner, nil), nil)
	s.get("/position").is(200, `{"position":0}`)
	s.get("/position?after=7").is(200, `{"position":0}`)
	s.get("/position?wait=1ms").is(200, `{"position":0}`)
	select {
	case <-inner.entered:
	default:
	}
	answered := s.poll("/position?after=0&wait=10m")
	<-inner.entered
	s.post("/streams/a", `{"events":[1]}`).must(200)
	if got := <-answered; got != "{\"position\":1}\n" {
		t.Errorf("answered %s", got)
	}
	s.get("/position?wait=1m").is(200, `{"position":1}`)
}

func TestStatsAndHealthAndVersionAreTold(t *testing.T) {
	s := serve(t, &httpapi.Options{Version: "1.2.3"})
	s.twoChangesets()
	s.get("/stats").is(200, `{"streams":1,"changesets":2,"records":6,"longest_stream":2,"last_position":6,"last_ordinal":2,"bytes":0}`)
	s.get("/healthz").is(200, `{"status":"ok","storage":"memory","version":"1.2.3","position":6}`)
	s.do("HEAD", "/healthz", "").must(200)
	s.get("/version").is(200, `{"version":"0.0.1","daybook":"1.2.3"}`)
	if info := s.get("/openapi.json").must(200).object()["info"].(map[string]any); info["version"] != "1.2.3" {
		t.Errorf("the document is of version %v", info["version"])
	}
}

func TestAHundredThousandRecordsStreamWithoutBeingGathered(t *testing.T) {
	s := serve(t, nil)
	const total = 100_000
	fill(t, s.store, total)
	response := s.open("GET", "/records", http.NoBody, "Accept", "application/x-ndjson")
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	n := 0
	for lines.Scan() {
		n++
		if !bytes.HasPrefix(lines.Bytes(), fmt.Appendf(nil, `{"position":%d,`, n)) {
			t.Fatalf("line %d is %s", n, lines.Bytes())
		}
	}
	if n != total || lines.Err() != nil {
		t.Errorf("%d lines came, %v", n, lines.Err())
	}
	// What the handler hands to the connection at a time is what it gathers.
	pieces := &pieceWriter{header: http.Header{}}
	httpapi.New(s.store, nil).ServeHTTP(pieces, httptest.NewRequest("GET", "/records?format=ndjson", nil))
	if pieces.total < total*100 || pieces.largest > 64<<10 {
		t.Errorf("%d bytes were written in pieces of up to %d", pieces.total, pieces.largest)
	}
}

// pieceWriter is a reply of which only the sizes are kept.
type pieceWriter struct {
	header         http.Header
	total, largest int
}

func (w *pieceWriter) Header() http.Header { return w.header }
func (w *pieceWriter) WriteHeader(int)     {}
func (w *pieceWriter) Write(p []byte) (int, error) {
	w.total, w.largest = w.total+len(p), max(w.largest, len(p))
	return len(p), nil
}

func TestUntilCutsByRecordedTime(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := serveStore(t, daybook.New(memoryAt(&now), nil), nil)
	for range 3 {
		fill(t, s.store, 1)
		now = now.Add(time.Hour)
	}
	if got := s.get("/records?until=2026-01-01T02:30:00%2B01:00").positions(); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("until half past one gives %v", got)
	}
}

// pausing is a storage that stops before a position until it may go on.
type pausing struct {
	daybook.Driver
	before daybook.Position
	resume chan struct{}
}

func (p pausing) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		for record, err := range p.Driver.ReadLog(ctx, read) {
			if record.Position == p.before {
				select {
				case <-p.resume:
				case <-ctx.Done():
				}
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

func TestWhileTheNextRecordIsFarAwayTheClientHears(t *testing.T) {
	inner := newMemory()
	fill(t, daybook.New(inner, nil), 9000) // more than live readers share
	for _, format := range []string{"ndjson", "sse"} {
		for _, before := range []int{1, 3} {
			p := pausing{inner, daybook.Position(before), make(chan struct{})}
			s := serveStore(t, daybook.New(p, nil), &httpapi.Options{Heartbeat: 2 * time.Millisecond})
			response := s.open("GET", "/records?format="+format, http.NoBody)
			t.Cleanup(func() { _ = response.Body.Close() })
			lines := bufio.NewReader(response.Body)
			records := 0
			line := func() string {
				t.Helper()
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatalf("%s: behind %d records: %v", format, records, err)
				}
				if strings.HasPrefix(line, "data: ") || strings.HasPrefix(line, "{") {
					records++
				}
				return line
			}
			for quiet := 0; quiet < 2; {
				if heard := line(); heard == "\n" && format == "ndjson" || strings.HasPrefix(heard, ": heartbeat") {
					quiet++
				}
			}
			if records != before-1 {
				t.Errorf("%s: %d records came before the first sign of life, want %d", format, records, before-1)
			}
			close(p.resume)
			for records < 9000 {
				line()
			}
		}
	}
}

func TestAPageEndsWhereItGrowsTooLarge(t *testing.T) {
	s := serve(t, &httpapi.Options{MaxPageBytes: 10_000})
	for range 10 {
		if _, err := s.store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), daybook.Event{Type: "large", Data: []byte(`"` + strings.Repeat("x", 4000) + `"`)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ path, next, param string }{
		{"/records?", "next_after", "after"}, {"/records?backwards=true&", "next_to", "to"},
		{"/streams/a/records?limit=8&", "next_from", "from"}, {"/streams/a/records?backwards=true&", "next_to", "to"},
	} {
		var all []int
		path := test.path
		for {
			r := s.get(path)
			got := r.positions()
			all = append(all, got...)
			next, more := r.object()[test.next]
			if len(got) > 3 {
				t.Errorf("%s gives %d records, %d bytes", path, len(got), len(r.body))
			}
			if len(got) == 0 || !more {
				break
			}
			path = fmt.Sprintf("%s%s=%v", test.path, test.param, next)
		}
		slices.Sort(all)
		if len(slices.Compact(all)) != 10 || len(all) != 10 {
			t.Errorf("%s gives %v in all", test.path, all)
		}
	}
}
