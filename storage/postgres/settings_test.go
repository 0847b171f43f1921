package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// freshDatabase returns the URL of a database that no other test uses, and
// which is dropped when the test ends.
func freshDatabase(t *testing.T, options string, settings ...string) string {
	t.Helper()
	address := serverURL(t, urlVariable, "postgres")
	server := connect(t, address)
	name := fmt.Sprintf("test_%x", rand.Uint64())
	execute(t, server, "CREATE DATABASE "+name+" TEMPLATE template0 "+options)
	t.Cleanup(func() {
		server, err := pgx.Connect(context.Background(), address)
		if err != nil {
			t.Error(err)
			return
		}
		defer server.Close(context.Background())
		if _, err := server.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	for _, setting := range settings {
		execute(t, server, "ALTER DATABASE "+name+" SET "+setting)
	}
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Path = "/" + name
	return parsed.String()
}

// fill appends of everything that a store takes, and returns the log as the
// receipts and the contract say it must be read.
func fill(t *testing.T, store *daybook.Store) {
	t.Helper()
	account := daybook.StreamID{Partition: "Zürich", Name: "Konto-O'Brien\\1"}
	claim := daybook.Claim{Kind: "email", Value: `o'brien\@例え.jp`}
	first := daybook.Append{Changesets: []daybook.Changeset{{
		Stream: account, Expect: daybook.ExpectNone(), Metadata: []byte{0, 0xff, '\\'}, Claims: []daybook.Claim{claim},
		Events: []daybook.Event{
			{Type: "geöffnet", Data: []byte(`{"who":"O'Brien \\u0000 世界"}`), Tags: []string{`a"b\c`, "{x,y}", "straße"}, OccurredAt: time.Date(1850, 1, 2, 3, 4, 5, 6000, time.UTC)},
			{Type: "scanned", ContentType: "image/png", Data: []byte{0, 1, 0xfe, 0xff, '\\', '\''}, Context: daybook.Context{Who: "Zoë", Metadata: []byte{0xff}}},
		},
	}}}
	if _, err := store.AppendAll(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := store.Append(t.Context(), account, daybook.ExpectVersion(daybook.Version(2+i)), daybook.Event{Type: "deposited", Data: fmt.Appendf(nil, `{"€":%d}`, i)}); err != nil {
			t.Fatal(err)
		}
	}
	var conflict *daybook.ConflictError
	if _, err := store.Append(t.Context(), account, daybook.ExpectNone(), daybook.Event{Type: "geöffnet"}); !errors.As(err, &conflict) || conflict.Found.Version != 5 {
		t.Errorf("an append to a stream that is there was answered with %v, want a conflict at version 5", err)
	}
	tagged := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"geöffnet"}, Tags: []string{`a"b\c`, "straße"}}}}
	var condition *daybook.ConditionError
	_, err := store.AppendAll(t.Context(), daybook.Append{
		Condition:  &daybook.Condition{Query: tagged},
		Changesets: []daybook.Changeset{{Stream: daybook.Stream("other-1"), Events: []daybook.Event{{Type: "opened"}}}},
	})
	if !errors.As(err, &condition) || condition.Found != 1 {
		t.Errorf("an append on condition of what is not so was answered with %v, want a condition that position 1 breaks", err)
	}
	if holder, held, err := store.ClaimHolder(t.Context(), account.Partition, claim); err != nil || !held || holder != account {
		t.Errorf("the claim is held by %v (%v, %v), want %v", holder, held, err, account)
	}
	if _, err := store.Append(t.Context(), daybook.Stream("gone-1"), daybook.ExpectNone(), daybook.Event{Type: "opened"}, daybook.Event{Type: "closed"}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("gone-1"), Who: "Zoë", Why: "l'été", Scrub: true}); err != nil {
		t.Fatal(err)
	}
}

// asGiven returns records without what differs from store to store.
func asGiven(all []daybook.Record) []daybook.Record {
	for i := range all {
		r := &all[i]
		if r.OccurredAt.Equal(r.RecordedAt) {
			r.OccurredAt = time.Time{}
		}
		r.RecordedAt, r.ID = time.Time{}, daybook.ID{}
		header := *r.Changeset
		header.AppendID = daybook.ID{}
		r.Changeset = &header
	}
	return all
}

