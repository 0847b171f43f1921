package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// removeAtOnce is about how many rows are removed by one transaction.
const removeAtOnce = 5000

// DeleteStream implements daybook.Deleter. What is deleted is hidden by one
// short transaction, and its rows are removed by others behind it, whether a
// scrub was asked for or not. What an interruption leaves of them is removed
// by the next deletion, or by Maintain. VACUUM, which the server does by itself
// in time, gives their room back.
func (d *Driver) DeleteStream(ctx context.Context, deletion daybook.Deletion) (daybook.DeletionReceipt, error) {
	if err := d.calls.Begin(); err != nil {
		return daybook.DeletionReceipt{}, err
	}
	defer d.calls.Done()
	expect, place := sqlstore.Expectation(deletion.Expect)
	var repeated bool
	var conflict []byte
	err := d.whileBusy(ctx, func() error {
		var busy bool
		err := d.retry.Do(ctx, "delete", func(int) error {
			row := d.pool.QueryRow(ctx, d.sql.deleteStream, d.clock(), [16]byte(deletion.ID), deletion.Stream.Partition, deletion.Stream.Name,
				expect, place, int64(deletion.Through), deletion.Scrub, deletion.Who, deletion.Why)
			return row.Scan(&repeated, &conflict, &busy)
		})
		if err == nil && busy {
			return errBusy
		}
		return err
	})
	if err != nil {
		return daybook.DeletionReceipt{}, err
	}
	if conflict != nil {
		var head sqlstore.Head
		if err := json.Unmarshal(conflict, &head); err != nil {
			return daybook.DeletionReceipt{}, fmt.Errorf("postgres: the server's answer is not understood, the outcome is unknown: %w", err)
		}
		return daybook.DeletionReceipt{}, &daybook.ConflictError{Stream: deletion.Stream, Expect: deletion.Expect, Found: head.Of()}
	}
	if !repeated {
		// The deletion is made: what fails now is done later.
		if _, err := d.removeHidden(ctx, nil); err != nil {
			d.options.Logger.Warn("rows of a deleted stream are left, the next deletion or daybook maintain removes them", "stream", deletion.Stream.String(), "error", err)
		}
	}
	made, err := d.readDeletion(ctx, deletion.ID)
	if err != nil {
		return daybook.DeletionReceipt{}, fmt.Errorf("postgres: the deletion is made, and its receipt cannot be read: %w", sqlstore.Unrefused(err))
	}
	if repeated && !made.Fits(&deletion) {
		return daybook.DeletionReceipt{}, &daybook.ReusedIDError{ID: deletion.ID, Deletion: true}
	}
	receipt := made.Receipt
	receipt.Repeated = repeated
	return receipt, nil
}

// removeHidden removes the rows of what is hidden, and returns how many. After
// each transaction it tells tell, which may be nil, how many it has removed.
func (d *Driver) removeHidden(ctx context.Context, tell func(done int64)) (removed int64, err error) {
	rows, err := d.pool.Query(ctx, d.sql.hiddenStreams)
	if err != nil {
		return 0, err
	}
	streams, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (id daybook.StreamID, err error) {
		err = row.Scan(&id.Partition, &id.Name)
		return id, err
	})
	if err != nil {
		return 0, err
	}
	for _, id := range streams {
		for some := int64(1); some > 0; {
			err := d.retry.Do(ctx, "remove", func(int) error {
				return d.pool.QueryRow(ctx, d.sql.removeHidden, id.Partition, id.Name, removeAtOnce).Scan(&some)
			})
			if err != nil {
				return removed, err
			}
			if removed += some; tell != nil {
				tell(removed)
			}
		}
	}
	return removed, nil
}

func (d *Driver) readDeletion(ctx context.Context, id daybook.ID) (made daybook.RecordedDeletion, err error) {
	err = d.retry.Do(ctx, "deletion", func(int) error {
		made, err = scanDeletion(d.pool.QueryRow(ctx, d.sql.deletion, [16]byte(id)))
		return err
	})
	return made, err
}

func scanDeletion(row pgx.Row) (d daybook.RecordedDeletion, err error) {
	var id [16]byte
	r := &d.Receipt
	err = row.Scan(&r.Number, &id, &d.Stream.Partition, &d.Stream.Name, &d.Through, &d.Scrub, &d.Who, &d.Why, &r.RecordedAt,
		&r.Through, &r.Changesets, &r.Records, &r.Scrubbed)
	d.ID, r.ID, r.Stream, r.RecordedAt, r.Durability = id, id, d.Stream, r.RecordedAt.UTC(), daybook.DurabilityDisk
	return d, err
}

// ReadDeletions implements daybook.DeletionReader.
func (d *Driver) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	page := func(limit int) ([]daybook.RecordedDeletion, error) { return d.deletionsPage(ctx, &read, limit) }
	return sqlstore.Listed(ctx, read.Limit, page, func(last daybook.RecordedDeletion) { read.After = last.Receipt.Number })
}

func (d *Driver) deletionsPage(ctx context.Context, read *daybook.DeletionRead, limit int) (page []daybook.RecordedDeletion, err error) {
	if err := d.calls.Begin(); err != nil {
		return nil, err
	}
	defer d.calls.Done()
	err = d.retry.Do(ctx, "deletions", func(int) error {
		rows, err := d.pool.Query(ctx, d.sql.deletions, int64(read.After), read.Stream.Name, read.Stream.Partition, limit)
		if err != nil {
			return err
		}
		page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (daybook.RecordedDeletion, error) { return scanDeletion(row) })
		return err
	})
	return page, err
}
