package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// left makes a store with the rows of a deletion that was cut short, and
// returns its URL. Of 40 events 30 are deleted.
func left(t *testing.T) string {
	t.Helper()
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	for n := range 4 {
		events := make([]daybook.Event, 10)
		for i := range events {
			events[i] = daybook.Event{Type: "counted", Tags: []string{"tag"}}
		}
		if _, err := store.Append(t.Context(), daybook.Stream(fmt.Sprintf("a-%d", n%2)), daybook.ExpectAny(), events...); err != nil {
			t.Fatal(err)
		}
	}
	// The function that removes rows fails: it is as if the program ended.
	schema := schemaOf(t, address)
	execute(t, connect(t, address), `CREATE FUNCTION `+schema+`.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not now'; END $$;
		CREATE TRIGGER fail BEFORE DELETE ON `+schema+`.events EXECUTE FUNCTION `+schema+`.fail()`)
	for _, d := range []daybook.Deletion{{Stream: daybook.Stream("a-0")}, {Stream: daybook.Stream("a-1"), Through: 10}} {
		d.Scrub, d.Who = true, "test"
		if receipt, err := store.DeleteStream(t.Context(), d); err != nil || receipt.Scrubbed {
			t.Fatalf("%+v, %v", receipt, err)
		}
	}
	execute(t, connect(t, address), `DROP FUNCTION `+schema+`.fail CASCADE`)
	return address
}

// rows counts the rows of a table.
func rows(t *testing.T, d *postgres.Driver, table string) (n int) {
	t.Helper()
	if err := postgres.Pool(d).QueryRow(t.Context(), "SELECT count(*) FROM "+postgres.Schema(d)+"."+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestMaintainRemovesWhatDeletionsHaveLeft(t *testing.T) {
	address := left(t)
	d := open(t, address, nil)
	if n := rows(t, d, "events"); n != 40 {
		t.Fatalf("%d rows are there before", n)
	}
	var steps []string
	done, err := d.Maintain(t.Context(), &postgres.MaintainOptions{Progress: func(step string, done, total int64) {
		if done > total {
			t.Errorf("%s: %d of %d", step, done, total)
		}
		if done == total {
			steps = append(steps, step)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if done.Removed != 30 || rows(t, d, "events") != 10 || rows(t, d, "tags") != 10 || rows(t, d, "hidden") != 0 {
		t.Errorf("%+v; %d rows of events, %d of tags, %d of hidden", done, rows(t, d, "events"), rows(t, d, "tags"), rows(t, d, "hidden"))
	}
	if !slices.Contains(done.Vacuumed, "events") || len(done.Skipped) > 0 || done.Before == 0 || done.After == 0 {
		t.Errorf("%+v", done)
	}
	if !slices.Contains(steps, "remove") || !slices.Contains(steps, "vacuum") {
		t.Errorf("the steps are %v", steps)
	}
	var planned float64 // -1 until a table is analyzed
	if err := postgres.Pool(d).QueryRow(t.Context(), "SELECT reltuples FROM pg_class WHERE oid = $1::regclass", postgres.Schema(d)+".events").Scan(&planned); err != nil || planned != 10 {
		t.Errorf("the server plans with %v rows, %v", planned, err)
	}
	for deletion, err := range d.ReadDeletions(t.Context(), daybook.DeletionRead{}) {
		if err != nil || !deletion.Receipt.Scrubbed {
			t.Errorf("%+v, %v", deletion, err)
		}
	}
	if again, err := d.Maintain(t.Context(), nil); err != nil || again.Removed != 0 {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestMaintainThatIsInterruptedIsGoneOnWith(t *testing.T) {
	address := left(t)
	d := open(t, address, nil)
	ctx, interrupt := context.WithCancel(t.Context())
	done, err := d.Maintain(ctx, &postgres.MaintainOptions{Progress: func(string, int64, int64) { interrupt() }})
	if !errors.Is(err, context.Canceled) || done.Removed == 0 || len(done.Vacuumed) > 0 {
		t.Errorf("%+v, %v", done, err)
	}
	rest, err := d.Maintain(t.Context(), nil)
	if err != nil || done.Removed+rest.Removed != 30 {
		t.Errorf("%+v, then %+v, %v", done, rest, err)
	}
}

func TestMaintainByOneWhoIsNotTheOwnerTellsWhatIsLeft(t *testing.T) {
	address := freshSchema(t)
	open(t, address, nil)
	role, schema := newRole(t, address), schemaOf(t, address)
	execute(t, connect(t, address), fmt.Sprintf("GRANT USAGE ON SCHEMA %s TO %s; GRANT SELECT ON ALL TABLES IN SCHEMA %[1]s TO %[2]s", schema, role))
	d := open(t, as(t, address, role, secret), &postgres.Options{NoMigration: true})
	done, err := d.Maintain(t.Context(), nil)
	if err != nil || len(done.Vacuumed) > 0 || !slices.Contains(done.Skipped, "events") {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestMaintainMakesThePartitionAhead(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, &postgres.Options{PartitionSize: 10})
	store := daybook.New(d, nil)
	partitions := func() (n int) {
		t.Helper()
		err := postgres.Pool(d).QueryRow(t.Context(), "SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass", postgres.Schema(d)+".events").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, want := range []struct{ appended, made, partitions int }{{0, 2, 2}, {4, 0, 2}, {8, 1, 3}, {0, 0, 3}} {
		for range want.appended {
			if _, err := store.Append(t.Context(), daybook.Stream("a"), daybook.ExpectAny(), daybook.Event{Type: "b"}); err != nil {
				t.Fatal(err)
			}
		}
		before := partitions()
		done, err := d.Maintain(t.Context(), nil)
		if err != nil || done.Made != want.made || partitions() != want.partitions {
			t.Errorf("%d appended to %d partitions: %+v, %d partitions, %v; want %+v", want.appended, before, done, partitions(), err, want)
		}
	}
}
