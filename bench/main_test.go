package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain plays the parts that the command starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "task" || os.Args[1] == "client") {
		if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
			os.Stderr.WriteString("bench: " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// bench runs the command and returns what it printed.
func bench(t *testing.T, arguments ...string) (out, log string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err = run(t.Context(), arguments, strings.NewReader(""), &stdout, &stderr)
	return stdout.String(), stderr.String(), err
}

func TestAQuickRunMeasuresInRoundsAndWritesTheDocument(t *testing.T) {
	dir := t.TempDir()
	document := filepath.Join(dir, "benchmarks.md")
	out, log, err := bench(t, "-quick", "-only", "conditions,open", "-records", "2000", "-peers", "daybook,sqlite", "-rounds", "2", "-duration", "30ms", "-dir", dir, "-out", document)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if strings.Count(log, "round 2/2  2k records in 2k streams  daybook:") != 1 {
		t.Errorf("the second round of Daybook is not told once:\n%s", log)
	}
	written, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| scan |", "| daybook |", "| sqlite |", "| daybook, killed |", "modernc.org/sqlite v", "-only conditions,open", "64 writers: with a condition"} {
		if !strings.Contains(string(written), want) {
			t.Errorf("the document does not tell %q", want)
		}
	}
	if strings.Contains(string(written), "pebble |") {
		t.Error("the document tells of a contender that was not asked for")
	}
	if !strings.Contains(out, "One boundary for all, 64 writers") {
		t.Errorf("the tables were not printed:\n%s", out)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "run", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSectionsOfEarlierRunsAreKeptWithAdd(t *testing.T) {
	dir := t.TempDir()
	document := filepath.Join(dir, "benchmarks.md")
	shared := []string{"-quick", "-peers", "daybook", "-records", "2000", "-rounds", "1", "-duration", "20ms", "-dir", dir, "-out", document, "-add"}
	for _, section := range []string{"replay", "conditions"} {
		if _, log, err := bench(t, append(shared, "-only", section)...); err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
	}
	written, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(written); !strings.Contains(text, "daybook, one tag") || !strings.Contains(text, "| decoder |") || strings.Index(text, "## Conditions") > strings.Index(text, "## Replay") {
		t.Errorf("the document lacks a section, or their order is wrong:\n%s", text)
	}
}

func TestWhatCannotBeHadIsSkippedLoudlyAndCounted(t *testing.T) {
	t.Setenv("DAYBOOK_POSTGRES_URL", "")
	_, log, err := bench(t, "-quick", "-only", "conditions", "-peers", "postgres", "-rounds", "1", "-duration", "20ms", "-dir", t.TempDir())
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	if !strings.Contains(log, "SKIPPED") || !strings.Contains(log, "DAYBOOK_POSTGRES_URL is not set") || !strings.Contains(log, "1 contenders or comparisons are missing") {
		t.Errorf("the missing server is not told:\n%s", log)
	}
}

func TestAWrongCommandLineIsRefusedWithWhatThereIs(t *testing.T) {
	for _, arguments := range [][]string{{"-only", "sleep"}, {"-peers", "nobody"}, {"surplus"}, {"-rounds", "many"}, {"-records", "1500"}} {
		if _, log, err := bench(t, append(arguments, "-dir", t.TempDir())...); err == nil {
			t.Errorf("%v was accepted:\n%s", arguments, log)
		}
	}
	if _, _, err := bench(t, "-peers", "nobody", "-dir", t.TempDir()); err == nil || !strings.Contains(err.Error(), "pebble") {
		t.Errorf("error %v does not tell who there is", err)
	}
}

func TestTwoRunsDoNotMeasureInOneFolder(t *testing.T) {
	dir := t.TempDir()
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, _, err := bench(t, "-quick", "-dir", dir); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("error %v, want that another run measures", err)
	}
}

func TestThePlanHoldsEveryComparisonOnce(t *testing.T) {
	for _, arguments := range [][]string{{}, {"-quick"}, {"-large"}} {
		o, err := parseOptions(append(arguments, "-dir", t.TempDir()), os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		for _, c := range plan(o) {
			if keys[c.table.Key] {
				t.Errorf("%v: %s is planned twice", arguments, c.table.Key)
			}
			keys[c.table.Key] = true
			if len(c.tasks) != len(c.table.Rows) {
				t.Errorf("%v: %s has %d tasks for %d rows", arguments, c.table.Key, len(c.tasks), len(c.table.Rows))
			}
		}
	}
}
