package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
)

// settleRepeated answers appends that were stored before.
func (d *Driver) settleRepeated(ctx context.Context, entries []*entry) {
	ids := make([][16]byte, len(entries))
	for i, e := range entries {
		ids[i] = e.append.ID
	}
	receipts := map[daybook.ID]*daybook.Receipt{}
	err := d.again(ctx, "receipts", func(int) error {
		clear(receipts)
		rows, err := d.pool.Query(ctx, d.sql.receipts, ids)
		if err != nil {
			return err
		}
		return readReceipts(rows, receipts)
	})
	for _, e := range entries {
		receipt := receipts[e.append.ID]
		switch {
		case err != nil:
			e.err = fmt.Errorf("postgres: the append was stored before, and its receipt cannot be read: %w", unrefused(err))
		case receipt == nil:
			e.err = fmt.Errorf("postgres: the append %s was stored before, and has no receipt: the tables were changed by others", e.append.ID)
		case !receipt.Fits(e.append):
			e.err = &daybook.ReusedIDError{ID: e.append.ID}
		default:
			e.receipt = *receipt
			e.receipt.Repeated = true
		}
	}
}

func readReceipts(rows pgx.Rows, receipts map[daybook.ID]*daybook.Receipt) error {
	defer rows.Close()
	for rows.Next() {
		var id [16]byte
		var c daybook.ChangesetReceipt
		var count int64
		var recordedAt time.Time
		err := rows.Scan(&id, &c.Ordinal, &c.Stream.Partition, &c.Stream.Name, &c.Number, &c.First, &count, &c.FirstPosition, &c.LastPosition, &recordedAt)
		if err != nil {
			return err
		}
		c.Last = c.First + daybook.Version(count) - 1
		r := receipts[id]
		if r == nil {
			r = &daybook.Receipt{AppendID: id, RecordedAt: recordedAt.UTC(), Durability: daybook.DurabilityDisk}
			receipts[id] = r
		}
		r.Changesets = append(r.Changesets, c)
	}
	return rows.Err()
}
