package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// receipts reads the receipts of appends that were stored before.
func (d *Driver) receipts(ctx context.Context, ids []daybook.ID) (receipts sqlstore.Receipts, err error) {
	err = d.retry.Do(ctx, "receipts", func(int) error {
		receipts = sqlstore.Receipts{}
		rows, err := d.pool.Query(ctx, d.sql.receipts, bytesOf(ids))
		if err != nil {
			return err
		}
		return readReceipts(rows, receipts)
	})
	return receipts, err
}

// bytesOf returns ids as pgx takes them.
func bytesOf(ids []daybook.ID) [][16]byte {
	list := make([][16]byte, len(ids))
	for i, id := range ids {
		list[i] = id
	}
	return list
}

func readReceipts(rows pgx.Rows, receipts sqlstore.Receipts) error {
	defer rows.Close()
	for rows.Next() {
		var id [16]byte
		var c daybook.ChangesetReceipt
		var records int64
		var recordedAt time.Time
		err := rows.Scan(&id, &c.Ordinal, &c.Stream.Partition, &c.Stream.Name, &c.Number, &c.First, &records, &c.FirstPosition, &c.LastPosition, &recordedAt)
		if err != nil {
			return err
		}
		receipts.Add(id, recordedAt, c, records)
	}
	return rows.Err()
}
