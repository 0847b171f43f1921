package cosmos_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/cosmos"
)

// shapes are the queries that the driver asks, without their numbers: one that
// is not among them is not compared.
var shapes = []string{
	"SELECT * FROM c WHERE c.Daybook.Place >= @first AND c.Daybook.Place <= @last AND c.Daybook.Item = 'event' ORDER BY c.Daybook.Place",
	"SELECT * FROM c WHERE c.id IN (…)",
	"SELECT TOP n * FROM c WHERE c.AggregateId = @aggregate AND STARTSWITH(c.id, 'Event|') AND c.Index >= @from ORDER BY c.Index",
	"SELECT TOP n * FROM c WHERE c.AggregateId = @aggregate AND STARTSWITH(c.id, 'Event|') AND c.Index >= @from AND c.Index <= @to ORDER BY c.Index DESC",
	"SELECT TOP n * FROM c WHERE c.Daybook.Item = 'partition' AND c.Daybook.Sort >= @from ORDER BY c.Daybook.Sort",
	"SELECT TOP n * FROM c WHERE c.Daybook.Item = 'stream' AND c.Daybook.Sort > @after ORDER BY c.Daybook.Sort",
	"SELECT TOP n * FROM c WHERE c.Daybook.Item IN ('event', 'entry') AND c.Daybook.Position > @after ORDER BY c.Daybook.Position",
	"SELECT TOP n * FROM c WHERE c.Daybook.Item IN ('event', 'entry') AND c.Daybook.Position > @after AND " +
		"(c.Daybook.Item = 'event' OR c.Daybook.Of IN (…)) ORDER BY c.Daybook.Position",
	"SELECT TOP n * FROM c WHERE c.Daybook.Item IN ('event', 'entry') AND c.Daybook.Position > @after AND c.Daybook.Position <= @to ORDER BY c.Daybook.Position DESC",
	"SELECT c.Daybook.Commit, c.Daybook.Turn, c.Daybook.Append FROM c " +
		"WHERE c.Daybook.Item = 'event' AND c.Daybook.Place > @after AND c.Daybook.Place <= @upTo ORDER BY c.Daybook.Place",
	"SELECT c.PartitionId FROM c WHERE STARTSWITH(c.id, 'Event|') AND NOT IS_DEFINED(c.Daybook) AND c.Type != '<RESERVED>'",
	"SELECT c.id, c.AggregateType, c.AggregateId, c.Index, c.Timestamp, c.Type FROM c WHERE STARTSWITH(c.id, 'Event|') AND NOT IS_DEFINED(c.Daybook)",
}

var (
	topOf  = regexp.MustCompile(`TOP \d+`)
	listOf = regexp.MustCompile(`IN \(@[^)]*\)`)
)

func shapeOf(text string) string {
	return listOf.ReplaceAllString(topOf.ReplaceAllString(text, "TOP n"), "IN (…)")
}

// heard is a query that the driver has asked.
type heard struct {
	text      string
	values    values
	partition string // "" is all
	page      int32
}

// listener sends requests, and keeps the queries among them.
type listener struct {
	mu    sync.Mutex
	heard []heard
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Content-Type") == "application/query+json" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var asked struct {
			Query      string
			Parameters []struct {
				Name  string
				Value any
			}
		}
		if err := json.Unmarshal(body, &asked); err != nil {
			return nil, err
		}
		h := heard{text: asked.Query, values: values{}, partition: (&answer{request: r}).partition()}
		for _, p := range asked.Parameters {
			h.values[p.Name] = p.Value
		}
		if page, err := strconv.Atoi(r.Header.Get("x-ms-max-item-count")); err == nil {
			h.page = int32(page)
		}
		l.mu.Lock()
		l.heard = append(l.heard, h)
		l.mu.Unlock()
	}
	return http.DefaultTransport.RoundTrip(r)
}

