package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// Import implements daybook.Importer. It waits until no transaction of AppendTx is
// open.
func (d *Driver) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	if err := d.begin(); err != nil {
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
	im := &imported{changesets: changesets, streams: map[daybook.StreamID]int{}}
	for i := range changesets {
		if _, seen := im.streams[changesets[i].Stream]; !seen {
			im.streams[changesets[i].Stream] = len(im.ids)
			im.ids = append(im.ids, changesets[i].Stream)
		}
	}
	if im.heads, err = d.readHeads(ctx, im.ids); err != nil {
		return false, err
	}
	if err := im.check(e); err != nil {
		return false, err
	}
	if err := d.readKnown(ctx, im); err != nil {
		return false, err
	}
	arguments := im.arguments(e)
	var answer *bool
	err = d.again(ctx, "import", func(try int) error {
		err := d.pool.QueryRow(ctx, d.sql.importing, arguments...).Scan(&answer)
		if try == 0 || err != nil || answer == nil || *answer {
			return err
		}
		// What moved the end of the log may have been the try before: it has had
		// its turn by now.
		last := &im.changesets[len(im.changesets)-1]
		return d.pool.QueryRow(ctx, d.sql.stands, [16]byte(last.AppendID), int64(im.last())).Scan(&answer)
	})
	if err == nil && answer == nil {
		return false, errBusy
	}
	stored = answer != nil && *answer
	if from, ok := errors.AsType[*pgconn.PgError](err); ok && from.Code == "23505" {
		return false, &daybook.InvalidError{Field: "changesets", Value: from.Detail, Reason: "must not hold an append that the store has already"}
	}
	if stored && err == nil {
		d.bell.ring(im.last())
	}
	return stored, err
}

// imported is what an import is made of.
type imported struct {
	changesets []daybook.RecordedChangeset
	ids        []daybook.StreamID
	streams    map[daybook.StreamID]int // index of each in ids
	heads      []daybook.Head
	known      map[daybook.ID]int32 // how many events of an append are stored already
}

// last returns the position of the last record.
func (im *imported) last() daybook.Position {
	records := im.changesets[len(im.changesets)-1].Records
	return records[len(records)-1].Position
}

// check returns why the changesets cannot follow the end of the log.
func (im *imported) check(e end) error {
	heads := append([]daybook.Head(nil), im.heads...)
	for i := range im.changesets {
		c := &im.changesets[i]
		head := &heads[im.streams[c.Stream]]
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
	}
	return nil
}

// readKnown finds out which appends go on that the store has the beginning of.
func (d *Driver) readKnown(ctx context.Context, im *imported) error {
	var ids [][16]byte
	for i := range im.changesets {
		if i == 0 || im.changesets[i].AppendID != im.changesets[i-1].AppendID {
			ids = append(ids, im.changesets[i].AppendID)
		}
	}
	return d.again(ctx, "import", func(int) error {
		im.known = map[daybook.ID]int32{}
		rows, err := d.pool.Query(ctx, d.sql.known, ids)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id [16]byte
			var nth int32
			if err := rows.Scan(&id, &nth); err != nil {
				return err
			}
			im.known[id] = nth + 1
		}
		return rows.Err()
	})
}

// arguments returns what the function import is called with.
func (im *imported) arguments(e end) []any {
	n := len(im.changesets)
	partitions, names, begins := make([]string, len(im.ids)), make([]string, len(im.ids)), make([]int64, len(im.ids))
	for i, id := range im.ids {
		partitions[i], names[i] = id.Partition, id.Name
	}
	ids, streams, counts := make([][16]byte, n), make([]int32, n), make([]int32, n)
	ordinals, numbers, firsts := make([]int64, n), make([]int64, n), make([]int64, n)
	times, detailed := make([]time.Time, n), make([]bool, n)
	all := newEvents(n)
	var positions []int64
	var rare sqlstore.Besides
	ordinal := e.ordinal
	nth := map[daybook.ID]int32{}
	for i := range im.changesets {
		c := &im.changesets[i]
		s := im.streams[c.Stream]
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
			all.add(i+1, j, int(im.known[c.AppendID]+nth[c.AppendID]), &r.Event)
			nth[c.AppendID]++
			positions = append(positions, int64(r.Position))
		}
	}
	rare.Hands = sqlstore.HandsOf(im.changesets)
	return []any{
		int64(e.position), partitions, names, begins, ids, streams, ordinals, numbers, firsts, counts, times, detailed,
		all.changeset, all.place, all.nth, positions, all.id, all.kind, all.contentType, all.json, all.data, all.occurredAt, all.tags, all.context, all.metadata,
		rare.Text(),
	}
}
