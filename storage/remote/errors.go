package remote

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
)

// UnreachableError says that the server could not be reached, did not answer
// to the end, or answered that it cannot now, as often as it was asked. It
// does not match ErrRefused by itself: of an append the outcome is unknown.
type UnreachableError struct {
	Server string // its URL
	Sent   bool   // the request may have reached it
	Err    error
}

func (e *UnreachableError) Error() string { return fmt.Sprintf("server %s: %v", e.Server, e.Err) }

// Unwrap returns what went wrong underneath.
func (e *UnreachableError) Unwrap() error { return e.Err }

// unreachable puts the server's name to an error.
func (d *Driver) unreachable(sent bool, err error) error {
	return &UnreachableError{Server: d.base.Redacted(), Sent: sent, Err: err}
}

// stranger is the error for a reply that is not a Daybook server's.
func (d *Driver) stranger(err error) error {
	return fmt.Errorf("%s does not answer like a Daybook server: %v", d.base.Redacted(), err)
}

// answered is the error of an append or deletion that the server refused. If an
// earlier try was lost, it may still be on its way, and be made where the
// refusal is one that passes: only what can never hold again is a proof. That a
// stream has records, or that some match a condition, passes when they are
// deleted; that a stream is beyond a version or changeset does not.
func answered(err error, sent bool) error {
	if !sent || !errors.Is(err, daybook.ErrRefused) {
		return err
	}
	var conflict *daybook.ConflictError
	beyond := errors.As(err, &conflict) && !conflict.Ahead() && !conflict.Expect.None()
	if beyond || errors.Is(err, daybook.ErrInvalid) {
		return err
	}
	return fmt.Errorf("an earlier try was not answered, and then: %v", err)
}

// unanswered is the error of an append that the server did not answer.
func unanswered(err error, sent bool) error {
	switch {
	case !sent && !errors.Is(err, daybook.ErrRefused):
		return fmt.Errorf("%w, it was never sent: %w", daybook.ErrRefused, err)
	case sent && errors.Is(err, daybook.ErrRefused):
		return answered(err, sent)
	}
	return err
}
