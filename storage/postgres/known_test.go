package postgres_test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// eventsOfEveryKind returns events with whatever an event can have.
func eventsOfEveryKind() []daybook.Event {
	noon := time.Date(2026, 5, 6, 12, 0, 0, 123_456_000, time.UTC)
	kinds := []daybook.Event{
		{Data: []byte(`{"a":"é"}`)},
		{Data: []byte{}},
		{Data: []byte{0, 255, 1}, ContentType: "image/png"},
		{Data: []byte("text"), ContentType: "text/plain"},
		{Data: []byte("{\x00}")},
		{Data: []byte(`1`), Tags: []string{"iban:1", `"quoted", {\}`}},
		{Data: []byte(`2`), OccurredAt: noon},
		{Data: []byte(`3`), Context: daybook.Context{Who: "ann", Correlation: "c", Why: &daybook.Cause{ID: "x", When: noon}}},
		{Data: []byte(`4`), Context: daybook.Context{Metadata: []byte{0, 1, 2}}, Tags: []string{"last"}},
	}
	for i := range kinds {
		kinds[i].Type, kinds[i].ID = fmt.Sprint("kind", i), daybook.NewID()
	}
	return kinds
}

// Whatever events have, a stream that is known is appended to without the
// function append, which looks everything up: here it is gone.
func TestEventsOfEveryKindAreAppendedTheShortWay(t *testing.T) {
	d := open(t, freshSchema(t), nil)
	store := daybook.New(d, nil)
	kinds := eventsOfEveryKind()
	const streams = 40
	name := func(n int) daybook.StreamID { return daybook.Stream(fmt.Sprint("account-", n)) }
	for n := range streams {
		if _, err := store.Append(t.Context(), name(n), daybook.ExpectNone(), daybook.Event{Type: "opened"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := postgres.Pool(d).Exec(t.Context(), "DROP FUNCTION "+postgres.Schema(d)+".append"); err != nil {
		t.Fatal(err)
	}
	// Each kind alone, all of them at once, and different ones side by side.
	for i, e := range kinds {
		if _, err := store.Append(t.Context(), name(0), daybook.ExpectVersion(daybook.Version(1+i)), e); err != nil {
			t.Fatalf("kind %d: %v", i, err)
		}
	}
	var running sync.WaitGroup
	for n := 1; n < streams; n++ {
		running.Go(func() {
			events := kinds
			if n%2 == 0 {
				events = kinds[n%len(kinds):][:1]
			}
			if _, err := store.Append(t.Context(), name(n), daybook.ExpectVersion(1), events...); err != nil {
				t.Errorf("stream %d: %v", n, err)
			}
		})
	}
	running.Wait()
	tagged := 0
	for n := range streams {
		from := 0
		if n > 0 && n%2 == 0 {
			from = n % len(kinds)
		}
		for r, err := range store.ReadStream(t.Context(), name(n), daybook.StreamRead{From: 2}) {
			if err != nil {
				t.Fatal(err)
			}
			want := asRead(kinds[from], r.RecordedAt)
			from++
			if len(want.Tags) > 0 {
				tagged++
			}
			if !reflect.DeepEqual(r.Event, want) {
				t.Errorf("stream %d: got  %+v\nwant %+v", n, r.Event, want)
			}
		}
	}
	read := daybook.LogRead{Filter: daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{
		{Tags: []string{"iban:1", kinds[5].Tags[1]}}, {Tags: []string{"last"}},
	}}}}
	for _, err := range store.ReadLog(t.Context(), read) {
		if err != nil {
			t.Fatal(err)
		}
		tagged--
	}
	if tagged != 0 {
		t.Errorf("%d records are not found by their tags", tagged)
	}
}

// asRead returns an event as it comes back from where it was stored at a time.
func asRead(e daybook.Event, recordedAt time.Time) daybook.Event {
	if len(e.Data) == 0 {
		e.Data = nil
	}
	if e.ContentType == "" {
		e.ContentType = daybook.ContentTypeJSON
	}
	if e.OccurredAt.IsZero() {
		e.OccurredAt = recordedAt
	}
	return e
}
