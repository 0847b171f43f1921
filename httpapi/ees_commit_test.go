package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// twoChangesets appends changesets of 3 events each to the stream "abcd".
func (s *server) twoChangesets() {
	s.t.Helper()
	s.post("/streams/abcd", `{"events":[1,2,3],"metadata":{"n":1}}`).must(200)
	s.post("/streams/abcd?expected_last_changeset=1", `{"events":[4,5,6],"metadata":{"n":2}}`).must(200)
}

const (
	firstMissed  = `{"changeset_id":1,"events":[1,2,3],"metadata":{"n":1}}`
	secondMissed = `{"changeset_id":2,"events":[4,5,6],"metadata":{"n":2}}`
)

func TestACommitThatIsWrongIsRefusedWithItsCode(t *testing.T) {
	const body = `{"events":[1]}`
	tests := []struct {
		name, path, body string
		status           int
		code             string
		pieces           []string
	}{
		{"changeset not an integer", "/streams/abcd?expected_last_changeset=test", body, 400, "INVALID_EXPECTED_CHANGESET_ID", []string{`changeset id("test")`, "expected a positive integer"}},
		{"changeset negative", "/streams/abcd?expected_last_changeset=-1", body, 400, "INVALID_EXPECTED_CHANGESET_ID", []string{`changeset id("-1")`, "expected a positive integer"}},
		{"changeset with a fraction", "/streams/abcd?expected_last_changeset=1.0", body, 400, "INVALID_EXPECTED_CHANGESET_ID", []string{`changeset id("1.0")`}},
		{"event not an integer", "/streams/abcd?expected_last_event=test", body, 400, "INVALID_EXPECTED_EVENT_ID", []string{`event id("test")`, "expected a positive integer"}},
		{"event negative", "/streams/abcd?expected_last_event=-1", body, 400, "INVALID_EXPECTED_EVENT_ID", []string{`event id("-1")`, "expected a positive integer"}},
		{"both", "/streams/abcd?expected_last_changeset=1&expected_last_event=2", body, 400, "BOTH_EXPECTED_CHANGESET_AND_EVENT_ARE_SET", []string{`"last_changeset_id"`, `"last_event_id"`}},
		{"both zero", "/streams/abcd?expected_last_changeset=0&expected_last_event=0", body, 400, "BOTH_EXPECTED_CHANGESET_AND_EVENT_ARE_SET", nil},
		{"changeset above the newest", "/streams/abcd?expected_last_changeset=7", body, 400, "INVALID_EXPECTED_CHANGESET_ID", []string{"changeset(7)", `"abcd"`, "2"}},
		{"event above the newest", "/streams/abcd?expected_last_event=7", body, 400, "INVALID_EXPECTED_CHANGESET_ID", []string{"event(7)", `"abcd"`, "6"}},
		{"changeset beyond 64 bits", "/streams/abcd?expected_last_changeset=99999999999999999999", body, 400, "INVALID_EXPECTED_CHANGESET_ID", []string{"changeset(99999999999999999999)"}},
		{"changeset of a new stream", "/streams/new?expected_last_changeset=1", body, 400, "INVALID_EXPECTED_CHANGESET_ID", []string{"changeset(1)", `"new"`, "is 0"}},
		{"event of a new stream", "/streams/new?expected_last_event=1", body, 400, "INVALID_EXPECTED_CHANGESET_ID", []string{"event(1)", `"new"`, "is 0"}},
		{"reserved name", "/streams/!!!RESERVED:GLOBAL-COUNTER!!!", body, 400, "INVALID_INPUT", []string{"reserved"}},
		{"name with U+0000", "/streams/a%00b", body, 400, "INVALID_INPUT", []string{"U+0000"}},
		{"name that is not UTF-8", "/streams/a%FFb", body, 400, "INVALID_INPUT", []string{"UTF-8"}},
		{"partition too long", "/streams/a?partition=" + strings.Repeat("p", 257), body, 413, "LIMIT_EXCEEDED", []string{"partition", "256"}},
		{"no body", "/streams/new", "", 400, "INVALID_BODY", nil},
		{"white space", "/streams/new", "  \n", 400, "INVALID_BODY", nil},
		{"not JSON", "/streams/new", "events: [1]", 400, "INVALID_BODY", []string{"JSON"}},
		{"cut short", "/streams/new", `{"events":[1`, 400, "INVALID_BODY", nil},
		{"two documents", "/streams/new", `{"events":[1]}{"events":[2]}`, 400, "INVALID_BODY", nil},
		{"null", "/streams/new", "null", 400, "INVALID_BODY", []string{"object"}},
		{"an array", "/streams/new", "[1]", 400, "INVALID_BODY", []string{"object"}},
		{"a number", "/streams/new", "7", 400, "INVALID_BODY", []string{"object"}},
		{"a string", "/streams/new", `"x"`, 400, "INVALID_BODY", []string{"object"}},
		{"not UTF-8", "/streams/new", "{\"events\":[\"\xff\"]}", 400, "INVALID_BODY", []string{"UTF-8"}},
		{"nested too deep", "/streams/new", `{"events":[` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `]}`, 400, "INVALID_BODY", []string{"depth"}},
		{"events missing", "/streams/new", `{"metadata":{}}`, 400, "INVALID_EVENTS", []string{"missing"}},
		{"events in other case", "/streams/new", `{"Events":[1]}`, 400, "INVALID_EVENTS", nil},
		{"events a number", "/streams/new", `{"events":3}`, 400, "INVALID_EVENTS", []string{"list"}},
		{"events a string", "/streams/new", `{"events":"abc"}`, 400, "INVALID_EVENTS", []string{"list"}},
		{"events an object", "/streams/new", `{"events":{"a":1}}`, 400, "INVALID_EVENTS", []string{"list"}},
		{"events null", "/streams/new", `{"events":null}`, 400, "INVALID_EVENTS", []string{"list"}},
		{"events empty", "/streams/new", `{"events":[]}`, 400, "INVALID_EVENTS", []string{"at least one"}},
	}
	s := serve(t, nil)
	s.twoChangesets()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := s.post(test.path, test.body)
			r.t = t
			r.fails(test.status, test.code, test.pieces...)
			u, err := url.Parse(test.path)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ToValidUTF8(strings.TrimPrefix(u.Path, "/streams/"), "\uFFFD")
			if got := r.object()["stream_id"]; got != want {
				t.Errorf("the reply tells the stream %q, want %q", got, want)
			}
			if end, _ := s.store.End(t.Context()); end != 6 {
				t.Errorf("the log ends at %d: something of it was stored", end)
			}
		})
	}
}

