package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybook-go/daybook"
)

// oldestServer is the oldest PostgreSQL that the tables and functions need, as
// it tells its version: functions with a body of standard SQL came with 14.
const oldestServer = 140000

// ServerError says that the server is too old.
type ServerError struct{ Version int }

func (e *ServerError) Error() string {
	return fmt.Sprintf("postgres: the server is PostgreSQL %d.%d, and %d is the oldest that is supported: upgrade it", e.Version/10000, e.Version%10000, oldestServer/10000)
}

// FullError says that the database has no room. It matches daybook.ErrFull.
type FullError struct{ Err error }

func (e *FullError) Error() string {
	return fmt.Sprintf("postgres: there is no room on the database's disk, nothing of the append was stored; make room and append again: %v", e.Err)
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
		return fmt.Sprintf("postgres: %v", e.Err)
	}
	return fmt.Sprintf("postgres: %v: %s", e.Err, e.Hint)
}

// Unwrap returns what the server said.
func (e *RefusedError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *RefusedError) Is(target error) bool { return target == daybook.ErrRefused }

// explained adds to an error what can be done about it. What the server itself
// refused left no trace.
func explained(err error, schema string) error {
	var from *pgconn.PgError
	if !errors.As(err, &from) || isTransient(err) {
		var connecting *pgconn.ConnectError
		if errors.As(err, &connecting) && !errors.As(err, &from) {
			return fmt.Errorf("postgres: cannot connect, check host, port and whether the server runs: %w", err)
		}
		return err
	}
	switch from.Code {
	case "53100", "53200", "54000":
		return &FullError{Err: from}
	case "28P01", "28000":
		return &RefusedError{Err: from, Hint: "check user and password of the URL, and pg_hba.conf of the server"}
	case "3D000":
		return &RefusedError{Err: from, Hint: "create the database, or name another in the URL"}
	case "42501":
		return &RefusedError{Err: from, Hint: fmt.Sprintf("grant the user what it lacks in schema %q: see docs/postgres.md, Roles", schema)}
	case "3F000", "42P01", "42883":
		return &RefusedError{Err: from, Hint: fmt.Sprintf("schema %q has no store of this version: run daybook migrate", schema)}
	case "25006":
		return &RefusedError{Err: from, Hint: "the server only reads: name the primary in the URL"}
	}
	return &RefusedError{Err: from}
}

// isTransient reports whether an error may go away by itself: the connection
// is lost, or the server ends or starts. What was sent may have been done.
func isTransient(err error) bool {
	var from *pgconn.PgError
	if errors.As(err, &from) {
		// Of those who speak of the connection or of an operator only these
		// are about the moment.
		return strings.HasPrefix(from.Code, "08") || from.Code == "57P01" || from.Code == "57P02" || from.Code == "57P03" ||
			from.Code == "53300" || from.Code == "25P03" || from.Code == "25P04" || from.Code == "55P03" || from.Code == "57P05" || from.Code == "40001" || from.Code == "40P01"
	}
	var network net.Error
	var connecting *pgconn.ConnectError
	return errors.As(err, &connecting) || errors.As(err, &network) || pgconn.Timeout(err) || strings.Contains(err.Error(), "conn closed") ||
		strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "closed network connection")
}

// isOver reports whether an error is that of a context.
func isOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
