package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

func grant(t *testing.T, address, role string, rights postgres.Rights) {
	t.Helper()
	if err := postgres.Grant(t.Context(), address, role, rights); err != nil {
		t.Fatal(err)
	}
}

// denied checks that the server refuses every one of the statements for lack of
// rights. {store} is the schema.
func denied(t *testing.T, address string, statements ...string) {
	t.Helper()
	connection := connect(t, address)
	for _, sql := range statements {
		_, err := connection.Exec(t.Context(), sql)
		if from, ok := errors.AsType[*pgconn.PgError](err); !ok || from.Code != "42501" {
			t.Errorf("%s: %v, want that it is denied", sql, err)
		}
	}
}

// raw are statements that change the tables of a store past its functions.
func raw(schema string) []string {
	var all []string
	for _, table := range []string{"events", "store", "streams", "claims", "tags", "changesets", "deletions", "hidden", "deleted_changesets", "promised", "promised_events", "granted"} {
		all = append(all, fmt.Sprintf("DELETE FROM %s.%s", schema, table), fmt.Sprintf("TRUNCATE %s.%s", schema, table), fmt.Sprintf("DROP TABLE %s.%s", schema, table),
			fmt.Sprintf("INSERT INTO %s.%s DEFAULT VALUES", schema, table))
	}
	return append(all, "UPDATE "+schema+".events SET json = '{}'", "UPDATE "+schema+".store SET position = 0", "ALTER TABLE "+schema+".events DISABLE TRIGGER ALL",
		"CREATE TABLE "+schema+".mine (x int)", "SELECT "+schema+".make_room_behind(0, 1)", "SELECT "+schema+".settle_promised(now(), 0, 0)",
		"SELECT "+schema+".take_turn(NULL)", "SELECT "+schema+".store_besides('{}', '{}', '{}', '{}', '{}', '{}', '{}')",
		"SELECT "+schema+".grant_rights(current_user::text, 'deleter')")
}

func TestAWriterAppendsAndReadsAndChangesNothing(t *testing.T) {
	address := freshSchema(t)
	owner := daybook.New(open(t, address, nil), nil)
	name := newRole(t, address)
	plain := as(t, address, name, secret)
	if _, err := postgres.Open(t.Context(), plain, nil); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("a role without rights has opened the store: %v", err)
	}
	grant(t, address, name, postgres.RightsWriter)
	d := open(t, plain, &postgres.Options{NoMigration: true})
	store := daybook.New(d, nil)
	for n := range 5 { // by append, then by append_known
		if _, err := store.AppendAll(t.Context(), one("a", daybook.ExpectVersion(daybook.Version(n)), "x")); err != nil {
			t.Fatal(err)
		}
	}
	rich := one("b", daybook.ExpectNone(), "rich")
	c := &rich.Changesets[0]
	c.Claims, c.References, c.Metadata, c.Events[0].Tags = []daybook.Claim{{Kind: "k", Value: "v"}}, []daybook.StreamID{daybook.Stream("a")}, []byte("{}"), []string{"t"}
	rich.Condition = &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"none"}}}}}
	if _, err := store.AppendAll(t.Context(), rich); err != nil {
		t.Fatal(err)
	}
	if receipt, err := store.AppendAll(t.Context(), rich); err != nil || !receipt.Repeated {
		t.Errorf("a repeat: %+v %v", receipt, err)
	}
	tx, err := connect(t, plain).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AppendTx(t.Context(), tx, one("c", daybook.ExpectNone(), "promised")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if readsAll(t, store); t.Failed() {
		return
	}
	if end, err := owner.End(t.Context()); err != nil || end != 7 {
		t.Errorf("the owner sees the log end at %d %v, want 7", end, err)
	}
	denied(t, plain, raw(postgres.Schema(d))...)
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("a")}); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("a writer has deleted a stream: %v", err)
	}
	// A role cannot lead a function astray by names of its own.
	connection := connect(t, plain)
	for _, sql := range []string{"CREATE TEMP TABLE store (x int)", "SET search_path = pg_temp"} {
		if _, err := connection.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	tx, err = connection.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.AppendTx(t.Context(), tx, one("d", daybook.ExpectNone(), "promised")); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Error(err)
	}
}

// readsAll checks that a store of 7 records can be read in every way.
func readsAll(t *testing.T, store *daybook.Store) {
	t.Helper()
	count := 0
	for _, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		count++
	}
	if count != 7 {
		t.Errorf("read %d records, want 7", count)
	}
	for _, err := range store.ReadStream(t.Context(), daybook.Stream("b"), daybook.StreamRead{}) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, err := range store.ListStreams(t.Context(), daybook.StreamList{}) {
		if err != nil {
			t.Error(err)
		}
	}
	for _, err := range store.ReadDeletions(t.Context(), daybook.DeletionRead{}) {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := store.Head(t.Context(), daybook.Stream("a")); err != nil {
		t.Error(err)
	}
	if _, err := store.Stats(t.Context()); err != nil {
		t.Error(err)
	}
	if _, held, err := store.ClaimHolder(t.Context(), "", daybook.Claim{Kind: "k", Value: "v"}); err != nil || !held {
		t.Errorf("the claim: %v %v", held, err)
	}
	if err := store.Wait(t.Context(), 6); err != nil {
		t.Error(err)
	}
}

