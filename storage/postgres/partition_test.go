package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
	"github.com/daybook-go/daybook/storage/storagetest"
)

func TestPostgresWithPartitionsOfTenKeepsEveryPromise(t *testing.T) {
	if testing.Short() {
		t.Skip("the suite runs once already")
	}
	serverURL(t, urlVariable, "postgres")
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := freshSchema(t)
		return open(t, address, &postgres.Options{PartitionSize: 10}), func() daybook.Driver { return open(t, address, nil) }
	})
}

// partitions returns how many tables the log stands in.
func partitions(t *testing.T, d *postgres.Driver) (n int) {
	t.Helper()
	sql := "SELECT count(*) FROM pg_inherits WHERE inhparent = '" + postgres.Schema(d) + ".events'::regclass"
	if err := postgres.Pool(d).QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPartitionsAreMadeAsTheLogGrows(t *testing.T) {
	d := open(t, freshSchema(t), &postgres.Options{PartitionSize: 10})
	store := daybook.New(d, nil)
	if n := partitions(t, d); n != 0 {
		t.Errorf("a new store has %d partitions", n)
	}
	for n := range 44 {
		if _, err := store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectVersion(daybook.Version(n)), daybook.Event{Type: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := partitions(t, d); n != 5 {
		t.Errorf("44 records stand in %d partitions of 10, want 5", n)
	}
	events := make([]daybook.Event, 60)
	for i := range events {
		events[i].Type = "many"
	}
	if _, err := store.Append(t.Context(), daybook.Stream("b"), daybook.ExpectNone(), events...); err != nil {
		t.Fatal(err)
	}
	if n := partitions(t, d); n != 11 {
		t.Errorf("104 records stand in %d partitions of 10, want 11", n)
	}
}

func TestWhoReadsDoesNotKeepPartitionsFromBeingMade(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, &postgres.Options{PartitionSize: 10})
	store := daybook.New(d, nil)
	reader, err := connect(t, address).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback(t.Context())
	if _, err := reader.Exec(t.Context(), "SELECT count(*) FROM "+postgres.Schema(d)+".events"); err != nil {
		t.Fatal(err)
	}
	for range 25 {
		if _, err := store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), daybook.Event{Type: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	// One that is only made ahead waits not even for ANALYZE, whose lock this is.
	if _, err := reader.Exec(t.Context(), "LOCK TABLE ONLY "+postgres.Schema(d)+".events IN SHARE UPDATE EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), daybook.Event{Type: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := partitions(t, d); n != 3 {
		t.Errorf("while the table is locked there are %d partitions, want 3", n)
	}
	if err := reader.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectVersion(30), daybook.Event{Type: "x"}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsUniqueIsSoAcrossPartitions(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, &postgres.Options{PartitionSize: 2})
	store := daybook.New(d, nil)
	first := one("a", daybook.ExpectNone(), "first")
	for n := range 6 { // the plain ones are worked out by the client
		a := one("a", daybook.ExpectVersion(daybook.Version(n)), "x")
		if n == 0 {
			a = first
		}
		if _, err := store.AppendAll(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	first.Changesets[0].Expect = daybook.ExpectAny()
	for _, s := range []*daybook.Store{store, daybook.New(open(t, address, nil), nil)} {
		if receipt, err := s.AppendAll(t.Context(), first); err != nil || !receipt.Repeated || receipt.Position() != 1 {
			t.Errorf("a repeat of what stands in another partition: %+v %v", receipt, err)
		}
	}
	at := time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
	recorded := func(id daybook.ID, position daybook.Position, version daybook.Version) daybook.RecordedChangeset {
		c := daybook.RecordedChangeset{Stream: daybook.Stream("a"), RecordedAt: at, ChangesetHeader: daybook.ChangesetHeader{
			Number: daybook.ChangesetNumber(version), First: version, Count: 1, AppendID: id,
		}}
		c.Records = []daybook.Record{{Event: daybook.Event{ID: daybook.NewID(), Type: "imported"}, Stream: c.Stream, Version: version, Position: position}}
		return c
	}
	far := daybook.Position(1 << 40)
	if err := store.Import(t.Context(), []daybook.RecordedChangeset{recorded(daybook.NewID(), 20, 7), recorded(daybook.NewID(), far, 8)}); err != nil {
		t.Fatal(err)
	}
	if n := partitions(t, d); n > 8 {
		t.Errorf("a gap in the positions is filled with partitions: there are %d", n)
	}
	if receipt, err := store.AppendAll(t.Context(), one("a", daybook.ExpectVersion(8), "behind")); err != nil || receipt.Position() != far+1 {
		t.Errorf("an append behind the import: %+v %v", receipt, err)
	}
	count := 0
	for record, err := range store.ReadStream(t.Context(), daybook.Stream("a"), daybook.StreamRead{}) {
		if count++; err != nil || int(record.Version) != count {
			t.Errorf("record %d: %s %v", count, fmt.Sprint(record.Version), err)
		}
	}
	if count != 9 {
		t.Errorf("the stream has %d records, want 9", count)
	}
}
