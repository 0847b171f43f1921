package sqlserver

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// sqlText is a statement as it is written, with its values.
type sqlText struct {
	text   strings.Builder
	values []any
}

func (q *sqlText) add(parts ...string) {
	for _, part := range parts {
		q.text.WriteString(part)
	}
}

// value takes in a value and returns the parameter that stands for it.
func (q *sqlText) value(v any) string {
	q.values = append(q.values, v)
	return fmt.Sprintf("@p%d", len(q.values))
}

// maxValues is how many parameters are used; a statement can have 2,100.
// https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server
const maxValues = 2000

// key returns what stands for the bytes of a text, of a type that an index of
// keys is searched by: a parameter, or where there are many the bytes themselves.
func (q *sqlText) key(text string) string {
	if len(q.values) >= maxValues {
		return "0x" + hex.EncodeToString([]byte(text))
	}
	return "CAST(" + q.value([]byte(text)) + " AS varbinary(1024))"
}

// keys returns what stands for the bytes of texts, with commas between.
func (q *sqlText) keys(texts []string) string {
	list := make([]string, len(texts))
	for i, text := range texts {
		list[i] = q.key(text)
	}
	return strings.Join(list, ", ")
}

// time returns what stands for a time: written as text, since go-mssqldb would
// send a time with an offset.
func (q *sqlText) time(t time.Time) string {
	return "CONVERT(datetime2(6), " + q.value(timeText(t)) + ", 126)"
}

// maxBranches is how many indexes are looked up side by side for one query, and
// maxTags how many tags an item may demand there. What has more walks the log,
// and is selected by the driver.
const (
	maxBranches = 64
	maxTags     = 32
)

// isServed reports whether the server selects by the query of a filter.
func isServed(f *daybook.Filter) bool {
	parts := 0
	for i := range f.Query.Items {
		item := &f.Query.Items[i]
		if len(item.Tags) > maxTags {
			return false
		}
		parts += max(1, len(item.Types))
	}
	return parts <= maxBranches
}

// logQuery returns the query for so many events between two positions.
//
// Where the filter names types, tags, types of streams or partitions, it is a
// union of branches: each walks one index from the first position on, and none
// finds more than the limit.
func (d *Driver) logQuery(read *daybook.LogRead, first, last int64, limit int) (string, []any) {
	var q sqlText
	within := func(column string) string {
		return column + " >= " + q.value(first) + " AND " + column + " <= " + q.value(last)
	}
	filter := read.Filter
	if !isServed(&filter) {
		filter.Query = daybook.Query{}
	}
	order := direction(read.Backwards)
	branches := branchesOf(&filter)
	q.add("SELECT TOP (", q.value(limit), ") ", eventColumns, " FROM {schema}.events e JOIN {schema}.streams s ON s.id = e.stream_id")
	if len(branches) > 0 && len(branches) <= maxBranches {
		q.add(" JOIN (")
		for i, b := range branches {
			if i > 0 {
				q.add(" UNION ")
			}
			// An order needs a table of its own to stand in a union.
			from, column := "{schema}.events e WHERE "+b.column, "e.position"
			if b.column == tagColumn {
				from, column = "{schema}.tags t JOIN {schema}.events e ON e.position = t.position WHERE "+b.column, "t.position"
			}
			q.add("SELECT b.position FROM (SELECT TOP (", q.value(limit), ") ", column, " FROM ", from, " = ", q.key(b.text), " AND ", within(column), " AND ")
			q.filter(&filter, read.Until, b.item)
			q.add(" ORDER BY ", column, " ", order, ") b")
		}
		q.add(") p ON p.position = e.position")
	} else {
		q.add(" WHERE ", within("e.position"), " AND ")
		q.filter(&filter, read.Until, nil)
	}
	q.add(" ORDER BY e.position ", order)
	return d.sql.in(q.text.String()), q.values
}

// branch is a part of a filter that one index can find.
type branch struct {
	column string // of events, or tagColumn, which has
	text   string // this
	item   *daybook.QueryItem
}

// tagColumn is the one column of a branch that is not of events.
const tagColumn = "t.tag_key"

// branchesOf returns parts of a filter that together select what it selects;
// none where it selects everything, or one part of it does.
func branchesOf(f *daybook.Filter) []branch {
	var found []branch
	for i := range f.Query.Items {
		item := &f.Query.Items[i]
		switch {
		case len(item.Tags) > 0:
			found = append(found, branch{column: tagColumn, text: item.Tags[0], item: item})
		case len(item.Types) > 0:
			for _, t := range item.Types {
				found = append(found, branch{column: "e.type_key", text: t, item: item})
			}
		default:
			return nil
		}
	}
	if found != nil {
		return found
	}
	for _, t := range f.StreamTypes {
		found = append(found, branch{column: "e.stream_type", text: t})
	}
	if found != nil {
		return found
	}
	for _, p := range f.Partitions {
		if p == "" { // most often of all, so that no index tells them apart
			return nil
		}
		found = append(found, branch{column: "e.partition_key <> 0x AND e.partition_key", text: p})
	}
	return found
}

// filter writes the condition that a filter selects an event e, recorded up to
// a time, which may be zero; of its query only one item where that is given.
func (q *sqlText) filter(f *daybook.Filter, until time.Time, only *daybook.QueryItem) {
	q.add(visible)
	if !until.IsZero() {
		q.add(" AND e.recorded_at <= ", q.time(until))
	}
	if len(f.Partitions) > 0 {
		q.add(" AND e.partition_key IN (", q.keys(f.Partitions), ")")
	}
	if len(f.StreamTypes) > 0 {
		q.add(" AND e.stream_type IN (", q.keys(f.StreamTypes), ")")
	}
	items := f.Query.Items
	if only != nil {
		items = []daybook.QueryItem{*only}
	}
	for i := range items {
		q.add(map[bool]string{true: " AND (", false: " OR "}[i == 0])
		q.item(&items[i])
	}
	if len(items) > 0 {
		q.add(")")
	}
}

// item writes the condition that an item of a query matches an event e.
func (q *sqlText) item(item *daybook.QueryItem) {
	q.add("(1 = 1")
	if len(item.Types) > 0 {
		q.add(" AND e.type_key IN (", q.keys(item.Types), ")")
	}
	for _, tag := range item.Tags {
		q.add(" AND EXISTS (SELECT 1 FROM {schema}.tags g WHERE g.position = e.position AND g.tag_key = ", q.key(tag), ")")
	}
	q.add(")")
}
