package dynamodb_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

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
	read := func(d *dynamodb.Driver, after daybook.Position) {
		for _, err := range d.ReadLog(t.Context(), daybook.LogRead{After: after}) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	var end daybook.Position
	for _, c := range []struct {
		what, want string
		do         func()
	}{
		{"first append to an empty table", "Query Query Scan GetItem Query GetItem Query UpdateItem TransactWriteItems", func() {
			first = appendOf(event(500))
			mustAppend(t, d, first)
		}},
		{"append of 0.5 KB to a stream that is known", "GetItem TransactWriteItems", func() { mustAppend(t, d, appendOf(event(500))) }},
		{"append of 3.5 KB", "GetItem TransactWriteItems", func() { mustAppend(t, d, appendOf(event(3500))) }},
		{"append to a new stream", "GetItem Query UpdateItem TransactWriteItems", func() { mustAppend(t, d, appendOf(changeset("account-2", "opened", 1))) }},
		{"append of two streams with a claim", "GetItem GetItem TransactWriteItems", func() {
			c := changeset("account-2", "deposited", 1)
			c.Claims = []daybook.Claim{{Kind: "iban", Value: "1"}}
			mustAppend(t, d, appendOf(event(500), c))
		}},
		{"append by a process that begins", "Query Query Query GetItem Query TransactWriteItems", func() { mustAppend(t, cold(), appendOf(event(500))) }},
		{"repeat by a process that begins", "", func() { mustAppend(t, cold(), first) }},
		{"read of the log by a process that begins, all of it", "", func() { read(cold(), 0) }},
		{"read of the log, nothing new", "Query", func() {
			var err error
			if end, err = d.End(t.Context()); err != nil {
				t.Fatal(err)
			}
			seen.take()
			read(d, end)
		}},
		{"head of a stream", "Query Query", func() {
			if _, err := d.Head(t.Context(), daybook.Stream("account-1")); err != nil {
				t.Fatal(err)
			}
		}},
		{"read of a stream of four changesets", "Query Query", func() {
			for _, err := range d.ReadStream(t.Context(), daybook.Stream("account-1"), daybook.StreamRead{}) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		seen.take()
		c.do()
		var operations []string
		var details strings.Builder
		var reads, writes float64
		for _, a := range seen.take() {
			operations = append(operations, a.Operation)
			reads, writes = reads+a.Reads, writes+a.Writes
			fmt.Fprintf(&details, "\n      %-18s %4.1f read, %4.1f write; of these the indexes %v", a.Operation, a.Reads, a.Writes, a.Indexes)
		}
		t.Logf("%s: %d requests, %.1f read units, %.1f write units%s", c.what, len(operations), reads, writes, details.String())
		if got := strings.Join(operations, " "); c.want != "" && sorted(got) != sorted(c.want) {
			t.Errorf("%s: the requests are %s, want %s", c.what, got, c.want)
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
