package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybook-go/daybook"
)

// What a transaction of AppendTx has promised stands in the log when somebody
// settles it: the next one who appends, or who reads and finds it. So nothing has
// to run beside.

// settled asks something until nothing was promised, and committed, when the
// question began: what comes later is not waited for.
func (d *Driver) settled(ctx context.Context, what string, ask func() (unsettled bool, err error)) error {
	for first := true; ; first = false {
		var unsettled bool
		err := d.retry.Do(ctx, what, func(int) (err error) {
			unsettled, err = ask()
			return err
		})
		if err != nil || !unsettled || !first {
			return err
		}
		if err := d.settleLog(ctx); err != nil {
			return err
		}
	}
}

// settlePromised settles what is promised and committed.
func (d *Driver) settlePromised(ctx context.Context) error {
	is, err := d.isUnsettled(ctx)
	if err != nil || !is {
		return err
	}
	return d.settleLog(ctx)
}

func (d *Driver) isUnsettled(ctx context.Context) (is bool, err error) {
	err = d.retry.Do(ctx, "settle", func(int) error { return d.pool.QueryRow(ctx, d.sql.unsettled).Scan(&is) })
	return is, err
}

// settleLog gives positions to what is promised and committed.
func (d *Driver) settleLog(ctx context.Context) error {
	err := d.retry.Do(ctx, "settle", func(int) error {
		_, err := d.pool.Exec(ctx, d.sql.settle, d.clock())
		return err
	})
	if from, ok := errors.AsType[*pgconn.PgError](err); ok && from.Code == "25006" {
		return nil // a server that only reads: its log grows when the primary's does
	}
	return err
}

// errBusy is the answer where a transaction that is open has promised something
// that a call depends on. Nothing was done.
var errBusy = errors.New("postgres: a transaction that is open has promised events for the same streams, claims or ids")

// The pauses of those who find things busy grow from the first to the longest.
const (
	firstBusyPause   = 2 * time.Millisecond
	longestBusyPause = 100 * time.Millisecond
)

// whileBusy calls do again as long as it answers errBusy: until the transaction
// in the way ends, or ctx does. It holds no connection while it waits.
func (d *Driver) whileBusy(ctx context.Context, do func() error) error {
	pause := firstBusyPause
	for {
		err := do()
		if !errors.Is(err, errBusy) {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w: %w", daybook.ErrRefused, errBusy, ctx.Err())
		case <-d.calls.Life().Done():
			timer.Stop()
			return daybook.ErrClosed
		}
		pause = min(2*pause, longestBusyPause)
	}
}
