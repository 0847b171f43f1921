package postgres_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// record appends an event with data to stream "s".
func record(t *testing.T, s *daybook.Store, kind string, data ...string) {
	t.Helper()
	for _, text := range data {
		if _, err := s.Append(t.Context(), daybook.Stream("s"), daybook.ExpectAny(), daybook.Event{Type: kind, Data: []byte(text)}); err != nil {
			t.Fatal(err)
		}
	}
}

func typedViews(t *testing.T, address string, options *postgres.ViewOptions) []postgres.TypedView {
	t.Helper()
	views, err := postgres.TypedViews(t.Context(), address, options)
	if err != nil {
		t.Fatal(err)
	}
	return views
}

// columns describes the columns of a view for fields.
func columns(v postgres.TypedView) string {
	var parts []string
	for _, c := range v.Columns {
		parts = append(parts, fmt.Sprintf("%s=%s:%s", c.Field, c.Name, c.Type))
	}
	return strings.Join(parts, " ")
}

func TestATypedViewHasAColumnForEachField(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	record(t, store, "order-Placed", `{"unitPrice": 12.50, "paid": true, "who": "Ann", "at": "2026-03-01T12:00:00.5+01:00", "lines": [1, 2], "id": 7, "mixed": 1, "none": null, "it's": "q\\'"}`,
		`{"unitPrice": 3, "paid": null, "who": "Bob", "at": "2026-03-02T00:00:00Z", "day": "2026-02-30T00:00:00Z", "mixed": "one", "{schema}": 1}`, `[1]`, `not json`)
	record(t, store, "empty", "")
	views := typedViews(t, address, nil)
	if len(views) != 2 || views[0].Name != "event_empty" || views[1].Name != "event_order_placed" || len(views[0].Columns) != 0 {
		t.Fatalf("views: %+v", views)
	}
	want := "at=at:timestamptz day=day:text id=data_id:numeric it's=it_s:text lines=lines:jsonb mixed=mixed:jsonb none=none:jsonb " +
		"paid=paid:boolean unitPrice=unit_price:numeric who=who:text {schema}=schema:numeric"
	if got := columns(views[1]); got != want {
		t.Errorf("columns\n%s\nwant\n%s", got, want)
	}
	rows, err := postgres.Pool(d).Query(t.Context(), "SELECT concat_ws('|', position, stream, unit_price, paid, who, at AT TIME ZONE 'UTC', lines, data_id, mixed, it_s) FROM "+
		postgres.Schema(d)+".event_order_placed ORDER BY position")
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if wantRows := []string{`1|s|12.50|t|Ann|2026-03-01 11:00:00.5|[1, 2]|7|1|q\'`, `2|s|3|Bob|2026-03-02 00:00:00|"one"`, "3|s", "4|s"}; err != nil || !slices.Equal(got, wantRows) {
		t.Errorf("the view holds %q %v, want %q", got, err, wantRows)
	}
}

func TestATypedViewOutlivesWhatDoesNotFitAndIsMadeAnew(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	record(t, store, "paid", `{"n": 1, "yes": true, "at": "2026-03-02T00:00:00Z"}`)
	typedViews(t, address, nil)
	record(t, store, "paid", `{"n": "many", "yes": 1, "at": "later", "also": "x"}`)
	var n, yes, at *string
	sql := "SELECT n::text, yes::text, at::text FROM " + postgres.Schema(d) + ".event_paid ORDER BY position DESC LIMIT 1"
	if err := postgres.Pool(d).QueryRow(t.Context(), sql, pgx.QueryExecModeExec).Scan(&n, &yes, &at); err != nil || n != nil || yes != nil || at != nil {
		t.Errorf("what does not fit is read as %v %v %v: %v", n, yes, at, err)
	}
	if got := columns(typedViews(t, address, nil)[0]); got != "also=also:text at=at:text n=n:jsonb yes=yes:jsonb" {
		t.Errorf("made anew it has %s", got)
	}
	if err := postgres.Pool(d).QueryRow(t.Context(), sql, pgx.QueryExecModeExec).Scan(&n, &yes, &at); err != nil || n == nil || *n != `"many"` {
		t.Errorf("made anew it holds %v: %v", n, err)
	}
	// The newest record alone tells other types.
	if got := columns(typedViews(t, address, &postgres.ViewOptions{Records: 1, Columns: 2})[0]); got != "also=also:text at=at:text" {
		t.Errorf("of the newest record, and two fields: %s", got)
	}
	// What was deleted is not in it, and a deleted type keeps its view.
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("s")}); err != nil {
		t.Fatal(err)
	}
	count := -1
	if err := postgres.Pool(d).QueryRow(t.Context(), "SELECT count(*) FROM "+postgres.Schema(d)+".event_paid").Scan(&count); err != nil || count != 0 {
		t.Errorf("of deleted events the view shows %d: %v", count, err)
	}
}

