package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook/httpapi"
)

// given stands in for what no two runs have in common.
var given = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// command is a command of the documentation and what it prints.
type command struct{ text, prints string }

func documented(t *testing.T) (page string, commands []command) {
	t.Helper()
	raw, err := os.ReadFile("../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(raw), -1) {
		for _, text := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			end := commandEnd(text)
			commands = append(commands, command{text[:end], strings.TrimPrefix(text[end:], "\n")})
		}
	}
	return string(raw), commands
}

// commandEnd returns where the first line ends that ends outside of quotes.
func commandEnd(text string) int {
	quoted := false
	for i, c := range text {
		if c == '\'' {
			quoted = !quoted
		}
		if c == '\n' && !quoted {
			return i
		}
	}
	return len(text)
}

func TestTheDocumentationShowsWhatHappens(t *testing.T) {
	s := serve(t, &httpapi.Options{Version: "0.1.0"})
	_, commands := documented(t)
	if len(commands) < 15 {
		t.Fatalf("only %d commands were found", len(commands))
	}
	for _, c := range commands {
		got, want := s.curl(c), c.prints
		if normal(got) != normal(want) {
			t.Errorf("%s\nprints\n%s\nand not\n%s", c.text, got, want)
		}
	}
}

// curl does what the command line says, and returns what it prints.
func (s *server) curl(c command) string {
	s.t.Helper()
	var words []string
	for _, word := range regexp.MustCompile(`'[^']*'|[^\s']+`).FindAllString(c.text, -1) {
		words = append(words, strings.Trim(word, "'"))
	}
	method, path, body, live, head := "GET", "", "", false, false
	var header []string
	for i := 1; i < len(words); i++ {
		switch word := words[i]; word {
		case "-d":
			i++
			method, body = "POST", words[i]
		case "-X":
			i++
			method = words[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			header = append(header, name, value)
		case "-N":
			live = true
		case "-i":
			head = true
		default:
			path = strings.TrimPrefix(word, "localhost:7070")
		}
	}
	if live {
		response := s.open(method, path, http.NoBody, header...)
		defer response.Body.Close()
		var printed []byte
		for bytes.Count(printed, []byte("\n")) < strings.Count(c.prints, "\n") {
			piece := make([]byte, 1)
			if _, err := io.ReadFull(response.Body, piece); err != nil {
				s.t.Fatal(err)
			}
			printed = append(printed, piece...)
		}
		return string(printed)
	}
	r := s.do(method, path, body, header...)
	printed := string(r.body)
	if head {
		var lines []string
		for name, values := range r.header {
			if name != "Date" && name != "Content-Length" && name != "X-Request-Id" {
				lines = append(lines, name+": "+values[0])
			}
		}
		slices.Sort(lines)
		printed = "HTTP/1.1 200 OK\n" + strings.Join(lines, "\n") + "\n\n" + printed
	}
	return printed
}

// normal returns a text without what differs from run to run, and without the
// white space of native JSON, which the page wraps for readers.
func normal(text string) string {
	text = strings.TrimSpace(given.ReplaceAllString(text, "…"))
	var compacted bytes.Buffer
	if !strings.HasPrefix(text, "{\n    \"") && json.Compact(&compacted, []byte(text)) == nil {
		return compacted.String()
	}
	return text
}

func TestTheDocumentationListsEveryErrorCode(t *testing.T) {
	page, _ := documented(t)
	for _, code := range document.Components.Schemas["Error"].Value.Properties["error"].Value.Enum {
		if !strings.Contains(page, "`"+code.(string)+"`") {
			t.Errorf("docs/http.md does not tell of %s", code)
		}
	}
	for _, r := range regexp.MustCompile("`(GET|POST|DELETE)[^`]* (/[^`]*)`").FindAllStringSubmatch(page, -1) {
		if _, item := find(strings.ReplaceAll(r[2], "{id}", "x")); item == nil {
			t.Errorf("docs/http.md tells of %s, which openapi.json does not know", r[2])
		}
	}
}
