package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
	"github.com/daybook-go/daybook/storage/azureblob"
	"github.com/daybook-go/daybook/storage/azuretable"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/postgres"
	"github.com/daybook-go/daybook/storage/remote"
	"github.com/daybook-go/daybook/storage/sqlserver"
)

// The exit codes; exitCodesTopic explains them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitConflict    = 3
	exitNotFound    = 4
	exitStore       = 5
	exitInterrupted = 130
)

// failure is an error that knows its exit code and what to do about it.
type failure struct {
	exit int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func usageError(err error) error { return &failure{exit: exitUsage, err: err} }

// usagef is usageError with a text.
func usagef(format string, args ...any) error { return usageError(fmt.Errorf(format, args...)) }

// hinted puts a hint to an error.
func hinted(err error, format string, args ...any) error {
	return &failure{exit: exitOf(err), err: err, hint: fmt.Sprintf(format, args...)}
}

// exitOf returns the exit code for an error.
func exitOf(err error) int {
	var known *failure
	var missing *fs.PathError
	var newer *disk.FormatError
	switch {
	case errors.As(err, &known):
		return known.exit
	case errors.Is(err, daybook.ErrConflict):
		return exitConflict
	case errors.Is(err, daybook.ErrInvalid):
		return exitUsage
	case isAway(err), errors.As(err, &newer), errors.Is(err, daybook.ErrReadOnly):
		return exitStore
	case errors.As(err, &missing) && errors.Is(err, fs.ErrNotExist):
		return exitUsage
	default:
		return exitFailed
	}
}

// isAway reports whether an error says that the server of a store does not
// answer.
func isAway(err error) bool {
	return errors.As(err, new(*remote.UnreachableError)) || errors.As(err, new(*postgres.UnreachableError)) || errors.As(err, new(*sqlserver.UnreachableError)) ||
		errors.As(err, new(*azureblob.UnavailableError)) || errors.As(err, new(*azuretable.UnavailableError))
}

// hintOf returns what to do about an error, "" where nobody knows better than
// its text.
func hintOf(err error) string {
	var known *failure
	var conflict *daybook.ConflictError
	var condition *daybook.ConditionError
	var unreachable *remote.UnreachableError
	switch {
	case errors.As(err, &known) && known.hint != "":
		return known.hint
	case errors.As(err, &conflict) && conflict.Ahead():
		return "the stream has less than was expected of it: look at it with daybook read"
	case errors.As(err, &conflict):
		return fmt.Sprintf("decide again from what was missed, then append with --expect version:%d", conflict.Found.Version)
	case errors.As(err, &condition):
		return fmt.Sprintf("decide again from these records, then append with --condition-after %d", condition.Found)
	case errors.As(err, &unreachable) && !unreachable.Sent:
		if server, err := url.Parse(unreachable.Server); err == nil {
			return "is it running? daybook serve --listen " + server.Host
		}
	case errors.Is(err, daybook.ErrFull):
		return "make room on the disk, then append again: nothing has to be restarted"
	case errors.Is(err, daybook.ErrFailed):
		return "see that the disk is well, then open the store again: start its server again"
	case errors.Is(err, daybook.ErrCorrupt):
		return "restore the store from a backup: daybook restore --help"
	}
	return ""
}

// report writes an error for the user and returns its exit code.
func (p *program) report(ctx context.Context, err error) int {
	exit := exitOf(err)
	hint := hintOf(err)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		exit, err = exitInterrupted, errors.New("interrupted")
	}
	if p.json {
		_, _ = p.stderr.Write(jsonError(err, exit, hint)) // there is no one left to tell
		return exit
	}
	fmt.Fprintf(p.stderr, "daybook: %s\n", printable(strings.ReplaceAll(err.Error(), "\n", "; ")))
	p.explain(err)
	if hint != "" {
		fmt.Fprintf(p.stderr, "hint: %s\n", printable(hint))
	}
	return exit
}

// explain writes the records that a conflict is about.
func (p *program) explain(err error) {
	var records []daybook.Record
	incomplete := false
	var conflict *daybook.ConflictError
	var condition *daybook.ConditionError
	switch {
	case errors.As(err, &conflict):
		for _, changeset := range conflict.Missed {
			records = append(records, changeset.Records...)
		}
		incomplete = conflict.Incomplete
	case errors.As(err, &condition):
		records, incomplete = condition.Records, condition.Incomplete
	}
	if len(records) == 0 {
		return
	}
	fmt.Fprintln(p.stderr, "missed:")
	lines := newLines(p.stderr, logColumns)
	for i := range records {
		lines.write(&records[i])
	}
	if incomplete {
		fmt.Fprintln(p.stderr, "and more")
	}
}

// jsonError is an error for programs: what the HTTP interface says of it, and
// the exit code and hint of the command line.
func jsonError(err error, exit int, hint string) []byte {
	_, code := wire.Status(err)
	var out []byte
	if code == "INTERNAL" || code == "STORAGE_FAILED" || code == "STORAGE_FULL" {
		// Over HTTP such an error is hidden from strangers; here it is the
		// user's own.
		out = append(out, `{"error":"`+exitName(exit)+`","message":`...)
		out = append(wire.AppendString(out, valid(err.Error())), '}')
	} else {
		out = wire.AppendError(out, err)
	}
	out = append(out[:len(out)-1], fmt.Sprintf(`,"exit_code":%d`, exit)...)
	if hint != "" {
		out = append(out, `,"hint":`...)
		out = wire.AppendString(out, valid(hint))
	}
	return append(out, '}', '\n')
}

// exitName is the "error" of errors that only the command line knows.
func exitName(exit int) string {
	switch exit {
	case exitUsage:
		return "USAGE"
	case exitConflict:
		return "CONFLICT"
	case exitNotFound:
		return "NOT_FOUND"
	case exitStore:
		return "STORE"
	case exitInterrupted:
		return "INTERRUPTED"
	default:
		return "FAILED"
	}
}
