package postgres_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// urlVariable names the server that the tests use; scripts/services starts one.
const urlVariable = "DAYBOOK_POSTGRES_URL"

// freshSchema returns the URL of a schema that no other test uses, and which is
// dropped when the test ends.
func freshSchema(t testing.TB) string {
	t.Helper()
	address := os.Getenv(urlVariable)
	if address == "" {
		t.Skipf("NOT TESTED: storage/postgres, since %s names no server: eval \"$(scripts/services start postgres)\"", urlVariable)
	}
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
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
	values := parsed.Query()
	values.Set("schema", schema)
	parsed.RawQuery = values.Encode()
	return parsed.String()
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
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := freshSchema(t)
		return open(t, address, nil), func() daybook.Driver { return open(t, address, nil) }
	})
}
