package cosmos_test

import (
	"fmt"
	"testing"

	"github.com/daybook-go/daybook"
)

// TestRequestsPerAppendAndRead counts what a call asks of the service, prints
// it, and holds it to what the README says.
func TestRequestsPerAppendAndRead(t *testing.T) {
	d := newDouble(t)
	store := daybook.New(open(t, d.url("events"), quick()), nil)
	count := func(what string, want int, do func() error) {
		t.Helper()
		d.counts()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		kinds, charge := d.counts()
		sum := 0
		for _, n := range kinds {
			sum += n
		}
		t.Logf("%-62s %d requests %v, about %.0f request units", what, sum, kinds, charge)
		if sum != want {
			t.Errorf("%s takes %d requests, want %d", what, sum, want)
		}
	}
	add := func(partition string, n int) func() error {
		return func() error {
			events := make([]daybook.Event, n)
			for i := range events {
				events[i] = daybook.Event{Type: "deposited", Data: []byte(`{"amount":5}`)}
			}
			_, err := store.Append(t.Context(), named(partition, "account-1"), daybook.ExpectAny(), events...)
			return err
		}
	}
	read := func(records func(yield func(daybook.Record, error) bool), want int) func() error {
		return func() error {
			n := 0
			for _, err := range records {
				if err != nil {
					return err
				}
				n++
			}
			if n != want {
				return fmt.Errorf("%d records, want %d", n, want)
			}
			return nil
		}
	}
	if err := add("", 1)(); err != nil {
		t.Fatal(err)
	}
	count("append of 1 event, default partition", 1, add("", 1))
	count("append of 90 events, default partition", 1, add("", 90))
	if err := add("north", 1)(); err != nil {
		t.Fatal(err)
	}
	count("append of 1 event, another partition", 3, add("north", 1))
	for range 9 {
		if err := add("", 90)(); err != nil {
			t.Fatal(err)
		}
		if err := add("north", 90)(); err != nil {
			t.Fatal(err)
		}
	}
	again := daybook.New(open(t, d.url("events"), quick()), nil)
	count("read of 900 records of a stream, default partition", 1, read(again.ReadStream(t.Context(), named("", "account-1"), daybook.StreamRead{To: 900}), 900))
	count("read of 800 records of a stream, another partition, first time", 3, read(again.ReadStream(t.Context(), named("north", "account-1"), daybook.StreamRead{To: 800}), 800))
	count("read of 800 records of a stream, another partition", 1, read(again.ReadStream(t.Context(), named("north", "account-1"), daybook.StreamRead{To: 800}), 800))
	count("read of 1,000 records of the log, two partitions", 3, read(again.ReadLog(t.Context(), daybook.LogRead{Limit: 1000}), 1000))
	count("end of the log", 1, func() error { _, err := again.End(t.Context()); return err })
	count("head of a stream, default partition", 1, func() error { _, err := again.Head(t.Context(), named("", "account-1")); return err })
}
