package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
)

// Version is the form of the tables that this program reads and writes. It
// rises with each change of them.
const Version = 3

// VersionError says that the tables have another form than the program knows.
// It matches daybook.ErrRefused.
type VersionError struct {
	Schema  string
	Found   int // 0: there is no store
	Version int // of the program
}

func (e *VersionError) Error() string {
	switch {
	case e.Found > e.Version:
		return fmt.Sprintf("postgres: the store in schema %q has version %d, this program knows versions up to %d: use a newer program", e.Schema, e.Found, e.Version)
	case e.Found == 0:
		return fmt.Sprintf("postgres: there is no store in schema %q: run daybook migrate, or name another schema in the URL (?schema=NAME)", e.Schema)
	}
	return fmt.Sprintf("postgres: the store in schema %q has version %d, this program needs %d: run daybook migrate", e.Schema, e.Found, e.Version)
}

// Is reports whether target is a question that e answers with yes.
func (e *VersionError) Is(target error) bool { return target == daybook.ErrRefused }

// migrateOnOpening makes the store ready, or refuses it.
func (d *Driver) migrateOnOpening(ctx context.Context) error {
	found, err := d.version(ctx, d.pool)
	switch {
	case err != nil:
		return err
	case found == Version:
		return nil
	case found > Version || d.options.NoMigration:
		return &VersionError{Schema: d.options.Schema, Found: found, Version: Version}
	}
	_, err = d.migrate(ctx)
	return err
}

// querier is what asks the database: a pool, or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, arguments ...any) pgx.Row
}

// version returns the form of the tables; 0 if there are none.
func (d *Driver) version(ctx context.Context, q querier) (found int, err error) {
	var there bool
	if err := q.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", d.schema+".store").Scan(&there); err != nil || !there {
		return 0, err
	}
	err = q.QueryRow(ctx, d.sql.in("SELECT s.version FROM {schema}.store s")).Scan(&found)
	return found, err
}

// migrate brings the tables to Version, under a lock, in one transaction. It
// returns the version that it found.
func (d *Driver) migrate(ctx context.Context) (found int, err error) {
	err = pgx.BeginTxFunc(ctx, d.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		// The lock is that of the database: the schema may not be there yet.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1, $2)", lockClass, -1); err != nil {
			return err
		}
		if found, err = d.version(ctx, tx); err != nil || found == Version {
			return err
		}
		if found > Version {
			return &VersionError{Schema: d.options.Schema, Found: found, Version: Version}
		}
		script, err := d.script(found)
		if err != nil {
			return err
		}
		// Many statements at once go by the simple protocol only.
		if _, err := tx.Conn().PgConn().Exec(ctx, script).ReadAll(); err != nil {
			return err
		}
		d.options.Logger.Info("the tables were brought to the form of this program", "schema", d.options.Schema, "from", found, "to", Version)
		return nil
	})
	return found, err
}

// script returns the SQL that brings the tables from a version to Version: those
// of a new store are made at once, others are led there migration by migration.
// Functions and views are made anew each time, and rights given again; a migration
// drops those functions of which another form is made.
func (d *Driver) script(from int) (string, error) {
	script := d.sql.in("CREATE SCHEMA IF NOT EXISTS {schema};\n")
	tables, err := d.sql.script("tables")
	if from > 0 {
		script = ""
		tables, err = d.sql.migrations(from)
	}
	if err != nil {
		return "", err
	}
	script += tables
	for _, folder := range []string{"functions", "views"} {
		more, err := d.sql.script(folder)
		if err != nil {
			return "", err
		}
		script += more
	}
	return script + d.sql.in(fmt.Sprintf("UPDATE {schema}.store SET version = %d;\nSELECT {schema}.grant_rights(NULL, NULL);\n", Version)), nil
}

// Migrate makes the tables of a store in the database at a URL, or brings those
// of an older program to the form of this one, in one transaction and under a
// lock. It returns the version that it found, 0 where there was no store. What
// a newer program made is refused: *VersionError.
func Migrate(ctx context.Context, url string, options *Options) (found int, err error) {
	d, err := connect(ctx, url, options)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	found, err = d.migrate(ctx)
	if err != nil {
		return found, explained(err, d.options.Schema)
	}
	return found, nil
}
