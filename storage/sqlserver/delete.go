package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// removeAtOnce is about how many rows are removed by one transaction: few
// enough that the server does not lock the whole table for them.
// https://learn.microsoft.com/sql/relational-databases/sql-server-transaction-locking-and-row-versioning-guide#lock-escalation
const removeAtOnce = 1000

// DeleteStream implements daybook.Deleter. What is deleted is hidden by one
// short transaction, and its rows are removed by others behind it, whether a
// scrub was asked for or not. What an interruption leaves of them is removed
// by the next deletion, or by Maintain.
func (d *Driver) DeleteStream(ctx context.Context, deletion daybook.Deletion) (daybook.DeletionReceipt, error) {
	if err := d.calls.Begin(); err != nil {
		return daybook.DeletionReceipt{}, err
	}
	defer d.calls.Done()
	expect, place := sqlstore.Expectation(deletion.Expect)
	var repeated, refused bool
	var head sqlstore.Head
	var recordedAt sql.NullTime
	err := d.retry.Do(ctx, "delete", func(int) error {
		id := deletion.Stream
		row := d.pool.QueryRowContext(ctx, d.sql.deleteStream, d.clock(), deletion.ID[:], id.Partition, id.Name, []byte(id.Partition), []byte(id.Name),
			expect, place, int64(deletion.Through), deletion.Scrub, deletion.Who, deletion.Why)
		return row.Scan(&repeated, &refused, &head.Version, &head.Changeset, &head.First, &head.Position, &recordedAt)
	})
	if err != nil {
		return daybook.DeletionReceipt{}, err
	}
	if refused {
		head.RecordedAt = recordedAt.Time
		return daybook.DeletionReceipt{}, &daybook.ConflictError{Stream: deletion.Stream, Expect: deletion.Expect, Found: head.Of()}
	}
	if !repeated {
		// The deletion is made: what fails now is done later.
		if _, err := d.removeHidden(ctx); err != nil {
			d.options.Logger.Warn("rows of a deleted stream are left, the next deletion or daybook maintain removes them", "stream", deletion.Stream.String(), "error", err)
		}
	}
	made, err := d.readDeletion(ctx, deletion.ID)
	if err != nil {
		return daybook.DeletionReceipt{}, fmt.Errorf("sqlserver: the deletion is made, and its receipt cannot be read: %w", sqlstore.Unrefused(err))
	}
	if repeated && !made.Fits(&deletion) {
		return daybook.DeletionReceipt{}, &daybook.ReusedIDError{ID: deletion.ID, Deletion: true}
	}
	receipt := made.Receipt
	receipt.Repeated = repeated
	return receipt, nil
}

// Maintain removes the rows that interrupted deletions have left, and returns
// how many. It may be interrupted: what it did is done. Readers and writers go
// on meanwhile.
func (d *Driver) Maintain(ctx context.Context) (rows int64, err error) {
	if err := d.calls.Begin(); err != nil {
		return 0, err
	}
	defer d.calls.Done()
	return d.removeHidden(ctx)
}

// removeHidden removes the rows of what is hidden, and returns how many.
func (d *Driver) removeHidden(ctx context.Context) (all int64, err error) {
	streams, err := d.readHidden(ctx)
	if err != nil {
		return 0, err
	}
	for _, id := range streams {
		for removed := int64(1); removed > 0; all += removed {
			err := d.retry.Do(ctx, "remove", func(int) error {
				return d.pool.QueryRowContext(ctx, d.sql.removeHidden, id, removeAtOnce).Scan(&removed)
			})
			if err != nil {
				return all, err
			}
		}
	}
	return all, nil
}

// readHidden returns the streams that have hidden events.
func (d *Driver) readHidden(ctx context.Context) (streams []int64, err error) {
	err = d.retry.Do(ctx, "hidden", func(int) error {
		streams = streams[:0]
		rows, err := d.pool.QueryContext(ctx, d.sql.hiddenStreams)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			streams = append(streams, id)
		}
		return rows.Err()
	})
	return streams, err
}

func (d *Driver) readDeletion(ctx context.Context, id daybook.ID) (made daybook.RecordedDeletion, err error) {
	err = d.retry.Do(ctx, "deletion", func(int) error {
		made, err = scanDeletion(d.pool.QueryRowContext(ctx, d.sql.deletion, id[:]))
		return err
	})
	return made, err
}

// scanDeletion reads a row of a query for deletions.
func scanDeletion(row interface{ Scan(into ...any) error }) (d daybook.RecordedDeletion, err error) {
	var id, partition, stream, who, why []byte
	var recordedAt time.Time
	r := &d.Receipt
	err = row.Scan(&r.Number, &id, &partition, &stream, &d.Through, &d.Scrub, &who, &why, &recordedAt, &r.Through, &r.Changesets, &r.Records, &r.Scrubbed)
	if err != nil {
		return d, err
	}
	if len(id) != len(d.ID) {
		return d, fmt.Errorf("sqlserver: deletion %d has an id of %d bytes", r.Number, len(id))
	}
	d.ID, d.Stream, d.Who, d.Why = daybook.ID(id), daybook.StreamID{Partition: string(partition), Name: string(stream)}, string(who), string(why)
	r.ID, r.Stream, r.RecordedAt, r.Durability = d.ID, d.Stream, recordedAt.UTC(), daybook.DurabilityDisk
	return d, nil
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
		page = page[:0]
		rows, err := d.pool.QueryContext(ctx, d.sql.deletions, int64(read.After), []byte(read.Stream.Name), []byte(read.Stream.Partition), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			made, err := scanDeletion(rows)
			if err != nil {
				return err
			}
			page = append(page, made)
		}
		return rows.Err()
	})
	return page, err
}
