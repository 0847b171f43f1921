package sqlserver

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// send stores a batch, and gives each of its appends a receipt or an error.
func (d *Driver) send(ctx context.Context, b *batch) {
	arguments := b.arguments(d.clock())
	var v *verdict
	err := d.retry.Do(ctx, "append", func(int) (err error) {
		v, err = d.call(ctx, b, arguments)
		return err
	})
	if err != nil {
		b.Fail(err)
		return
	}
	d.settle(ctx, b, v)
	d.bell.Ring(v.End.Position)
}

// call calls the procedure append.
func (d *Driver) call(ctx context.Context, b *batch, arguments []any) (*verdict, error) {
	rows, err := d.pool.QueryContext(ctx, d.sql.appends, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, unanswered(rows)
	}
	v, err := readVerdict(rows, len(b.Together.Streams))
	if err != nil {
		return nil, &lateError{err}
	}
	return v, nil
}

// lateError says that something failed behind the commit: the outcome is
// unknown, and found by asking again.
type lateError struct{ err error }

func (e *lateError) Error() string { return e.err.Error() }
func (e *lateError) Unwrap() error { return e.err }

// verdict is what the procedure append returns: where everything ended before,
// and what was refused.
type verdict struct {
	sqlstore.Verdict
	refused map[int]sqlstore.Refusal
}

// readVerdict reads the results of the procedure append, whose first row is the
// present one.
func readVerdict(rows *sql.Rows, streams int) (*verdict, error) {
	v := &verdict{refused: map[int]sqlstore.Refusal{}}
	v.Versions, v.Changesets = make([]int64, streams), make([]int64, streams)
	var deletions int64 // of the log: nobody asks for them yet
	if err := rows.Scan(&v.End.Position, &v.End.Ordinal, &v.End.RecordedAt, &deletions); err != nil {
		return nil, err
	}
	if !rows.NextResultSet() {
		return nil, unanswered(rows)
	}
	for rows.Next() {
		var n int
		var version, changeset int64
		if err := rows.Scan(&n, &version, &changeset); err != nil {
			return nil, err
		}
		if n < 1 || n > streams {
			return nil, fmt.Errorf("sqlserver: the server's answer is not understood, the outcome is unknown: stream %d of %d", n, streams)
		}
		v.Versions[n-1], v.Changesets[n-1] = version, changeset
	}
	if !rows.NextResultSet() {
		return nil, unanswered(rows)
	}
	for rows.Next() {
		r, err := readRefusal(rows)
		if err != nil {
			return nil, err
		}
		v.refused[r.Append] = r
	}
	return v, rows.Err()
}

// unanswered is the error where rows lack an answer.
func unanswered(rows *sql.Rows) error {
	if err := rows.Err(); err != nil {
		return err
	}
	return fmt.Errorf("sqlserver: the server's answer ends too early, the outcome is unknown")
}

// settle makes receipts and errors of a verdict, and moves its ends behind what
// was stored.
func (d *Driver) settle(ctx context.Context, b *batch, v *verdict) {
	repeated := b.Settle(&v.Verdict, v.refused, func(why *sqlstore.Refusal, a *daybook.Append, first int) error {
		return why.Err(d.Name(), a, first)
	})
	if len(repeated) > 0 {
		sqlstore.AnswerAll(d.Name(), repeated, func(ids []daybook.ID) (sqlstore.Receipts, error) { return d.receipts(ctx, ids) })
	}
}

// receipts reads the receipts of appends that were stored before.
func (d *Driver) receipts(ctx context.Context, ids []daybook.ID) (receipts sqlstore.Receipts, err error) {
	err = d.retry.Do(ctx, "receipts", func(int) error {
		receipts = sqlstore.Receipts{}
		rows, err := d.pool.QueryContext(ctx, d.sql.receipts, idsText(ids))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := readReceipt(rows, receipts); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return receipts, err
}
