package report_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook/bench/report"
	"github.com/daybook-go/daybook/bench/work"
)

// row returns a row whose rounds did so many events in a second each.
func row(label string, rates ...int64) report.Row {
	r := report.Row{Label: label}
	for _, rate := range rates {
		r.Rounds = append(r.Rounds, work.Result{Events: rate, Elapsed: time.Second, P50: time.Millisecond, P99: 2 * time.Millisecond})
	}
	return r
}

func appends(rows ...report.Row) report.Table {
	return report.Table{Section: report.SectionAppend, Key: "append/256/64/1", Title: "64 writers", Unit: "events", Base: "R", Rows: rows}
}

func document(runs ...report.Run) string { return report.Document(runs, time.Unix(1790000000, 0)) }

func TestARowShowsTheMedianOfItsRoundsAndItsPartOfTheBase(t *testing.T) {
	table := appends(row("R", 300_000, 100_000, 200_000), row("daybook", 100, 150_000, 150_001, 190_000))
	text := table.Text()
	for _, want := range []string{"200,000", "150,000", "0.750", "1.00 ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table does not show %s:\n%s", want, text)
		}
	}
}

func TestAContenderThatDidNotTakePartIsNamedAndHasNoRow(t *testing.T) {
	absent := report.Row{Label: "postgres", Absent: "no server"}
	failed := report.Row{Label: "bbolt", Failed: "the disk is full"}
	run := report.Run{Tables: []report.Table{appends(row("R", 100), absent, failed), appends(absent)}}
	missing := run.Missing()
	if len(missing) != 2 || !strings.Contains(missing[0], "no server") || !strings.Contains(missing[1], "the disk is full") {
		t.Errorf("missing are %q, want postgres once and bbolt", missing)
	}
	text := document(run)
	if strings.Contains(text, "| postgres |") || !strings.Contains(text, "2 could not take part") {
		t.Errorf("the document hides who is missing, or shows a row:\n%s", text)
	}
}

func TestAGoalIsMissedOrReachedByTheRatioOfMedians(t *testing.T) {
	says := "64 writers: appends over R"
	line := func(text string) string {
		for line := range strings.Lines(text) {
			if strings.Contains(line, says) {
				return line
			}
		}
		return ""
	}
	missed := line(document(report.Run{Tables: []report.Table{appends(row("R", 1000), row("daybook", 840))}}))
	if !strings.Contains(missed, "missed") || !strings.Contains(missed, "0.840") {
		t.Errorf("0.84 of R is told as %q", missed)
	}
	reached := line(document(report.Run{Tables: []report.Table{appends(row("R", 1000), row("daybook", 860))}}))
	if !strings.Contains(reached, "reached") {
		t.Errorf("0.86 of R is told as %q", reached)
	}
	if nothing := line(document(report.Run{Tables: []report.Table{appends(row("R", 1000))}})); nothing != "" {
		t.Errorf("a goal that was not measured is told: %q", nothing)
	}
}

func TestGoalsNameFiguresThatExist(t *testing.T) {
	for _, goal := range report.Goals() {
		if goal.Figure.Of == nil || goal.Bound <= 0 || goal.Says == "" || goal.Table == "" || goal.Row == "" {
			t.Errorf("goal %q is not complete", goal.Says)
		}
		if goal.Base == 0 && goal.BaseRow == "" && goal.BaseFigure.Of == nil {
			t.Errorf("goal %q is divided by itself", goal.Says)
		}
	}
}

func TestALaterRunTakesThePlaceOfTheSectionsItMeasured(t *testing.T) {
	replay := report.Table{Section: report.SectionReplay, Key: "replay/1M/whole", Title: "replay", Unit: "records", Rows: []report.Row{row("daybook", 7_770_000)}}
	first := report.Run{Command: "first", Tables: []report.Table{appends(row("R", 111_000)), replay}}
	second := report.Run{Command: "second", Tables: []report.Table{appends(row("R", 222_000))}}
	runs := report.Merge(report.Merge(nil, first), second)
	text := document(runs...)
	if strings.Contains(text, "111,000") || !strings.Contains(text, "222,000") || !strings.Contains(text, "7,770,000") {
		t.Errorf("the document mixes the runs:\n%s", text)
	}
	if runs = report.Merge(runs, first); len(runs) != 1 {
		t.Errorf("%d runs are left of two whose sections were all measured again", len(runs)-1)
	}
}

func TestAnOpeningIsComparedByItsTime(t *testing.T) {
	opened := func(label string, took time.Duration) report.Row {
		return report.Row{Label: label, Rounds: []work.Result{{Events: 1000, Elapsed: took, Resident: 3 << 20}}}
	}
	table := report.Table{Section: report.SectionOpen, Title: "open", Unit: "records", Base: "scan",
		Rows: []report.Row{opened("scan", time.Second), opened("daybook", 50*time.Millisecond)}}
	text := table.Text()
	for _, want := range []string{"50.0 ms", "0.05000", "3.00 MiB"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table does not show %s:\n%s", want, text)
		}
	}
}

func TestAMachineTellsItsDisk(t *testing.T) {
	machine, err := report.LookAround(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if machine.Sync <= 0 || machine.Cores < 1 || machine.FileSystem == "" {
		t.Errorf("the machine is %+v", machine)
	}
	machine.InMemory = true
	if !strings.Contains(machine.String(), "IN MEMORY") {
		t.Error("a file system in memory is not told")
	}
}

func TestEverySectionHasAName(t *testing.T) {
	names := report.SectionNames()
	for _, section := range []string{report.SectionAppend, report.SectionConditions, report.SectionReplay, report.SectionOpen, report.SectionHTTP} {
		if !slices.Contains(names, section) {
			t.Errorf("section %s cannot be selected", section)
		}
	}
}