func TestAnEmptyStreamIDIsMissing(t *testing.T) {
	s := serve(t, nil)
	for _, r := range []*reply{
		s.post("/streams/", `{"events":[1]}`), s.post("/streams/?expected_last_changeset=x", ""),
		s.get("/streams//changesets"), s.get("/streams//events?from=x"), s.get("/streams//records"), s.get("/streams/"),
	} {
		r.fails(400, "MISSING_STREAM_ID", "stream_id")
		if _, told := r.object()["stream_id"]; told {
			t.Errorf("the reply tells a stream: %s", r.body)
		}
	}
	s.empty()
}

func TestACommitIsCheckedInTheOrderOfTheContract(t *testing.T) {
	s := serve(t, nil)
	s.twoChangesets()
	s.post("/streams/?expected_last_changeset=x&expected_last_event=x", "").fails(400, "MISSING_STREAM_ID")
	s.post("/streams/abcd?expected_last_changeset=x&expected_last_event=x", "").fails(400, "INVALID_EXPECTED_CHANGESET_ID")
	s.post("/streams/abcd?expected_last_changeset=1&expected_last_event=x", "").fails(400, "INVALID_EXPECTED_EVENT_ID")
	s.post("/streams/abcd?expected_last_changeset=1&expected_last_event=1", "").fails(400, "BOTH_EXPECTED_CHANGESET_AND_EVENT_ARE_SET")
	s.post("/streams/abcd?expected_last_changeset=1", "").fails(400, "INVALID_BODY")
	s.post("/streams/abcd?expected_last_changeset=1", `{"events":[1]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION")
}

func TestAConflictTellsEveryChangesetThatWasMissed(t *testing.T) {
	tests := []struct{ query, piece, missed string }{
		{"", "last changeset (0)", firstMissed + "," + secondMissed},
		{"?expected_last_changeset=0", "last changeset (0)", firstMissed + "," + secondMissed},
		{"?expected_last_event=0", "last event (0)", firstMissed + "," + secondMissed},
		{"?expected_last_changeset=&expected_last_event=", "last changeset (0)", firstMissed + "," + secondMissed},
		{"?expected_last_changeset=1", "last changeset (1)", secondMissed},
		{"?expected_last_changeset=1&expected_last_changeset=2", "last changeset (1)", secondMissed},
		{"?expected_last_event=3", "last event (3)", secondMissed},
		{"?expected_last_event=2", "last event (2)", firstMissed + "," + secondMissed},
		{"?expected_last_event=5&expected_last_changeset=", "last event (5)", secondMissed},
	}
	s := serve(t, nil)
	s.twoChangesets()
	for _, test := range tests {
		r := s.post("/streams/abcd"+test.query, `{"events":[7]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION", test.piece)
		message, _ := json.Marshal(r.object()["message"])
		r.is(409, `{"stream_id":"abcd","error":"OPTIMISTIC_CONCURRENCY_EXCEPTION","message":`+string(message)+`,"forthcoming_changesets":[`+test.missed+`]}`)
	}
}

func TestAConflictTellsMoreChangesetsThanTheStoreKeepsInMind(t *testing.T) {
	for _, options := range []*daybook.Options{nil, {MaxMissed: 1}, {MaxMissedBytes: 1}, {MaxMissedBytes: 30_000}} {
		everyMissedChangesetIsTold(t, serveStore(t, daybook.New(memory.New(nil), options), nil))
	}
}

func everyMissedChangesetIsTold(t *testing.T, s *server) {
	t.Helper()
	events := make([]string, 700)
	for i := range events {
		events[i] = fmt.Sprint(i)
	}
	body := `{"events":[` + strings.Join(events, ",") + `]}`
	for i := range 5 {
		s.post(fmt.Sprintf("/streams/long?expected_last_changeset=%d", i), body).must(200)
	}
	for query, first := range map[string]int{"": 1, "?expected_last_changeset=1": 2, "?expected_last_event=1000": 2} {
		r := s.post("/streams/long"+query, body).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION")
		var conflict struct {
			Missed []struct {
				ID     int   `json:"changeset_id"`
				Events []int `json:"events"`
			} `json:"forthcoming_changesets"`
		}
		if err := json.Unmarshal(r.body, &conflict); err != nil {
			t.Fatal(err)
		}
		if len(conflict.Missed) != 6-first {
			t.Errorf("%d changesets were told, want %d", len(conflict.Missed), 6-first)
		}
		for i, missed := range conflict.Missed {
			if missed.ID != first+i || len(missed.Events) != 700 || missed.Events[699] != 699 {
				t.Errorf("changeset %d is told as %d with %d events", first+i, missed.ID, len(missed.Events))
			}
		}
	}
}

func TestACommitMayExpectTheLastEvent(t *testing.T) {
	s := serve(t, nil)
	s.post("/streams/a?expected_last_event=0", `{"events":[1,2]}`).is(200, `{"stream_id":"a","changeset_id":1}`)
	s.post("/streams/a?expected_last_event=2", `{"events":[3]}`).is(200, `{"stream_id":"a","changeset_id":2}`)
	s.post("/streams/b?expected_last_changeset=0", `{"events":[1]}`).is(200, `{"stream_id":"b","changeset_id":1}`)
	s.post("/streams/b?expected_last_changeset=%2B1", `{"events":[1]}`).is(200, `{"stream_id":"b","changeset_id":2}`)
}

// The replies have the keys in the order of the contract, indented by four.
func TestRepliesAreIndented(t *testing.T) {
	s := serve(t, nil)
	for _, test := range []struct {
		r    *reply
		want string
	}{
		{s.post("/streams/a", `{"events":[{"b":[1,{}],"a":"é"},[]]}`), "{\n    \"stream_id\": \"a\",\n    \"changeset_id\": 1\n}"},
		{s.get("/streams/a/changesets"), "{\n    \"stream_id\": \"a\",\n    \"changesets\": [\n        {\n            \"changeset_id\": 1,\n            \"events\": [\n                {\n" +
			"                    \"b\": [\n                        1,\n                        {}\n                    ],\n                    \"a\": \"é\"\n                },\n" +
			"                []\n            ],\n            \"metadata\": {}\n        }\n    ]\n}"},
		{s.get("/streams/a/events?from=9"), "{\n    \"stream_id\": \"a\",\n    \"events\": []\n}"},
		{s.get("/streams/b/events"), "{\n    \"error\": \"STREAM_NOT_FOUND\",\n    \"message\": \"stream(b) was not found\",\n    \"stream_id\": \"b\"\n}"},
	} {
		if got := string(test.r.body); got != test.want {
			t.Errorf("the reply is\n%s\nwant\n%s", got, test.want)
		}
		if got := test.r.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("the content type is %q", got)
		}
	}
}