// Whatever a database sets for its sessions, a store in it is the same.
func TestDefaultsOfTheDatabaseChangeNothing(t *testing.T) {
	plain := daybook.New(open(t, freshSchema(t), nil), nil)
	fill(t, plain)
	want := asGiven(records(t, plain.ReadLog(t.Context(), daybook.LogRead{})))
	address := freshDatabase(t, "ENCODING 'UTF8'",
		"default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on", "client_encoding = 'LATIN1'",
		"standard_conforming_strings = off", "backslash_quote = off", "search_path = decoy, public", "timezone = 'Asia/Kolkata'",
		"datestyle = 'SQL, DMY'", "intervalstyle = 'sql_standard'", "bytea_output = 'escape'", "extra_float_digits = -15",
		"row_security = off", "xmloption = document", "synchronous_commit = off", "plan_cache_mode = force_custom_plan",
		"check_function_bodies = off", "array_nulls = off", "quote_all_identifiers = on", "default_toast_compression = 'pglz'")
	database := connect(t, address)
	execute(t, database, "CREATE SCHEMA decoy")
	decoys := []string{"store", "streams", "events", "changesets", "tags", "claims", "stream_references", "deletions", "hidden", "deleted_changesets"}
	for _, table := range decoys {
		execute(t, database, "CREATE TABLE decoy."+table+" AS SELECT 'decoy' AS stream")
	}
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			d := open(t, withParameter(t, schemaAt(t, address), "default_query_exec_mode", mode), nil)
			store := daybook.New(d, nil)
			fill(t, store)
			if got := asGiven(records(t, store.ReadLog(t.Context(), daybook.LogRead{}))); !reflect.DeepEqual(got, want) {
				t.Errorf("the log is\n%+v\nwant\n%+v", got, want)
			}
		})
	}
	for _, table := range decoys {
		if n := scan[int](t, database, "SELECT count(*) FROM decoy."+table+" WHERE stream = 'decoy'"); n != 1 {
			t.Errorf("a table %s of others was changed", table)
		}
	}
}

func TestADatabaseThatDoesNotHoldAnyTextIsRefused(t *testing.T) {
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		t.Run(encoding, func(t *testing.T) {
			address := freshDatabase(t, "ENCODING '"+encoding+"' LC_COLLATE 'C' LC_CTYPE 'C'")
			_, err := postgres.Open(t.Context(), address, nil)
			var setting *postgres.SettingError
			if !errors.As(err, &setting) || setting.Value != encoding || !errors.Is(err, daybook.ErrRefused) {
				t.Errorf("opening says %v, want a *SettingError that names %s", err, encoding)
			}
			if _, err := postgres.Migrate(t.Context(), address, nil); !errors.As(err, &setting) {
				t.Errorf("migrating says %v, want a *SettingError", err)
			}
		})
	}
}

// A pooler takes no isolation level for a session.
func TestAPoolerBeforeASerializableDatabaseIsRefused(t *testing.T) {
	pooler, err := url.Parse(serverURL(t, poolerVariable, "pgbouncer"))
	if err != nil {
		t.Fatal(err)
	}
	database, err := url.Parse(freshDatabase(t, "", "default_transaction_isolation = 'repeatable read'"))
	if err != nil {
		t.Fatal(err)
	}
	pooler.Path = database.Path
	_, err = postgres.Open(t.Context(), pooler.String(), nil)
	var setting *postgres.SettingError
	if !errors.As(err, &setting) || setting.Setting != "default_transaction_isolation" {
		t.Errorf("opening says %v, want a *SettingError of default_transaction_isolation", err)
	}
}

func TestAReadOnlyDatabaseIsReadAndNotWritten(t *testing.T) {
	address := freshDatabase(t, "")
	writer := daybook.New(open(t, address, nil), nil)
	fill(t, writer)
	execute(t, connect(t, address), "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$")
	reader := daybook.New(open(t, address, nil), nil)
	if got := records(t, reader.ReadLog(t.Context(), daybook.LogRead{})); len(got) != 5 {
		t.Errorf("the log has %d records, want 5", len(got))
	}
	_, err := reader.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), daybook.Event{Type: "opened"})
	if !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("an append says %v, want that it was refused", err)
	}
}

// holdTurn takes the turn of a store, as one who sits in the middle of an
// append, and returns how to end it.
func holdTurn(t *testing.T, d *postgres.Driver, address string) (end func()) {
	t.Helper()
	holder := connect(t, address)
	execute(t, holder, "BEGIN ISOLATION LEVEL READ COMMITTED")
	execute(t, holder, "SELECT "+postgres.Schema(d)+".take_turn(NULL)")
	return func() { execute(t, holder, "ROLLBACK") }
}

// Whoever waits for his turn longer than lock_timeout tries again.
func TestAppendsOutwaitLockTimeout(t *testing.T) {
	address := freshDatabase(t, "", "lock_timeout = '5ms'")
	said := &counter{}
	d := open(t, address, &postgres.Options{Logger: said.logger()})
	end := holdTurn(t, d, address)
	done := make(chan error, 1)
	go func() {
		_, err := daybook.New(d, nil).Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), daybook.Event{Type: "opened"})
		done <- err
	}()
	eventually(t, "the append is tried again", func() bool { return said.count.Load() >= 2 })
	end()
	if err := <-done; err != nil {
		t.Errorf("an append whose turn came late says %v", err)
	}
}

func TestStatementTimeoutRefusesAppends(t *testing.T) {
	address := freshDatabase(t, "", "statement_timeout = '200ms'")
	d := open(t, address, nil)
	store := daybook.New(d, nil)
	end := holdTurn(t, d, address)
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), daybook.Event{Type: "opened"}); !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("an append that the server gave up says %v, want that it was refused", err)
	}
	end()
	if _, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectNone(), daybook.Event{Type: "opened"}); err != nil {
		t.Errorf("what was refused left a trace: %v", err)
	}
}
