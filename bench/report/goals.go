package report

import "fmt"

// Goal is a ratio that Daybook is to reach: one figure of one row over another,
// both of one run.
type Goal struct {
	Says   string
	Table  string // the key of the comparison
	Row    string
	Figure Figure
	// What it is divided by: an empty row is the same one, and so is a figure
	// without Of.
	BaseRow    string
	BaseFigure Figure
	// Base is what it is divided by where that is no figure; 0 if it is one.
	Base   float64
	Bound  float64
	AtMost bool // the ratio may be no more than Bound; else no less
}

// atLeast is a goal for the rate of Daybook, over that of another row.
func atLeast(bound float64, table, row, over, says string) Goal {
	return Goal{Says: says, Table: table, Row: row, BaseRow: over, Figure: Rate, Bound: bound}
}

// Goals returns what Daybook is to reach.
func Goals() []Goal {
	alone, at16, at64, at256 := "append/256/1/1", "append/256/16/1", "append/256/64/1", "append/256/256/1"
	goals := []Goal{
		{Says: "one writer: p50 over the bare write and sync", Table: alone, Row: "daybook", BaseRow: "bare", Figure: P50, Bound: 1.08, AtMost: true},
		atLeast(1, alone, "daybook", "sqlite", "one writer: appends over SQLite's"),
		atLeast(0.93, at16, "daybook", "R", "16 writers: appends over R"),
		atLeast(0.85, at64, "daybook", "R", "64 writers: appends over R"),
		atLeast(0.85, at256, "daybook", "R", "256 writers: appends over R"),
		atLeast(3, at256, "daybook", "pebble", "256 writers: over pebble, a synced batch an append"),
	}
	for _, grouped := range []string{"pebble-grouped", "bbolt-grouped", "sqlite-grouped", "postgres-grouped"} {
		goals = append(goals, atLeast(2.4, at256, "daybook", grouped, "256 writers: over "+grouped))
	}
	goals = append(goals,
		atLeast(30, at256, "daybook", "postgres", "256 writers: over PostgreSQL, a transaction an append"),
		atLeast(120, at256, "daybook", "jetstream", "256 writers: over JetStream, SyncAlways"),
		atLeast(0.95, alone, "daybook-postgres", "postgres", "on PostgreSQL, one writer: over a transaction an append"),
		atLeast(0.95, alone, "daybook-postgres", "message-db", "on PostgreSQL, one writer: over message-db"),
		atLeast(5, at256, "daybook-postgres", "postgres", "on PostgreSQL, 256 writers: over a transaction an append"),
		atLeast(40, at256, "daybook-postgres", "message-db", "on PostgreSQL, 256 writers: over message-db"),
		Goal{Says: "64 writers: processor time an event over R's", Table: at64, Row: "daybook", BaseRow: "R", Figure: Processor, Bound: 1.6, AtMost: true},
		Goal{Says: "64 writers: p99 over p50", Table: at64, Row: "daybook", Figure: P99, BaseFigure: P50, Bound: 2.5, AtMost: true},
		atLeast(0.6, "append/256/64/10", "daybook", "R", "64 writers, 10 events an append: over R"),
		atLeast(0.6, "append/256/64/100", "daybook", "R", "64 writers, 100 events an append: over R"),
		atLeast(0.7, "conditions/64", "daybook, a condition that never matches", "daybook, no condition", "64 writers: with a condition that never matches, over the same without"),
	)
	return append(goals, append(replayGoals(), httpGoals()...)...)
}

