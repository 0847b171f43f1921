package postgres_test

import (
	"bytes"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
	"github.com/daybook-go/daybook/verify"
)

// tool returns the path of a program of PostgreSQL: the newest there is, since
// pg_dump refuses servers that are newer than itself.
func tool(t *testing.T, name string) string {
	t.Helper()
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 { // the pattern is right
		return slices.Max(found)
	}
	found, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("NOT TESTED: dumps, since %s is not on this machine", name)
	}
	return found
}

func TestDumpThatIsRestoredIsTheSameStore(t *testing.T) {
	address := freshSchema(t)
	schema := schemaOf(t, address)
	store := daybook.New(open(t, address, nil), nil)
	first, err := store.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{
		{Stream: daybook.Stream("a-1"), Claims: []daybook.Claim{{Kind: "number", Value: "1"}}, Events: []daybook.Event{
			{Type: "one", Data: []byte(`{"a" : 1e2}`), Tags: []string{"x y", `q"'\`}}, {Type: "two", ContentType: "image/png", Data: []byte{0, 1, 0xff}},
		}},
		{Stream: daybook.Stream("b-1"), References: []daybook.StreamID{daybook.Stream("a-1")}, Events: []daybook.Event{{Type: "one"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("b-1")}); err != nil {
		t.Fatal(err)
	}
	before := wholeLog(t, store)

	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := parsed.Query()
	query.Del("schema")
	parsed.RawQuery = query.Encode()
	dump, err := exec.Command(tool(t, "pg_dump"), "-n", schema, "-d", parsed.String()).Output()
	if err != nil {
		t.Fatal(err)
	}
	execute(t, connect(t, address), "DROP SCHEMA "+schema+" CASCADE")
	restore := exec.Command(tool(t, "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-d", parsed.String())
	restore.Stdin = bytes.NewReader(dump)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}

	restored := daybook.New(open(t, address, &postgres.Options{NoMigration: true}), nil)
	if after := wholeLog(t, restored); !slices.Equal(before, after) {
		t.Errorf("before:\n%q\nafter:\n%q", before, after)
	}
	report, err := verify.Store(t.Context(), restored, nil)
	if err != nil || !report.OK() {
		t.Errorf("%v, %v", report.Findings, err)
	}
	again, err := restored.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectVersion(2), daybook.Event{Type: "three"})
	if err != nil || again.Position() != first.Position()+1 {
		t.Errorf("%+v, %v", again, err)
	}
}

// wholeLog returns what matters of every record.
func wholeLog(t *testing.T, store *daybook.Store) (log []string) {
	t.Helper()
	for record, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		h := record.Changeset
		log = append(log, record.Stream.String(), record.Type, string(record.Data), record.ID.String(), h.AppendID.String(), record.RecordedAt.String())
		log = append(log, record.Tags...)
	}
	return log
}