func TestNamesOfTypedViewsAreSafeAndStay(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	long := strings.Repeat("long", 40)
	record(t, store, "b_c", "{}")
	record(t, store, "7up", "{}")
	record(t, store, long+"1", "{}")
	record(t, store, long+"2", "{}")
	record(t, store, `x"; DROP TABLE events; --`, `{"a\"b": 1, "a b": 2, "A B": 3}`)
	names := func() map[string]string {
		found := map[string]string{}
		for _, v := range typedViews(t, address, nil) {
			if found[v.Type] = v.Name; len(v.Name) > 63 {
				t.Errorf("%s is longer than PostgreSQL lets names be", v.Name)
			}
			if strings.HasPrefix(v.Type, "x") && columns(v) != `A B=a_b:numeric a b=a_b_2:numeric a"b=a_b_3:numeric` {
				t.Errorf("columns: %s", columns(v))
			}
		}
		return found
	}
	first := names()
	if first["b_c"] != "event_b_c" || first["7up"] != "event__7up" || first[long+"1"] == first[long+"2"] || first[`x"; DROP TABLE events; --`] != "event_x_drop_table_events" {
		t.Errorf("names: %v", first)
	}
	record(t, store, "B-C", "{}") // sorts before b_c
	second := names()
	if second["b_c"] != first["b_c"] || second["B-C"] != "event_b_c_2" {
		t.Errorf("names with another type: %v", second)
	}
}

func TestATypedViewReplacesNothingOfOthers(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	record(t, store, "paid", `{"n": 1}`)
	exec := func(sql string) {
		t.Helper()
		if _, err := postgres.Pool(d).Exec(t.Context(), strings.ReplaceAll(sql, "{store}", postgres.Schema(d))); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE {store}.event_paid (x int)")
	if _, err := postgres.TypedViews(t.Context(), address, nil); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("in place of a table of others: %v", err)
	}
	exec("DROP TABLE {store}.event_paid")
	typedViews(t, address, nil)
	exec("CREATE VIEW {store}.theirs AS SELECT n FROM {store}.event_paid")
	record(t, store, "paid", `{"n": 2}`)
	typedViews(t, address, nil)
	record(t, store, "paid", `{"n": "x"}`)
	if _, err := postgres.TypedViews(t.Context(), address, nil); !errors.Is(err, daybook.ErrRefused) || !strings.Contains(err.Error(), "depends on it") {
		t.Errorf("below a view of others: %v", err)
	}
	// A reader may read them.
	name := newRole(t, address)
	grant(t, address, name, postgres.RightsReader)
	record(t, store, "late", `{"n": 2}`)
	exec("DROP VIEW {store}.theirs")
	typedViews(t, address, nil)
	var n int
	if err := connect(t, as(t, address, name, secret)).QueryRow(t.Context(), "SELECT n FROM "+postgres.Schema(d)+".event_late").Scan(&n); err != nil || n != 2 {
		t.Errorf("a reader reads %d %v", n, err)
	}
}
