package sqlserver_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"testing"

	_ "github.com/microsoft/go-mssqldb"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/sqlserver"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// urlVariable names the server that the tests use: a database of its own, which
// the login owns.
const urlVariable = "DAYBOOK_SQLSERVER_URL"

// freshSchema returns the URL of a schema that no other test uses, and which is
// dropped when the test ends.
func freshSchema(t testing.TB) string {
	t.Helper()
	address := os.Getenv(urlVariable)
	if address == "" {
		t.Skipf("NOT TESTED: storage/sqlserver against a server, since %s names none (sqlserver://user:password@host?database=NAME)", urlVariable)
	}
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := sql.Open("sqlserver", address)
	if err != nil {
		t.Fatal(err)
	}
	schema := fmt.Sprintf("test_%x", rand.Uint64())
	t.Cleanup(func() {
		defer pool.Close()
		if _, err := pool.ExecContext(context.Background(), drop, schema); err != nil {
			t.Errorf("schema %s is left behind: %v", schema, err)
		}
	})
	values := parsed.Query()
	values.Set("schema", schema)
	parsed.RawQuery = values.Encode()
	return parsed.String()
}

// drop drops a schema and all that is in it, in an order in which nothing that
// is dropped is still needed.
const drop = `
	DECLARE @sql nvarchar(max) = N'';
	SELECT @sql += N'ALTER TABLE ' + QUOTENAME(@p1) + N'.' + QUOTENAME(OBJECT_NAME(f.parent_object_id)) + N' DROP CONSTRAINT ' + QUOTENAME(f.name) + N';'
	FROM sys.foreign_keys f WHERE f.schema_id = SCHEMA_ID(@p1);
	SELECT @sql += N'DROP ' + CASE o.type WHEN 'V' THEN N'VIEW ' WHEN 'P' THEN N'PROCEDURE ' WHEN 'U' THEN N'TABLE ' ELSE N'FUNCTION ' END
		+ QUOTENAME(@p1) + N'.' + QUOTENAME(o.name) + N';'
	FROM sys.objects o WHERE o.schema_id = SCHEMA_ID(@p1) AND o.type IN ('V', 'P', 'U', 'FN', 'IF', 'TF')
	ORDER BY CASE o.type WHEN 'V' THEN 1 WHEN 'P' THEN 2 WHEN 'FN' THEN 3 WHEN 'TF' THEN 3 WHEN 'IF' THEN 4 ELSE 5 END;
	IF SCHEMA_ID(@p1) IS NOT NULL
		SET @sql += N'DROP SCHEMA ' + QUOTENAME(@p1) + N';';
	EXEC (@sql);`

func open(t testing.TB, address string, options *sqlserver.Options) *sqlserver.Driver {
	t.Helper()
	d, err := sqlserver.Open(t.Context(), address, options)
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

func TestSQLServerKeepsEveryPromise(t *testing.T) {
	if os.Getenv(urlVariable) == "" {
		freshSchema(t) // skips, once for all
	}
	storagetest.RunDurable(t, func(t *testing.T) (daybook.Driver, func() daybook.Driver) {
		address := freshSchema(t)
		return open(t, address, nil), func() daybook.Driver { return open(t, address, nil) }
	})
}
