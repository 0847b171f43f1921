package daybook_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

var importTime = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)

// imported returns two changesets that can be imported.
func imported() []daybook.RecordedChangeset {
	var all []daybook.RecordedChangeset
	for i := range 2 {
		first := daybook.Version(2*i + 1)
		c := daybook.RecordedChangeset{
			Stream: account, RecordedAt: importTime.Add(time.Duration(i) * time.Second),
			ChangesetHeader: daybook.ChangesetHeader{Number: daybook.ChangesetNumber(i + 1), First: first, Count: 2, AppendID: daybook.NewID()},
		}
		for j := range 2 {
			c.Records = append(c.Records, daybook.Record{
				Event: daybook.Event{ID: daybook.NewID(), Type: "opened"}, Stream: account,
				Version: first + daybook.Version(j), Position: daybook.Position(10*(i+1) + j),
			})
		}
		all = append(all, c)
	}
	return all
}

func importWith(change func(all []daybook.RecordedChangeset)) func(context.Context, *daybook.Store) error {
	return func(ctx context.Context, store *daybook.Store) error {
		all := imported()
		change(all)
		return store.Import(ctx, all)
	}
}

type rc = []daybook.RecordedChangeset

var refusedImports = map[string]refusedInput{
	"an import without events":             {importWith(func(all rc) { all[0].Records = nil }), "changesets[0].events", "empty", "at least one"},
	"an import without a number":           {importWith(func(all rc) { all[1].Number = 0 }), "changesets[1].number", "0", "between 1"},
	"an import without a version":          {importWith(func(all rc) { all[0].First = 0 }), "changesets[0].first", "0", "between 1"},
	"an import at the last position":       {importWith(func(all rc) { all[1].Records[1].Position = math.MaxInt64 }), "changesets[1].records[1].position", "9223372036854775807", "4611686018427387904"},
	"an import at the last version":        {importWith(func(all rc) { all[0].First = math.MaxInt64 }), "changesets[0].first", "9223372036854775807", "4611686018427387904"},
	"an import with the last number":       {importWith(func(all rc) { all[0].Number = math.MaxInt64 }), "changesets[0].number", "9223372036854775807", "4611686018427387904"},
	"an import with the last ordinal":      {importWith(func(all rc) { all[1].Ordinal = math.MaxInt64 }), "changesets[1].ordinal", "9223372036854775807", "4611686018427387904"},
	"an import with a negative ordinal":    {importWith(func(all rc) { all[1].Ordinal = -1 }), "changesets[1].ordinal", "-1", "between 0"},
	"an import of a year too late":         {importWith(func(all rc) { all[1].RecordedAt = importTime.AddDate(9000, 0, 0) }), "changesets[1].recorded_at", "11001", "9999"},
	"an import with a wrong count":         {importWith(func(all rc) { all[0].Count = 3 }), "changesets[0].count", "3", "2"},
	"an import without an append id":       {importWith(func(all rc) { all[0].AppendID = daybook.ID{} }), "changesets[0].append_id", "00000000", "zero"},
	"an import without a time":             {importWith(func(all rc) { all[0].RecordedAt = time.Time{} }), "changesets[0].recorded_at", "0001", "microsecond"},
	"an import with nanoseconds":           {importWith(func(all rc) { all[0].RecordedAt = importTime.Add(1) }), "changesets[0].recorded_at", "000000001", "microsecond"},
	"an import whose times fall":           {importWith(func(all rc) { all[1].RecordedAt = importTime.Add(-time.Hour) }), "changesets[1].recorded_at", "2001", "fall"},
	"an import whose positions stand":      {importWith(func(all rc) { all[1].Records[0].Position = 11 }), "changesets[1].records[0].position", "11", "above 11"},
	"an import whose versions jump":        {importWith(func(all rc) { all[1].Records[1].Version = 9 }), "changesets[1].records[1].version", "9", "4"},
	"an import of another stream's":        {importWith(func(all rc) { all[1].Records[1].Stream.Name = "x" }), "changesets[1].records[1].stream_id", `"x"`, "changeset"},
	"an import without an event id":        {importWith(func(all rc) { all[1].Records[1].ID = daybook.ID{} }), "changesets[1].records[1].id", "0000", "zero"},
	"an import of an event without a type": {importWith(func(all rc) { all[1].Records[1].Type = "" }), "changesets[1].events[1].type", `""`, "empty"},
}

func TestAnImportIsMadeUniformAsAnAppendIs(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	zone := time.FixedZone("", 3600)
	all := imported()
	all[0].RecordedAt = importTime.In(zone)
	all[0].Records[0].OccurredAt = importTime.In(zone).Add(-999)
	if err := store.Import(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if all[0].Records[0].ContentType != "" || all[0].Records[0].OccurredAt.Location() != zone {
		t.Errorf("the import has changed what it was given: %+v", all[0].Records[0])
	}
	records, err := gather(store.ReadStream(t.Context(), account, daybook.StreamRead{}))
	if err != nil || len(records) != 4 {
		t.Fatalf("the import left %d records, %v; want 4", len(records), err)
	}
	first := records[0]
	if first.ContentType != daybook.ContentTypeJSON || first.RecordedAt != importTime || first.OccurredAt != importTime.Add(-time.Microsecond) {
		t.Errorf("the first record is %+v, want the JSON content type, and times in UTC to the microsecond", first)
	}
	if second := records[1]; second.OccurredAt != importTime {
		t.Errorf("an event that tells no time happened at %v, want %v, when it was recorded", second.OccurredAt, importTime)
	}
}
