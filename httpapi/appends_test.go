package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/httpapi"
	"github.com/daybook-go/daybook/internal/wire"
)

func TestAnAppendCarriesEverythingThatAStoreTakes(t *testing.T) {
	s := serve(t, nil)
	s.post("/streams/customer-1", `{"events":[1]}`).must(200)
	body := `{
		"append_id": "order 7, first try",
		"changesets": [
			{"stream_id": "order-7", "partition": "shop", "expect": "none", "metadata": {"by": "test"},
			 "events": [{"type": "ordered", "id": "01890a5d-ac96-774b-bcce-b302099a8057", "tags": ["order:7"], "occurred_at": "2026-01-02T03:04:05.123456Z",
			             "context": {"who": "ann", "why": {"id": "c1", "what": "click", "when": "2026-01-02T03:04:05Z", "who": "bob"}, "metadata": {"x": 1}}, "data": {"n": 9007199254740993}},
			            {"type": "noted", "content_type": "text/plain", "data_text": "two\nlines"}, {"type": "scanned", "content_type": "image/png", "data_base64": "AP8="}]},
			{"stream_id": "mail", "partition": "shop", "expect": {"version": 0}, "events": [{"type": "taken"}], "claims": [{"kind": "email", "value": "ann@example.org"}]},
			{"stream_id": "log", "events": [{"type": "seen", "data": null}], "references": [{"stream_id": "customer-1"}]}
		],
		"condition": {"query": {"items": [{"types": ["ordered"], "tags": ["order:7"]}]}, "after": 0},
		"durability": "memory"
	}`
	r := s.post("/appends", body).must(200)
	receipt, err := wire.DecodeReceipt(r.body)
	if err != nil {
		t.Fatal(err)
	}
	if receipt.AppendID != daybook.IDOf("order 7, first try") || receipt.Repeated || len(receipt.Changesets) != 3 || receipt.Position() != 6 {
		t.Errorf("the receipt is %s", r.body)
	}
	order := receipt.Changesets[0]
	if order.Stream != (daybook.StreamID{Partition: "shop", Name: "order-7"}) || order.First != 1 || order.Last != 3 || order.FirstPosition != 2 || order.Ordinal != 2 {
		t.Errorf("the first changeset went to %+v", order)
	}
	again := s.post("/appends", body).must(200)
	if repeated, err := wire.DecodeReceipt(again.body); err != nil || !repeated.Repeated || again.header.Get("Idempotency-Replayed") != "true" || repeated.Position() != 6 {
		t.Errorf("the repeated append is answered with %s, %v", again.body, err)
	}
	s.get("/claims?partition=shop&kind=email&value=ann@example.org").is(200, `{"held":true,"holder":{"stream_id":"mail","partition":"shop"}}`)
	s.get("/claims?partition=shop&kind=email&value=bob@example.org").is(200, `{"held":false}`)

	records := s.get("/streams/order-7/records?partition=shop").must(200)
	var page struct {
		Records []json.RawMessage `json:"records"`
	}
	if err := json.Unmarshal(records.body, &page); err != nil {
		t.Fatal(err)
	}
	first, err := wire.DecodeRecord(page.Records[0])
	if err != nil || string(first.Data) != `{"n": 9007199254740993}` || first.Context.Why.Who != "bob" || first.Tags[0] != "order:7" || string(first.Changeset.Metadata) != `{"by": "test"}` {
		t.Errorf("the first record is %s, %v", page.Records[0], err)
	}
	for i, want := range []string{1: "two\nlines", 2: "\x00\xff"} {
		if record, err := wire.DecodeRecord(page.Records[i]); i > 0 && (err != nil || string(record.Data) != want) {
			t.Errorf("record %d holds %q, %v; want %q", i, record.Data, err, want)
		}
	}
}

