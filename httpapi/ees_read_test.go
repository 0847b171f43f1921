package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

func TestEventsAreReadByRange(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	tests := []struct{ query, want string }{
		{"", "1 2 3 4 5 6"}, {"?from=&to=", "1 2 3 4 5 6"}, {"?from=0&to=0", "1 2 3 4 5 6"}, {"?from=3&to=0", "3 4 5 6"}, {"?from=0&to=2", "1 2"},
		{"?from=2", "2 3 4 5 6"}, {"?to=2", "1 2"}, {"?from=2&to=5", "2 3 4 5"}, {"?from=3&to=3", "3"}, {"?from=4&to=6", "4 5 6"}, {"?from=1&to=4", "1 2 3 4"},
		{"?from=6&to=6", "6"}, {"?from=-3", "1 2 3 4 5 6"}, {"?to=-1", ""}, {"?from=-3&to=-1", ""}, {"?from=-3&to=2", "1 2"}, {"?from=7", ""}, {"?from=7&to=9", ""}, {"?from=7&to=7", ""},
		{"?from=5&to=99", "5 6"}, {"?from=99999999999999999999", ""}, {"?to=99999999999999999999", "1 2 3 4 5 6"}, {"?to=-99999999999999999999", ""},
		{"?from=2&from=5", "2 3 4 5 6"}, {"?unknown=1&from=6", "6"}, {"?from=+2", "error"},
	}
	for _, test := range tests {
		r := s.get("/streams/abcd/events" + test.query)
		if test.want == "error" {
			r.fails(400, "INVALID_EVENT_FILTERING_PARAMS")
			continue
		}
		var events []string
		for _, n := range strings.Fields(test.want) {
			events = append(events, fmt.Sprintf(`{"id":%s,"data":%s}`, n, n))
		}
		r.is(200, `{"stream_id":"abcd","events":[`+strings.Join(events, ",")+`]}`)
	}
}

