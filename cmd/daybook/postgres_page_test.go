package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"regexp"
	"testing"
)

// freshDatabase makes a database that is dropped when the test ends, and returns
// its URL, which names no schema.
func freshDatabase(t *testing.T) string {
	t.Helper()
	address := os.Getenv(postgresVariable)
	if address == "" {
		t.Skipf("NOT TESTED: docs/postgres.md, since %s names no server: eval \"$(scripts/services start postgres)\"", postgresVariable)
	}
	name := fmt.Sprintf("page_%x", rand.Uint64())
	if err := execute(address, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := execute(address, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Path = "/" + name
	return parsed.String()
}

// TestThePageOfPostgreSQLPrintsWhatItSays runs every command of docs/postgres.md
// on a database, and then every statement.
func TestThePageOfPostgreSQLPrintsWhatItSays(t *testing.T) {
	const name = "../../docs/postgres.md"
	address := freshDatabase(t)
	checkPage(t, name, func(_ string, run func(written, real string)) { run("postgres://localhost/shop", address) })
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 3 {
		t.Errorf("the page has %d blocks of SQL", len(blocks))
	}
	for _, block := range blocks {
		if err := execute(address, block[1]); err != nil {
			t.Errorf("%v:\n%s", err, block[1])
		}
	}
}
