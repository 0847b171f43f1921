package daybook_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheCodeOfTheREADMEIsThatOfTheExample(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(readme), "```go\n")
	shown, _, _ = strings.Cut(shown, "```")
	_, body, _ := strings.Cut(string(source), "func Example() {\n")
	body, _, _ = strings.Cut(body, "\t// Output:")
	if got := strings.ReplaceAll("\n"+body, "\n\t", "\n")[1:]; got != shown {
		t.Errorf("README.md shows\n%s\nbut the example is\n%s", shown, got)
	}
}

// partOf finds the pieces of code that are part of an example.
var partOf = regexp.MustCompile("<!-- The code is part of ([^;]+); a test compares the two. -->\n```go\n((?s:.*?))```")

func TestCodeThatIsPartOfAnExampleStandsThere(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := partOf.FindAllStringSubmatch(string(readme), -1)
	if len(parts) == 0 {
		t.Fatal("README.md has no such code")
	}
	for _, part := range parts {
		source, err := os.ReadFile(part[1])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(source), part[2]) && !strings.Contains(strings.ReplaceAll(string(source), "\n\t", "\n"), part[2]) {
			t.Errorf("README.md shows\n%sbut %s does not have it", part[2], part[1])
		}
	}
}

// A piece of Go in README.md that names no source would not be compiled.
func TestEveryPieceOfCodeOfTheREADMENamesItsSource(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	pieces := strings.Count(string(readme), "```go\n")
	named := 1 + len(partOf.FindAllString(string(readme), -1)) // the first is Example
	if pieces != named {
		t.Errorf("README.md has %d pieces of Go, and says of %d where they stand", pieces, named)
	}
}

func TestTheBankOfTheREADMEFitsOnAScreen(t *testing.T) {
	const screen = 64 // lines
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range partOf.FindAllStringSubmatch(string(readme), -1) {
		if part[1] == "aggregate/example_bank_test.go" {
			if lines := strings.Count(part[2], "\n"); lines > screen {
				t.Errorf("the bank has %d lines, more than %d", lines, screen)
			}
			return
		}
	}
	t.Error("README.md does not show the bank")
}

// links finds the relative links of a Markdown text.
var links = regexp.MustCompile(`\]\(([^):#]+)(#[^)]*)?\)`)

// code finds the pieces of code of a Markdown text, which hold no links.
var code = regexp.MustCompile("(?s)```.*?```")

func TestEveryLinkOfTheDocumentsLeadsSomewhere(t *testing.T) {
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (entry.Name()[0] == '.' || entry.Name() == "bin" || entry.Name() == "node_modules"):
			return filepath.SkipDir
		case filepath.Ext(name) != ".md":
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, link := range links.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(name), link[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", name, link[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