func TestChangesetsAreReadByRange(t *testing.T) {
	s := serve(t, nil)
	for i := range 9 {
		s.post(fmt.Sprintf("/streams/a?expected_last_changeset=%d", i), `{"events":[`+strings.Repeat("0,", i%4)+`0]}`).must(200)
	}
	all := "1 2 3 4 5 6 7 8 9"
	tests := []struct{ query, want string }{
		{"", all}, {"?from=&to=", all}, {"?from=0&to=0", all}, {"?from=3", "3 4 5 6 7 8 9"}, {"?to=2", "1 2"}, {"?from=2&to=4", "2 3 4"}, {"?from=5&to=5", "5"}, {"?from=9", "9"},
		{"?from=-3", all}, {"?to=-1", ""}, {"?from=-3&to=-1", ""}, {"?from=10", ""}, {"?from=10&to=12", ""}, {"?from=8&to=12", "8 9"}, {"?from=8&to=0", "8 9"}, {"?from=99999999999999999999", ""},
	}
	for _, test := range tests {
		r := s.get("/streams/a/changesets" + test.query).must(200)
		var list struct {
			Changesets []struct {
				ID     int   `json:"changeset_id"`
				Events []int `json:"events"`
			} `json:"changesets"`
		}
		if err := json.Unmarshal(r.body, &list); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list.Changesets {
			got = append(got, fmt.Sprint(c.ID))
			if len(c.Events) != (c.ID-1)%4+1 {
				t.Errorf("%s: changeset %d has %d events", test.query, c.ID, len(c.Events))
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s gives %v, want %s", test.query, got, test.want)
		}
	}
}

func TestARangeThatIsWrongIsRefused(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	for path, code := range map[string]string{"/streams/abcd/changesets": "INVALID_CHANGESET_FILTERING_PARAMS", "/streams/abcd/events": "INVALID_EVENT_FILTERING_PARAMS"} {
		for query, piece := range map[string]string{
			"?from=4&to=3": "4(from) > 3(to)", "?from=3&to=2": "3(from) > 2(to)", "?from=-5&to=-7": "-5(from) > -7(to)", "?from=1&to=-1": "1(from) > -1(to)",
			"?from=1.0": `"1.0"`, "?to=1.5": `"1.5"`, "?from=abc": `"abc"`, "?to=abc&from=1": `"abc"`, "?from=%201": `" 1"`, "?from=--1": `"--1"`, "?from=0x1": `"0x1"`,
		} {
			r := s.get(path+query).fails(400, code, piece)
			if r.object()["stream_id"] != "abcd" {
				t.Errorf("%s%s does not tell the stream: %s", path, query, r.body)
			}
		}
		s.get(strings.Replace(path, "abcd", "none", 1)+"?from=x").fails(400, code)
	}
}

func TestAnUnknownStreamIsNotFound(t *testing.T) {
	s := serve(t, nil)
	s.post("/streams/ABCD", `{"events":[1]}`).must(200)
	for _, path := range []string{"/changesets", "/events", "/events?from=3&to=3", "/changesets?from=99", "/records", "/records?format=ndjson", ""} {
		r := s.get("/streams/abcd"+path).fails(404, "STREAM_NOT_FOUND", "stream(abcd)")
		if r.object()["stream_id"] != "abcd" {
			t.Errorf("%s does not tell the stream: %s", path, r.body)
		}
	}
}

func TestPathsAreMatchedWithoutRegardToCase(t *testing.T) {
	s := serve(t, nil)
	s.post("/STREAMS/AbC", `{"events":[1]}`).is(200, `{"stream_id":"AbC","changeset_id":1}`)
	s.get("/Streams/AbC/eVeNtS").is(200, `{"stream_id":"AbC","events":[{"id":1,"data":1}]}`)
	s.get("/streams/AbC/CHANGESETS").must(200)
	s.get("/streams/abc/events").must(404)
	s.get("/ChangeSets").must(200)
	s.get("/VERSION").is(200, `{"version":"0.0.1","daybook":"dev"}`)
	s.get("/Records").must(200)
}

func TestAnUnknownPathIsNotFound(t *testing.T) {
	s := serve(t, nil)
	for _, path := range []string{"/", "/none", "/streams/a/b", "/streams/a/events/", "/streams/a/", "/version/", "//streams", "/streams/a/events/1", "/changesets/1", "/events"} {
		r := s.get(path).must(404)
		body := r.object()
		if _, told := body["message"]; !told || len(body) != 1 {
			t.Errorf("%s is answered with %s", path, r.body)
		}
	}
}

func TestAnotherMethodIsNotAllowed(t *testing.T) {
	s := serve(t, nil)
	for path, allow := range map[string]string{
		"/streams/a": "POST, GET, HEAD, DELETE", "/deletions": "GET",
		"/streams": "GET", "/streams/a/events": "GET", "/changesets": "GET", "/appends": "POST", "/healthz": "GET, HEAD", "/records": "GET", "/imports": "POST",
	} {
		r := s.do("PUT", path, "").fails(405, "METHOD_NOT_ALLOWED", "PUT")
		if got := r.header.Get("Allow"); got != allow {
			t.Errorf("%s allows %q, want %q", path, got, allow)
		}
	}
	s.post("/streams", `{"events":[1]}`).must(405)
	s.empty()
}

// global is the reply of /changesets.
type global struct {
	Checkpoint int `json:"checkpoint"`
	Limit      int `json:"limit"`
	Changesets []struct {
		Stream     string `json:"stream_id"`
		Number     int    `json:"changeset_id"`
		Events     []int  `json:"events"`
		Checkpoint int    `json:"checkpoint"`
	} `json:"changesets"`
	Next int `json:"next_checkpoint"`
}

func (s *server) global(query string) global {
	s.t.Helper()
	var g global
	r := s.get("/changesets" + query).must(200)
	if err := json.Unmarshal(r.body, &g); err != nil {
		s.t.Fatalf("%v: %s", err, r.body)
	}
	return g
}

func TestTheGlobalListGivesEveryChangesetOnce(t *testing.T) {
	random := seeded(t)
	s := serve(t, nil)
	const total = 57
	for i := range total {
		stream := daybook.Stream(fmt.Sprintf("s-%d", random.IntN(5)))
		events := make([]daybook.Event, 1+random.IntN(4))
		for j := range events {
			events[j] = daybook.Event{Type: "e", Data: strconv.AppendInt(nil, int64(i), 10)}
		}
		if _, err := s.store.Append(t.Context(), stream, daybook.ExpectAny(), events...); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{1, 3, 10, total, 1000} {
		checkpoint, seen := 0, 0
		for {
			g := s.global(fmt.Sprintf("?checkpoint=%d&limit=%d", checkpoint, limit))
			if g.Checkpoint != checkpoint || g.Limit != limit || len(g.Changesets) > limit {
				t.Fatalf("checkpoint %d, limit %d is answered with %+v", checkpoint, limit, g)
			}
			for _, c := range g.Changesets {
				if c.Checkpoint != seen || c.Events[0] != seen {
					t.Fatalf("changeset %d of the log is told as %+v", seen, c)
				}
				seen++
			}
			if g.Next != seen {
				t.Fatalf("after %d changesets the next checkpoint is %d", seen, g.Next)
			}
			if len(g.Changesets) == 0 {
				break
			}
			checkpoint = g.Next
		}
		if seen != total {
			t.Errorf("with limit %d, %d changesets are listed, want %d", limit, seen, total)
		}
	}
	if g := s.global(""); g.Limit != 10 || len(g.Changesets) != 10 || g.Next != 10 {
		t.Errorf("by default: %+v", g)
	}
	if version := s.get("/streams").must(200).object()["statistics_version"]; fmt.Sprint(version) != fmt.Sprint(total) {
		t.Errorf("the statistics version is %v, want %d", version, total)
	}
}

func TestACheckpointBeyondTheEndGivesNothing(t *testing.T) {
	s := serve(t, nil)
	s.get("/changesets?checkpoint=5").is(200, `{"checkpoint":5,"limit":10,"changesets":[],"next_checkpoint":5}`)
	s.get("/changesets").is(200, `{"checkpoint":0,"limit":10,"changesets":[],"next_checkpoint":0}`)
	s.twoChangesets()
	s.get("/changesets?checkpoint=2").is(200, `{"checkpoint":2,"limit":10,"changesets":[],"next_checkpoint":2}`)
	s.get("/changesets?checkpoint=7&limit=3").is(200, `{"checkpoint":7,"limit":3,"changesets":[],"next_checkpoint":7}`)
	if g := s.global("?checkpoint=&limit="); g.Limit != 10 || len(g.Changesets) != 2 {
		t.Errorf("empty parameters give %+v", g)
	}
	if g := s.global("?limit=99999999999999999999&checkpoint=1&checkpoint=0"); len(g.Changesets) != 1 {
		t.Errorf("the first of two checkpoints gives %+v", g)
	}
}

func TestACheckpointOrLimitThatIsWrongIsRefused(t *testing.T) {
	s := serve(t, nil)
	for query, code := range map[string]string{
		"checkpoint=x": "INVALID_CHECKPOINT", "checkpoint=-1": "INVALID_CHECKPOINT", "checkpoint=1.5": "INVALID_CHECKPOINT",
		"limit=0": "INVALID_LIMIT", "limit=-1": "INVALID_LIMIT", "limit=x": "INVALID_LIMIT", "limit=1.0": "INVALID_LIMIT",
	} {
		_, value, _ := strings.Cut(query, "=")
		r := s.get("/changesets?"+query).fails(400, code, `"`+value+`"`)
		if _, told := r.object()["stream_id"]; told {
			t.Errorf("%s tells a stream: %s", query, r.body)
		}
	}
}

// uncounted is a storage that counts no ordinals, and leaves gaps between
// positions.
type uncounted struct{ daybook.Driver }

func (u uncounted) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	read.After, read.To = read.After/3, (read.To+2)/3
	return func(yield func(daybook.Record, error) bool) {
		for record, err := range u.Driver.ReadLog(ctx, read) {
			header := *record.Changeset
			header.Ordinal = 0
			record.Changeset, record.Position = &header, record.Position*3
			if !yield(record, err) {
				return
			}
		}
	}
}

func TestACheckpointIsAPositionWhereNoOrdinalsAreCounted(t *testing.T) {
	inner := memory.New(nil)
	filled := daybook.New(inner, nil)
	for range 7 {
		if _, err := filled.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), daybook.Event{Type: "a", Data: []byte("1")}, daybook.Event{Type: "b", Data: []byte("2")}); err != nil {
			t.Fatal(err)
		}
	}
	s := serveStore(t, daybook.New(uncounted{inner}, nil), nil)
	// The positions are 3, 6; 9, 12; 15, 18; … and so the checkpoints 2, 8, 14, …
	seen := 0
	for checkpoint := 0; ; {
		g := s.global(fmt.Sprintf("?checkpoint=%d&limit=2", checkpoint))
		if len(g.Changesets) == 0 {
			break
		}
		for _, c := range g.Changesets {
			if c.Checkpoint != 2+6*seen || len(c.Events) != 2 {
				t.Fatalf("changeset %d is told as %+v", seen, c)
			}
			seen++
		}
		checkpoint = g.Next
	}
	if seen != 7 {
		t.Errorf("%d changesets are listed, want 7", seen)
	}
	s.get("/changesets?checkpoint=9223372036854775807").must(200).is(200, `{"checkpoint":9223372036854775807,"limit":10,"changesets":[],"next_checkpoint":9223372036854775807}`)
	if g := s.global("?checkpoint=4&limit=1"); len(g.Changesets) != 1 || g.Changesets[0].Checkpoint != 8 {
		t.Errorf("a checkpoint within a changeset gives %+v", g)
	}
}

