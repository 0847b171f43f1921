package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// MaintainOptions of Maintain. Nil and zero fields mean the defaults.
type MaintainOptions struct {
	// Progress is told how far a step is: "remove" counts rows, "vacuum"
	// tables. Default: nobody.
	Progress func(step string, done, total int64)
}

// Maintained is what Maintain did.
type Maintained struct {
	Removed  int64    // rows of deleted events
	Made     int      // partitions that the log will need next
	Vacuumed []string // the tables, by name, without the schema
	// Skipped are tables that only their owner may vacuum, and the user of the
	// connection is not.
	Skipped       []string
	Before, After int64 // the size of the tables and their indexes, in bytes
}

// Maintain removes the rows that interrupted deletions have left, makes the next
// partition where the store has partitions, and has the server vacuum and analyze every table of the store: the room of removed rows
// can be used again, and queries are planned by what the tables hold. The
// server does the latter by itself in time (autovacuum).
//
// It keeps nobody from reading or appending, and may be interrupted at any
// moment: run again, it does the rest. What it returns with an error is what it
// did until then.
func (d *Driver) Maintain(ctx context.Context, options *MaintainOptions) (Maintained, error) {
	var done Maintained
	if err := d.calls.Begin(); err != nil {
		return done, err
	}
	defer d.calls.Done()
	tell := func(string, int64, int64) {}
	if options != nil && options.Progress != nil {
		tell = options.Progress
	}
	if err := d.maintain(ctx, &done, tell); err != nil {
		return done, explained(err, d.options.Schema)
	}
	return done, nil
}

func (d *Driver) maintain(ctx context.Context, done *Maintained, tell func(step string, done, total int64)) error {
	var hidden int64
	err := d.pool.QueryRow(ctx, d.sql.in(`SELECT count(*), `+sizeOf+`
		FROM {schema}.hidden h JOIN {schema}.events e ON e.stream = h.stream AND e.partition = h.partition AND e.version <= h.through`)).Scan(&hidden, &done.Before)
	if err != nil {
		return err
	}
	done.Removed, err = d.removeHidden(ctx, func(removed int64) { tell("remove", removed, max(hidden, removed)) })
	if err != nil {
		return err
	}
	if done.Made, err = d.makeRoom(ctx); err != nil {
		return err
	}
	if err := d.vacuum(ctx, done, tell); err != nil {
		return err
	}
	return d.pool.QueryRow(ctx, d.sql.in(`SELECT `+sizeOf)).Scan(&done.After)
}

// makeRoom makes partitions ahead, if there are any and the user may. Appends do
// that too, but then somebody waits for it.
func (d *Driver) makeRoom(ctx context.Context) (made int, err error) {
	const may = `SELECT s.partition_size IS NOT NULL AND has_function_privilege('{schema}.make_room_ahead(timestamptz)', 'EXECUTE') FROM {schema}.store s`
	var needed bool
	if err := d.pool.QueryRow(ctx, d.sql.in(may)).Scan(&needed); err != nil || !needed {
		return 0, err
	}
	err = d.pool.QueryRow(ctx, d.sql.in(`SELECT {schema}.make_room_ahead($1)`), d.clock()).Scan(&made)
	return made, err
}

// tablesOf are the tables of the store, those that have partitions without
// them, and whether the user may vacuum them: the server passes over those that
// he may not with no more than a warning.
const tablesOf = `SELECT c.relname, pg_has_role(c.relowner, 'USAGE') FROM pg_class c
	WHERE c.relnamespace = (SELECT r.relnamespace FROM pg_class r WHERE r.oid = '{schema}.events'::regclass) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
	ORDER BY 1`

func (d *Driver) vacuum(ctx context.Context, done *Maintained, tell func(step string, done, total int64)) error {
	rows, err := d.pool.Query(ctx, d.sql.in(tablesOf))
	if err != nil {
		return err
	}
	type table struct {
		name string
		owns bool
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t table, err error) {
		err = row.Scan(&t.name, &t.owns)
		return t, err
	})
	if err != nil {
		return err
	}
	for i, t := range tables {
		tell("vacuum", int64(i), int64(len(tables)))
		if !t.owns {
			done.Skipped = append(done.Skipped, t.name)
			continue
		}
		// VACUUM is no part of a transaction, nor of a statement with others.
		if _, err := d.pool.Exec(ctx, fmt.Sprintf("VACUUM (ANALYZE) %s.%s", d.schema, pgx.Identifier{t.name}.Sanitize())); err != nil {
			return err
		}
		done.Vacuumed = append(done.Vacuumed, t.name)
	}
	tell("vacuum", int64(len(tables)), int64(len(tables)))
	return nil
}