func TestAReaderReadsAndCannotAppend(t *testing.T) {
	address := freshSchema(t)
	tm := &team{T: t, address: address, driver: open(t, address, nil)}
	tm.store = daybook.New(tm.driver, nil)
	for range 5 {
		tm.append(one("a", daybook.ExpectAny(), "x"))
	}
	b := one("b", daybook.ExpectAny(), "x")
	b.Changesets[0].Claims = []daybook.Claim{{Kind: "k", Value: "v"}}
	tm.append(b)
	name := newRole(t, address)
	plain := as(t, address, name, secret)
	grant(t, address, name, postgres.RightsReader)
	d := open(t, plain, nil)
	store := daybook.New(d, nil)
	// What is promised the reader settles: that only carries out what is decided.
	tx := tm.begin(connect(t, address))
	tm.promise(tx, one("c", daybook.ExpectNone(), "promised"))
	tm.commit(tx)
	readsAll(t, store)
	if _, err := store.AppendAll(t.Context(), one("a", daybook.ExpectAny(), "x")); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("a reader has appended: %v", err)
	}
	tx = tm.begin(connect(t, plain))
	if _, err := d.AppendTx(t.Context(), tx, one("a", daybook.ExpectAny(), "x")); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("a reader has appended in a transaction: %v", err)
	}
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("a")}); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("a reader has deleted a stream: %v", err)
	}
	denied(t, plain, raw(postgres.Schema(d))...)
}

func TestADeleterDeletesAndDoesNotImport(t *testing.T) {
	address := freshSchema(t)
	owner := daybook.New(open(t, address, nil), nil)
	if _, err := owner.AppendAll(t.Context(), one("a", daybook.ExpectAny(), "x")); err != nil {
		t.Fatal(err)
	}
	name := newRole(t, address)
	plain := as(t, address, name, secret)
	grant(t, address, name, postgres.RightsDeleter)
	d := open(t, plain, nil)
	store := daybook.New(d, nil)
	if receipt, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("a"), Scrub: true}); err != nil || !receipt.Scrubbed {
		t.Errorf("the deletion: %+v %v", receipt, err)
	}
	if _, err := store.AppendAll(t.Context(), one("a", daybook.ExpectVersion(1), "x")); err != nil {
		t.Error(err)
	}
	denied(t, plain, raw(postgres.Schema(d))...)
	grant(t, address, name, postgres.RightsReader)
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("a")}); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("a right that was taken away is still there: %v", err)
	}
	grant(t, address, name, postgres.RightsNone)
	if _, err := store.End(t.Context()); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("all rights were taken away, and the role reads: %v", err)
	}
}

func TestRightsOutliveAMigration(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	name := newRole(t, address)
	plain := as(t, address, name, secret)
	grant(t, address, name, postgres.RightsWriter)
	// As a migration does with functions of another form.
	for _, sql := range []string{"DROP FUNCTION {store}.append, {store}.append_known, {store}.promise, {store}.settle", "DROP VIEW {store}.records", "UPDATE {store}.store SET version = 2"} {
		if _, err := postgres.Pool(d).Exec(t.Context(), strings.ReplaceAll(sql, "{store}", postgres.Schema(d))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := postgres.Pool(d).Exec(t.Context(), postgres.Remake(t, d)); err != nil {
		t.Fatal(err)
	}
	store := daybook.New(open(t, plain, nil), nil)
	if _, err := store.AppendAll(t.Context(), one("a", daybook.ExpectAny(), "x")); err != nil {
		t.Error(err)
	}
	if _, err := connect(t, plain).Exec(t.Context(), "SELECT * FROM "+postgres.Schema(d)+".records"); err != nil {
		t.Error(err)
	}
}

func TestGrantingSaysWhatIsWrong(t *testing.T) {
	address := freshSchema(t)
	var version *postgres.VersionError
	if err := postgres.Grant(t.Context(), address, "postgres", postgres.RightsReader); !errors.As(err, &version) || version.Found != 0 {
		t.Errorf("where there is no store: %v", err)
	}
	open(t, address, nil)
	if err := postgres.Grant(t.Context(), address, "nobody there", postgres.RightsReader); !errors.Is(err, daybook.ErrInvalid) {
		t.Errorf("to a role that is not there: %v", err)
	}
	if err := postgres.Grant(t.Context(), address, "postgres", "admin"); !errors.Is(err, daybook.ErrInvalid) {
		t.Errorf("rights that there are not: %v", err)
	}
	name := newRole(t, address)
	plain := as(t, address, name, secret)
	grant(t, address, name, postgres.RightsWriter)
	if err := postgres.Grant(t.Context(), plain, name, postgres.RightsDeleter); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("a writer has granted itself more: %v", err)
	}
}
