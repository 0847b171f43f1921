package lambda_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/channel"
	"github.com/daybook-go/daybook/hosting/lambda"
	"github.com/daybook-go/daybook/storage/memory"
)

// indexed is a driver that is an Indexer besides.
type indexed struct {
	daybook.Driver
	index func(records []string) error
}

func (d *indexed) Index(_ context.Context, event []byte) (int, error) {
	var batch struct{ Records []struct{ Name string } }
	if err := json.Unmarshal(event, &batch); err != nil {
		return 0, err
	}
	var names []string
	for _, r := range batch.Records {
		names = append(names, r.Name)
	}
	return len(names), d.index(names)
}

// place keeps one checkpoint.
type place struct{ position daybook.Position }

func (p *place) Load(context.Context, string) (daybook.Position, error) { return p.position, nil }

func (p *place) Save(_ context.Context, _ string, from, to daybook.Position) error {
	if p.position != from {
		return channel.ErrMoved
	}
	p.position = to
	return nil
}

// outlet is a channel that fails as long as it is told to.
type outlet struct {
	failing error
	taken   int
}

func (o *outlet) Publish(_ context.Context, changesets []daybook.RecordedChangeset) error {
	if o.failing == nil {
		o.taken += len(changesets)
	}
	return o.failing
}

func open(t *testing.T, driver daybook.Driver, options lambda.Options) (*lambda.Function, *daybook.Store) {
	t.Helper()
	if driver == nil {
		driver = memory.New(nil)
	}
	store := daybook.New(driver, nil)
	t.Cleanup(func() { store.Close() })
	options.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	f, err := lambda.New(store, driver, &options)
	if err != nil {
		t.Fatal(err)
	}
	return f, store
}

// front is a gateway of each kind before a function.
func front(f *lambda.Function) []gateway {
	all := gateways()
	for i := range all {
		all[i].invoke = func(t *testing.T, event []byte) []byte {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 29*time.Second)
			defer cancel()
			answer, err := f.Invoke(ctx, event)
			if err != nil {
				t.Fatal(err)
			}
			return answer
		}
	}
	return all
}

func TestRequestsComeThroughEachGatewayAsTheyWereSent(t *testing.T) {
	f, store := open(t, nil, lambda.Options{BasePath: "/store"})
	for i, g := range front(f) {
		t.Run(g.name, func(t *testing.T) {
			name := fmt.Sprintf("a%%20b-%d", i)
			body := `{"events":[{"type":"a","text":"Zürich \"quoted\" €"}]}`
			g.do(t, "POST", "/store/streams/"+name, body, "Idempotency-Key", "k"+name).must(200)
			again := g.do(t, "POST", "/streams/"+name, body, "Idempotency-Key", "k"+name).must(200)
			if again.header.Get("Idempotency-Replayed") != "true" || again.header.Get("Content-Type") != "application/json" {
				t.Errorf("the header of a repeat is %v", again.header)
			}
			if head, err := store.Head(t.Context(), daybook.StreamID{Name: fmt.Sprintf("a b-%d", i)}); err != nil || head.Version != 1 {
				t.Errorf("the stream ends at %+v, %v", head, err)
			}
			g.do(t, "GET", "/streams/"+name+"/events?from=1", "").is(200, fmt.Sprintf(`{"stream_id":"a b-%d","events":[{"id":1,"data":{"type":"a","text":"Zürich \"quoted\" €"}}]}`, i))
			g.do(t, "GET", "/records?type=a&type=b&stream_type=a%20b", "").must(200)
			g.do(t, "GET", "/streams/"+name+"/events?from=3&to=2", "").fails(400, "INVALID_EVENT_FILTERING_PARAMS", "3(from) > 2(to)")
			if r := g.do(t, "HEAD", "/streams/"+name, ""); r.status != 200 {
				t.Errorf("HEAD is answered with %d", r.status)
			}
			g.do(t, "PUT", "/streams/"+name, "").fails(405, "METHOD_NOT_ALLOWED")
		})
	}
}

