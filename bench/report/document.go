package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The sections of the report, by the names that select them.
const (
	SectionAppend     = "append"
	SectionConditions = "conditions"
	SectionReplay     = "replay"
	SectionOpen       = "open"
	SectionHTTP       = "http"
)

// SectionNames returns all sections, in their order.
func SectionNames() []string {
	return []string{SectionAppend, SectionConditions, SectionReplay, SectionOpen, SectionHTTP}
}

// heads tells what a section measures, and how.
var heads = map[string]string{
	SectionAppend: `## Durable appends

Each writer appends to a stream of its own and waits until what it sent is on the disk. The events are JSON, all
different, of exactly the size that the table names; an append stores one or more of them, all or nothing. Rates are
events a second; p50, p99 and p99.9 are those of one append, as its caller sees it. Processor time is that of the
contender's process, the load included, and of the server where the contender is one.`,
	SectionConditions: `## Conditions and contention

Daybook's conditions demand that no event with a tag stands above a position. First on boundaries that nobody else
writes to, beside the same appends without a condition. Then all writers share one boundary, or one stream at the
version that they know: whoever is refused looks at what stands there now and tries again, and only what was stored
counts.`,
	SectionReplay: `## Replay

The set is loaded once for each contender: streams of 1,000 records that grow in turn, so that the records of a stream
lie strewn over the whole log, and each record with one of a hundred tags. All reads are warm, on one core, and
repeated for the time of a round; p50, p99 and p99.9 are those of one read. The scan reads the very files of Daybook in large pieces, finds each frame and checks
its CRC32C, and no more. Contenders without an order over all streams take no part in reading the whole log.`,
	SectionOpen: `## Opening

A process opens a set of records that was closed cleanly, or whose process was ended by kill -9 behind a tail of
appends of one event each, a fiftieth of the set, and reads one stream. Resident is what the process holds in memory for itself
afterwards, idle and after giving back what it can, above what it had before. The scan reads the whole log of
Daybook once, warm: what opening costs whoever has nothing but the log.`,
	SectionHTTP: `## Over HTTP

Server and clients are two processes that share the machine. A connection sends its next request when the last one
is answered. Processor time is the server's. The handlers store nothing: one reads the body and answers, one also cuts the JSON into its events. In
the live tail, 1,000 readers of server-sent events follow the log; time runs from the first append until every reader
has the last record.`,
}

// Document returns docs/benchmarks.md for the runs. Later runs hold other
// sections than earlier ones (see Merge).
func Document(runs []Run, now time.Time) string {
	var text strings.Builder
	text.WriteString(`# Benchmarks

Daybook beside its peers: the same work on the same machine, in turn. This page is written by the command that
measures, ` + "`make bench`" + `; no figure in it comes from anywhere else. Absolute figures belong to one machine: compare the ratios.

`)
	if cells, missed := goalCells(runs); len(cells) > 1 {
		fmt.Fprintf(&text, "## Goals\n\nRatios of medians within one run; %d of %d were missed.\n\n%s\n", missed, len(cells)-1, markdown(cells))
	}
	text.WriteString(method)
	for _, name := range SectionNames() {
		for i := range runs {
			if slices.Contains(runs[i].Sections(), name) {
				section(&text, &runs[i], name)
			}
		}
	}
	fmt.Fprintf(&text, "\n---\nWritten %s.\n", now.UTC().Format("2006-01-02 15:04 MST"))
	return text.String()
}

const method = `## Method

Every figure is the median of several rounds. Within a comparison the rounds are interleaved: each contender once, then
each again, each time beginning with another one, so that what else the machine does meets all of them. Each
contender runs in a process of its own on an empty folder; a fifth of its time goes by before anything counts. Spread is
half of what lies between the best and the worst round.

R is the physical bound: callers that share one write and one fdatasync and do nothing else: frames of 48 bytes and the data, CRC32C, into space
that was written with zeros before. The first caller of a group leads it, and yields to the scheduler a few times
before it writes, so that those who are just waking can join. "Grouped" contenders have that same group commit put before
them: what waits goes into one transaction.
`

// section writes one section of a run.
func section(text *strings.Builder, run *Run, name string) {
	fmt.Fprintf(text, "\n%s\n\n", heads[name])
	fmt.Fprintf(text, "- Machine: %s\n- Date: %s\n- Daybook: commit %s\n- Command: `%s`\n- Rounds: %d of %s\n", run.Machine,
		run.Date.UTC().Format("2006-01-02 15:04 MST"), run.Commit, run.Command, run.Rounds, run.Duration)
	tables := slices.DeleteFunc(slices.Clone(run.Tables), func(t Table) bool { return t.Section != name })
	writeContenders(text, tables)
	part := Run{Tables: tables}
	if missing := part.Missing(); len(missing) > 0 {
		fmt.Fprintf(text, "\n%d could not take part:\n\n", len(missing))
		for _, line := range missing {
			fmt.Fprintf(text, "- %s\n", line)
		}
	}
	if name == SectionAppend {
		writeMatrices(text, tables)
	}
	for i := range tables {
		if cells := tables[i].cells(); len(cells) > 1 {
			fmt.Fprintf(text, "\n### %s\n\n%s", tables[i].Title, markdown(cells))
		}
	}
}

// writeContenders writes who took part, with versions.
func writeContenders(text *strings.Builder, tables []Table) {
	cells := [][]string{{"contender", "what it is", "version"}}
	seen := map[string]bool{}
	for i := range tables {
		for _, row := range tables[i].Rows {
			if row.Measured() && !seen[row.Label] {
				seen[row.Label] = true
				cells = append(cells, []string{row.Label, row.About, row.Version})
			}
		}
	}
	text.WriteString("\n| " + strings.Join(cells[0], " | ") + " |\n|---|---|---|\n")
	for _, row := range cells[1:] {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
}

// writeMatrices writes, for each size of event, the rates of one event an
// append over the number of writers.
func writeMatrices(text *strings.Builder, tables []Table) {
	for _, bytes := range []int{256, 1024} {
		cells := [][]string{{"contender"}}
		rows := map[string][]string{}
		var order []string
		for _, writers := range []int{1, 16, 64, 256} {
			key := fmt.Sprintf("append/%d/%d/1", bytes, writers)
			i := slices.IndexFunc(tables, func(t Table) bool { return t.Key == key })
			if i < 0 {
				continue
			}
			cells[0] = append(cells[0], fmt.Sprintf("writers: %d", writers))
			for _, row := range tables[i].Rows {
				if !row.Measured() {
					continue
				}
				if rows[row.Label] == nil {
					order = append(order, row.Label)
				}
				for len(rows[row.Label]) < len(cells[0])-2 {
					rows[row.Label] = append(rows[row.Label], "")
				}
				rows[row.Label] = append(rows[row.Label], number(row.Median(Rate)))
			}
		}
		for _, label := range order {
			for len(rows[label]) < len(cells[0])-1 {
				rows[label] = append(rows[label], "")
			}
			cells = append(cells, append([]string{label}, rows[label]...))
		}
		if len(cells) > 1 && len(cells[0]) > 2 {
			fmt.Fprintf(text, "\n### Events/s of %d bytes, one an append\n\n%s", bytes, markdown(cells))
		}
	}
}
