package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// retries is how the driver does again what failed for the moment.
func (d *Driver) retries() sqlstore.Retry {
	return sqlstore.Retry{
		Driver: d.Name(), Patience: d.options.Patience, Life: d.calls.Life(), Logger: d.options.Logger,
		IsTransient: isTransient, MayBeDone: mayBeDone, Explained: d.final,
	}
}

// numbersUndone are those of errors that are transient, where the server tells
// that nothing of the statement was done: a deadlock, no memory for locks, a lock
// that is not given, a conflict of snapshots, and what keeps a connection from
// being made.
// https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
// https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues
var numbersUndone = slices.Concat([]int32{1204, 1205, 1222, 51205, 3960, 40501, 40613, 49918, 49919, 49920, 10928, 10929}, numbersConnection)

// mayBeDone reports whether something that failed for the moment may have been
// done all the same: it was sent, and nobody says that it was undone.
func mayBeDone(err error) bool {
	var late *lateError
	var server mssql.ServerError
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" {
		return false // there was no connection to send it on
	}
	if n, ok := number(err); ok && !errors.As(err, &late) && !errors.As(err, &server) {
		return !slices.Contains(numbersUndone, n)
	}
	return true
}

// final is the error that a caller gets.
func (d *Driver) final(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		// Whatever the server said of a statement that was cancelled, it may have
		// been done.
		return fmt.Errorf("sqlserver: %w: %w", ctx.Err(), err)
	case errors.Is(err, daybook.ErrClosed), d.calls.Life().Err() != nil && isOver(err):
		return daybook.ErrClosed
	}
	return explained(err, d.options.Schema)
}
