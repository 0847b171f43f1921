package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
)

// postgresVariable names the server that the tests use; scripts/services starts
// one.
const postgresVariable = "DAYBOOK_POSTGRES_URL"

// setupPostgres gives a script the URLs of a schema of its own: $POSTGRES,
// $POSTGRES_COPY of another one, $POSTGRES_AS_ROLE as the role $ROLE, which the
// script makes with $PASSWORD, $POSTGRES_WRONG with another password, and
// $POSTGRES_ELSEWHERE in a database that does not exist. All that was made is
// dropped when it ends.
func setupPostgres(env *testscript.Env) error {
	address := os.Getenv(postgresVariable)
	if address == "" {
		return nil
	}
	parsed, err := url.Parse(address)
	if err != nil {
		return err
	}
	schema := fmt.Sprintf("test_%x", rand.Uint64())
	query := parsed.Query()
	query.Set("schema", schema)
	parsed.RawQuery = query.Encode()
	env.Setenv("POSTGRES", parsed.String())
	query.Set("schema", schema+"_copy")
	parsed.RawQuery = query.Encode()
	env.Setenv("POSTGRES_COPY", parsed.String())
	query.Set("schema", schema)
	parsed.RawQuery = query.Encode()
	env.Setenv("SCHEMA", schema)
	env.Setenv("ROLE", "role_"+schema)
	env.Setenv("PASSWORD", "s3cr-t")
	parsed.User = url.UserPassword("role_"+schema, "s3cr-t")
	env.Setenv("POSTGRES_AS_ROLE", parsed.String())
	parsed.User = url.UserPassword("role_"+schema, "wr0ng")
	env.Setenv("POSTGRES_WRONG", parsed.String())
	parsed.Path = "/no_such_database"
	parsed.User = url.UserPassword("role_"+schema, "s3cr-t")
	env.Setenv("POSTGRES_ELSEWHERE", parsed.String())
	env.Defer(func() {
		_ = execute(address, fmt.Sprintf(`DROP SCHEMA IF EXISTS %s CASCADE; DROP SCHEMA IF EXISTS %[1]s_copy CASCADE;
			DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'role_%[1]s') THEN DROP OWNED BY role_%[1]s; DROP ROLE role_%[1]s; END IF; END $$`, schema))
	})
	return nil
}

func runSQL(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(execute(os.Getenv(postgresVariable), strings.Join(args, " ")))
}

// execute runs SQL as the user of the tests.
func execute(address, sql string) error {
	connection, err := pgx.Connect(context.Background(), address)
	if err != nil {
		return err
	}
	defer connection.Close(context.Background())
	_, err = connection.Exec(context.Background(), sql)
	return err
}

func TestPasswordsOfStoresAreNotShown(t *testing.T) {
	for address, want := range map[string]string{
		"file:me@home":                            "file:me@home",
		"daybook-data":                            "daybook-data",
		"mem:":                                    "mem:",
		"http://localhost:7070":                   "http://localhost:7070",
		"postgres://host/db?schema=shop":          "postgres://host/db?schema=shop",
		"postgres://user@host/db":                 "postgres://user@host/db",
		"postgres://user:s3cret@host/db?schema=a": "postgres://user:xxxxx@host/db?schema=a",
		"postgres://host/db?password=s3cret&a=b":  "postgres://host/db?a=b&password=xxxxx",
		"https://user:s3cret@host":                "https://user:xxxxx@host",
		"postgres://user:s3/cret@host/db":         "postgres://xxxxx@host/db",
		"postgres://user:s3?cret@host/db":         "postgres://xxxxx@host/db",
		"postgres://user:s3@cret@host/db":         "postgres://xxxxx@host/db",
		"postgres://user:12/s3cret@host/db":       "postgres://xxxxx@host/db",
		"postgres://user:s3%zzcret@host/db":       "postgres://xxxxx@host/db",
		"postgres:user:s3cret@host":               "postgres://xxxxx@host",
		"mysql://user:s3cret@host/db":             "mysql://user:xxxxx@host/db",
	} {
		if got := shown(address); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
	}
}