func TestABodyMayHoldAnyBytes(t *testing.T) {
	f, _ := open(t, nil, lambda.Options{})
	g := front(f)[2]
	g.do(t, "POST", "/streams/x", "{\"events\":[\"\xff\"]}").fails(400, "INVALID_BODY", "UTF-8")
	g.do(t, "POST", "/streams/x", strings.Repeat(" ", 100)).fails(400, "INVALID_BODY")
}

func TestALiveStreamIsRefusedWithWhatThereIsInstead(t *testing.T) {
	f, _ := open(t, nil, lambda.Options{})
	for _, g := range front(f) {
		g.do(t, "GET", "/records?format=sse", "").fails(400, "INVALID_INPUT", "json, ndjson")
		g.do(t, "GET", "/records", "", "Accept", "text/event-stream").fails(406, "NOT_ACCEPTABLE", "application/json")
	}
}

func TestAReplyThatIsTooLargeIsRefusedClearly(t *testing.T) {
	f, store := open(t, nil, lambda.Options{})
	data := []byte(`"` + strings.Repeat(`\"`, 400_000) + `"`)
	for range 9 {
		if _, err := store.Append(t.Context(), daybook.StreamID{Name: "big"}, daybook.Expect{}, daybook.Event{Type: "a", Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range front(f) {
		g.do(t, "GET", "/streams/big/changesets", "").fails(413, "REPLY_TOO_LARGE", "limit")
		g.do(t, "POST", "/streams/big", `{"events":[1]}`).fails(409, "REPLY_TOO_LARGE")
		g.do(t, "GET", "/streams/big/records?format=ndjson", "").fails(413, "REPLY_TOO_LARGE")
		// A page ends before that, and the next one begins behind it.
		r := g.do(t, "GET", "/streams/big/records", "").must(200)
		var page struct {
			Records []json.RawMessage
			Next    int `json:"next_from"`
		}
		if err := json.Unmarshal([]byte(r.body), &page); err != nil || len(page.Records) == 9 || page.Next != len(page.Records)+1 {
			t.Errorf("a page has %d records, the next begins at %d: %v", len(page.Records), page.Next, err)
		}
	}
}

const stream = `{"Records":[
	{"eventSource":"aws:dynamodb","eventName":"INSERT","name":"a","dynamodb":{"SequenceNumber":"100"}},
	{"eventSource":"aws:dynamodb","eventName":"INSERT","name":"b","dynamodb":{"SequenceNumber":"101"}},
	{"eventSource":"aws:dynamodb","eventName":"INSERT","name":"c","dynamodb":{"SequenceNumber":"102"}}]}`

const schedule = `{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}`

func TestOfABatchOnlyWhatFailedComesAgain(t *testing.T) {
	var calls [][]string
	driver := &indexed{Driver: memory.New(nil), index: func(names []string) error {
		calls = append(calls, names)
		if strings.Contains(strings.Join(names, ""), "b") {
			return errors.New("throttled")
		}
		return nil
	}}
	f, _ := open(t, driver, lambda.Options{Role: lambda.RoleIndexer})
	answer, err := f.Invoke(t.Context(), []byte(stream))
	if err != nil || string(answer) != `{"batchItemFailures":[{"itemIdentifier":"101"}]}` {
		t.Errorf("the answer is %s, %v", answer, err)
	}
	if got := fmt.Sprint(calls); got != "[[a b c] [a] [b]]" {
		t.Errorf("the storage was handed %s", got)
	}
	driver.index = func([]string) error { return nil }
	if answer, err := f.Invoke(t.Context(), []byte(stream)); err != nil || string(answer) != `{"batchItemFailures":[]}` {
		t.Errorf("the answer is %s, %v", answer, err)
	}
}

func TestABatchThatCouldNotBePublishedComesAgainWhole(t *testing.T) {
	to, kept := &outlet{failing: errors.New("down")}, &place{}
	f, store := open(t, nil, lambda.Options{Role: lambda.RolePublisher, Publish: to, Checkpoints: kept})
	if _, err := store.Append(t.Context(), daybook.StreamID{Name: "s"}, daybook.Expect{}, daybook.Event{Type: "a"}); err != nil {
		t.Fatal(err)
	}
	if answer, err := f.Invoke(t.Context(), []byte(stream)); err != nil || string(answer) != `{"batchItemFailures":[{"itemIdentifier":"100"}]}` {
		t.Errorf("the answer is %s, %v", answer, err)
	}
	if _, err := f.Invoke(t.Context(), []byte(schedule)); err == nil {
		t.Error("a schedule that could not publish did not fail")
	}
	to.failing = nil
	for range 2 {
		if answer, err := f.Invoke(t.Context(), []byte(stream)); err != nil || string(answer) != `{"batchItemFailures":[]}` {
			t.Errorf("the answer is %s, %v", answer, err)
		}
	}
	if to.taken != 1 || kept.position != 1 {
		t.Errorf("%d changesets were taken, the checkpoint is at %d", to.taken, kept.position)
	}
}

func TestStatisticsAreToldAsMetrics(t *testing.T) {
	var metrics bytes.Buffer
	f, store := open(t, nil, lambda.Options{Role: lambda.RoleStatistics, Checkpoints: &place{position: 1}, Metrics: &metrics, Label: "shop"})
	if _, err := store.Append(t.Context(), daybook.StreamID{Name: "s"}, daybook.Expect{}, daybook.Event{Type: "a"}, daybook.Event{Type: "b"}); err != nil {
		t.Fatal(err)
	}
	want := `{"Changesets":1,"LastOrdinal":1,"LastPosition":2,"LongestStream":1,"Records":2,"Streams":1,"Unpublished":1}`
	if answer, err := f.Invoke(t.Context(), []byte(schedule)); err != nil || string(answer) != want {
		t.Errorf("the answer is %s, %v, want %s", answer, err, want)
	}
	var line struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
		Store       string
		Unpublished int
	}
	if err := json.Unmarshal(metrics.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	m := line.AWS.CloudWatchMetrics
	if line.Store != "shop" || line.Unpublished != 1 || len(m) != 1 || m[0].Namespace != "Daybook" || len(m[0].Metrics) != 7 {
		t.Errorf("the metrics are %s", metrics.String())
	}
}

func TestAFunctionRefusesWhatIsNotItsPart(t *testing.T) {
	request, err := json.Marshal(functionURL("GET", "/version", "", "", nil))
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]string{"request": string(request), "stream": stream, "schedule": schedule}
	takes := map[lambda.Role]string{
		lambda.RoleAPI: "request", lambda.RoleIndexer: "stream", lambda.RoleStatistics: "schedule", lambda.RolePublisher: "stream schedule",
		lambda.RoleAny: "request stream schedule",
	}
	for role, kinds := range takes {
		f, _ := open(t, nil, lambda.Options{Role: role, Publish: &outlet{}, Checkpoints: &place{}, Metrics: io.Discard})
		for kind, event := range events {
			_, err := f.Invoke(t.Context(), []byte(event))
			if takes := strings.Contains(kinds, kind); takes != (err == nil) {
				t.Errorf("role %q, %s: %v", role, kind, err)
			}
		}
		for _, unknown := range []string{`{}`, `[]`, `{"Records":[{"eventSource":"aws:s3"}]}`, `nothing`} {
			if _, err := f.Invoke(t.Context(), []byte(unknown)); err == nil {
				t.Errorf("role %q: the event %s was taken", role, unknown)
			}
		}
	}
	for _, wrong := range []lambda.Options{{Role: "queen"}, {Role: lambda.RolePublisher}, {Publish: &outlet{}}} {
		if _, err := lambda.New(nil, nil, &wrong); !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}
