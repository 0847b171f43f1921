package sqlserver

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// Import implements daybook.Importer.
func (d *Driver) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	if len(changesets) == 0 {
		return nil
	}
	if err := d.calls.Begin(); err != nil {
		return err
	}
	defer d.calls.Done()
	for {
		stored, err := d.tryImport(ctx, changesets)
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
	im.Heads = make([]daybook.Head, len(im.IDs))
	for i, id := range im.IDs {
		if im.Heads[i], err = d.readHead(ctx, id); err != nil {
			return false, err
		}
	}
	if err := im.Check(e); err != nil {
		return false, err
	}
	if im.Known, err = d.readKnown(ctx, im.AppendIDs()); err != nil {
		return false, err
	}
	arguments := importArguments(im, e)
	id, last := im.Last()
	err = d.retry.Do(ctx, "import", func(try int) error {
		err := d.pool.QueryRowContext(ctx, d.sql.importing, arguments...).Scan(&stored)
		if try == 0 || err != nil || stored {
			return err
		}
		// What moved the end of the log may have been the try before: it has had
		// its turn by now.
		return d.pool.QueryRowContext(ctx, d.sql.stands, id[:], int64(last)).Scan(&stored)
	})
	if err != nil && isUnique(err) {
		return false, &daybook.InvalidError{Field: "changesets", Value: err.Error(), Reason: "must not hold an append that the store has already"}
	}
	if stored && err == nil {
		d.bell.Ring(last)
	}
	return stored, err
}

// readKnown finds out which appends go on that the store has the beginning of.
func (d *Driver) readKnown(ctx context.Context, ids []daybook.ID) (known map[daybook.ID]int, err error) {
	err = d.retry.Do(ctx, "import", func(int) error {
		known = map[daybook.ID]int{}
		rows, err := d.pool.QueryContext(ctx, d.sql.known, idsText(ids))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id []byte
			var nth int
			if err := rows.Scan(&id, &nth); err != nil {
				return err
			}
			if len(id) != len(daybook.ID{}) {
				return fmt.Errorf("sqlserver: an append has an id of %d bytes", len(id))
			}
			known[daybook.ID(id)] = nth + 1
		}
		return rows.Err()
	})
	return known, err
}

// importArguments returns what the procedure import is called with.
func importArguments(im *sqlstore.Imported, e sqlstore.End) []any {
	p := &parts{streams: streamsJSON(im.Streams)}
	ordinal := e.Ordinal
	nth := map[daybook.ID]int{}
	for i := range im.Changesets {
		c := &im.Changesets[i]
		stream := im.Streams[c.Stream]
		if p.streams[stream].First == 0 {
			p.streams[stream].First = int64(c.First)
		}
		if ordinal++; c.Ordinal > ordinal {
			ordinal = c.Ordinal
		}
		p.changeset(changesetJSON{
			Stream: stream + 1, Count: len(c.Records), AppendID: idText(c.AppendID), Ordinal: int64(ordinal),
			Number: int64(c.Number), First: int64(c.First), RecordedAt: timeText(c.RecordedAt),
		}, c.Metadata, c.Claims, c.Releases, c.References)
		for j := range c.Records {
			r := &c.Records[j]
			p.event(i+1, j, im.Known[c.AppendID]+nth[c.AppendID], r.Position, &r.Event)
			nth[c.AppendID]++
		}
	}
	p.besides.Hands = sqlstore.HandsOf(im.Changesets)
	return []any{
		int64(e.Position), sqlstore.JSONText(p.streams), sqlstore.JSONText(p.changesets), sqlstore.JSONText(p.events), notNil(p.bytes), orNull(p.besides.Text()),
	}
}
