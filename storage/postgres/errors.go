package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/daybook-go/daybook"
)

// oldestServer is the oldest PostgreSQL that the tables and functions need, as
// it tells its version: functions with a body of standard SQL came with 14.
const oldestServer = 140000

// ServerError says that the server is too old. It matches daybook.ErrRefused.
type ServerError struct{ Version int }

func (e *ServerError) Error() string {
	return fmt.Sprintf("postgres: the server is PostgreSQL %d.%d, and %d is the oldest that is supported: upgrade it", e.Version/10000, e.Version%10000, oldestServer/10000)
}

// Is reports whether target is a question that e answers with yes.
func (e *ServerError) Is(target error) bool { return target == daybook.ErrRefused }

// UnreachableError says that there is no connection to the server. It does not
// match daybook.ErrRefused: an append may have been sent before the connection
// was lost.
type UnreachableError struct {
	Err  error
	Hint string // what to do
}

func (e *UnreachableError) Error() string {
	return "postgres: no connection to the server: " + reasonOf(e.Err) + ": " + e.Hint
}

// Unwrap returns what went wrong underneath.
func (e *UnreachableError) Unwrap() error { return e.Err }

// reasonOf is why a connection failed, each way that was tried told once.
func reasonOf(err error) string {
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		err = connecting.Unwrap()
	}
	var reasons []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" && !slices.Contains(reasons, line) {
			reasons = append(reasons, line)
		}
	}
	return strings.Join(reasons, "; ")
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
// matches daybook.ErrRefused, and daybook.ErrReadOnly where the server only
// reads.
type RefusedError struct {
	Err  error
	Hint string // what to do; "" where the server's words say all
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
func (e *RefusedError) Is(target error) bool {
	if target == daybook.ErrReadOnly {
		from, ok := errors.AsType[*pgconn.PgError](e.Err)
		return ok && from.Code == codeReadOnly
	}
	return target == daybook.ErrRefused
}

// The codes of errors that are looked for by name.
const (
	codeFull     = "53100"
	codeReadOnly = "25006"
)

// hints are what to do about what the server refuses, by its code. {schema}
// stands for the schema of the store.
var hints = map[string]string{
	"28P01":      "check the password: that of the URL, of PGPASSWORD or of the password file",
	"28000":      "check the user of the URL, and pg_hba.conf of the server, which says who may connect from where",
	"3D000":      "create it (CREATE DATABASE), or name another in the URL",
	"42501":      `the user lacks a right on schema "{schema}", grant it or connect as another: see docs/postgres-roles.md`,
	"3F000":      `schema "{schema}" has no store of this version: run daybook migrate`,
	"42P01":      `schema "{schema}" has no store of this version: run daybook migrate`,
	"42883":      `schema "{schema}" has no store of this version: run daybook migrate`,
	codeReadOnly: "the server or the session only reads: name the primary in the URL, and see default_transaction_read_only",
	"53200":      "the server has too little memory for it: append less at once, or give it more",
	"53300":      "the server has no connection left: lower pool_max_conns of the URL, raise max_connections of the server, or put a pooler between",
	"54000":      "PostgreSQL takes no value of that size",
	"55P03":      "another session held a lock for longer than lock_timeout: look for it in pg_stat_activity",
	"57014":      "statement_timeout ended it: it is set too low for this user or database",
	"57P03":      "the server starts or stops: try again in a moment",
}

// explained adds to an error what can be done about it. What the server itself
// refused left no trace.
func explained(err error, schema string) error {
	var from *pgconn.PgError
	var connecting *pgconn.ConnectError
	isFrom := errors.As(err, &from)
	hint := noAnswer
	if isFrom {
		hint = strings.ReplaceAll(hints[from.Code], "{schema}", schema)
	}
	switch {
	case errors.Is(err, daybook.ErrRefused), errors.As(err, new(*UnreachableError)):
		return err // it is explained already
	case isFrom && from.Code == codeFull:
		return &FullError{Err: from}
	case isFrom && !isTransient(err):
		return &RefusedError{Err: from, Hint: hint}
	case errors.As(err, &connecting) && !errors.Is(err, context.Canceled):
		return &UnreachableError{Err: err, Hint: cmp.Or(hint, noAnswer)}
	}
	return err
}

// noAnswer is what to do where no server answers.
const noAnswer = "check host and port of the URL, and that the server runs and lets this machine connect"

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