func TestEventsComeBackToTheDigit(t *testing.T) {
	s := serve(t, nil)
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	events := []string{
		`9007199254740993`, `-123456789012345678901234567890.0000000000000000001e+40`, `1.0`, `0e0`, `"\u0000"`, `"\ud800"`, `"\u00e9é𝄞"`,
		`"\u2028"`, `"</script>"`, `null`, `true`, `""`, `{}`, `[]`, `{"a":1,"a":2}`, `{"":{"":""}}`, deep,
	}
	s.post("/streams/a", `{"events":[`+strings.Join(events, " ,\n ")+`],"metadata":18446744073709551616}`).must(200)
	s.get("/streams/a/changesets").is(200, `{"stream_id":"a","changesets":[{"changeset_id":1,"events":[`+strings.Join(events, ",")+`],"metadata":18446744073709551616}]}`)
	n := 0
	for record, err := range s.store.ReadStream(t.Context(), daybook.Stream("a"), daybook.StreamRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		if string(record.Data) != events[n] {
			t.Errorf("event %d is stored as %.100q, want %.100q", n, record.Data, events[n])
		}
		n++
	}
}

func TestAnEventIsStoredAsTheBytesOfTheRequest(t *testing.T) {
	s := serve(t, nil)
	event := "{\r\n\t\"a\" :  [ 1 ,2 ]\n}"
	s.post("/streams/a", `{"events":[  `+event+"\n]}").must(200)
	for record, err := range s.store.ReadStream(t.Context(), daybook.Stream("a"), daybook.StreamRead{}) {
		if err != nil || !bytes.Equal(record.Data, []byte(event)) {
			t.Errorf("stored as %q, %v", record.Data, err)
		}
	}
	s.get("/streams/a/events").is(200, `{"stream_id":"a","events":[{"id":1,"data":{"a":[1,2]}}]}`)
}

