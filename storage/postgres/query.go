package postgres

import (
	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// query is a statement as it is written, with its values.
type query struct{ sqlstore.Text }

func newQuery() *query { return &query{sqlstore.Text{Mark: "$"}} }

// indexed are the columns that records are found by, but for tags, which have a table.
var indexed = map[sqlstore.Key]string{
	sqlstore.ByType: "e.type", sqlstore.ByStreamType: "split_part(e.stream, '-', 1)", sqlstore.ByPartition: "e.partition <> '' AND e.partition",
}

// logQuery returns the query for so many events between two positions.
//
// Where the filter names types, tags, types of streams or partitions, it is a
// union of branches: each walks one index from the first position on, and none
// finds more than the limit.
func (d *Driver) logQuery(read *daybook.LogRead, first, last int64, limit int) (string, []any) {
	q := newQuery()
	within := func(column string) string {
		return column + " >= " + q.Value(first) + " AND " + column + " <= " + q.Value(last)
	}
	order := sqlstore.Direction(read.Backwards)
	branches := sqlstore.BranchesOf(&read.Filter)
	q.Add("SELECT ", eventColumns, ", ", unsettled, " FROM {schema}.events e")
	if len(branches) > 0 {
		q.Add(" JOIN (")
		for i, b := range branches {
			if i > 0 {
				q.Add(" UNION ")
			}
			from, table := "{schema}.events e WHERE "+indexed[b.By], "e"
			if b.By == sqlstore.ByTag {
				from, table = "{schema}.tags t JOIN {schema}.events e USING (position) WHERE t.tag", "t"
			}
			q.Add("(SELECT e.position FROM ", from, " = ", q.Value(b.Text), " AND ", within(table+".position"), " AND ")
			q.filter(read, b.Item)
			q.Add(" ORDER BY ", table, ".position ", order, " LIMIT ", q.Value(limit), ")")
		}
		q.Add(") p USING (position)")
	} else {
		q.Add(" WHERE ", within("e.position"), " AND ")
		q.filter(read, nil)
	}
	q.Add(" ORDER BY e.position ", order, " LIMIT ", q.Value(limit))
	return d.sql.in(q.String()), q.Values
}

// filter writes the condition that read selects an event e, its bounds aside;
// of its query only one item where that is given.
func (q *query) filter(read *daybook.LogRead, only *daybook.QueryItem) {
	q.Add(visible)
	if !read.Until.IsZero() {
		q.Add(" AND e.recorded_at <= ", q.Value(read.Until))
	}
	if f := &read.Filter; len(f.Partitions) > 0 {
		q.Add(" AND e.partition = ANY (", q.Value(f.Partitions), ")")
	}
	if f := &read.Filter; len(f.StreamTypes) > 0 {
		q.Add(" AND split_part(e.stream, '-', 1) = ANY (", q.Value(f.StreamTypes), ")")
	}
	items := read.Filter.Query.Items
	if only != nil {
		items = []daybook.QueryItem{*only}
	}
	for i := range items {
		q.Add(map[bool]string{true: " AND (", false: " OR "}[i == 0])
		q.item(&items[i])
	}
	if len(items) > 0 {
		q.Add(")")
	}
}

// item writes the condition that an item of a query matches an event e.
func (q *query) item(item *daybook.QueryItem) {
	q.Add("(true")
	if len(item.Types) > 0 {
		q.Add(" AND e.type = ANY (", q.Value(item.Types), ")")
	}
	if len(item.Tags) > 0 {
		q.Add(" AND e.tags @> ", q.Value(item.Tags))
	}
	q.Add(")")
}
