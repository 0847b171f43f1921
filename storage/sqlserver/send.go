package sqlserver

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// send stores a batch, and gives each of its appends a receipt or an error.
func (d *Driver) send(ctx context.Context, b *batch) {
	arguments := b.arguments(d.clock())
	var v *verdict
	err := d.again(ctx, "append", func(int) (err error) {
		v, err = d.call(ctx, b, arguments)
		return err
	})
	if err != nil {
		for _, e := range b.entries {
			e.err = err
		}
		return
	}
	d.settle(ctx, b, v)
	d.bell.ring(daybook.Position(v.position))
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
	v, err := readVerdict(rows, len(b.together.Streams))
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
	position, ordinal    int64
	recordedAt           time.Time
	deletions            int64
	versions, changesets []int64 // of each stream
	refused              map[int]refusal
}

// readVerdict reads the results of the procedure append, whose first row is the
// present one.
func readVerdict(rows *sql.Rows, streams int) (*verdict, error) {
	v := &verdict{versions: make([]int64, streams), changesets: make([]int64, streams), refused: map[int]refusal{}}
	if err := rows.Scan(&v.position, &v.ordinal, &v.recordedAt, &v.deletions); err != nil {
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
		v.versions[n-1], v.changesets[n-1] = version, changeset
	}
	if !rows.NextResultSet() {
		return nil, unanswered(rows)
	}
	for rows.Next() {
		var r refusal
		if err := r.scan(rows); err != nil {
			return nil, err
		}
		v.refused[r.append] = r
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
	var repeated []*entry
	first := 1 // the changeset of the batch that the append begins with
	for i, e := range b.entries {
		why, is := v.refused[i+1]
		switch {
		case !is:
			e.receipt = v.receipt(b, e.append)
		case why.why == "repeated":
			repeated = append(repeated, e)
		default:
			e.err = why.err(e.append, first)
		}
		first += len(e.append.Changesets)
	}
	if len(repeated) > 0 {
		d.settleRepeated(ctx, repeated)
	}
}

// receipt returns the receipt of an append that was stored, and moves the ends
// of v behind it.
func (v *verdict) receipt(b *batch, a *daybook.Append) daybook.Receipt {
	r := daybook.Receipt{
		AppendID: a.ID, RecordedAt: v.recordedAt.UTC(), Durability: daybook.DurabilityDisk,
		Changesets: make([]daybook.ChangesetReceipt, len(a.Changesets)),
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		s, n := b.together.Streams[c.Stream], int64(len(c.Events))
		v.ordinal++
		v.changesets[s]++
		r.Changesets[i] = daybook.ChangesetReceipt{
			Stream: c.Stream, Number: daybook.ChangesetNumber(v.changesets[s]), Ordinal: daybook.Ordinal(v.ordinal),
			First: daybook.Version(v.versions[s] + 1), Last: daybook.Version(v.versions[s] + n),
			FirstPosition: daybook.Position(v.position + 1), LastPosition: daybook.Position(v.position + n),
		}
		v.versions[s] += n
		v.position += n
	}
	return r
}
