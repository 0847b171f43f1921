package daybook_test

import (
	"os"
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
