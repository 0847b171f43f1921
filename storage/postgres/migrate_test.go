package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
	"github.com/daybook-go/daybook/verify"
)

// version1 returns the URL of a store as a program of version 1 left it.
func version1(t *testing.T) string {
	t.Helper()
	address := freshSchema(t)
	for _, file := range []string{"testdata/version-1.sql", "testdata/version-1-data.sql"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		script := strings.NewReplacer("{schema}", schemaOf(t, address), "{class}", "1684109666").Replace(string(text))
		if _, err := connect(t, os.Getenv(urlVariable)).PgConn().Exec(t.Context(), script).ReadAll(); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	return address
}

// shape describes the tables, indexes, constraints, functions, views and rights
// of a schema.
func shape(t *testing.T, schema string) []string {
	t.Helper()
	rows, err := connect(t, os.Getenv(urlVariable)).Query(t.Context(), `
		SELECT 'column ' || c.relname || ' ' || a.attnum || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull || ' '
			|| a.attcollation || a.attidentity::text || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '')
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'v', 'p') AND a.attnum > 0
		UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = $1::text
		UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = $1::text::regnamespace
		UNION ALL SELECT 'function ' || pg_get_functiondef(oid) || coalesce(proacl::text, '') FROM pg_proc WHERE pronamespace = $1::text::regnamespace
		UNION ALL SELECT 'view ' || viewname || definition FROM pg_views WHERE schemaname = $1::text
		ORDER BY 1`, schema)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], schema, "{schema}")
	}
	return lines
}

func TestAStoreOfVersion1IsBroughtToThePresentOne(t *testing.T) {
	address := version1(t)
	var version *postgres.VersionError
	if _, err := postgres.Open(t.Context(), address, &postgres.Options{NoMigration: true}); !errors.As(err, &version) || version.Found != 1 {
		t.Fatalf("opening without migration: %v", err)
	}
	if found, err := postgres.Migrate(t.Context(), address, nil); err != nil || found != 1 {
		t.Fatalf("Migrate found version %d: %v", found, err)
	}
	if found, err := postgres.Migrate(t.Context(), address, nil); err != nil || found != postgres.Version {
		t.Errorf("the second Migrate found version %d: %v", found, err)
	}

	fresh := freshSchema(t)
	open(t, fresh, nil)
	got, want := shape(t, schemaOf(t, address)), shape(t, schemaOf(t, fresh))
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("a store that was migrated and a new one differ, %d and %d objects:\n%s\n%s",
				len(got), len(want), strings.Join(got[i:min(i+1, len(got))], ""), strings.Join(want[i:min(i+1, len(want))], ""))
		}
	}

	d := open(t, address, &postgres.Options{NoMigration: true})
	store := daybook.New(d, nil)
	var seen []string
	for record, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, fmt.Sprintf("%d %s@%d %s %q", record.Position, record.Stream, record.Version, record.Type, record.Data))
	}
	wantSeen := []string{
		`1 account-1@1 opened "{\"owner\": \"Ann\", \"limit\": 100.50}"`, `2 account-1@2 deposited "{\"amount\":5}"`, `3 tenant/account-1@1 opened "\x00\xff"`,
		`4 order-1@1 placed "{\"at\":\"2026-01-01T00:00:00Z\"}"`, `5 account-1@3 charged "{\"amount\":3}"`,
	}
	if strings.Join(seen, "\n") != strings.Join(wantSeen, "\n") {
		t.Errorf("the migrated store holds\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(wantSeen, "\n"))
	}
	receipt, err := store.AppendAll(t.Context(), daybook.Append{ID: daybook.IDOf("old"), Changesets: []daybook.Changeset{{Stream: daybook.Stream("old-1"), Events: []daybook.Event{{Type: "opened"}}}}})
	if err != nil || !receipt.Repeated || receipt.Position() != 6 {
		t.Errorf("an append of before, whose records were deleted, is answered with %+v %v", receipt, err)
	}
	if receipt, err = store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectVersion(3), daybook.Event{Type: "closed"}); err != nil || receipt.Position() != 7 {
		t.Errorf("an append behind the migration: %+v %v", receipt, err)
	}
	if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
		t.Errorf("the migrated store: %+v %v", report, err)
	}
}

func TestMigrationsAtOnceAreMadeOnce(t *testing.T) {
	for name, make := range map[string]func(*testing.T) string{"new": func(t *testing.T) string { return freshSchema(t) }, "version 1": version1} {
		t.Run(name, func(t *testing.T) {
			address := make(t)
			var running sync.WaitGroup
			founds := [6]int{}
			for i := range founds {
				running.Go(func() {
					var err error
					if founds[i], err = postgres.Migrate(t.Context(), address, nil); err != nil {
						t.Error(err)
					}
				})
			}
			running.Wait()
			migrated := 0
			for _, found := range founds {
				if found != postgres.Version {
					migrated++
				}
			}
			if migrated != 1 {
				t.Errorf("of six migrations %d found an older store, want 1: %v", migrated, founds)
			}
			open(t, address, &postgres.Options{NoMigration: true})
		})
	}
}

func TestAStoreOfANewerProgramIsRefused(t *testing.T) {
	address := freshSchema(t)
	d := open(t, address, nil)
	if _, err := postgres.Pool(d).Exec(t.Context(), "UPDATE "+postgres.Schema(d)+".store SET version = version + 1"); err != nil {
		t.Fatal(err)
	}
	var version *postgres.VersionError
	if _, err := postgres.Open(t.Context(), address, nil); !errors.As(err, &version) || version.Found != postgres.Version+1 || !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("opening: %v", err)
	}
	if _, err := postgres.Migrate(t.Context(), address, nil); !errors.As(err, &version) {
		t.Errorf("migrating: %v", err)
	}
}

func TestAMigrationThatFailsHalfWayLeavesEverythingAsItWas(t *testing.T) {
	address := version1(t)
	schema := schemaOf(t, address)
	own := connect(t, os.Getenv(urlVariable))
	// What the migration makes last is there already, and somebody else's.
	if _, err := own.Exec(t.Context(), "CREATE TABLE "+schema+".granted (theirs text)"); err != nil {
		t.Fatal(err)
	}
	before := shape(t, schema)
	if _, err := postgres.Migrate(t.Context(), address, nil); !errors.Is(err, daybook.ErrRefused) {
		t.Fatalf("the migration: %v", err)
	}
	if after := shape(t, schema); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Error("the migration that failed has left something")
	}
	var version int
	if err := own.QueryRow(t.Context(), "SELECT version FROM "+schema+".store").Scan(&version); err != nil || version != 1 {
		t.Errorf("the store has version %d %v, want 1", version, err)
	}
	if _, err := own.Exec(t.Context(), "DROP TABLE "+schema+".granted"); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Migrate(t.Context(), address, nil); err != nil {
		t.Errorf("with nothing in the way: %v", err)
	}
}

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	files, err := os.ReadDir("schema/migrations")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		if !regexp.MustCompile(fmt.Sprintf(`^%04d-[a-z-]+\.sql$`, i+2)).MatchString(file.Name()) {
			t.Errorf("migration %s stands where that to version %d should", file.Name(), i+2)
		}
	}
	if postgres.Version != len(files)+1 {
		t.Errorf("the program has version %d, and its migrations lead to %d", postgres.Version, len(files)+1)
	}
}