// replayGoals returns the goals of reading and opening.
func replayGoals() []Goal {
	var goals []Goal
	for _, set := range []string{"1M", "10M"} {
		stream, whole := "replay/"+set+"/stream", "replay/"+set+"/whole"
		goals = append(goals,
			atLeast(0.25, whole, "daybook", "scan", set+" records: replay into owned records over the bare scan, one core"),
			atLeast(0.6, whole, "daybook, borrowed", "scan", set+" records: replay with borrowed bytes over the bare scan, one core"),
			atLeast(0.9, "replay/"+set+"/typed", "daybook, borrowed", "decoder", set+" records: typed replay over the decoder alone"),
			atLeast(0.7, whole, "daybook-postgres", "postgres", set+" records: replay from PostgreSQL over a bare scan of the data"),
			Goal{Says: set + " records: by tag at 1 %, over 500,000 records/s", Table: "replay/" + set + "/tag", Row: "daybook", Figure: Rate, Base: 500_000, Bound: 1},
		)
		for _, other := range []string{"pebble", "bbolt", "sqlite", "postgres", "jetstream", "message-db"} {
			goals = append(goals, atLeast(4, stream, "daybook", other, set+" records: a stream of 1,000, over "+other))
		}
	}
	for _, set := range []string{"1M", "10M"} {
		opened, resident := "open/"+set, 60*1e6+0.5*1e6
		if set == "10M" {
			resident = 60*1e6 + 0.5*10e6
		}
		goals = append(goals,
			Goal{Says: set + " records, 1 M streams: opening after a clean stop over a bare warm scan", Table: opened, Row: "daybook", BaseRow: "scan", Figure: Elapsed, Bound: 0.1, AtMost: true},
			Goal{Says: set + " records, 1 M streams: opening after kill -9 over a bare warm scan", Table: opened, Row: "daybook, killed", BaseRow: "scan", Figure: Elapsed, Bound: 0.1, AtMost: true},
			Goal{Says: set + " records, 1 M streams: resident, idle, over 60 bytes a stream and 0.5 a record", Table: opened, Row: "daybook", Figure: Resident, Base: resident, Bound: 1, AtMost: true},
		)
	}
	return goals
}

// httpGoals returns the goals of the server.
func httpGoals() []Goal {
	return []Goal{
		atLeast(0.7, "http/64/1", "daybook", "handler", "HTTP, 64 connections: durable appends over a handler that reads the body"),
		atLeast(0.85, "http/256/1", "daybook", "handler", "HTTP, 256 connections: durable appends over a handler that reads the body"),
		atLeast(0.92, "http/64/1", "daybook, not durable", "handler", "HTTP, 64 connections: appends that are not durable over the same"),
		atLeast(0.6, "http/64/100", "daybook", "handler-split", "HTTP, 100 events a request: over a handler that only splits the JSON"),
		atLeast(0.9, "http/tail", "daybook", "coalescing", "live tail to 1,000 readers: over a bare coalescing writer"),
	}
}

// reached returns the ratio of a goal; ok is false if it was not measured.
func (g Goal) reached(tables map[string]*Table) (value float64, ok bool) {
	table := tables[g.Table]
	if table == nil || table.Row(g.Row) == nil {
		return 0, false
	}
	above := table.Row(g.Row).Median(g.Figure)
	if g.Base > 0 {
		return above / g.Base, above > 0
	}
	row, figure := g.BaseRow, g.BaseFigure
	if row == "" {
		row = g.Row
	}
	if figure.Of == nil {
		figure = g.Figure
	}
	base := table.Row(row)
	if base == nil {
		return 0, false
	}
	below := base.Median(figure)
	return above / below, above > 0 && below > 0
}

// goalCells returns the goals that the runs have measured, as a table, and how
// many were missed.
func goalCells(runs []Run) (cells [][]string, missed int) {
	tables := map[string]*Table{}
	for i := range runs {
		for j := range runs[i].Tables {
			tables[runs[i].Tables[j].Key] = &runs[i].Tables[j]
		}
	}
	cells = [][]string{{"", "goal", "measured", ""}}
	for _, goal := range Goals() {
		value, ok := goal.reached(tables)
		if !ok {
			continue
		}
		word, verdict := "at least", "reached"
		holds := value >= goal.Bound
		if goal.AtMost {
			word, holds = "at most", value <= goal.Bound
		}
		if !holds {
			verdict = "**missed**"
			missed++
		}
		cells = append(cells, []string{goal.Says, fmt.Sprintf("%s %v", word, goal.Bound), number(value), verdict})
	}
	return cells, missed
}
