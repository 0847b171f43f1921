package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// Import implements daybook.Importer. It waits until no transaction of AppendTx is
// open.
func (d *Driver) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	if err := d.calls.Begin(); err != nil {
		return err
	}
	defer d.calls.Done()
	for {
		var stored bool
		err := d.whileBusy(ctx, func() (err error) {
			stored, err = d.tryImport(ctx, changesets)
			return err
		})
		if stored || err != nil {
			return err
		}
		// The log has grown meanwhile: it is looked at again.
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// tryImport stores changesets behind the end of the log as it is now. It
// reports false if that has moved meanwhile.
func (d *Driver) tryImport(ctx context.Context, changesets []daybook.RecordedChangeset) (stored bool, err error) {
	e, err := d.readEnd(ctx)
	if err != nil {
		return false, err
	}
	im := sqlstore.NewImported(changesets)
	if im.Heads, err = d.readHeads(ctx, im.IDs); err != nil {
		return false, err
	}
	if err := im.Check(e); err != nil {
		return false, err
	}
	if err := d.readKnown(ctx, im); err != nil {
		return false, err
	}
	arguments := importArguments(im, e)
	id, last := im.Last()
	var answer *bool
	err = d.retry.Do(ctx, "import", func(try int) error {
		err := d.pool.QueryRow(ctx, d.sql.importing, arguments...).Scan(&answer)
		if try == 0 || err != nil || answer == nil || *answer {
			return err
		}
		// What moved the end of the log may have been the try before: it has had
		// its turn by now.
		return d.pool.QueryRow(ctx, d.sql.stands, [16]byte(id), int64(last)).Scan(&answer)
	})
	if err == nil && answer == nil {
		return false, errBusy
	}
	stored = answer != nil && *answer
	if from, ok := errors.AsType[*pgconn.PgError](err); ok && from.Code == "23505" {
		return false, &daybook.InvalidError{Field: "changesets", Value: from.Detail, Reason: "must not hold an append that the store has already"}
	}
	if stored && err == nil {
		d.bell.Ring(last)
	}
	return stored, err
}

// readKnown finds out which appends go on that the store has the beginning of.
func (d *Driver) readKnown(ctx context.Context, im *sqlstore.Imported) error {
	ids := bytesOf(im.AppendIDs())
	return d.retry.Do(ctx, "import", func(int) error {
		im.Known = map[daybook.ID]int{}
		rows, err := d.pool.Query(ctx, d.sql.known, ids)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id [16]byte
			var nth int
			if err := rows.Scan(&id, &nth); err != nil {
				return err
			}
			im.Known[id] = nth + 1
		}
		return rows.Err()
	})
}

// importArguments returns what the function import is called with.
func importArguments(im *sqlstore.Imported, e sqlstore.End) []any {
	n := len(im.Changesets)
	partitions, names, begins := make([]string, len(im.IDs)), make([]string, len(im.IDs)), make([]int64, len(im.IDs))
	for i, id := range im.IDs {
		partitions[i], names[i] = id.Partition, id.Name
	}
	ids, streams, counts := make([][16]byte, n), make([]int32, n), make([]int32, n)
	ordinals, numbers, firsts := make([]int64, n), make([]int64, n), make([]int64, n)
	times, detailed := make([]time.Time, n), make([]bool, n)
	all := newEvents(n)
	var positions []int64
	var rare sqlstore.Besides
	ordinal := e.Ordinal
	nth := map[daybook.ID]int{}
	for i := range im.Changesets {
		c := &im.Changesets[i]
		s := im.Streams[c.Stream]
		if begins[s] == 0 {
			begins[s] = int64(c.First)
		}
		if ordinal++; c.Ordinal > ordinal {
			ordinal = c.Ordinal
		}
		ids[i], streams[i], counts[i], ordinals[i] = c.AppendID, int32(s+1), int32(len(c.Records)), int64(ordinal)
		numbers[i], firsts[i], times[i] = int64(c.Number), int64(c.First), c.RecordedAt
		detailed[i] = rare.Details(i+1, c.Metadata, c.Claims, c.Releases, c.References)
		for j := range c.Records {
			r := &c.Records[j]
			all.add(i+1, j, im.Known[c.AppendID]+nth[c.AppendID], &r.Event)
			nth[c.AppendID]++
			positions = append(positions, int64(r.Position))
		}
	}
	rare.Hands = sqlstore.HandsOf(im.Changesets)
	return []any{
		int64(e.Position), partitions, names, begins, ids, streams, ordinals, numbers, firsts, counts, times, detailed,
		all.changeset, all.place, all.nth, positions, all.id, all.kind, all.contentType, all.json, all.data, all.occurredAt, all.tags, all.context, all.metadata,
		rare.Text(),
	}
}