func TestAnAppendThatTheStoreRefusesTellsWhy(t *testing.T) {
	s := serve(t, nil)
	s.post("/appends", `{"changesets":[{"stream_id":"a","events":[{"type":"x","tags":["t"],"data":1},{"type":"y"}],"claims":[{"kind":"k","value":"v"}]}]}`).must(200)
	s.post("/appends", `{"changesets":[{"stream_id":"a","events":[{"type":"z"}]}]}`).must(200)
	const events = `"events":[{"type":"x"}]`
	stale := s.post("/appends", `{"changesets":[{"stream_id":"a","expect":{"version":2},`+events+`}]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION")
	conflict, ok := wire.DecodeError(409, stale.body).(*daybook.ConflictError)
	if !ok || conflict.Expect != daybook.ExpectVersion(2) || conflict.Found.Version != 3 || len(conflict.Missed) != 1 || conflict.Missed[0].Records[0].Type != "z" || conflict.Ahead() {
		t.Errorf("the conflict is %+v: %s", conflict, stale.body)
	}
	ahead := s.post("/appends", `{"changesets":[{"stream_id":"a","expect":{"changeset":9},`+events+`}]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION").object()
	if ahead["ahead"] != true || len(ahead["missed"].([]any)) != 0 {
		t.Errorf("an expectation in the future is answered with %v", ahead)
	}
	s.post("/appends", `{"changesets":[{"stream_id":"b","expect":"exists",`+events+`}]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION")
	condition := s.post("/appends", `{"changesets":[{"stream_id":"b",`+events+`}],"condition":{"query":{"items":[{"tags":["t"]}]},"after":0}}`).fails(409, "CONDITION_FAILED").object()
	if fmt.Sprint(condition["found"]) != "1" || len(condition["records"].([]any)) != 1 {
		t.Errorf("the failed condition is %v", condition)
	}
	s.post("/appends", `{"changesets":[{"stream_id":"b",`+events+`,"claims":[{"kind":"k","value":"v"}]}]}`).fails(409, "CLAIM_HELD")
	s.post("/appends", `{"changesets":[{"stream_id":"b",`+events+`,"references":[{"stream_id":"none"}]}]}`).fails(409, "REFERENCE_MISSING")
	s.post("/appends", `{"append_id":"one","changesets":[{"stream_id":"c",`+events+`}]}`).must(200)
	s.post("/appends", `{"append_id":"one","changesets":[{"stream_id":"d",`+events+`}]}`).fails(422, "APPEND_ID_REUSED")
	s.post("/appends", `{"durability":"disk","changesets":[{"stream_id":"d",`+events+`}]}`).fails(501, "NOT_SUPPORTED", "durability")
	s.get("/streams/b").must(404)
	s.get("/streams/d").must(404)
}

func TestAnAppendThatIsWrongNamesTheField(t *testing.T) {
	tests := []struct{ name, body, field, piece string }{
		{"no body", "", "body", "too early"},
		{"cut short", `{"changesets":[`, "body", "too early"},
		{"not JSON", `{]`, "body", "invalid character"},
		{"an array", `[]`, "body", "an object"},
		{"null", `null`, "changesets", "at least one"},
		{"two documents", `{} {}`, "body", "nothing may follow"},
		{"not UTF-8", "{\"append_id\":\"\xff\"}", "body", "UTF-8"},
		{"unknown key", `{"changeset":[]}`, "changeset", "unknown"},
		{"no changesets", `{"changesets":[]}`, "changesets", "at least one"},
		{"no events", `{"changesets":[{"stream_id":"a"}]}`, "changesets[0].events", "at least one"},
		{"no stream", `{"changesets":[{"events":[{"type":"x"}]}]}`, "changesets[0].stream_id", "empty"},
		{"reserved", `{"changesets":[{"stream_id":"!!!RESERVED:x","events":[{"type":"x"}]}]}`, "changesets[0].stream_id", "reserved"},
		{"no type", `{"changesets":[{"stream_id":"a","events":[{"data":1}]}]}`, "changesets[0].events[0].type", "empty"},
		{"type with U+0000", `{"changesets":[{"stream_id":"a","events":[{"type":"a\u0000"}]}]}`, "changesets[0].events[0].type", "U+0000"},
		{"half a surrogate pair", `{"changesets":[{"stream_id":"a","events":[{"type":"\ud800"}]}]}`, "changesets[0].events[0].type", "surrogate"},
		{"a type that is a number", `{"changesets":[{"stream_id":"a","events":[{"type":7}]}]}`, "changesets[0].events[0].type", "string"},
		{"an id that is none", `{"changesets":[{"stream_id":"a","events":[{"type":"x","id":"7"}]}]}`, "changesets[0].events[0].id", "UUID"},
		{"expect", `{"changesets":[{"stream_id":"a","expect":7,"events":[{"type":"x"}]}]}`, "changesets[0].expect", "any"},
		{"expect of two", `{"changesets":[{"stream_id":"a","expect":{"version":1,"changeset":1},"events":[{"type":"x"}]}]}`, "changesets[0].expect", "any"},
		{"expect negative", `{"changesets":[{"stream_id":"a","expect":{"version":-1},"events":[{"type":"x"}]}]}`, "changesets[0].expect", "negative"},
		{"base64", `{"changesets":[{"stream_id":"a","events":[{"type":"x","data_base64":"?"}]}]}`, "changesets[0].events[0].data_base64", "base64"},
		{"data twice", `{"changesets":[{"stream_id":"a","events":[{"type":"x","data_base64":"","data_text":""}]}]}`, "changesets[0].events[0].data", "not both"},
		{"time", `{"changesets":[{"stream_id":"a","events":[{"type":"x","occurred_at":"yesterday"}]}]}`, "changesets[0].events[0].occurred_at", "yesterday"},
		{"a second event", `{"changesets":[{"stream_id":"a","events":[{"type":"x"}]},{"stream_id":"b","events":[{"type":"x"},{"type":"x","context":{"why":{"when":7}}}]}]}`,
			"changesets[1].events[1].context.why.when", "time"},
		{"an unknown member of an event", `{"changesets":[{"stream_id":"a","events":[{"type":"x","taggs":[]}]}]}`, "changesets[0].events[0].taggs", "unknown"},
		{"a stream that is a number", `{"changesets":[{"stream_id":7,"events":[{"type":"x"}]}]}`, "changesets[0].stream_id", "string"},
		{"events that are none", `{"changesets":[{"stream_id":"a","events":{"type":"x"}}]}`, "changesets[0].events", "an array"},
		{"a changeset that is a number", `{"changesets":[7]}`, "changesets[0]", "an object"},
		{"a claim", `{"changesets":[{"stream_id":"a","claims":[{"kind":"k","value":"\udc00"}],"events":[{"type":"x"}]}]}`, "changesets[0].claims[0].value", "surrogate"},
		{"after", `{"changesets":[{"stream_id":"a","events":[{"type":"x"}]}],"condition":{"after":1e30}}`, "condition.after", "64 bits"},
		{"durability", `{"changesets":[{"stream_id":"a","events":[{"type":"x"}]}],"durability":"paper"}`, "durability", "memory"},
		{"one stream twice", `{"changesets":[{"stream_id":"a","events":[{"type":"x"}]},{"stream_id":"a","events":[{"type":"x"}]}]}`, "changesets[1].stream_id", "twice"},
	}
	s := serve(t, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := s.post("/appends", test.body)
			r.t = t
			r.fails(400, "INVALID_INPUT", test.piece)
			if got := r.object()["field"]; got != test.field {
				t.Errorf("the field is %v, want %s", got, test.field)
			}
		})
	}
	s.post("/appends", `{"append_id":"a","changesets":[{"stream_id":"a","events":[{"type":"x"}]}]}`, "Idempotency-Key", "b").fails(400, "INVALID_INPUT", "Idempotency-Key")
	s.empty()
	s.post("/appends", `{"append_id":"a","changesets":[{"stream_id":"a","events":[{"type":"x"}]}]}`, "Idempotency-Key", "a").must(200)
	replayed := s.post("/appends", `{"changesets":[{"stream_id":"a","events":[{"type":"x"}]}]}`, "Idempotency-Key", "a").must(200)
	if replayed.header.Get("Idempotency-Replayed") != "true" {
		t.Error("the key in the header is not the id in the body")
	}
}

func TestWhatIsTooLargeIsAnsweredWithItsLimit(t *testing.T) {
	store := func() *server {
		return serveLimited(t, daybook.Limits{Events: 3, EventBytes: 20, AppendBytes: 50, Changesets: 2}, &httpapi.Options{MaxBody: 1000})
	}
	s := store()
	limit := func(r *reply, field string, value, limit int, unit string) {
		t.Helper()
		body := r.fails(413, "LIMIT_EXCEEDED", field, fmt.Sprint(limit)).object()
		if body["field"] != field || fmt.Sprint(body["value"]) != fmt.Sprint(value) || fmt.Sprint(body["limit"]) != fmt.Sprint(limit) || body["unit"] != unit {
			t.Errorf("the limit is told as %s", r.body)
		}
	}
	limit(s.post("/streams/a", `{"events":[1,2,3,4]}`), "events", 4, 3, "events")
	limit(s.post("/streams/a", `{"events":["`+strings.Repeat("x", 19)+`"]}`), "changesets[0].events[0].data", 21, 20, "bytes")
	limit(s.post("/streams/a", `{"events":["aaaaaaaaaa","aaaaaaaaaa"],"metadata":"aaaaaaaaaaaaaaaaaaaa"}`), "append", 56, 50, "bytes")
	limit(s.post("/appends", `{"changesets":[{},{},{}]}`), "changesets", 3, 2, "changesets")
	big := strings.Repeat(" ", 1001)
	for _, path := range []string{"/streams/a", "/appends", "/imports"} {
		limit(s.post(path, big), "body", 1001, 1000, "bytes")
		chunked := s.open("POST", path, io.MultiReader(strings.NewReader(big)))
		body, err := io.ReadAll(chunked.Body)
		chunked.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		limit(&reply{t, chunked.StatusCode, chunked.Header, body}, "body", 1001, 1000, "bytes")
	}
	s.empty()
	s.post("/streams/a", `{"events":[1,2,3]}`+strings.Repeat(" ", 1000-18)).must(200)
}

// A hundred megabytes are refused by their announcement, or when the limit is
// reached, and the server lives on.
func TestAHundredMegabytesAreRefused(t *testing.T) {
	s := serve(t, nil)
	for _, announced := range []int64{100 << 20, -1} {
		request, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/streams/a", &zeros{left: 100 << 20})
		if err != nil {
			t.Fatal(err)
		}
		request.ContentLength = announced
		response, err := s.client.Do(request)
		if err != nil {
			t.Fatalf("the server hung up on %d bytes: %v", announced, err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		(&reply{t, response.StatusCode, response.Header, body}).fails(413, "LIMIT_EXCEEDED", "33554432")
	}
	s.empty()
	s.post("/streams/a", `{"events":[1]}`).must(200)
}

// zeros is a body of zeros.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	clear(p[:n])
	z.left -= n
	return n, nil
}

func TestAnImportStoresRecordsAsTheyWere(t *testing.T) {
	from, to := serve(t, nil), serve(t, nil)
	from.twoChangesets()
	from.post("/appends", `{"append_id":"x","changesets":[
		{"stream_id":"b","events":[{"type":"t","content_type":"a/b","data_base64":"AP8="}],"claims":[{"kind":"k","value":"v"}]},{"stream_id":"c","events":[{"type":"t"}]}]}`).must(200)
	lines := from.get("/records?format=ndjson").must(200)
	to.post("/imports", string(lines.body)+"\n \n").is(200, `{"records":8,"position":8}`)
	copied := to.get("/records?format=ndjson").must(200)
	if !bytes.Equal(lines.body, copied.body) {
		t.Errorf("the copy is\n%s\nof\n%s", copied.body, lines.body)
	}
	to.get("/claims?kind=k&value=v").is(200, `{"held":true,"holder":{"stream_id":"b"}}`)
	to.post("/appends", `{"append_id":"x","changesets":[{"stream_id":"b","events":[{"type":"t"}]},{"stream_id":"c","events":[{"type":"t"}]}]}`).must(200)
	to.post("/imports", string(lines.body)).fails(400, "INVALID_INPUT", "position")
}

func TestAnImportThatIsWrongStoresNothing(t *testing.T) {
	from := serve(t, nil)
	from.twoChangesets()
	lines := strings.SplitAfter(string(from.get("/records?format=ndjson").must(200).body), "\n")
	all := strings.Join(lines, "")
	tests := []struct{ name, body, piece string }{
		{"nothing", "\n\n", "at least one record"},
		{"not JSON", all + "x\n", "line 7"},
		{"an array", "[" + lines[0] + "]", "line 1"},
		{"an unknown key", strings.Replace(all, `"version":3`, `"versoin":3`, 1), "line 3: versoin"},
		{"cut short", all[:len(all)-30], "line 6"},
		{"a record missing", strings.Join(lines[1:], ""), "changesets[0].count"},
		{"half a changeset", lines[0], "changesets[0].count"},
		{"positions that fall", strings.Join(lines[3:], "") + strings.Join(lines[:3], ""), "position"},
		{"a version twice", strings.Replace(all, `"version":3`, `"version":2`, 1), "version"},
		{"records of one changeset that differ", strings.Replace(all, `"metadata":{"n":1}`, `"metadata":{"n":3}`, 1), "agree"},
		{"no changeset", `{"position":1,"stream_id":"a","version":1,"recorded_at":"2026-01-01T00:00:00Z","id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"x"}`, "changeset"},
	}
	s := serve(t, nil)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := s.post("/imports", test.body)
			r.t = t
			r.fails(400, "INVALID_INPUT", test.piece)
			s.empty()
		})
	}
	s.post("/imports", all).must(200)
}

// serveLimited serves an empty store with limits.
func serveLimited(t *testing.T, limits daybook.Limits, options *httpapi.Options) *server {
	t.Helper()
	return serveStore(t, daybook.New(newMemory(), &daybook.Options{Limits: limits}), options)
}

// FuzzAppendBody holds the decoders of both halves against any body: what is
// refused is a 4xx and leaves no trace, what is taken can be read.
func FuzzAppendBody(f *testing.F) {
	for _, body := range []string{
		`{"events":[1,{"type":"a"}],"metadata":null}`, `{"events":"x"}`, `{"changesets":[{"stream_id":"a","events":[{"type":"x","data_text":"\ud83d\ude00"}],"metadata_base64":"AA=="}]}`,
		`{"append_id":"","changesets":[{"stream_id":"a","expect":{"version":0},"events":[{"type":"x","data":[1e999]}],
			"claims":[{"kind":"k","value":"v"}],"references":[{"stream_id":"a"}]}],"condition":{"query":{"items":[{}]},"after":9}}`,
		oneRecord,
	} {
		for path := range 3 {
			f.Add(path, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, path int, body []byte) {
		store := daybook.New(newMemory(), nil)
		handler := httpapi.New(store, nil)
		status, reply := call(handler, "POST", []string{"/streams/a", "/appends", "/imports"}[uint(path)%3], body)
		end, err := store.End(context.Background())
		if err != nil || status >= 500 && status != 501 || status < 200 || !json.Valid(reply) {
			t.Fatalf("%d %s, %v", status, reply, err)
		}
		if (status == 200) != (end > 0) {
			t.Fatalf("status %d, but the log ends at %d", status, end)
		}
		if status != 200 {
			return
		}
		for line := range bytes.Lines(readAll(handler)) {
			if _, err := wire.DecodeRecord(line); err != nil {
				t.Fatalf("a record cannot be read back: %v: %s", err, line)
			}
		}
		if status, changesets := call(handler, "GET", "/changesets", nil); status != 200 || !json.Valid(changesets) {
			t.Fatalf("the changesets: %d %s", status, changesets)
		}
	})
}