// listen lets a driver do all that asks queries, and returns these, each once,
// and the items that are there then, in the order in which they were made.
func listen(t *testing.T) ([]heard, []*dItem) {
	d, container := filled(t)
	l := &listener{}
	options := func(patience time.Duration) *cosmos.Options {
		return &cosmos.Options{Poll: 5 * time.Millisecond, Patience: patience, HTTP: &http.Client{Transport: l}}
	}
	busy := daybook.New(open(t, d.url("events"), options(20*time.Millisecond)), nil)
	for i, partition := range []string{"", "north", "south", "", "north", "south", "north"} {
		first, second := oneEvent(named(partition, "account-1"), daybook.ExpectAny()), oneEvent(named(partition, "account-2"), daybook.ExpectAny())
		first.Changesets = append(first.Changesets, second.Changesets...)
		first.Changesets[0].Claims = []daybook.Claim{{Kind: "seat", Value: fmt.Sprint(i)}}
		if _, err := busy.AppendAll(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	// One that is stored in its partition, and not put into the log by its writer.
	d.meet(func(s *sighting) *fault {
		if strings.Contains(string(s.body), "Daybook|Entry|") && strings.Contains(string(s.body), "resourceBody") {
			return &fault{status: http.StatusServiceUnavailable}
		}
		return nil
	})
	if _, err := busy.AppendAll(t.Context(), oneEvent(named("north", "account-1"), daybook.ExpectAny())); err == nil {
		t.Fatal("an append that is not in the log was acknowledged")
	}
	d.meet(nil)

	driver := open(t, d.url("events"), options(0))
	store := daybook.New(driver, nil)
	for _, partition := range []string{"", "north", "south"} {
		drain(t, store.ReadStream(t.Context(), named(partition, "account-1"), daybook.StreamRead{}))
		drain(t, store.ReadStream(t.Context(), named(partition, "account-1"), daybook.StreamRead{From: 1, To: 2, Backwards: true}))
	}
	end, err := store.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	drain(t, store.ReadLog(t.Context(), daybook.LogRead{}))
	drain(t, store.ReadLog(t.Context(), daybook.LogRead{After: 1, To: end - 1, Backwards: true}))
	drain(t, store.ReadLog(t.Context(), daybook.LogRead{Filter: daybook.Filter{Partitions: []string{"", "north", "south"}}}))
	drain(t, driver.ListStreams(t.Context(), daybook.StreamList{}))

	// What Finaps's library has just written is not in the log.
	for partition, text := range map[string]string{
		noPartition: finapsItem(noPartition, bob, 1, "FundsDepositedEvent", "3", time.Date(2022, 2, 24, 11, 0, 0, 0, time.UTC)),
		tenant:      finapsItem(tenant, ann, 1, "FundsDepositedEvent", "4", time.Date(2022, 2, 24, 11, 0, 0, 0, time.UTC)),
	} {
		if _, err := container.CreateItem(t.Context(), azcosmos.NewPartitionKeyString(partition), []byte(text), nil); err != nil {
			t.Fatal(err)
		}
	}
	return onceEach(l), itemsOf(d)
}

// onceEach returns the queries, each once.
func onceEach(l *listener) (queries []heard) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := map[string]bool{}
	for _, h := range l.heard {
		if name := fmt.Sprint(h); !seen[name] {
			seen[name] = true
			queries = append(queries, h)
		}
	}
	return queries
}

// itemsOf returns the items of the container of the double, in the order in
// which they were made.
func itemsOf(d *double) (items []*dItem) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.containers["dbs/tests/colls/events"].ranges {
		for _, partition := range r.partitions {
			for _, i := range partition {
				if i.at(r.sequence) != nil {
					items = append(items, i)
				}
			}
		}
	}
	slices.SortFunc(items, func(x, y *dItem) int { return cmp.Compare(x.serial, y.serial) })
	return items
}

func drain[V any](t *testing.T, all iter.Seq2[V, error]) {
	t.Helper()
	for _, err := range all {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheDoubleAnswersTheQueriesOfTheDriverAsAnotherServerDoes gives both the
// items of a store. The other server looks for a query into all partitions of a
// container ([docs] how-to-query-container: into the one that the header names),
// so each has a container of its own here.
func TestTheDoubleAnswersTheQueriesOfTheDriverAsAnotherServerDoes(t *testing.T) {
	queries, items := listen(t)
	var asked []string
	for _, h := range queries {
		if shape := shapeOf(h.text); !slices.Contains(asked, shape) {
			asked = append(asked, shape)
		}
	}
	slices.Sort(asked)
	slices.Sort(shapes)
	if !slices.Equal(asked, shapes) {
		t.Errorf("the driver asks\n\t%s\nand not, as shapes says,\n\t%s", strings.Join(asked, "\n\t"), strings.Join(shapes, "\n\t"))
	}
	ours, found := answersTo(t, newDouble(t).server.URL, queries, items), map[string]bool{}
	for i, h := range queries {
		found[shapeOf(h.text)] = found[shapeOf(h.text)] || ours[i] != ""
	}
	for _, shape := range asked {
		if !found[shape] {
			t.Errorf("%s: no items are found, so that nothing can be compared", shape)
		}
	}
	theirs := answersTo(t, serverURL(t), queries, items)
	for i, h := range queries {
		if ours[i] != theirs[i] {
			t.Errorf("%s %v of %q: the double answers\n\t%s\nand the other server\n\t%s", h.text, h.values, h.partition, ours[i], theirs[i])
		}
	}
	t.Logf("%d queries of %d shapes, over %d items", len(queries), len(asked), len(items))
}

// answersTo puts the items into containers of a peer, those of each partition
// into one, and all into another, and asks the queries there: in the pages of
// the driver, and in pages of two.
func answersTo(t *testing.T, endpoint string, queries []heard, items []*dItem) (answers []string) {
	p := newPeer(t, endpoint)
	containers := map[string]*azcosmos.ContainerClient{"": p.container}
	for _, i := range items {
		body := i.versions[len(i.versions)-1].body
		text := withoutAdded(body)
		if containers[i.partition] == nil {
			p.use(t, fmt.Sprint("partition", len(containers)))
			containers[i.partition] = p.container
		}
		for _, p.container = range []*azcosmos.ContainerClient{containers[""], containers[i.partition]} {
			if got := putting(i.partition, text)(t.Context(), p); got != "201" {
				t.Fatalf("%s: %s", text, got)
			}
		}
	}
	for _, h := range queries {
		key := across
		if h.partition != "" {
			key = azcosmos.NewPartitionKeyString(h.partition)
		}
		if p.container = containers[h.partition]; p.container == nil { // a partition in which nothing is stored
			p.use(t, fmt.Sprint("partition", len(containers)))
			containers[h.partition] = p.container
		}
		whole, paged := query(key, h.page, h.text, h.values)(t.Context(), p), query(key, 2, h.text, h.values)(t.Context(), p)
		if whole != "" {
			whole += " … "
		}
		answers = append(answers, whole+paged)
	}
	return answers
}
