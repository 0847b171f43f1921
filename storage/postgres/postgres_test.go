package postgres_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// What names the servers that the tests use; scripts/services starts them.
const (
	urlVariable    = "DAYBOOK_POSTGRES_URL"
	poolerVariable = "DAYBOOK_PGBOUNCER_URL"
)

// serverURL returns the URL that a variable of the environment has.
func serverURL(t testing.TB, variable, service string) string {
	t.Helper()
	address := os.Getenv(variable)
	if address == "" {
		t.Skipf("NOT TESTED: storage/postgres, since %s names no server: eval \"$(scripts/services start %s)\"", variable, service)
	}
	return address
}

// freshSchema returns the URL of a schema that no other test uses, and which is
// dropped when the test ends.
func freshSchema(t testing.TB) string {
	t.Helper()
	return schemaAt(t, serverURL(t, urlVariable, "postgres"))
}

// schemaAt returns the URL of a fresh schema in the database at an address.
func schemaAt(t testing.TB, address string) string {
	t.Helper()
	schema := fmt.Sprintf("test_%x", rand.Uint64())
	t.Cleanup(func() {
		connection, err := pgx.Connect(context.Background(), address)
		if err != nil {
			t.Error(err)
			return
		}
		defer connection.Close(context.Background())
		if _, err := connection.Exec(context.Background(), "DROP SCHEMA IF EXISTS "+schema+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	return withParameter(t, address, "schema", schema)
}

// withParameter returns a URL with a parameter set.
func withParameter(t testing.TB, address, name, value string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	values := parsed.Query()
	values.Set(name, value)
	parsed.RawQuery = values.Encode()
	return parsed.String()
}

// connect returns a connection of its own, beside those of a driver.
func connect(t testing.TB, address string) *pgx.Conn {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	values := parsed.Query()
	values.Del("schema")
	parsed.RawQuery = values.Encode()
	connection, err := pgx.Connect(t.Context(), parsed.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close(context.Background()) })
	return connection
}

// execute runs a statement, which must succeed.
func execute(t testing.TB, connection *pgx.Conn, sql string, values ...any) {
	t.Helper()
	if _, err := connection.Exec(t.Context(), sql, values...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// scan runs a query of one row, which must succeed.
func scan[T any](t testing.TB, connection *pgx.Conn, sql string, values ...any) (value T) {
	t.Helper()
	if err := connection.QueryRow(t.Context(), sql, values...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("after a minute it is not so: %s", what)
		}
	}
}

// waiting returns how many sessions wait for a lock in the middle of a statement
// that has some text.
func waiting(t testing.TB, connection *pgx.Conn, statement string) int {
	t.Helper()
	return scan[int](t, connection, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0", statement)
}

// records gathers what a read yields, which must not fail.
func records(t testing.TB, read iter.Seq2[daybook.Record, error]) (all []daybook.Record) {
	t.Helper()
	for record, err := range read {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, record)
	}
	return all
}

// randomOf returns the chance that a test follows; DAYBOOK_SEED replays it.
func randomOf(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("DAYBOOK_SEED: %v", err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d replays this", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func open(t testing.TB, address string, options *postgres.Options) *postgres.Driver {
	t.Helper()
	d, err := postgres.Open(t.Context(), address, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestPostgresKeepsEveryPromise(t *testing.T) {
	serverURL(t, urlVariable, "postgres") // else the promises would look as if they were not offered
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := freshSchema(t)
		return open(t, address, nil), func() daybook.Driver { return open(t, address, nil) }
	})
}
