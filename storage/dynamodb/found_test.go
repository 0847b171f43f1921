package dynamodb_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
	"github.com/daybook-go/daybook/verify"
)

// logOf reads all records.
func logOf(t testing.TB, d daybook.Driver) (records []daybook.Record) {
	t.Helper()
	for r, err := range d.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

// places are the streams and versions of records, in their order.
func places(records []daybook.Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s/%d.%d ", r.Stream, r.Changeset.Number, r.Version)
	}
	return strings.TrimSpace(b.String())
}

func mustAppend(t testing.TB, d daybook.Driver, a daybook.Append) daybook.Receipt {
	t.Helper()
	receipt, err := d.Append(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func mustBeSound(t testing.TB, d daybook.Driver) {
	t.Helper()
	report, err := verify.Store(t.Context(), daybook.New(d, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		t.Errorf("verify: %+v", finding)
	}
}

func TestTableThatEESHasFilledIsContinued(t *testing.T) {
	e, address := eesTable(t)
	e.commit("99038933-e620-444d-9033-4128254f0cbd", `{"type": "opened", "n": 1.50}`, `[1, 2]`)
	e.commit("b", `"text"`, `null`, `{"a":  "\u00e9"}`)
	e.commit("b", `7`)
	e.commit("c", `{}`)
	e.commit("b", `8`)
	e.commit("99038933-e620-444d-9033-4128254f0cbd", `true`)
	e.index("b", 2) // first b/1, then b/2
	e.index("99038933-e620-444d-9033-4128254f0cbd", 1)
	e.count("b", 3) // its indexer died before it wrote this down

	d := open(t, address, dynamodb.Options{})
	records := logOf(t, d)
	const want = "b/1.1 b/1.2 b/1.3 b/2.4 99038933-e620-444d-9033-4128254f0cbd/1.1 99038933-e620-444d-9033-4128254f0cbd/1.2 b/3.5 c/1.1 " +
		"99038933-e620-444d-9033-4128254f0cbd/2.3"
	if got := places(records); got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
	if got := string(records[2].Data); got != `{"a":  "\u00e9"}` {
		t.Errorf("the data is %s: the store has changed it", got)
	}
	if r := records[4]; r.Type != "opened" || string(r.Data) != `{"type": "opened", "n": 1.50}` || string(r.Changeset.Metadata) != `{"by": "99038933-e620-444d-9033-4128254f0cbd"}` {
		t.Errorf("the record is %+v with header %+v", r, r.Changeset)
	}

	receipt := mustAppend(t, d, appendOf(changeset("b", "ours", 2), changeset("new", "ours", 1)))
	if c := receipt.Changesets[0]; c.Number != 4 || c.First != 6 || c.Ordinal != 7 {
		t.Errorf("the receipt is %+v, want changeset 4 with version 6 and ordinal 7", c)
	}
	mustBeSound(t, d)
	mustBeSound(t, open(t, address, dynamodb.Options{}))
	mustBeReadByEES(t, e, d)
}

// mustBeReadByEES holds EES's reads against the log.
func mustBeReadByEES(t *testing.T, e *ees, d daybook.Driver) {
	t.Helper()
	var log []fed
	for c, err := range daybook.Changesets(d.ReadLog(t.Context(), daybook.LogRead{})) {
		if err != nil {
			t.Fatal(err)
		}
		f := fed{stream: c.Stream.Name, number: int(c.Number), checkpoint: int(c.Ordinal) - 1, first: int(c.First)}
		for _, r := range c.Records {
			f.events = append(f.events, r.Data)
		}
		log = append(log, f)
	}
	feed := e.feed()
	if !slices.EqualFunc(feed, log, same) {
		t.Errorf("EES's feed is\n%v\nthe log is\n%v", feed, log)
	}
	counter := e.item(eesCounter, 0)
	if last := log[len(log)-1]; textOf(counter, "prev_stream_id") != last.stream || numberOf(counter, "prev_changeset_id") != last.number ||
		numberOf(counter, "page")*1000+numberOf(counter, "page_item") != last.checkpoint {
		t.Errorf("EES's counter is %v, the last changeset is %v", counter, last)
	}
	streams := map[string][]fed{}
	for _, f := range log {
		streams[f.stream] = append(streams[f.stream], f)
	}
	for stream, want := range streams {
		if got := e.stream(stream); !slices.EqualFunc(got, want, same) {
			t.Errorf("EES reads stream %s as %v, want %v", stream, got, want)
		}
	}
}

func TestAdoptingComesToTheSameHoweverOftenItIsCut(t *testing.T) {
	fill := func(e *ees) {
		for i := range 120 {
			stream := fmt.Sprintf("s-%d", i%7)
			e.commit(stream, fmt.Sprintf(`{"n": %d}`, i))
			if i%3 == 0 && i < 60 {
				e.index(stream, i/7+1)
			}
		}
	}
	whole, address := eesTable(t)
	fill(whole)
	want := logOf(t, open(t, address, dynamodb.Options{}))

	cut, address := eesTable(t)
	fill(cut)
	for transactions := 1; ; transactions++ {
		left := transactions
		proxy := startProxy(t, func(r *request) fault {
			if r.operation == "TransactWriteItems" {
				if left--; left < 0 {
					return refuse
				}
			}
			return pass
		})
		d := open(t, urlOf(proxy, *cut.table), dynamodb.Options{Attempts: 1, Patience: 1})
		if _, err := d.End(t.Context()); err == nil {
			break
		}
		_ = d.Close()
		if transactions > 5 {
			t.Fatal("adopting 120 changesets takes more than five transactions")
		}
	}
	d := open(t, address, dynamodb.Options{})
	got := logOf(t, d)
	if places(got) != places(want) {
		t.Errorf("adopted in pieces the log is\n%s\nat once it is\n%s", places(got), places(want))
	}
	if len(got) != 120 || len(want) != 120 {
		t.Errorf("%d and %d records, want 120", len(got), len(want))
	}
	mustBeSound(t, d)
	mustBeReadByEES(t, cut, d)
}

func TestStreamWhoseTimesFallKeepsItsOrder(t *testing.T) {
	e, address := eesTable(t)
	began := e.at
	for _, c := range []struct {
		stream string
		second int
	}{{"b", 10}, {"c", 5}, {"b", 1}, {"a", 20}, {"c", 30}} {
		e.at = began.Add(time.Duration(c.second) * time.Second)
		e.commit(c.stream, `{}`)
	}
	d := open(t, address, dynamodb.Options{})
	if got, want := places(logOf(t, d)), "c/1.1 b/1.1 b/2.2 a/1.1 c/2.2"; got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
	mustBeSound(t, d)
	mustBeReadByEES(t, e, d)
}

func TestTwoThatAdoptAtOnceAgree(t *testing.T) {
	e, address := eesTable(t)
	for i := range 60 {
		e.commit(fmt.Sprintf("s-%d", i%9), `{}`)
	}
	ends := make(chan error)
	for range 3 {
		d := open(t, address, dynamodb.Options{})
		go func() {
			_, err := d.Append(context.WithoutCancel(t.Context()), appendOf(changeset("s-1", "ours", 1)))
			ends <- err
		}()
	}
	for range 3 {
		if err := <-ends; err != nil {
			t.Error(err)
		}
	}
	d := open(t, address, dynamodb.Options{})
	if got := len(logOf(t, d)); got != 63 {
		t.Errorf("%d records, want 63", got)
	}
	mustBeSound(t, d)
	mustBeReadByEES(t, e, d)
}

func TestChangesetOfEESWithoutEventsIsLeftOut(t *testing.T) {
	e, address := eesTable(t)
	e.commit("a", `1`)
	e.commit("a")
	e.commit("a", `2`)
	d := open(t, address, dynamodb.Options{})
	if got, want := places(logOf(t, d)), "a/1.1 a/3.2"; got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
	if c := mustAppend(t, d, appendOf(changeset("a", "ours", 1))).Changesets[0]; c.Number != 4 || c.First != 3 {
		t.Errorf("the receipt is %+v, want changeset 4 with version 3", c)
	}
}

func TestEESThatWritesOnIsTakenIn(t *testing.T) {
	e, address := eesTable(t)
	e.commit("a", `{"n": 1}`)
	d := open(t, address, dynamodb.Options{})
	mustAppend(t, d, appendOf(changeset("b", "ours", 1)))

	// An append meets what EES has written into its stream, and goes behind it.
	e.commit("b", `{"n": 2}`, `{"n": 3}`)
	e.commit("a", `{"n": 4}`)
	if c := mustAppend(t, d, appendOf(changeset("b", "ours", 1))).Changesets[0]; c.Number != 3 || c.First != 4 {
		t.Errorf("the receipt is %+v, want changeset 3 with version 4", c)
	}
	// One that expects what was there before is refused, and told what it missed.
	e.commit("b", `{"n": 5}`)
	late := changeset("b", "ours", 1)
	late.Expect = daybook.ExpectVersion(4)
	var conflict *daybook.ConflictError
	if _, err := d.Append(t.Context(), appendOf(late)); !errors.As(err, &conflict) || conflict.Found.Version != 5 {
		t.Errorf("the error is %v, want a conflict at version 5", err)
	}
	// The indexer takes in what nobody has met.
	if taken, err := d.Index(t.Context(), streamEvent("a", "b")); err != nil || taken != 1 {
		t.Errorf("the indexer has taken in %d (%v), want a/2", taken, err)
	}
	if taken, err := d.Index(t.Context(), streamEvent("a", "b")); err != nil || taken != 0 {
		t.Errorf("the same batch again has taken in %d (%v)", taken, err)
	}
	if got, want := places(logOf(t, d)), "a/1.1 b/1.1 b/2.2 b/2.3 b/3.4 b/4.5 a/2.2"; got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
	mustBeSound(t, open(t, address, dynamodb.Options{}))
	mustBeReadByEES(t, e, d)
}

func TestIndexerOfEESThatRunsBesideGivesItsNumbers(t *testing.T) {
	e, address := eesTable(t)
	d := open(t, address, dynamodb.Options{})
	mustAppend(t, d, appendOf(changeset("a", "ours", 1)))
	e.commit("b", `1`)
	e.commit("c", `2`)
	e.commit("a", `3`)
	e.index("a", 1) // nothing: ours has its place
	e.index("c", 1)
	e.index("a", 2)
	e.count("b", 1) // and dies
	mustAppend(t, d, appendOf(changeset("d", "ours", 1)))
	if got, want := places(logOf(t, d)), "a/1.1 c/1.1 a/2.2 b/1.1 d/1.1"; got != want {
		t.Errorf("the log is %s, want %s", got, want)
	}
	mustBeSound(t, d)
	mustBeReadByEES(t, e, d)
}

func TestIndexPassesOverWhatIsOurs(t *testing.T) {
	requests := 0
	proxy := startProxy(t, func(*request) fault { requests++; return pass })
	d := open(t, urlOf(proxy, freshTable(t)), dynamodb.Options{})
	before := requests
	event := []byte(`{"Records":[
		{"eventName":"INSERT","dynamodb":{"Keys":{"stream_id":{"S":"a"},"changeset_id":{"N":"1"}},"NewImage":{"stream_id":{"S":"a"},"first_event_id":{"N":"1"},"daybook":{"B":"AQ=="}}}},
		{"eventName":"MODIFY","dynamodb":{"Keys":{"stream_id":{"S":"!!!RESERVED:GLOBAL-COUNTER!!!"},"changeset_id":{"N":"0"}},"NewImage":{"page":{"N":"0"}}}},
		{"eventName":"REMOVE","dynamodb":{"Keys":{"stream_id":{"S":"b"},"changeset_id":{"N":"1"}}}}]}`)
	if taken, err := d.Index(t.Context(), event); err != nil || taken != 0 || requests != before {
		t.Errorf("the indexer has taken in %d (%v) with %d requests", taken, err, requests-before)
	}
	for _, wrong := range []string{`{`, `{"Records":[{"eventName":"INSERT"}]}`} {
		if _, err := d.Index(t.Context(), []byte(wrong)); !errors.Is(err, daybook.ErrInvalid) {
			t.Errorf("%s: %v, want it to be invalid", wrong, err)
		}
	}
}

// streamEvent is a batch that tells of a changeset of EES in each stream.
func streamEvent(streams ...string) []byte {
	var records []string
	for _, stream := range streams {
		records = append(records, fmt.Sprintf(`{"eventName":"INSERT","dynamodb":{"Keys":{"stream_id":{"S":%q},"changeset_id":{"N":"2"}},
			"NewImage":{"stream_id":{"S":%[1]q},"changeset_id":{"N":"2"},"first_event_id":{"N":"2"},"events":{"S":"[1]"}},"SequenceNumber":"1"}}`, stream))
	}
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}
