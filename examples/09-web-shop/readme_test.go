package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook/daytest"
)

// consoles finds the sessions of README.md, words the words of a command.
var (
	consoles = regexp.MustCompile("(?s)```console\n(.*?)```")
	words    = regexp.MustCompile(`'[^']*'|\S+`)
)

// TestTheREADMEIsTrue carries out the walk through and compares every answer.
func TestTheREADMEIsTrue(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	clock := daytest.NewClock(time.Date(2026, time.May, 4, 10, 0, 0, 0, time.UTC))
	address := serveShop(t, openStore(t, clock), clock)
	commands, variables := 0, map[string]string{}
	for _, console := range consoles.FindAllStringSubmatch(string(text), -1) {
		var want strings.Builder
		command, session := "", ""
		check := func() {
			if name, value, assigns := strings.Cut(command, "="); assigns && !strings.Contains(name, " ") {
				variables[name] = value
				session += "$ " + command + "\n"
			} else if command != "" {
				commands++
				session += "$ " + command + "\n" + curl(t, address, os.Expand(command, func(name string) string { return variables[name] }))
			}
			command = ""
		}
		for line := range strings.Lines(console[1]) {
			want.WriteString(line)
			switch {
			case line == "# an hour later\n":
				check()
				clock.Advance(time.Hour)
				session += line
			case strings.HasPrefix(line, "$ "):
				check()
				command = strings.TrimSpace(line[2:])
			}
		}
		check()
		if session != want.String() {
			t.Errorf("README.md says\n%s\nbut it is\n%s", want.String(), session)
		}
	}
	if commands == 0 {
		t.Error("README.md has no commands")
	}
}

// curl carries out what curl would.
func curl(t *testing.T, address, command string) string {
	t.Helper()
	method, url, body, header := http.MethodGet, "", "", http.Header{}
	list := words.FindAllString(command, -1)
	for i := range list {
		list[i] = strings.Trim(list[i], "'")
	}
	for i := 1; i < len(list); i++ {
		switch list[i] {
		case "-s":
		case "-X":
			i++
			method = list[i]
		case "-d":
			i++
			body = list[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(list[i], ": ")
			header.Set(name, value)
		default:
			url = strings.Replace(list[i], "localhost:8080", address, 1)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestTheREADMENamesEveryError(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range refusals {
		if line := regexp.MustCompile(fmt.Sprintf("(?m)^\\| %d .*`%s`", row.status, row.code)); !line.Match(text) {
			t.Errorf("README.md does not tell of %d %s", row.status, row.code)
		}
	}
}
