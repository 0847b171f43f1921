package sqlserver

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/daybook-go/daybook"
)

// Version is the form of the tables that this program reads and writes. It
// rises with each change of them.
const Version = 1

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
		return fmt.Sprintf("sqlserver: the store in schema %q has version %d, this program knows versions up to %d: use a newer program", e.Schema, e.Found, e.Version)
	case e.Found == 0:
		return fmt.Sprintf("sqlserver: there is no store in schema %q that the user may see: run daybook migrate, or name another schema in the URL (&schema=NAME)", e.Schema)
	}
	return fmt.Sprintf("sqlserver: the store in schema %q has version %d, this program needs %d: run daybook migrate", e.Schema, e.Found, e.Version)
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
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version returns the form of the tables; 0 if there are none.
// https://learn.microsoft.com/sql/t-sql/functions/object-id-transact-sql
func (d *Driver) version(ctx context.Context, q querier) (found int, err error) {
	var there bool
	err = q.QueryRowContext(ctx, "SELECT CASE WHEN OBJECT_ID(@p1, 'U') IS NULL THEN 0 ELSE 1 END", d.sql.schema+".store").Scan(&there)
	if err != nil || !there {
		return 0, err
	}
	err = q.QueryRowContext(ctx, d.sql.in("SELECT s.version FROM {schema}.store s")).Scan(&found)
	return found, err
}

// migrationTurn lets one program at a time make or change tables.
// https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-getapplock-transact-sql
const migrationTurn = `SET XACT_ABORT ON;
DECLARE @result int;
EXEC @result = sys.sp_getapplock @Resource = N'daybook migration', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 60000;
IF @result < 0
    THROW 51000, 'daybook: another program has been changing the tables for a minute', 1;`

// migrate brings the tables to Version, under a lock, in one transaction. It
// returns the version that it found.
func (d *Driver) migrate(ctx context.Context) (found int, err error) {
	tx, err := d.pool.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // in vain once it is committed
	if _, err := tx.ExecContext(ctx, migrationTurn); err != nil {
		return 0, err
	}
	if found, err = d.version(ctx, tx); err != nil || found == Version {
		return found, err
	}
	if found > Version {
		return found, &VersionError{Schema: d.options.Schema, Found: found, Version: Version}
	}
	batches, err := d.script(found)
	if err != nil {
		return found, err
	}
	for _, batch := range batches {
		if _, err := tx.ExecContext(ctx, batch); err != nil {
			return found, err
		}
	}
	if err := tx.Commit(); err != nil {
		return found, err
	}
	d.options.Logger.Info("the tables were brought to the form of this program", "schema", d.options.Schema, "from", found, "to", Version)
	return found, nil
}

// script returns the batches of SQL that bring the tables from a version to
// Version. Functions, procedures and views are made anew each time.
func (d *Driver) script(from int) ([]string, error) {
	var script []string
	var folders []string
	if from == 0 {
		// https://learn.microsoft.com/sql/t-sql/statements/create-schema-transact-sql
		// must be alone in its batch.
		create := "IF SCHEMA_ID(" + quotedText(d.options.Schema) + ") IS NULL\n    EXEC (" + quotedText("CREATE SCHEMA "+d.sql.schema) + ");"
		script, folders = append(script, create), append(folders, "tables")
	}
	for _, folder := range append(folders, "functions", "procedures", "views") {
		more, err := d.sql.script(folder)
		if err != nil {
			return nil, err
		}
		script = append(script, more...)
	}
	return append(script, d.sql.in(fmt.Sprintf("UPDATE {schema}.store SET version = %d;", Version))), nil
}

// Migrate makes the tables of a store in the database at a URL, or brings those
// of an older program to the form of this one, in one transaction and under a
// lock. It returns the version that it found, 0 where there was no store. What
// a newer program made is refused: *VersionError.
func Migrate(ctx context.Context, url string, options *Options) (found int, err error) {
	d, err := connect(url, options)
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
