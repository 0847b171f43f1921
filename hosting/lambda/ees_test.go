package lambda_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
)

// The contract of the Elastic Event Store, asked of the program as it is shipped
// through each of the services in front of it: its walk-through, its errors, and
// what is answered where it fails itself.
func TestTheElasticEventStoresContractHoldsOverLambda(t *testing.T) {
	for i, kind := range gateways() {
		t.Run(kind.name, func(t *testing.T) {
			contract(t, &launch(t, "DAYBOOK_STORE=file:"+t.TempDir(), "DAYBOOK_ROLE=api").gateways()[i])
		})
	}
	t.Run("function URL, with the table behind it", func(t *testing.T) {
		endpoint := os.Getenv("DAYBOOK_DYNAMODB")
		if endpoint == "" {
			t.Skip(`SKIPPED: no DynamoDB. Run: eval "$(scripts/services start dynoxide)"`)
		}
		store := "dynamodb://us-east-1/lambda-" + daybook.NewID().String() + "?endpoint=" + url.QueryEscape(endpoint)
		contract(t, &launch(t, "DAYBOOK_STORE="+store, "DAYBOOK_ROLE=api").gateways()[2])
	})
}

func contract(t *testing.T, g *gateway) {
	t.Helper()
	walkThrough(t, g)
	refusals(t, g)
	conflicts(t, g)
	ranges(t, g)
	enumeration(t, g)
}

const (
	one = "99038933-e620-444d-9033-4128254f0cbd"
	two = "206bc1ed-8e67-4a64-a596-8b32c0c20a97"
)

// walkThrough leaves two streams of six and of three events.
func walkThrough(t *testing.T, g *gateway) {
	t.Helper()
	if body := g.do(t, "GET", "/version", "").must(200).body; !strings.Contains(body, `"version": "0.0.1"`) {
		t.Errorf("the version is told as %s", body)
	}
	g.do(t, "GET", "/streams", "").is(200, `{"total_streams":0,"total_changesets":0,"total_events":0,"max_stream_length":0,"statistics_version":0}`)
	g.do(t, "POST", "/streams/"+one, `{"metadata":{"by":"test"},"events":[{"type":"init","foo":"bar"},{"type":"update"},{"type":"switch"}]}`).
		is(200, `{"stream_id":"`+one+`","changeset_id":1}`)
	g.do(t, "POST", "/Streams/"+two, `{"events":[1,2,3],"metadata":{"m":2}}`).is(200, `{"stream_id":"`+two+`","changeset_id":1}`)
	g.do(t, "POST", "/streams/"+one+"?expected_last_changeset=1", `{"events":[4,5,6]}`).is(200, `{"stream_id":"`+one+`","changeset_id":2}`)
	g.do(t, "GET", "/streams", "").is(200, `{"total_streams":2,"total_changesets":3,"total_events":9,"max_stream_length":2,"statistics_version":3}`)
	g.do(t, "GET", "/streams/"+one+"/changesets", "").is(200, `{"stream_id":"`+one+`","changesets":[
		{"changeset_id":1,"events":[{"type":"init","foo":"bar"},{"type":"update"},{"type":"switch"}],"metadata":{"by":"test"}},
		{"changeset_id":2,"events":[4,5,6],"metadata":{}}]}`)
}

func refusals(t *testing.T, g *gateway) {
	t.Helper()
	const body = `{"events":[1]}`
	for _, test := range []struct {
		method, path, body string
		status             int
		code, piece        string
	}{
		{"POST", "/streams/", body, 400, "MISSING_STREAM_ID", "stream_id"},
		{"POST", "/streams/" + one + "?expected_last_changeset=-1", body, 400, "INVALID_EXPECTED_CHANGESET_ID", `changeset id("-1")`},
		{"POST", "/streams/" + one + "?expected_last_event=test", body, 400, "INVALID_EXPECTED_EVENT_ID", `event id("test")`},
		{"POST", "/streams/" + one + "?expected_last_changeset=0&expected_last_event=0", body, 400, "BOTH_EXPECTED_CHANGESET_AND_EVENT_ARE_SET", `"last_event_id"`},
		{"POST", "/streams/" + one + "?expected_last_changeset=7", body, 400, "INVALID_EXPECTED_CHANGESET_ID", "changeset(7)"},
		{"POST", "/streams/" + one + "?expected_last_event=7", body, 400, "INVALID_EXPECTED_CHANGESET_ID", "event(7)"},
		{"POST", "/streams/new?expected_last_changeset=1", body, 400, "INVALID_EXPECTED_CHANGESET_ID", "is 0"},
		{"POST", "/streams/!!!RESERVED:GLOBAL-COUNTER!!!", body, 400, "INVALID_INPUT", "reserved"},
		{"POST", "/streams/new", "", 400, "INVALID_BODY", ""},
		{"POST", "/streams/new", "null", 400, "INVALID_BODY", "object"},
		{"POST", "/streams/new", "[1]", 400, "INVALID_BODY", "object"},
		{"POST", "/streams/new", `{"metadata":{}}`, 400, "INVALID_EVENTS", "missing"},
		{"POST", "/streams/new", `{"events":"abc"}`, 400, "INVALID_EVENTS", "list"},
		{"POST", "/streams/new", `{"events":[]}`, 400, "INVALID_EVENTS", "at least one"},
		{"GET", "/streams/abcd/changesets", "", 404, "STREAM_NOT_FOUND", "stream(abcd)"},
		{"GET", "/streams/abcd/events?from=9&to=9", "", 404, "STREAM_NOT_FOUND", "stream(abcd)"},
		{"GET", "/streams/" + one + "/changesets?from=3&to=2", "", 400, "INVALID_CHANGESET_FILTERING_PARAMS", "3(from) > 2(to)"},
		{"GET", "/streams/" + one + "/events?from=4&to=3", "", 400, "INVALID_EVENT_FILTERING_PARAMS", "4(from) > 3(to)"},
		{"GET", "/streams/" + one + "/events?from=1.5", "", 400, "INVALID_EVENT_FILTERING_PARAMS", ""},
		{"GET", "/changesets?checkpoint=x", "", 400, "INVALID_CHECKPOINT", `"x"`},
		{"GET", "/changesets?limit=0", "", 400, "INVALID_LIMIT", `"0"`},
	} {
		g.do(t, test.method, test.path, test.body).fails(test.status, test.code, test.piece)
	}
}

