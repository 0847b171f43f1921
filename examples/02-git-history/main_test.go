package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// program is the command line, built for the test.
func program(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "daybook")
	if out, err := exec.Command("go", "build", "-o", name, "../../cmd/daybook").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return name
}

// needGit skips the test where there is no git.
func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("SKIPPED: git is not on this machine; it is what this example reads")
	}
}

// imported exports the history of a repository, imports it into a store, and
// returns how to run the command line on that store.
func imported(t *testing.T, repository string) (history []byte, daybook func(args ...string) string) {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), repository, &out); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "history.ndjson")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	name := program(t)
	daybook = func(args ...string) string {
		t.Helper()
		command := exec.Command(name, append(args, "--store", "file:"+filepath.Join(dir, "history"))...)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("daybook %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
		}
		return string(out)
	}
	daybook("import", "--from", file)
	return out.Bytes(), daybook
}

// git runs git in a repository of the test, with nothing of this machine.
func git(t *testing.T, dir, date string, args ...string) {
	t.Helper()
	command := exec.Command("git", append([]string{"-C", dir}, args...)...)
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org", "GIT_COMMITTER_NAME=Bob", "GIT_COMMITTER_EMAIL=bob@example.org",
		"GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// repository makes a small history: files that are added, modified, renamed
// and deleted, a clock that goes back, a merge with a change of its own.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	day := func(n string) string { return "2020-01-" + n + "T12:00:00Z" }
	git(t, dir, day("01"), "init", "-q", "-b", "main")
	write(t, dir, "tale.txt", "once\nupon\na\ntime\n")
	write(t, dir, "odd name äö.txt", "odd\n")
	git(t, dir, day("01"), "add", ".")
	git(t, dir, day("01"), "commit", "-q", "-m", "begin")
	git(t, dir, day("05"), "mv", "tale.txt", "story.txt")
	git(t, dir, day("05"), "commit", "-q", "-m", "rename")
	write(t, dir, "tale.txt", "another\n")
	git(t, dir, day("05"), "add", ".")
	git(t, dir, day("05"), "commit", "-q", "-m", "\"begin\" again")
	git(t, dir, day("02"), "checkout", "-q", "-b", "side")
	write(t, dir, "story.txt", "once\nupon\na\ntime\nside\n")
	git(t, dir, day("02"), "commit", "-q", "-a", "-m", "a clock that goes back")
	git(t, dir, day("06"), "checkout", "-q", "main")
	write(t, dir, "story.txt", "once\nupon\na\ntime\nmain\n")
	git(t, dir, day("06"), "commit", "-q", "-a", "-m", "beside it")
	git(t, dir, day("07"), "merge", "-q", "--no-commit", "-s", "ours", "side")
	write(t, dir, "story.txt", "once\nupon\na\ntime\nboth\n")
	git(t, dir, day("07"), "commit", "-q", "-a", "-m", "merge")
	git(t, dir, day("08"), "rm", "-q", "tale.txt")
	git(t, dir, day("08"), "commit", "-q", "--allow-empty-message", "-m", "")
	return dir
}

func TestHistoryIsImportedAsItHappened(t *testing.T) {
	needGit(t)
	history, daybook := imported(t, repository(t))
	got := daybook("log", "--json")
	if got != string(history) {
		t.Errorf("the store has\n%swant what was imported\n%s", got, history)
	}
	var lines []string
	for text := range strings.Lines(got) {
		var r record
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%d %s %d: %s +%d -%d, happened %s, recorded %s", r.Position, r.Stream, r.Version, r.Type,
			r.Data.LinesAdded, r.Data.LinesDeleted, r.OccurredAt.Format("02"), r.RecordedAt.Format("02")))
	}
	want := []string{
		"1 file-odd name äö.txt 1: added +1 -0, happened 01, recorded 01",
		"2 file-tale.txt 1: added +4 -0, happened 01, recorded 01",
		"3 file-tale.txt 2: renamed +0 -0, happened 05, recorded 05",
		"4 file-story.txt 1: renamed +0 -0, happened 05, recorded 05",
		"5 file-tale.txt 3: added +1 -0, happened 05, recorded 05",
		"6 file-story.txt 2: modified +1 -0, happened 06, recorded 06",
		"7 file-story.txt 3: modified +1 -0, happened 02, recorded 06",
		"8 file-story.txt 4: modified +1 -1, happened 07, recorded 07",
		"9 file-tale.txt 4: deleted +0 -1, happened 08, recorded 08",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("the history is\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if out := daybook("read", "file-story.txt", "--limit", "1", "--json"); !strings.Contains(out, `"from":"tale.txt"`) || !strings.Contains(out, `"references":[{"stream_id":"file-tale.txt"}]`) {
		t.Errorf("the rename does not tell the old name: %s", out)
	}
	if out := daybook("log", "--tag", "author:ann@example.org", "--type", "deleted"); strings.Count(out, "\n") != 1 {
		t.Errorf("the log by author and type is:\n%s", out)
	}
	if out := daybook("verify"); !strings.HasPrefix(out, "sound: ") {
		t.Error(out)
	}
}

func TestHistoryOfThisProjectIsSound(t *testing.T) {
	needGit(t)
	if err := exec.Command("git", "rev-parse", "HEAD").Run(); err != nil {
		t.Skip("SKIPPED: this is not a git checkout; the test above has a repository of its own")
	}
	history, daybook := imported(t, ".")
	lines := bytes.Count(history, []byte("\n"))
	if got := strings.Count(daybook("log", "--json"), "\n"); got != lines || lines == 0 {
		t.Errorf("the log has %d records, %d were imported", got, lines)
	}
	var first record
	if err := json.Unmarshal(history[:bytes.IndexByte(history, '\n')], &first); err != nil {
		t.Fatal(err)
	}
	if out := daybook("log", "--tag", first.Tags[0]); !strings.Contains(out, first.Stream) {
		t.Errorf("the log by the tag of the first commit lacks %s:\n%s", first.Stream, out)
	}
	if out := daybook("read", first.Stream); !strings.Contains(out, first.Data.Commit) {
		t.Errorf("stream %s lacks its first commit:\n%s", first.Stream, out)
	}
	if out := daybook("verify"); !strings.HasPrefix(out, "sound: ") {
		t.Error(out)
	}
}
