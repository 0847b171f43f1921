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
	if err := d.begin(); err != nil {
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
	im := &imported{changesets: changesets, streams: map[daybook.StreamID]int{}, heads: map[daybook.StreamID]daybook.Head{}}
	for i := range changesets {
		id := changesets[i].Stream
		if _, seen := im.streams[id]; seen {
			continue
		}
		im.streams[id] = len(im.streams)
		if im.heads[id], err = d.readHead(ctx, id); err != nil {
			return false, err
		}
	}
	if err := im.check(e); err != nil {
		return false, err
	}
	if im.known, err = d.readKnown(ctx, im); err != nil {
		return false, err
	}
	arguments := im.arguments(e)
	err = d.again(ctx, "import", func(try int) error {
		if try > 0 {
			// The try before may have been done: then the log ends with it.
			now, err := d.readEnd(ctx)
			if err != nil || now.position == im.last() {
				stored = err == nil
				return err
			}
		}
		return d.pool.QueryRowContext(ctx, d.sql.importing, arguments...).Scan(&stored)
	})
	if err != nil && isUnique(err) {
		return false, &daybook.InvalidError{Field: "changesets", Value: err.Error(), Reason: "must not hold an append that the store has already"}
	}
	if stored && err == nil {
		d.bell.ring(im.last())
	}
	return stored, err
}

// imported is what an import is made of.
type imported struct {
	changesets []daybook.RecordedChangeset
	streams    map[daybook.StreamID]int // an index for each, from 0
	heads      map[daybook.StreamID]daybook.Head
	known      map[daybook.ID]int // how many events of an append are stored already
}

// last returns the position of the last record.
func (im *imported) last() daybook.Position {
	records := im.changesets[len(im.changesets)-1].Records
	return records[len(records)-1].Position
}

// check returns why the changesets cannot follow the end of the log. It moves
// the heads behind them.
func (im *imported) check(e end) error {
	for i := range im.changesets {
		c := &im.changesets[i]
		head := im.heads[c.Stream]
		field := fmt.Sprintf("changesets[%d]", i)
		switch {
		case c.Records[0].Position <= e.position:
			return &daybook.InvalidError{Field: field + ".position", Value: fmt.Sprint(c.Records[0].Position), Reason: fmt.Sprintf("must lie above the end of the log, %d", e.position)}
		case c.RecordedAt.Before(e.recordedAt):
			return &daybook.InvalidError{Field: field + ".recorded_at", Value: c.RecordedAt.String(), Reason: "must not lie before the end of the log"}
		case head.Version > 0 && (c.First != head.Version+1 || c.Number != head.Changeset+1):
			return &daybook.InvalidError{Field: field + ".first", Value: fmt.Sprint(c.First), Reason: fmt.Sprintf("must follow version %d, changeset %d of its stream", head.Version, head.Changeset)}
		}
		head.Version, head.Changeset = c.Last(), c.Number
		im.heads[c.Stream] = head
	}
	return nil
}

// readKnown finds out which appends go on that the store has the beginning of.
func (d *Driver) readKnown(ctx context.Context, im *imported) (known map[daybook.ID]int, err error) {
	var ids []string
	for i := range im.changesets {
		if i == 0 || im.changesets[i].AppendID != im.changesets[i-1].AppendID {
			ids = append(ids, idText(im.changesets[i].AppendID))
		}
	}
	err = d.again(ctx, "import", func(int) error {
		known = map[daybook.ID]int{}
		rows, err := d.pool.QueryContext(ctx, d.sql.known, sqlstore.JSONText(ids))
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

// arguments returns what the procedure import is called with.
func (im *imported) arguments(e end) []any {
	p := &parts{streams: streamsJSON(im.streams)}
	ordinal := e.ordinal
	nth := map[daybook.ID]int{}
	for i := range im.changesets {
		c := &im.changesets[i]
		stream := im.streams[c.Stream]
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
			p.event(i+1, j, im.known[c.AppendID]+nth[c.AppendID], r.Position, &r.Event)
			nth[c.AppendID]++
		}
	}
	p.besides.Hands = sqlstore.HandsOf(im.changesets)
	return []any{
		int64(e.position), sqlstore.JSONText(p.streams), sqlstore.JSONText(p.changesets), sqlstore.JSONText(p.events), notNil(p.bytes), orNull(p.besides.Text()),
	}
}
