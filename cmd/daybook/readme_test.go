package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/daybook-go/daybook/storage/disk"
)

// TestTheWalkThroughOfTheREADMEPrintsWhatItSays runs every command of the
// README's console blocks against a server, which is killed and started again
// between the blocks.
func TestTheWalkThroughOfTheREADMEPrintsWhatItSays(t *testing.T) {
	checkPage(t, "../../README.md", func(dir string, run func(written, real string)) {
		server, err := startServer(dir, "file:"+defaultDir(dir))
		if err != nil {
			t.Fatal(err)
		}
		run("localhost:7070", strings.TrimPrefix(server.url, "http://"))
		server.kill()
	})
}

// TestThePageOfTheCommandLinePrintsWhatItSays runs every command of
// docs/cli.md on a directory.
func TestThePageOfTheCommandLinePrintsWhatItSays(t *testing.T) {
	checkPage(t, "../../docs/cli.md", asWritten)
}

// TestThePagesForOperatorsPrintWhatTheySay runs every command of the pages
// about running a store and about what goes wrong.
func TestThePagesForOperatorsPrintWhatTheySay(t *testing.T) {
	for _, page := range []string{"operations", "when-things-go-wrong"} {
		checkPage(t, "../../docs/"+page+".md", asWritten)
	}
}

// TestMessagesThatNoCommandShowsStandOnThePageAboutWhatGoesWrong looks for the
// messages that take a failing disk.
func TestMessagesThatNoCommandShowsStandOnThePageAboutWhatGoesWrong(t *testing.T) {
	page, err := os.ReadFile("../../docs/when-things-go-wrong.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{&disk.FullError{Err: syscall.ENOSPC}, &disk.FailedError{Err: syscall.EIO}, &disk.UnwritableError{Dir: "D", Err: syscall.EROFS}} {
		message := strings.TrimSuffix(strings.TrimPrefix(err.Error(), "disk: the store in D "), ": "+errors.Unwrap(err).Error())
		if !strings.Contains(string(page), message) {
			t.Errorf("the page does not have %q", message)
		}
	}
}

// asWritten runs a block with all addresses that stand in it.
func asWritten(_ string, run func(written, real string)) { run("localhost:7070", "localhost:7070") }

// checkPage runs the console blocks of a page, each inside of around, and
// compares what they print. What around tells run is an address as it is
// written on the page, and what stands for it. DAYBOOK_UPDATE=1 writes what is
// printed into the page.
func checkPage(t *testing.T, name string, around func(dir string, run func(written, real string))) {
	t.Helper()
	for _, tool := range []string{"bash", "curl", "flock", "dd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: the commands of %s need %s, which is not on this machine", name, tool)
		}
	}
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	updated := string(page)
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		var printed string
		around(dir, func(written, real string) { printed = runBlock(t, dir, written, real, block[1]) })
		if os.Getenv("DAYBOOK_UPDATE") != "" {
			updated = strings.Replace(updated, block[1], printed, 1)
			continue
		}
		if got, want := timeless(printed), timeless(block[1]); got != want {
			t.Errorf("%s is not what the commands print.\nThe page:\n%s\nPrinted:\n%s", name, want, got)
		}
	}
	if updated != string(page) {
		if err := os.WriteFile(name, []byte(updated), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func defaultDir(dir string) string { return filepath.Join(dir, "daybook-data") }

// runBlock runs the commands of a console block, and returns the block with
// what they printed.
func runBlock(t *testing.T, dir, written, real, block string) string {
	t.Helper()
	var printed strings.Builder
	for _, line := range strings.Split(block, "\n") {
		typed, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		command := exec.Command("bash", "-c", strings.NewReplacer(written, real, "bin/daybook", "daybook").Replace(typed))
		command.Dir = dir
		command.Env = append(os.Environ(), storeVariable+"=")
		var out bytes.Buffer
		command.Stdout, command.Stderr = &out, &out
		if err := command.Run(); err != nil {
			t.Errorf("%s: %v\n%s", typed, err, out.String())
		}
		printed.WriteString(line + "\n" + strings.ReplaceAll(out.String(), real, written))
		if !strings.HasSuffix(printed.String(), "\n") {
			printed.WriteByte('\n')
		}
	}
	return printed.String()
}

var (
	times = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	sizes = regexp.MustCompile(`\d[\d,]* bytes|bytes +\d[\d,]*`)
	who   = regexp.MustCompile(`process \d+ on [^,]+,|took=\S+|in \d+m?s\b`)
	forms = regexp.MustCompile(`in version \d+|has version \d+, that`) // of tables
	ids   = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
)

// timeless is text without what differs from run to run.
func timeless(text string) string {
	text = times.ReplaceAllString(text, "TIME")
	text = sizes.ReplaceAllString(text, "BYTES")
	text = who.ReplaceAllString(text, "WHO")
	text = forms.ReplaceAllString(text, "VERSION")
	text = ids.ReplaceAllString(text, "ID")
	return regexp.MustCompile(` {2,}`).ReplaceAllString(text, "  ")
}
