package aggregate

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
)

// ErrNilEvent is matched when a decision holds an event that is nil. Nothing
// was stored.
var ErrNilEvent = errors.New("an event is nil")

// EvolveError says that folding an event failed: Evolve, or Apply, panicked.
// In a command the event was about to be stored, and was not: Version is 0. In
// a load the event is stored, and stays readable with the store's own verbs.
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

// Unwrap returns what was panicked with, where that is an error.
func (e *EvolveError) Unwrap() error {
	err, _ := e.Panic.(error)
	return err
}

// ContendedError says that others were quicker as often as Retry allows.
// Nothing was stored. It matches daybook.ErrConflict; execute the command again
// later, or raise Retry.MaxTries.
type ContendedError struct {
	Tries int
	Err   error // the last conflict
}

func (e *ContendedError) Error() string {
	return fmt.Sprintf("others were quicker %d times: %v", e.Tries, e.Err)
}

// Unwrap returns the last conflict.
func (e *ContendedError) Unwrap() error { return e.Err }

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

// SetupError says that something was put together wrongly: found when it is
// built, or when a repository meets a transaction of another store.
type SetupError struct {
	What   string // "snapshots.name"
	Reason string // "must not be empty"
}

func (e *SetupError) Error() string { return "aggregate: " + e.What + ": " + e.Reason }
