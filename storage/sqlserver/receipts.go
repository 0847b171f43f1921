package sqlserver

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// settleRepeated answers appends that were stored before.
func (d *Driver) settleRepeated(ctx context.Context, entries []*entry) {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = idText(e.append.ID)
	}
	receipts, err := d.readReceipts(ctx, ids)
	for _, e := range entries {
		receipt := receipts[e.append.ID]
		switch {
		case err != nil:
			e.err = fmt.Errorf("sqlserver: the append was stored before, and its receipt cannot be read: %w", err)
		case receipt == nil:
			e.err = fmt.Errorf("sqlserver: the append %s was stored before, and has no receipt: the tables were changed by others", e.append.ID)
		case !receipt.Fits(e.append):
			e.err = &daybook.ReusedIDError{ID: e.append.ID}
		default:
			e.receipt = *receipt
			e.receipt.Repeated = true
		}
	}
}

// readReceipts returns the receipts of appends, whose ids are texts.
func (d *Driver) readReceipts(ctx context.Context, ids []string) (receipts map[daybook.ID]*daybook.Receipt, err error) {
	err = d.again(ctx, "receipts", func(int) error {
		receipts = map[daybook.ID]*daybook.Receipt{}
		rows, err := d.pool.QueryContext(ctx, d.sql.receipts, sqlstore.JSONText(ids))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var row receiptRow
			if err := row.scan(rows); err != nil {
				return err
			}
			id := daybook.ID(row.id)
			r := receipts[id]
			if r == nil {
				r = &daybook.Receipt{AppendID: id, RecordedAt: row.recordedAt.UTC(), Durability: daybook.DurabilityDisk}
				receipts[id] = r
			}
			r.Changesets = append(r.Changesets, row.changeset)
		}
		return rows.Err()
	})
	return receipts, err
}
