package wire_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

// random makes records and appends of every kind that a store can hold.
type random struct{ *rand.Rand }

// seeded returns a source of randomness whose seed is printed when the test
// fails, and may be given.
func seeded(t *testing.T) random {
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
	return random{rand.New(rand.NewPCG(seed, seed))}
}

// texts are pieces that have gone wrong in one encoding or another.
var texts = []string{"a", "order-7", " ", "\"", "\\", "/", "\n", "\r", "\t", "\u0001", "\u001f", "\u007f", "é", "𝄞", "\u2028", "\ufeff", "\ufffd", "</script>", "&", "%2F", "null", "\\u0000", "'"}

func (r random) text() string {
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString(texts[r.IntN(len(texts))])
	}
	return b.String()
}

// maybe returns a text or none.
func (r random) maybe() string {
	if r.IntN(2) == 0 {
		return ""
	}
	return r.text()
}

func (r random) id() (id daybook.ID) {
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	return id
}

func (r random) time() time.Time {
	return time.UnixMicro(r.Int64N(4_000_000_000_000_000)).UTC()
}

// bytes are JSON of every shape, and what is not JSON.
func (r random) bytes() []byte {
	given := []string{
		"", `{}`, `null`, `{"a":1}`, `9007199254740993`, `1.0`, `"\ud800"`, `"text"`, " {} ", "{}\t", "\n{}", "{\n\t\"a\": [1,\r\n2]\n}", `{"a":"x\ny"}`, `{"a":1,"a":2}`, "[\"\u2028\"]", "text", "{",
		"\x00", "\xff\xfe", "\x00\x01\x02", "\"\x01\"", nested(1000), nested(1001), nested(20_000), "\ufeff{}", r.text(),
	}
	if data := given[r.IntN(len(given))]; data != "" {
		return []byte(data)
	}
	return nil
}

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func (r random) stream() daybook.StreamID {
	return daybook.StreamID{Partition: r.maybe(), Name: r.text()}
}

func (r random) event() daybook.Event {
	e := daybook.Event{ID: r.id(), Type: r.text(), ContentType: daybook.ContentTypeJSON, Data: r.bytes(), OccurredAt: r.time()}
	if r.IntN(2) == 0 {
		e.ContentType = []string{"text/plain; charset=utf-8", "application/octet-stream", "application/cloudevents+json", "image/png", r.text()}[r.IntN(5)]
	}
	for range r.IntN(3) {
		e.Tags = append(e.Tags, r.text())
	}
	if r.IntN(2) == 0 {
		e.Context = daybook.Context{
			Who: r.maybe(), Correlation: r.maybe(), Source: r.maybe(), Commentary: r.maybe(), Schema: r.maybe(), Metadata: r.bytes(),
		}
	}
	if r.IntN(2) == 0 {
		e.Context.Why = &daybook.Cause{ID: r.maybe(), What: r.maybe(), Who: r.maybe()}
		if r.IntN(2) == 0 {
			e.Context.Why.When = r.time()
		}
	}
	return e
}

func (r random) claims() (claims []daybook.Claim) {
	for range r.IntN(3) {
		claims = append(claims, daybook.Claim{Kind: r.text(), Value: r.text()})
	}
	return claims
}

func (r random) streams() (ids []daybook.StreamID) {
	for range r.IntN(3) {
		ids = append(ids, r.stream())
	}
	return ids
}

func (r random) record() daybook.Record {
	first := daybook.Version(1 + r.IntN(1000))
	return daybook.Record{
		Event: r.event(), Stream: r.stream(), Version: first + 1, Position: daybook.Position(1 + r.Int64N(1<<62)), RecordedAt: r.time(),
		Changeset: &daybook.ChangesetHeader{
			Number: daybook.ChangesetNumber(1 + r.Int64N(1<<62)), Ordinal: daybook.Ordinal(r.IntN(3)), First: first, Count: 2, AppendID: r.id(),
			Metadata: r.bytes(), Claims: r.claims(), Releases: r.claims(), References: r.streams(),
		},
	}
}

func (r random) expect() daybook.Expect {
	return []daybook.Expect{
		daybook.ExpectAny(), daybook.ExpectNone(), daybook.ExpectExists(), daybook.ExpectVersion(daybook.Version(r.Int64N(1 << 62))), daybook.ExpectChangeset(daybook.ChangesetNumber(r.IntN(9))),
	}[r.IntN(5)]
}

func (r random) query() daybook.Query {
	var q daybook.Query
	for range r.IntN(3) {
		var item daybook.QueryItem
		for range r.IntN(3) {
			item.Types = append(item.Types, r.text())
		}
		for range r.IntN(3) {
			item.Tags = append(item.Tags, r.text())
		}
		q.Items = append(q.Items, item)
	}
	return q
}

func (r random) append() daybook.Append {
	a := daybook.Append{ID: r.id(), Durability: daybook.Durability(r.IntN(6))}
	for range 1 + r.IntN(3) {
		c := daybook.Changeset{Stream: r.stream(), Expect: r.expect(), Metadata: r.bytes(), Claims: r.claims(), Releases: r.claims(), References: r.streams()}
		for range 1 + r.IntN(3) {
			c.Events = append(c.Events, r.event())
		}
		a.Changesets = append(a.Changesets, c)
	}
	if r.IntN(2) == 0 {
		a.Condition = &daybook.Condition{Query: r.query(), After: daybook.Position(r.IntN(9))}
	}
	return a
}

func (r random) head() daybook.Head {
	if r.IntN(4) == 0 {
		return daybook.Head{}
	}
	return daybook.Head{Version: 1 + daybook.Version(r.IntN(9)), Changeset: 1, First: 1, Position: 3, RecordedAt: r.time()}
}
