package report

import (
	"strings"
	"unicode/utf8"
)

// column is one of a table: what it shows of a row. The base may be nil.
type column struct {
	title string
	show  func(row, base *Row) string
}

// leads returns the figure that a table is about, and by which its rows are
// divided by the base.
func (t *Table) leads() Figure {
	if t.Section == SectionOpen {
		return Elapsed
	}
	return Rate
}

// columns returns the columns of a table; those that would be empty are left
// out.
func (t *Table) columns() []column {
	shown := func(title string, f Figure, write func(float64) string) column {
		return column{title, func(row, _ *Row) string {
			if value := row.Median(f); value > 0 {
				return write(value)
			}
			return ""
		}}
	}
	leads, one := t.leads(), strings.TrimSuffix(t.Unit, "s")
	columns := []column{shown(t.Unit+"/s", Rate, number)}
	if leads.Name == Elapsed.Name {
		columns = []column{shown("time", Elapsed, duration)}
	}
	columns = append(columns,
		column{"of " + t.Base, func(row, base *Row) string {
			if base == nil {
				return ""
			}
			return ratio(row.Median(leads), base.Median(leads))
		}},
		column{"spread", func(row, _ *Row) string {
			if len(row.Rounds) < 2 {
				return ""
			}
			return "±" + number(row.Spread(leads)*50) + " %"
		}})
	if leads.Name == Rate.Name {
		columns = append(columns, shown("p50", P50, duration), shown("p99", P99, duration), shown("p99.9", P999, duration))
	}
	return t.filled(append(columns,
		shown("processor/"+one, Processor, duration),
		shown("resident", Resident, size),
		shown("decided again/"+one, Refused, number),
		shown("readers dropped", Lost, number),
	))
}

// filled returns the columns that show something of some row.
func (t *Table) filled(all []column) []column {
	var kept []column
	for _, c := range all {
		for i := range t.Rows {
			if t.Rows[i].Measured() && c.show(&t.Rows[i], t.Row(t.Base)) != "" {
				kept = append(kept, c)
				break
			}
		}
	}
	return kept
}

// cells returns the table as text: a row of titles, then one for each that was
// measured.
func (t *Table) cells() [][]string {
	columns := t.columns()
	titles := []string{""}
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	rows := [][]string{titles}
	for i := range t.Rows {
		if !t.Rows[i].Measured() {
			continue
		}
		row := []string{t.Rows[i].Label}
		for _, c := range columns {
			row = append(row, c.show(&t.Rows[i], t.Row(t.Base)))
		}
		rows = append(rows, row)
	}
	return rows
}

// Text returns the table for a terminal.
func (t *Table) Text() string { return t.Title + "\n" + aligned(t.cells()) }

// aligned sets rows in columns: the first to the left, the others to the right.
func aligned(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				text.WriteString("  " + cell + padding)
			} else {
				text.WriteString("  " + padding + cell)
			}
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// markdown sets rows as a table of Markdown.
func markdown(rows [][]string) string {
	var text strings.Builder
	for i, row := range rows {
		text.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			text.WriteString("|---|" + strings.Repeat("---:|", len(row)-1) + "\n")
		}
	}
	return text.String()
}
