package sqlserver

import (
	"encoding/hex"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// query is a statement as it is written, with its values.
type query struct{ sqlstore.Text }

func newQuery() *query { return &query{sqlstore.Text{Mark: "@p"}} }

// maxValues is how many parameters are used; a statement can have 2,100.
// https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server
const maxValues = 2000

// key returns what stands for the bytes of a text, of a type that an index of
// keys is searched by: a parameter, or where there are many the bytes themselves.
func (q *query) key(text string) string {
	if len(q.Values) >= maxValues {
		return "0x" + hex.EncodeToString([]byte(text))
	}
	return "CAST(" + q.Value([]byte(text)) + " AS varbinary(1024))"
}

// keys returns what stands for the bytes of texts, with commas between.
func (q *query) keys(texts []string) string {
	list := make([]string, len(texts))
	for i, text := range texts {
		list[i] = q.key(text)
	}
	return strings.Join(list, ", ")
}

// time returns what stands for a time: written as text, since go-mssqldb would
// send a time with an offset.
func (q *query) time(t time.Time) string {
	return "CONVERT(datetime2(6), " + q.Value(timeText(t)) + ", 126)"
}

// maxTags is how many tags an item of a query may demand where the server selects
// by it.
const maxTags = 32

// isServed reports whether the server selects by the query of a filter; what has
// more parts is selected by the driver.
func isServed(f *daybook.Filter) bool {
	parts := 0
	for i := range f.Query.Items {
		item := &f.Query.Items[i]
		if len(item.Tags) > maxTags {
			return false
		}
		parts += max(1, len(item.Types))
	}
	return parts <= sqlstore.MaxBranches
}

// indexed are the columns that records are found by, but for tags, which have a
// table.
var indexed = map[sqlstore.Key]string{
	sqlstore.ByType: "e.type_key", sqlstore.ByStreamType: "e.stream_type", sqlstore.ByPartition: "e.partition_key <> 0x AND e.partition_key",
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
	filter := read.Filter
	if !isServed(&filter) {
		filter.Query = daybook.Query{}
	}
	order := sqlstore.Direction(read.Backwards)
	branches := sqlstore.BranchesOf(&filter)
	q.Add("SELECT TOP (", q.Value(limit), ") ", eventColumns, " FROM {schema}.events e JOIN {schema}.streams s ON s.id = e.stream_id")
	if len(branches) > 0 {
		q.Add(" JOIN (")
		for i, b := range branches {
			if i > 0 {
				q.Add(" UNION ")
			}
			// An order needs a table of its own to stand in a union.
			from, column := "{schema}.events e WHERE "+indexed[b.By], "e.position"
			if b.By == sqlstore.ByTag {
				from, column = "{schema}.tags t JOIN {schema}.events e ON e.position = t.position WHERE t.tag_key", "t.position"
			}
			q.Add("SELECT b.position FROM (SELECT TOP (", q.Value(limit), ") ", column, " FROM ", from, " = ", q.key(b.Text), " AND ", within(column), " AND ")
			q.filter(&filter, read.Until, b.Item)
			q.Add(" ORDER BY ", column, " ", order, ") b")
		}
		q.Add(") p ON p.position = e.position")
	} else {
		q.Add(" WHERE ", within("e.position"), " AND ")
		q.filter(&filter, read.Until, nil)
	}
	q.Add(" ORDER BY e.position ", order)
	return d.sql.in(q.String()), q.Values
}

// filter writes the condition that a filter selects an event e, recorded up to
// a time, which may be zero; of its query only one item where that is given.
func (q *query) filter(f *daybook.Filter, until time.Time, only *daybook.QueryItem) {
	q.Add(visible)
	if !until.IsZero() {
		q.Add(" AND e.recorded_at <= ", q.time(until))
	}
	if len(f.Partitions) > 0 {
		q.Add(" AND e.partition_key IN (", q.keys(f.Partitions), ")")
	}
	if len(f.StreamTypes) > 0 {
		q.Add(" AND e.stream_type IN (", q.keys(f.StreamTypes), ")")
	}
	items := f.Query.Items
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
	q.Add("(1 = 1")
	if len(item.Types) > 0 {
		q.Add(" AND e.type_key IN (", q.keys(item.Types), ")")
	}
	for _, tag := range item.Tags {
		q.Add(" AND EXISTS (SELECT 1 FROM {schema}.tags g WHERE g.position = e.position AND g.tag_key = ", q.key(tag), ")")
	}
	q.Add(")")
}
