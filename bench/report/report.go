// Package report turns what was measured into tables: for the terminal, and as
// docs/benchmarks.md.
package report

import (
	"slices"
	"time"

	"github.com/daybook-go/daybook/bench/work"
)

// Table is one comparison: the same work, done by several in turn.
type Table struct {
	Section string // "append"
	Key     string // names the comparison for the goals: "append/256/64/1"
	Title   string
	Unit    string // what is counted: "events"
	Base    string // the label of the row that the others are divided by; "" for none
	Rows    []Row
}

// Row is one contender of a table.
type Row struct {
	Label   string
	About   string
	Version string
	Rounds  []work.Result // one a round
	Absent  string        // why there is none; "" if there is
	Failed  string        // what went wrong; "" if nothing did
}

// Measured reports whether the row has figures.
func (r *Row) Measured() bool { return len(r.Rounds) > 0 }

// Figure is one of the things that a result tells, as a number.
type Figure struct {
	Name string
	Of   func(work.Result) float64
}

// The figures that tables show and goals are set for.
var (
	Rate      = Figure{"rate", work.Result.Rate}
	P50       = Figure{"p50", func(r work.Result) float64 { return float64(r.P50) }}
	P99       = Figure{"p99", func(r work.Result) float64 { return float64(r.P99) }}
	P999      = Figure{"p99.9", func(r work.Result) float64 { return float64(r.P999) }}
	Elapsed   = Figure{"time", func(r work.Result) float64 { return float64(r.Elapsed) }}
	Resident  = Figure{"resident", func(r work.Result) float64 { return float64(r.Resident) }}
	Processor = Figure{"processor", func(r work.Result) float64 { return float64(r.Processor) / float64(max(r.Events, 1)) }}
	Refused   = Figure{"refused", func(r work.Result) float64 { return float64(r.Refused) / float64(max(r.Events, 1)) }}
	Lost      = Figure{"lost", func(r work.Result) float64 { return float64(r.Lost) }}
)

// Median returns the median of a figure over the rounds; 0 if there are none.
func (r *Row) Median(f Figure) float64 {
	values := r.sorted(f)
	if len(values) == 0 {
		return 0
	}
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// Spread returns how far the rounds lie apart, as a part of the median.
func (r *Row) Spread(f Figure) float64 {
	values, median := r.sorted(f), r.Median(f)
	if len(values) == 0 || median == 0 {
		return 0
	}
	return (values[len(values)-1] - values[0]) / median
}

func (r *Row) sorted(f Figure) []float64 {
	values := make([]float64, len(r.Rounds))
	for i := range r.Rounds {
		values[i] = f.Of(r.Rounds[i])
	}
	slices.Sort(values)
	return values
}

// Row returns the row with the label; nil if the table has none with figures.
func (t *Table) Row(label string) *Row {
	for i := range t.Rows {
		if t.Rows[i].Label == label && t.Rows[i].Measured() {
			return &t.Rows[i]
		}
	}
	return nil
}

// Run is what one call of the command has measured.
type Run struct {
	Command  string
	Commit   string // of Daybook
	Date     time.Time
	Machine  Machine
	Rounds   int
	Duration time.Duration // of one round of one contender
	Tables   []Table
}

// Sections returns the names of the sections that the run has measured, in
// their order.
func (r *Run) Sections() []string {
	var names []string
	for i := range r.Tables {
		if !slices.Contains(names, r.Tables[i].Section) {
			names = append(names, r.Tables[i].Section)
		}
	}
	return names
}

// Missing returns what took no part, each once: its label, and why.
func (r *Run) Missing() []string {
	var lines []string
	for i := range r.Tables {
		for j := range r.Tables[i].Rows {
			row := &r.Tables[i].Rows[j]
			line := ""
			switch {
			case row.Failed != "":
				line = row.Label + " FAILED at " + r.Tables[i].Title + ": " + row.Failed
			case row.Absent != "":
				line = row.Label + ": " + row.Absent
			}
			if line != "" && !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// Merge returns the runs with one more: it takes the place of what earlier
// runs have measured of the same sections.
func Merge(runs []Run, newest Run) []Run {
	sections := newest.Sections()
	var merged []Run
	for _, run := range runs {
		run.Tables = slices.DeleteFunc(slices.Clone(run.Tables), func(t Table) bool { return slices.Contains(sections, t.Section) })
		if len(run.Tables) > 0 {
			merged = append(merged, run)
		}
	}
	return append(merged, newest)
}
