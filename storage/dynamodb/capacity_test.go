package dynamodb_test

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

// usage is something whose cost is counted.
type usage struct {
	what     string
	requests string // none: they are not compared
	why      string // of the units
	do       func()
}

// TestCapacityIsAsThePageSays counts what appends and reads consume, prints it,
// and holds the number of requests against README.md.
func TestCapacityIsAsThePageSays(t *testing.T) {
	var seen attempts
	address := urlOf(endpoint(t), freshTable(t))
	d := open(t, address, dynamodb.Options{Attempt: seen.note})
	event := func(bytes int) daybook.Changeset {
		c := changeset("account-1", "deposited", 1)
		c.Events[0].Data = []byte(`"` + strings.Repeat("x", bytes-2) + `"`)
		return c
	}
	var first daybook.Append
	cold := func() *dynamodb.Driver {
		other := open(t, address, dynamodb.Options{Attempt: seen.note})
		seen.take()
		return other
	}
	mustRead := func(records iter.Seq2[daybook.Record, error]) {
		for _, err := range records {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	countEach(t, &seen, []usage{
		{"first append to an empty table", "Query Query Scan GetItem Query GetItem Query UpdateItem TransactWriteItems",
			"read: all find nothing, 1 each, also the scan for what EES has left; written: the name 1, as below, the block 2, and the counter new in its index", func() {
				first = appendOf(event(500))
				mustAppend(t, d, first)
			}},
		{"append of 0.5 KB to a stream that is known", "GetItem TransactWriteItems",
			"read: the id 1; written, doubly: page 2, id 2, changeset 2, counter 2; the changeset in three indexes 3, the counter out of and into one 2", func() { mustAppend(t, d, appendOf(event(500))) }},
		{"append of 3.5 KB", "GetItem TransactWriteItems",
			"as before, but the changeset has 4 KB: 8, and 4 in each of three indexes; the page is deflated to 1 KB: 2", func() { mustAppend(t, d, appendOf(event(3500))) }},
		{"append to a new stream", "GetItem Query UpdateItem TransactWriteItems",
			"as before, the head that is not there 1 read, the name of the stream 1 written", func() { mustAppend(t, d, appendOf(changeset("account-2", "opened", 1))) }},
		{"append of two streams with a claim", "GetItem GetItem TransactWriteItems",
			"the page 2, the id 2, two changesets 4 and 6 in their indexes, the claim 2, the counter 2 and 2; read: the id 1, the claim 1", func() {
				c := changeset("account-2", "deposited", 1)
				c.Claims = []daybook.Claim{{Kind: "iban", Value: "1"}}
				mustAppend(t, d, appendOf(event(500), c))
			}},
		{"append by a process that begins", "Query Query Query GetItem Query TransactWriteItems",
			"read: the block, the last page, what lies behind it, the id, the head: 1 each up to 4 KB", func() { mustAppend(t, cold(), appendOf(event(500))) }},
		{"repeat by a process that begins", "",
			"read: as before, and the page with the append, to answer as it was answered", func() { mustAppend(t, cold(), first) }},
		{"read of the log by a process that begins, all of it", "",
			"the block, the last page, what lies behind it, and 1 for each 4 KB of pages", func() { mustRead(cold().ReadLog(t.Context(), daybook.LogRead{})) }},
		{"read of the log, nothing new", "Query",
			"the look for a page behind the last one", func() { mustRead(d.ReadLog(t.Context(), daybook.LogRead{After: 7})) }},
		{"head of a stream", "Query Query",
			"that look, and the last changeset, 1 for each 4 KB of it", func() {
				if _, err := d.Head(t.Context(), daybook.Stream("account-1")); err != nil {
					t.Fatal(err)
				}
			}},
		{"read of a stream of four changesets", "Query Query",
			"that look, and 1 for each 4 KB of the changesets, from the index LastEventId", func() { mustRead(d.ReadStream(t.Context(), daybook.Stream("account-1"), daybook.StreamRead{})) }},
	})
}

// countEach does what is to be counted, one after the other.
func countEach(t *testing.T, seen *attempts, usages []usage) {
	t.Helper()
	for _, u := range usages {
		seen.take()
		u.do()
		var operations []string
		var details strings.Builder
		var reads, writes float64
		for _, a := range seen.take() {
			operations = append(operations, a.Operation)
			reads, writes = reads+a.Reads, writes+a.Writes
			fmt.Fprintf(&details, "\n      %-18s %4.1f read, %4.1f write; of these the indexes %v", a.Operation, a.Reads, a.Writes, a.Indexes)
		}
		t.Logf("%s: %d requests, %.1f read units, %.1f write units: %s%s", u.what, len(operations), reads, writes, u.why, details.String())
		if got := strings.Join(operations, " "); u.requests != "" && sorted(got) != sorted(u.requests) {
			t.Errorf("%s: the requests are %s, want %s", u.what, got, u.requests)
		}
	}
}

// sorted is a list of words in the order of the alphabet: what runs side by side
// comes in any order.
func sorted(list string) string {
	words := strings.Fields(list)
	slices.Sort(words)
	return strings.Join(words, " ")
}