func TestMetadataIsAnyJSONValueAndAnEmptyObjectByDefault(t *testing.T) {
	for given, want := range map[string]string{"": `{}`, `,"metadata":"text"`: `"text"`, `,"metadata":null`: `null`, `,"metadata":[1]`: `[1]`, `,"metadata":{}`: `{}`} {
		s := serve(t, nil)
		s.post("/streams/a", `{"events":[1]`+given+`,"other":"ignored"}`).must(200)
		s.get("/streams/a/changesets").is(200, `{"stream_id":"a","changesets":[{"changeset_id":1,"events":[1],"metadata":`+want+`}]}`)
	}
}

func TestTheTypeOfAnEventIsTheMemberTypeOfItsData(t *testing.T) {
	tests := map[string]string{
		`{"type":"opened"}`: "opened", `{"a":{"type":"inner"},"type":"outer"}`: "outer", `{"a":{"type":"inner"}}`: "event",
		`{"type":"a","type":"b"}`: "b", `{"Type":"opened"}`: "event", `{"type":7}`: "event", `{"type":null}`: "event", `{"type":""}`: "event",
		`{"type":"a\u0000"}`: "event", `{"type":"\ud800"}`: "event", `{"type":"` + strings.Repeat("x", 257) + `"}`: "event",
		`{"type":"` + strings.Repeat("x", 256) + `"}`: strings.Repeat("x", 256), `"type"`: "event", `[{"type":"a"}]`: "event", `null`: "event", `7`: "event",
	}
	for data, want := range tests {
		s := serve(t, nil)
		s.post("/streams/a", `{"events":[`+data+`]}`).must(200)
		for record, err := range s.store.ReadLog(t.Context(), daybook.LogRead{}) {
			if err != nil || record.Type != want {
				t.Errorf("%s: the type is %.20q, %v; want %.20q", data, record.Type, err, want)
			}
		}
	}
}

