package sqlserver

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// goldenFile has all the SQL that the driver sends. No server has run it here:
// whoever changes it sees the change there, and runs the suite on a server, or
// at least a parser of SQL Server over it (docs/sqlserver.md).
var goldenFile = filepath.Join("testdata", "statements.sql")

func TestTheSQLIsThatOfTheGoldenText(t *testing.T) {
	got := []byte(strings.Join(allSQL(t), "\nGO\n") + "\nGO\n")
	if os.Getenv("DAYBOOK_UPDATE") != "" {
		if err := os.WriteFile(goldenFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	before, after := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(before), len(after)) {
		if before[i] != after[i] {
			t.Fatalf("line %d of the SQL is\n%s\nand was\n%s\nDAYBOOK_UPDATE=1 go test -run Golden writes it anew", i+1, after[i], before[i])
		}
	}
	t.Fatalf("the SQL has %d lines, and had %d; DAYBOOK_UPDATE=1 go test -run Golden writes it anew", len(after), len(before))
}

// allSQL returns what makes a store, all statements, and queries with every
// part that a read can have; each begins with a comment that names it.
func allSQL(t *testing.T) []string {
	t.Helper()
	d := &Driver{options: Options{Schema: "day]book's"}}
	d.sql = newStatements(d.options.Schema)
	script, err := d.script(0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	add := func(name, text string) { all = append(all, "-- "+name+"\n"+strings.TrimSpace(text)) }
	for i, batch := range script {
		add(fmt.Sprintf("migrate %d", i+1), batch)
	}
	s := &d.sql
	for _, each := range []struct{ name, text string }{
		{"server", serverQuery}, {"migration turn", migrationTurn},
		{"append", s.appends}, {"import", s.importing}, {"stands", s.stands}, {"delete stream", s.deleteStream}, {"remove hidden", s.removeHidden},
		{"receipts", s.receipts}, {"known", s.known}, {"head", s.head}, {"end", s.end}, {"changesets", s.changesets}, {"claim", s.claim},
		{"deletion", s.deletion}, {"deletions", s.deletions}, {"hidden streams", s.hiddenStreams}, {"counts", s.counts},
	} {
		add(each.name, each.text)
	}
	query := func(name string, text string, values []any) {
		used := map[string]bool{}
		for _, parameter := range regexp.MustCompile(`@p\d+`).FindAllString(text, -1) {
			used[parameter] = true
		}
		if len(used) != len(values) {
			t.Errorf("%s: %d values for %d parameters", name, len(values), len(used))
		}
		add(name, text)
	}
	id, at := daybook.StreamID{Partition: "p", Name: "account-1"}, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	text, values := d.streamQuery(id, &daybook.StreamRead{}, 1, 9, 100)
	query("read stream", text, values)
	text, values = d.streamQuery(id, &daybook.StreamRead{Until: at, Backwards: true}, 1, 9, 100)
	query("read stream backwards, up to a time", text, values)
	for _, read := range logReads(at) {
		text, values = d.logQuery(&read.read, 1, 9, 100)
		query("read log, "+read.name, text, values)
	}
	text, values = d.listQuery(&daybook.StreamList{After: id, Filter: daybook.Filter{Partitions: []string{"", "p"}, StreamTypes: []string{"account"}}}, 100)
	query("list streams", text, values)
	return all
}

type logRead struct {
	name string
	read daybook.LogRead
}

// logReads returns reads of the log with every part that a filter can have.
func logReads(until time.Time) []logRead {
	items := []daybook.QueryItem{{Types: []string{"opened", "closed"}}, {Types: []string{"deposited"}, Tags: []string{"a", "b"}}, {Tags: []string{"c"}}}
	many := make([]daybook.QueryItem, sqlstore.MaxBranches+1)
	for i := range many {
		many[i].Types = []string{fmt.Sprint("type", i)}
	}
	return []logRead{
		{"all", daybook.LogRead{}},
		{"backwards, up to a time", daybook.LogRead{Backwards: true, Until: until}},
		{"types and tags", daybook.LogRead{Filter: daybook.Filter{Query: daybook.Query{Items: items}}}},
		{"types and tags of streams", daybook.LogRead{Filter: daybook.Filter{
			Partitions: []string{"p"}, StreamTypes: []string{"account"}, Query: daybook.Query{Items: items[:1]},
		}}},
		{"types of streams", daybook.LogRead{Filter: daybook.Filter{StreamTypes: []string{"account", "user"}}}},
		{"partitions", daybook.LogRead{Filter: daybook.Filter{Partitions: []string{"p", "q"}}}},
		{"the default partition", daybook.LogRead{Filter: daybook.Filter{Partitions: []string{""}}}},
		{"one item selects all", daybook.LogRead{Filter: daybook.Filter{Query: daybook.Query{Items: append(items[:1:1], daybook.QueryItem{})}}}},
		{"more items than are served", daybook.LogRead{Filter: daybook.Filter{StreamTypes: []string{"account"}, Query: daybook.Query{Items: many}}}},
	}
}

// notCode finds comments, quoted texts and quoted names.
var notCode = regexp.MustCompile(`(?m)--.*$|N?'(?:[^']|'')*'|\[(?:[^]]|\]\])*\]`)

// code returns a text of SQL without its comments, its texts and names empty.
func code(text string) string {
	return notCode.ReplaceAllStringFunc(text, func(found string) string {
		switch found[0] {
		case '-':
			return ""
		case '[':
			return "[]"
		}
		return "''"
	})
}

// It checks what can be checked without a grammar: that nothing is left open,
// that no placeholder is left, and that no dialect of others has crept in. That
// the server takes it, it does not say.
func TestTheSQLIsWhole(t *testing.T) {
	begins, ends := regexp.MustCompile(`(?i)\b(BEGIN|CASE)\b`), regexp.MustCompile(`(?i)\bEND\b`)
	foreign := regexp.MustCompile(`(?i)\b(LIMIT|LATERAL|RETURNING|ILIKE|unnest|jsonb|bytea|timestamptz|boolean|uuid|plpgsql)\b|::|\$\d|\bON CONFLICT\b|\bTRUE\b|\bFALSE\b`)
	for _, text := range allSQL(t) {
		name, _, _ := strings.Cut(text, "\n")
		bare := code(text)
		if i := strings.IndexAny(bare, "{}"); i >= 0 {
			t.Errorf("%s: a placeholder is left: %.40s", name, bare[i:])
		}
		if found := foreign.FindString(bare); found != "" {
			t.Errorf("%s: %q is not of this dialect", name, found)
		}
		opened, closed := strings.Count(bare, "("), strings.Count(bare, ")")
		if opened != closed {
			t.Errorf("%s: %d parentheses are opened, %d closed", name, opened, closed)
		}
		blocks := regexp.MustCompile(`(?i)\b(BEGIN|COMMIT|SET) TRANSACTION\b`).ReplaceAllString(bare, "")
		opened, closed = len(begins.FindAllString(blocks, -1)), len(ends.FindAllString(blocks, -1))
		if opened != closed {
			t.Errorf("%s: %d of BEGIN and CASE, %d of END", name, opened, closed)
		}
	}
}

func TestEveryProcedureEndsTheTransactionThatItBeginsBeforeItAnswers(t *testing.T) {
	// A SELECT that is a statement, and where what it selects goes.
	answers := regexp.MustCompile(`(?:;|\bBEGIN|\bELSE)\s+SELECT\s+(?:TOP \(\d+\)\s+)?(.)`)
	changes := 0
	for _, text := range allSQL(t) {
		bare := code(text)
		begins, commits := strings.Count(bare, "BEGIN TRANSACTION"), strings.Count(bare, "COMMIT TRANSACTION")
		if begins != commits {
			t.Errorf("%.60s: %d transactions begin, %d are committed", text, begins, commits)
		}
		if begins == 0 {
			continue
		}
		changes++
		inside := bare[strings.Index(bare, "BEGIN TRANSACTION"):strings.Index(bare, "COMMIT TRANSACTION")]
		for _, found := range answers.FindAllStringSubmatch(inside, -1) {
			if found[1] != "@" {
				t.Errorf("%.60s: a result is sent before the commit, a slow client would hold the turn: %s", text, found[0])
			}
		}
		if !strings.Contains(bare, "XACT_ABORT ON") || !strings.Contains(bare, "READ COMMITTED") {
			t.Errorf("%.60s: XACT_ABORT or the isolation level is not set", text)
		}
	}
	if changes != 4 {
		t.Errorf("%d procedures change the log, want append, delete_stream, remove_hidden and import", changes)
	}
}

func TestTheCallsHaveAsManyParametersAsTheProcedures(t *testing.T) {
	s := newStatements("daybook")
	declared := map[string]int{}
	for _, batch := range procedures(t, s) {
		if found := regexp.MustCompile(`(?s)CREATE OR ALTER PROCEDURE \[daybook\]\.(\w+)(.*?)\nAS\n`).FindStringSubmatch(batch); found != nil {
			declared[found[1]] = strings.Count(found[2], "@")
		}
	}
	for name, call := range map[string]string{"append": s.appends, "import": s.importing, "delete_stream": s.deleteStream, "remove_hidden": s.removeHidden} {
		if n := strings.Count(call, "@p"); n != declared[name] || n == 0 {
			t.Errorf("%s is called with %d arguments, and has %d parameters", name, n, declared[name])
		}
	}
}

func procedures(t *testing.T, s statements) []string {
	t.Helper()
	batches, err := s.script("procedures")
	if err != nil {
		t.Fatal(err)
	}
	return batches
}
