package storagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outcome is what was found about a promise.
type outcome string

const (
	kept       outcome = "kept"
	broken     outcome = "broken"
	notOffered outcome = "not offered"
)

func outcomeOf(t *testing.T) outcome {
	switch {
	case t.Failed():
		return broken
	case t.Skipped():
		return notOffered
	default:
		return kept
	}
}

// resultsFile is where a driver keeps what the suite found, beside its test.
// The table in storage/README.md is made from these files.
const resultsFile = "testdata/promises.txt"

// settleResults writes what was found to the file of results, where
// DAYBOOK_UPDATE asks for it; else it compares the two. What this run did not
// look at is left as it is.
func settleResults(t *testing.T, found map[string]outcome) {
	t.Helper()
	before, err := ReadResults(resultsFile)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if os.Getenv("DAYBOOK_UPDATE") == "" {
		for line, was := range before {
			if is, looked := found[line]; looked && is != broken && string(is) != was {
				t.Errorf("%s says %q of the promise %q, which is %s; go generate ./storage writes it anew", resultsFile, was, line, is)
			}
		}
		return
	}
	var text strings.Builder
	for _, p := range Promises() {
		line := p.Feature.line(p.Name)
		if is, looked := found[line]; looked {
			fmt.Fprintf(&text, "%-12s %s\n", is, line)
		} else if was, known := before[line]; known {
			fmt.Fprintf(&text, "%-12s %s\n", was, line)
		}
	}
	if err := os.MkdirAll(filepath.Dir(resultsFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(resultsFile, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ReadResults returns what a file of results says: "kept", "broken" or "not
// offered" of each promise, by its feature and name ("reading: a stream is
// read as asked").
func ReadResults(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	results := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) < 14 {
			return nil, fmt.Errorf("%s: %q is not an outcome and a promise", file, line)
		}
		results[line[13:]] = strings.TrimSpace(line[:13])
	}
	return results, nil
}