func TestARepeatedCommitIsAnsweredAsTheFirstTime(t *testing.T) {
	s := serve(t, nil)
	for _, query := range []string{"", "?expected_last_changeset=1", "?expected_last_event=2"} {
		key := "my key, whatever it is: " + query
		first := s.post("/streams/a"+query, `{"events":[{"n":1}]}`, "Idempotency-Key", key).must(200)
		if first.header.Get("Idempotency-Replayed") != "" {
			t.Error("the first commit says that it was replayed")
		}
		again := s.post("/streams/a"+query, `{"events":[{"n":1}]}`, "Idempotency-Key", key).must(200)
		if !bytes.Equal(first.body, again.body) || again.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("the repeated commit is answered with %s %v, the first with %s", again.body, again.header, first.body)
		}
	}
	if end, _ := s.store.End(t.Context()); end != 3 {
		t.Errorf("the log ends at %d, want 3", end)
	}
	s.post("/streams/b", `{"events":[1]}`, "Idempotency-Key", "my key, whatever it is: ").fails(422, "APPEND_ID_REUSED")
	s.post("/streams/a?expected_last_changeset=9", `{"events":[1]}`, "Idempotency-Key", "").fails(400, "INVALID_EXPECTED_CHANGESET_ID")
}

func TestAStreamIDIsAnyTextOfOnePathSegment(t *testing.T) {
	s := serve(t, nil)
	names := []string{
		"a/b", "a%2Fb", "..", ".", "a b", "a+b", "Ünï/%", "changesets", strings.Repeat("x", 1024), strings.Repeat("é", 512), "\u0001\n", "AbC", "abc", "?&=#;", "!!!RESERVED", "𝄞",
	}
	for i, name := range names {
		path := "/streams/" + strings.ReplaceAll(url.PathEscape(name), ".", "%2E")
		quoted, _ := json.Marshal(name)
		var id bytes.Buffer
		encoder := json.NewEncoder(&id)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(name); err != nil {
			t.Fatal(err)
		}
		s.post(path, fmt.Sprintf(`{"events":[%d]}`, i)).must(200)
		r := s.get(path + "/events").must(200)
		if got := r.object()["stream_id"]; got != name {
			t.Errorf("the stream %s is told as %q", quoted, got)
		}
		if head, err := s.store.Head(t.Context(), daybook.Stream(name)); err != nil || head.Version != 1 {
			t.Errorf("the stream %s is at version %d, %v", quoted, head.Version, err)
		}
	}
	s.post("/streams/"+strings.Repeat("x", 1025), `{"events":[1]}`).fails(413, "LIMIT_EXCEEDED", "1025", "1024")
	for _, path := range []string{"", "/events", "/changesets", "/records"} {
		s.get("/streams/"+strings.Repeat("x", 1025)+path).fails(413, "LIMIT_EXCEEDED", "1025", "1024")
	}
}

func TestAPartitionIsAQueryParameter(t *testing.T) {
	s := serve(t, nil)
	s.post("/streams/a?partition=one", `{"events":[1]}`).is(200, `{"stream_id":"a","partition":"one","changeset_id":1}`)
	s.post("/streams/a", `{"events":[2]}`).is(200, `{"stream_id":"a","changeset_id":1}`)
	s.get("/streams/a/events?partition=one").is(200, `{"stream_id":"a","partition":"one","events":[{"id":1,"data":1}]}`)
	s.get("/streams/a/events?partition=").is(200, `{"stream_id":"a","events":[{"id":1,"data":2}]}`)
	s.get("/streams/a/events?partition=two").fails(404, "STREAM_NOT_FOUND", "stream(two/a)")
	s.post("/streams/a?partition=one", `{"events":[3]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION")
	one := `{"stream_id":"a","partition":"one","changeset_id":1,"events":[1],"metadata":{},"checkpoint":0}`
	two := `{"stream_id":"a","changeset_id":1,"events":[2],"metadata":{},"checkpoint":1}`
	s.get("/changesets").is(200, `{"checkpoint":0,"limit":10,"changesets":[`+one+`,`+two+`],"next_checkpoint":2}`)
	s.get("/changesets?partition=one").is(200, `{"checkpoint":0,"limit":10,"changesets":[`+one+`],"next_checkpoint":1}`)
	s.get("/changesets?partition=").is(200, `{"checkpoint":0,"limit":10,"changesets":[`+two+`],"next_checkpoint":2}`)
}
