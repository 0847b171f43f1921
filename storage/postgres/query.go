package postgres

import (
	"fmt"
	"strings"

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
	return fmt.Sprintf("$%d", len(q.values))
}

// maxBranches is how many indexes are looked up side by side for one query; one
// of more parts walks the log.
const maxBranches = 64

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
	order := direction(read.Backwards)
	branches := branchesOf(&read.Filter)
	q.add("SELECT ", eventColumns, ", ", unsettled, " FROM {schema}.events e")
	if len(branches) > 0 && len(branches) <= maxBranches {
		q.add(" JOIN (")
		for i, b := range branches {
			if i > 0 {
				q.add(" UNION ")
			}
			q.add("(SELECT e.position FROM ")
			if b.tag != "" {
				q.add("{schema}.tags t JOIN {schema}.events e USING (position) WHERE t.tag = ", q.value(b.tag), " AND ", within("t.position"), " AND ")
			} else {
				q.add("{schema}.events e WHERE ", b.column, " = ", q.value(b.text), " AND ", within("e.position"), " AND ")
			}
			q.filter(read, b.item)
			q.add(" ORDER BY ", map[bool]string{true: "t", false: "e"}[b.tag != ""], ".position ", order, " LIMIT ", q.value(limit), ")")
		}
		q.add(") p USING (position)")
	} else {
		q.add(" WHERE ", within("e.position"), " AND ")
		q.filter(read, nil)
	}
	q.add(" ORDER BY e.position ", order, " LIMIT ", q.value(limit))
	return d.sql.in(q.text.String()), q.values
}

// branch is a part of a filter that one index can find.
type branch struct {
	tag    string // in the table tags; or
	column string // of events, which
	text   string // is equal to it
	item   *daybook.QueryItem
}

// branchesOf returns parts of a filter that together select what it selects;
// none where it selects everything, or one part of it does.
func branchesOf(f *daybook.Filter) []branch {
	var found []branch
	for i := range f.Query.Items {
		item := &f.Query.Items[i]
		switch {
		case len(item.Tags) > 0:
			found = append(found, branch{tag: item.Tags[0], item: item})
		case len(item.Types) > 0:
			for _, t := range item.Types {
				found = append(found, branch{column: "e.type", text: t, item: item})
			}
		default:
			return nil
		}
	}
	if found != nil {
		return found
	}
	for _, t := range f.StreamTypes {
		found = append(found, branch{column: "split_part(e.stream, '-', 1)", text: t})
	}
	if found != nil {
		return found
	}
	for _, p := range f.Partitions {
		if p == "" { // most often of all, so that no index tells them apart
			return nil
		}
		found = append(found, branch{column: "e.partition <> '' AND e.partition", text: p})
	}
	return found
}

// filter writes the condition that read selects an event e, its bounds aside;
// of its query only one item where that is given.
func (q *sqlText) filter(read *daybook.LogRead, only *daybook.QueryItem) {
	q.add(visible)
	if !read.Until.IsZero() {
		q.add(" AND e.recorded_at <= ", q.value(read.Until))
	}
	if f := &read.Filter; len(f.Partitions) > 0 {
		q.add(" AND e.partition = ANY (", q.value(f.Partitions), ")")
	}
	if f := &read.Filter; len(f.StreamTypes) > 0 {
		q.add(" AND split_part(e.stream, '-', 1) = ANY (", q.value(f.StreamTypes), ")")
	}
	items := read.Filter.Query.Items
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
	q.add("(true")
	if len(item.Types) > 0 {
		q.add(" AND e.type = ANY (", q.value(item.Types), ")")
	}
	if len(item.Tags) > 0 {
		q.add(" AND e.tags @> ", q.value(item.Tags))
	}
	q.add(")")
}