func TestDataThatIsNotJSONAppearsAsAString(t *testing.T) {
	s := serve(t, nil)
	events := []daybook.Event{
		{Type: "a", ContentType: "text/plain", Data: []byte("plain \"text\"\n")},
		{Type: "a", ContentType: "application/octet-stream", Data: []byte{0, 255, 1}},
		{Type: "a", Data: []byte("not JSON")},
		{Type: "a"},
		{Type: "a", ContentType: "application/cloudevents+json", Data: []byte("{\n}")},
	}
	if _, err := s.store.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{{Stream: daybook.Stream("a"), Events: events, Metadata: []byte{255}}}}); err != nil {
		t.Fatal(err)
	}
	want := `["plain \"text\"\n","AP8B","not JSON",null,{}]`
	s.get("/streams/a/changesets").is(200, `{"stream_id":"a","changesets":[{"changeset_id":1,"events":`+want+`,"metadata":"/w=="}]}`)
}

// The reply to a few kilobytes must not be gigabytes of indentation.
func TestLargeAndDeepDataIsNotIndented(t *testing.T) {
	s := serve(t, nil)
	deep, large := strings.Repeat("[", 9000)+strings.Repeat("]", 9000), "["+strings.Repeat("1,", 50_000)+"1]"
	s.post("/streams/a", `{"events":[`+deep+`,`+large+`]}`).must(200)
	r := s.get("/streams/a/events")
	r.is(200, `{"stream_id":"a","events":[{"id":1,"data":`+deep+`},{"id":2,"data":`+large+`}]}`)
	if len(r.body) > 2*(len(deep)+len(large)) {
		t.Errorf("the reply has %d bytes", len(r.body))
	}
}

