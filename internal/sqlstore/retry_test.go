package sqlstore

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

var errLost, errUnsent, errWrong = errors.New("the connection is lost"), errors.New("not sent"), errors.New("wrong password")

// refusedError is what the server refused.
type refusedError struct{ err error }

func (e *refusedError) Error() string        { return "refused: " + e.err.Error() }
func (e *refusedError) Unwrap() error        { return e.err }
func (e *refusedError) Is(target error) bool { return target == daybook.ErrRefused }

// retries returns a Retry for which errLost and errUnsent are transient.
func retries(life context.Context, patience time.Duration) *Retry {
	return &Retry{
		Driver: "test", Patience: patience, Life: life, Logger: slog.New(slog.DiscardHandler),
		IsTransient: func(err error) bool { return errors.Is(err, errLost) || errors.Is(err, errUnsent) },
		MayBeDone:   func(err error) bool { return errors.Is(err, errLost) },
		Explained: func(_ context.Context, err error) error {
			if errors.Is(err, errWrong) {
				return &refusedError{err}
			}
			return err
		},
	}
}

// answering returns what answers with errors one after the other.
func answering(tries *int, answers ...error) func(int) error {
	return func(try int) error {
		*tries = try + 1
		return answers[try]
	}
}

func TestWhatFailsForTheMomentIsDoneAgain(t *testing.T) {
	var tries int
	err := retries(t.Context(), time.Hour).Do(t.Context(), "test", answering(&tries, errLost, errUnsent, nil))
	if err != nil || tries != 3 {
		t.Errorf("%d tries, %v", tries, err)
	}
}

func TestWhatIsRefusedAfterATryThatMayBeDoneDoesNotMatchErrRefused(t *testing.T) {
	for _, test := range []struct {
		before  error
		refused bool
	}{{errUnsent, true}, {errLost, false}} {
		var tries int
		err := retries(t.Context(), time.Hour).Do(t.Context(), "test", answering(&tries, test.before, errWrong))
		if errors.Is(err, daybook.ErrRefused) != test.refused || !errors.Is(err, errWrong) || tries != 2 {
			t.Errorf("after %q: %v, %d tries", test.before, err, tries)
		}
	}
}

func TestItIsGivenUpWhenPatienceTheContextOrTheLifeOfTheDriverEnds(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, do := range map[string]func(func(int) error) error{
		"patience": func(f func(int) error) error { return retries(t.Context(), -time.Second).Do(t.Context(), "test", f) },
		"context":  func(f func(int) error) error { return retries(t.Context(), time.Hour).Do(over, "test", f) },
		"life":     func(f func(int) error) error { return retries(over, time.Hour).Do(t.Context(), "test", f) },
	} {
		var tries int
		if err := do(answering(&tries, errLost)); !errors.Is(err, errLost) || tries != 1 {
			t.Errorf("%s: %v, %d tries", name, err, tries)
		}
	}
}

func TestAnErrorThatCannotBeUnwrappedKeepsItsWordsUnrefused(t *testing.T) {
	err := Unrefused(daybook.ErrRefused)
	if errors.Is(err, daybook.ErrRefused) || err.Error() != daybook.ErrRefused.Error() {
		t.Errorf("got %v", err)
	}
}
