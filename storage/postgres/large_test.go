package postgres_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// The largest that a store takes by default: events, appends, claims.
func TestTheLargestAppendsAreStoredAndRead(t *testing.T) {
	address := freshSchema(t)
	store := daybook.New(open(t, address, nil), nil)
	large := bytes.Repeat([]byte{0xff, 0, 'x', '\\'}, 5<<18) // 5 MiB
	sizes := map[daybook.Position]int{}
	var wholes int
	grow := func(stream string, events ...daybook.Event) {
		t.Helper()
		receipt, err := store.Append(t.Context(), daybook.Stream(stream), daybook.ExpectAny(), events...)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			sizes[receipt.Changesets[0].FirstPosition+daybook.Position(i)] = len(e.Data)
		}
		wholes++
	}
	of := func(data []byte) daybook.Event {
		return daybook.Event{Type: "scanned", ContentType: "image/png", Data: data}
	}
	small := of([]byte("x"))
	grow("scan-1", small)
	for range 3 {
		grow("scan-1", of(large), of(large), of(large))
	}
	grow("scan-1", small, of(large), small)
	grow("scan-1", daybook.Event{Type: "scanned", Data: []byte(`"` + strings.Repeat("y", 16<<20-100) + `"`)})
	many := make([]daybook.Event, 10_000)
	for i := range many {
		many[i] = daybook.Event{Type: "counted", Data: fmt.Appendf(nil, "%d", i)}
	}
	grow("count-1", many...)
	grow("scan-1", small)
	for _, backwards := range []bool{false, true} {
		var read, changesets int
		for record, err := range store.ReadLog(t.Context(), daybook.LogRead{Backwards: backwards}) {
			if err != nil {
				t.Fatal(err)
			}
			if want, ok := sizes[record.Position]; !ok || len(record.Data) != want {
				t.Fatalf("position %d has %d bytes, want %d", record.Position, len(record.Data), want)
			}
			if record.Version == record.Changeset.First {
				changesets++
			}
			read++
		}
		if read != len(sizes) || changesets != wholes {
			t.Errorf("read are %d records of %d changesets, want %d of %d", read, changesets, len(sizes), wholes)
		}
	}

	kind, value := strings.Repeat("k", daybook.MaxTextLen), strings.Repeat("v", daybook.MaxTextLen-1)
	for n := range 2 {
		a := oneEvent(fmt.Sprintf("account-%d", n), "opened", daybook.ExpectNone())
		a.Changesets[0].Claims = []daybook.Claim{{Kind: kind, Value: value + fmt.Sprint(n)}}
		if _, err := store.AppendAll(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		holder, held, err := store.ClaimHolder(t.Context(), "", a.Changesets[0].Claims[0])
		if err != nil || !held || holder != a.Changesets[0].Stream {
			t.Errorf("claim %d is held by %v (%v, %v)", n, holder, held, err)
		}
	}
}

func TestAppendsGoOnWhileALargeStreamIsRemoved(t *testing.T) {
	const changesets, events = 4, 5000
	address := freshSchema(t)
	d := open(t, address, &postgres.Options{Connections: 4})
	store := daybook.New(d, nil)
	many := make([]daybook.Event, events)
	for i := range many {
		many[i] = daybook.Event{Type: "counted", Tags: []string{"counted"}, Data: []byte(`{}`)}
	}
	for range changesets {
		if _, err := store.Append(t.Context(), daybook.Stream("count-1"), daybook.ExpectAny(), many...); err != nil {
			t.Fatal(err)
		}
	}
	deleted := make(chan error, 1)
	go func() {
		_, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("count-1"), Scrub: true})
		deleted <- err
	}()
	var appended int
	var longest time.Duration
	for is := true; is; {
		select {
		case err := <-deleted:
			if err != nil {
				t.Fatal(err)
			}
			is = false
		default:
			began := time.Now()
			if _, err := store.AppendAll(t.Context(), oneEvent("account-1", "deposited", daybook.ExpectVersion(daybook.Version(appended)))); err != nil {
				t.Fatal(err)
			}
			appended++
			longest = max(longest, time.Since(began))
		}
	}
	t.Logf("%d appends meanwhile, the longest took %s", appended, longest)
	if got := records(t, store.ReadLog(t.Context(), daybook.LogRead{})); len(got) != appended {
		t.Errorf("the log has %d records, want those of the %d appends beside the deletion", len(got), appended)
	}
	if n := scan[int](t, connect(t, address), "SELECT count(*) FROM "+postgres.Schema(d)+".events"); n != appended {
		t.Errorf("%d rows are left, want %d", n, appended)
	}
	if receipt, err := store.Append(t.Context(), daybook.Stream("count-1"), daybook.ExpectNone(), many[0]); err != nil || receipt.Changesets[0].First != changesets*events+1 {
		t.Errorf("behind the deletion the stream goes on with %+v (%v)", receipt, err)
	}
}
