package aggregate

import (
	"fmt"

	"github.com/daybook-go/daybook"
)

// ErrNilEvent is matched when a decision holds an event that is nil. Nothing
// was stored.
var ErrNilEvent = fmt.Errorf("an event is nil: %w", daybook.ErrInvalid)

// EvolveError says that folding an event failed: Evolve, or Apply, panicked.
// In a command the event was about to be stored, and was not: Version is 0, and
// it matches daybook.ErrInvalid. In a load the event is stored, and stays
// readable with the store's own verbs.
type EvolveError struct {
	Stream  daybook.StreamID
	Version daybook.Version // of the record that was folded; 0 if it was not stored
	Event   any
	Panic   any
	Stack   []byte // where it panicked, for people
}

func (e *EvolveError) Error() string {
	if e.Version == 0 {
		return fmt.Sprintf("stream %q: the fold cannot take a new event %T, which was not stored: %v", e.Stream, e.Event, e.Panic)
	}
	return fmt.Sprintf("stream %q, version %d: the fold cannot take the event %T: %v", e.Stream, e.Version, e.Event, e.Panic)
}

// Is reports whether target is a question that e answers with yes.
func (e *EvolveError) Is(target error) bool {
	return e.Version == 0 && (target == daybook.ErrInvalid || target == daybook.ErrRefused)
}

// Unwrap returns what was panicked with, where that is an error.
func (e *EvolveError) Unwrap() error {
	err, _ := e.Panic.(error)
	return err
}

// ContendedError says that others were quicker as often as Retry allows, or
// until the context ended. Nothing was stored. It matches daybook.ErrConflict,
// and the error of the context where that ended; execute the command again
// later, or raise Retry.MaxTries.
type ContendedError struct {
	Tries int
	Err   error // the last conflict
	Ended error // what the context has ended with; nil if it has not
}

func (e *ContendedError) Error() string {
	if e.Ended != nil {
		return fmt.Sprintf("others were quicker %d times: %v; then: %v", e.Tries, e.Err, e.Ended)
	}
	return fmt.Sprintf("others were quicker %d times: %v", e.Tries, e.Err)
}

// Unwrap returns the last conflict, and what the context has ended with.
func (e *ContendedError) Unwrap() []error {
	if e.Ended == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Ended}
}

// UnknownOutcomeError says that the storage failed in a way that does not tell
// whether the events were stored, and several repeats of the append did not
// help. Execute the command again with CommandOptions.ID set to ID: it is
// carried out once.
type UnknownOutcomeError struct {
	ID  daybook.ID // that of the append, and of the command
	Err error
}

func (e *UnknownOutcomeError) Error() string {
	return fmt.Sprintf("command %s: %v", e.ID, e.Err)
}

// Unwrap returns what the storage said.
func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// SetupError says that something was put together wrongly, or is used where it
// must not be. Nothing was stored; it matches daybook.ErrInvalid.
type SetupError struct {
	What   string // "options.Snapshots.Name"
	Reason string // "must not be empty"
}

func (e *SetupError) Error() string { return "aggregate: " + e.What + ": " + e.Reason }

// Is reports whether target is a question that e answers with yes.
func (e *SetupError) Is(target error) bool {
	return target == daybook.ErrInvalid || target == daybook.ErrRefused
}

// negative is the answer to a number, or a time, below nothing.
func negative(what string, is any) error {
	return &SetupError{What: what, Reason: fmt.Sprintf("must not be negative (it is %v)", is)}
}
