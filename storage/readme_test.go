// Package storage holds the drivers; its test keeps the table of README.md.
package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook/storage/storagetest"
)

// The suites of all drivers write what they find; then the table is made.
//go:generate env DAYBOOK_UPDATE=1 go test -count=1 -run Keeps?EveryPromise ./...
//go:generate env DAYBOOK_UPDATE=1 go test -count=1 -run TestTheTable .

// The table and the list of promises stand between these lines of README.md.
const (
	beginTable = "<!-- The table is written by go generate ./storage. -->\n"
	endTable   = "<!-- End of the table. -->\n"
)

// notYetRun are the drivers whose suite nobody has run yet, since it needs a
// server that cannot be had everywhere. Whoever runs it takes the name out.
var notYetRun = []string{"sqlserver"}

// onDouble are the drivers whose suite has run against a double of the server
// only. Whoever runs it against the server takes the name out.
var onDouble = []string{"cosmos"}

func TestTheTableIsWhatTheSuiteFound(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), beginTable)
	_, after, ends := strings.Cut(rest, endTable)
	if !begins || !ends {
		t.Fatalf("README.md has no lines %q and %q", beginTable, endTable)
	}
	want := before + beginTable + table(t) + endTable + after
	if want == string(text) {
		return
	}
	if os.Getenv("DAYBOOK_UPDATE") == "" {
		t.Fatal("README.md does not show what the suite found; go generate ./storage writes it anew")
	}
	if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// table renders what the suite found of each driver, and all promises.
func table(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("*", "testdata", "promises.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no results: %v", err)
	}
	var names []string
	found := map[string]map[string]string{}
	for _, file := range files {
		name := filepath.Dir(filepath.Dir(file))
		results, err := storagetest.ReadResults(file)
		if err != nil {
			t.Fatal(err)
		}
		names, found[name] = append(names, name), results
	}
	for _, name := range notYetRun {
		if found[name] != nil {
			t.Errorf("the suite has run for %s: it is no longer one of those that have not", name)
		}
	}
	names = append(names, notYetRun...)
	slices.Sort(names)
	var text strings.Builder
	fmt.Fprintf(&text, "\n| feature | promises | %s |\n|---|---:|%s\n", strings.Join(names, " | "), strings.Repeat(":---:|", len(names)))
	for _, feature := range storagetest.Features() {
		promises := promisesOf(feature)
		fmt.Fprintf(&text, "| %s | %d |", feature, len(promises))
		for _, name := range names {
			fmt.Fprintf(&text, " %s |", cell(t, name, found[name], promises))
		}
		text.WriteString("\n")
	}
	text.WriteString("\n## The promises\n\nEach says, in italics, what it means when a driver breaks it.\n")
	for _, feature := range storagetest.Features() {
		fmt.Fprintf(&text, "\n**%s**\n\n", feature)
		for _, p := range promisesOf(feature) {
			fmt.Fprintf(&text, "- %s. *%s*\n", p.Name, p.Sentence)
		}
	}
	return text.String() + "\n"
}

func promisesOf(feature storagetest.Feature) []storagetest.Promise {
	return slices.DeleteFunc(storagetest.Promises(), func(p storagetest.Promise) bool { return p.Feature != feature })
}

// cell says how many of the promises a driver keeps. A driver that does not
// outlive its process was not asked for the promises of reopening.
func cell(t *testing.T, driver string, found map[string]string, promises []storagetest.Promise) string {
	t.Helper()
	if slices.Contains(notYetRun, driver) {
		return "?"
	}
	kept := 0
	for _, p := range promises {
		switch outcome, known := found[string(p.Feature)+": "+p.Name]; {
		case outcome == "kept":
			kept++
		case !known && p.Feature != storagetest.Reopening:
			t.Errorf("the results of %s say nothing of the promise %q; go generate ./storage asks again", driver, p.Name)
		case known && outcome != "not offered":
			t.Errorf("%s: the promise %q is %s", driver, p.Name, outcome)
		}
	}
	if kept > 0 && slices.Contains(onDouble, driver) {
		return "?"
	}
	switch kept {
	case len(promises):
		return "✓"
	case 0:
		return "–"
	default:
		return fmt.Sprintf("%d of %d", kept, len(promises))
	}
}