func conflicts(t *testing.T, g *gateway) {
	t.Helper()
	const (
		first  = `{"changeset_id":1,"events":[{"type":"init","foo":"bar"},{"type":"update"},{"type":"switch"}],"metadata":{"by":"test"}}`
		second = `{"changeset_id":2,"events":[4,5,6],"metadata":{}}`
	)
	for query, want := range map[string]struct{ piece, missed string }{
		"":                           {"last changeset (0)", first + "," + second},
		"?expected_last_changeset=0": {"last changeset (0)", first + "," + second},
		"?expected_last_event=0":     {"last event (0)", first + "," + second},
		"?expected_last_changeset=1": {"last changeset (1)", second},
		"?expected_last_event=3":     {"last event (3)", second},
		"?expected_last_event=2":     {"last event (2)", first + "," + second},
	} {
		r := g.do(t, "POST", "/streams/"+one+query, `{"events":[7]}`).fails(409, "OPTIMISTIC_CONCURRENCY_EXCEPTION", want.piece)
		_, list, _ := strings.Cut(r.body, `"forthcoming_changesets":`)
		told := &reply{t: t, status: 409, body: `{"missed":` + strings.TrimSpace(list)}
		told.is(409, `{"missed":[`+want.missed+`]}`)
	}
}

func ranges(t *testing.T, g *gateway) {
	t.Helper()
	events := []string{`{"type":"init","foo":"bar"}`, `{"type":"update"}`, `{"type":"switch"}`, "4", "5", "6"}
	for query, want := range map[string][2]int{
		"": {1, 6}, "?from=1&to=6": {1, 6}, "?from=3&to=4": {3, 4}, "?from=3&to=3": {3, 3}, "?from=0&to=": {1, 6}, "?from=4": {4, 6}, "?to=2": {1, 2},
		"?from=-3": {1, 6}, "?to=-1": {1, 0}, "?from=7&to=7": {1, 0}, "?from=6&to=99": {6, 6},
	} {
		var list []string
		for id := want[0]; id <= want[1]; id++ {
			list = append(list, fmt.Sprintf(`{"id":%d,"data":%s}`, id, events[id-1]))
		}
		g.do(t, "GET", "/streams/"+one+"/events"+query, "").is(200, `{"stream_id":"`+one+`","events":[`+strings.Join(list, ",")+`]}`)
	}
}

func enumeration(t *testing.T, g *gateway) {
	t.Helper()
	all := []string{
		`{"stream_id":"` + one + `","changeset_id":1,"events":[{"type":"init","foo":"bar"},{"type":"update"},{"type":"switch"}],"metadata":{"by":"test"},"checkpoint":0}`,
		`{"stream_id":"` + two + `","changeset_id":1,"events":[1,2,3],"metadata":{"m":2},"checkpoint":1}`,
		`{"stream_id":"` + one + `","changeset_id":2,"events":[4,5,6],"metadata":{},"checkpoint":2}`,
	}
	for query, want := range map[string]struct{ checkpoint, limit, from, to int }{
		"": {0, 10, 0, 3}, "?checkpoint=&limit=": {0, 10, 0, 3}, "?checkpoint=1": {1, 10, 1, 3}, "?limit=2": {0, 2, 0, 2}, "?checkpoint=99": {99, 10, 0, 0},
	} {
		next := want.to
		if want.from == want.to {
			next = want.checkpoint
		}
		g.do(t, "GET", "/changesets"+query, "").is(200, fmt.Sprintf(`{"checkpoint":%d,"limit":%d,"changesets":[%s],"next_checkpoint":%d}`,
			want.checkpoint, want.limit, strings.Join(all[want.from:want.to], ","), next))
	}
}
