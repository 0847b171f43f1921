package sqlserver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/daybook-go/daybook"
)

// oldestServer is the oldest SQL Server that has collations of UTF-8: 2019, by
// the number of its product. Those of Azure tell an older number and have what
// is needed.
// https://learn.microsoft.com/sql/t-sql/functions/serverproperty-transact-sql
const oldestServer = 15

// azureEditions are the engines of Azure SQL Database, of a managed instance,
// and of a database in Fabric.
var azureEditions = []int{5, 8, 12}

// oldestLevel is the lowest compatibility level of a database that has OPENJSON.
const oldestLevel = 130

// ServerError says that the server, or the level at which it keeps the
// database, is too old.
type ServerError struct {
	Version  int
	Database string // where its level is too low
	Level    int
}

func (e *ServerError) Error() string {
	if e.Database != "" {
		return fmt.Sprintf("sqlserver: database %q has compatibility level %d, and %d is the lowest that is supported: ALTER DATABASE %s SET COMPATIBILITY_LEVEL = 150",
			e.Database, e.Level, oldestLevel, quotedName(e.Database))
	}
	return fmt.Sprintf("sqlserver: the server has version %d, and %d (SQL Server 2019) is the oldest that is supported: upgrade it", e.Version, oldestServer)
}

// Is reports whether target is a question that e answers with yes.
func (e *ServerError) Is(target error) bool { return target == daybook.ErrRefused }

// SnapshotError says that the database does not give each statement one state
// to read: a read could pass records that are being written.
type SnapshotError struct{ Database string }

func (e *SnapshotError) Error() string {
	return fmt.Sprintf("sqlserver: database %q does not keep row versions, a read could pass what is being written: ALTER DATABASE %s SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE",
		e.Database, quotedName(e.Database))
}

// Is reports whether target is a question that e answers with yes.
func (e *SnapshotError) Is(target error) bool { return target == daybook.ErrRefused }

// UnreachableError says that there is no connection to the server. It does not
// match daybook.ErrRefused: an append may have been sent before the connection
// was lost.
type UnreachableError struct{ Err error }

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("sqlserver: no connection to the server: %v: check host and port of the URL, and that the server runs and lets this machine connect", e.Err)
}

// Unwrap returns what went wrong underneath.
func (e *UnreachableError) Unwrap() error { return e.Err }

// FullError says that the database has no room. It matches daybook.ErrFull.
type FullError struct{ Err error }

func (e *FullError) Error() string {
	return fmt.Sprintf("sqlserver: there is no room for the database, nothing of the append was stored; make room and append again: %v", e.Err)
}

// Unwrap returns what the server said.
func (e *FullError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *FullError) Is(target error) bool {
	return target == daybook.ErrFull || target == daybook.ErrRefused
}

// RefusedError says that the server carried out nothing of a statement. It
// matches daybook.ErrRefused.
type RefusedError struct {
	Err  error
	Hint string // what to do
}

func (e *RefusedError) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("sqlserver: %v", e.Err)
	}
	return fmt.Sprintf("sqlserver: %v: %s", e.Err, e.Hint)
}

// Unwrap returns what the server said.
func (e *RefusedError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *RefusedError) Is(target error) bool { return target == daybook.ErrRefused }

// The numbers of errors that something can be done about.
// https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
var (
	numbersFull       = []int32{1101, 1105, 5149, 9002, 40544} // no page, no disk, no log; the quota of Azure
	numbersLogin      = []int32{18452, 18456, 18470, 18486, 18487, 18488}
	numbersDatabase   = []int32{4060, 911}
	numbersRight      = []int32{229, 230, 262, 297, 300, 916, 2760, 15247}
	numbersMissing    = []int32{208, 2812, 4121}
	numbersReadOnly   = []int32{3906, 3908, 978}
	numbersUnique     = []int32{2601, 2627}
	numbersTransient  = []int32{1204, 1205, 1222, 51205, 40197, 40501, 40613, 49918, 49919, 49920, 10928, 10929, 10060, 10053, 10054, 233, 64, 121, 596, 6005, 3960}
	numbersConnection = []int32{17142, 18401, 18451} // it is paused, or starts, or ends
)

// number returns the number of the error that the server told, or of the first
// of several that says most.
func number(err error) (int32, bool) {
	from, ok := errors.AsType[mssql.Error](err)
	if !ok {
		return 0, false
	}
	// What follows another error is its consequence: "statement terminated".
	for _, each := range from.All {
		if each.Number != 0 {
			return each.Number, true
		}
	}
	return from.Number, true
}

// explained adds to an error what can be done about it. What the server itself
// refused left no trace.
func explained(err error, schema string) error {
	if err == nil || errors.Is(err, daybook.ErrRefused) || errors.As(err, new(*UnreachableError)) {
		return err // it is explained already
	}
	n, ok := number(err)
	if !ok || isTransient(err) {
		var network net.Error
		if !ok && errors.As(err, &network) {
			return &UnreachableError{Err: err}
		}
		return err
	}
	hint := ""
	switch {
	case slices.Contains(numbersFull, n):
		return &FullError{Err: err}
	case slices.Contains(numbersLogin, n):
		hint = "check user and password of the URL, and whether the login may be used with a password"
	case slices.Contains(numbersDatabase, n):
		hint = "create the database, name another in the URL (?database=NAME), or let the login into it"
	case slices.Contains(numbersRight, n):
		hint = fmt.Sprintf("grant the user what it lacks in schema %q: see docs/sqlserver.md, Roles", schema)
	case slices.Contains(numbersMissing, n):
		hint = fmt.Sprintf("schema %q has no store of this version: run daybook migrate", schema)
	case slices.Contains(numbersReadOnly, n):
		hint = "the database only reads: name the primary in the URL, or let it be written"
	}
	return &RefusedError{Err: err, Hint: hint}
}

// isTransient reports whether an error may go away by itself: the connection
// is lost, the server ends or starts, or the statement was the victim of a
// deadlock. What was sent may have been done.
func isTransient(err error) bool {
	var late *lateError
	if errors.As(err, &late) {
		return true
	}
	var server mssql.ServerError // it has ended the connection
	if n, ok := number(err); ok && !errors.As(err, &server) {
		return slices.Contains(numbersTransient, n) || slices.Contains(numbersConnection, n)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var network net.Error
	var stream mssql.StreamError
	var retryable mssql.RetryableError
	return errors.As(err, &network) || errors.As(err, &server) || errors.As(err, &stream) || errors.As(err, &retryable) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// isUnique reports whether a row stands there already.
func isUnique(err error) bool {
	n, ok := number(err)
	return ok && slices.Contains(numbersUnique, n)
}

// isOver reports whether an error is that of a context.
func isOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