func TestAStreamThatBeginsAboveVersionOneIsRead(t *testing.T) {
	s := serve(t, nil)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var changesets []daybook.RecordedChangeset
	for i := range 4 {
		header := daybook.ChangesetHeader{Number: daybook.ChangesetNumber(11 + i), First: daybook.Version(21 + 2*i), Count: 2, AppendID: daybook.NewID()}
		c := daybook.RecordedChangeset{Stream: daybook.Stream("a"), RecordedAt: at, ChangesetHeader: header}
		for j := range 2 {
			c.Records = append(c.Records, daybook.Record{
				Event:  daybook.Event{ID: daybook.NewID(), Type: "e", ContentType: daybook.ContentTypeJSON, Data: []byte("1")},
				Stream: c.Stream, Version: header.First + daybook.Version(j), Position: daybook.Position(100*i + j + 1), RecordedAt: at, Changeset: &header,
			})
		}
		changesets = append(changesets, c)
	}
	if err := s.store.Import(t.Context(), changesets); err != nil {
		t.Fatal(err)
	}
	s.get("/streams/a/events?from=23&to=24").is(200, `{"stream_id":"a","events":[{"id":23,"data":1},{"id":24,"data":1}]}`)
	s.get("/streams/a/changesets?from=13&to=13").is(200, `{"stream_id":"a","changesets":[{"changeset_id":13,"events":[1,1],"metadata":{}}]}`)
	s.get("/streams/a/changesets?to=5").is(200, `{"stream_id":"a","changesets":[]}`)
	s.post("/streams/a?expected_last_changeset=13", `{"events":[1]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION")
}

// seeded returns a source of randomness whose seed is printed when the test
// fails, and may be given.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if given := os.Getenv("DAYBOOK_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("run it again with DAYBOOK_SEED=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, seed))
}
