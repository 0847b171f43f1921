package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/daybook-go/daybook"
)

// Pauses between tries grow from the first to the longest.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// Retry does again what may succeed a moment later.
type Retry struct {
	Driver   string        // its name, which its errors begin with
	Patience time.Duration // how long it goes on
	Life     context.Context
	Logger   *slog.Logger
	// IsTransient reports whether an error may go away by itself.
	IsTransient func(error) bool
	// MayBeDone reports whether what failed so for the moment may have been done
	// all the same: it was sent, and nobody says that it was undone.
	MayBeDone func(error) bool
	// Explained adds to an error what can be done about it.
	Explained func(ctx context.Context, err error) error
}

// Do does something until it succeeds, fails for good, or patience ends: what
// may be repeated, since doing it twice is the same as once. The calls of do
// are counted from 0. Where one of them may have been done, the error of a later
// one does not say that it was refused.
func (r *Retry) Do(ctx context.Context, what string, do func(try int) error) error {
	var until time.Time
	pause := firstPause
	unsure := false
	final := func(err error) error {
		if err = r.Explained(ctx, err); unsure {
			return r.Unknown(err)
		}
		return err
	}
	for try := 0; ; try++ {
		err := do(try)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || !r.IsTransient(err):
			return final(err)
		}
		unsure = unsure || r.MayBeDone(err)
		now := time.Now()
		if try == 0 {
			until = now.Add(r.Patience)
		}
		if now.After(until) || r.Life.Err() != nil {
			return final(err)
		}
		r.Logger.Warn("the connection failed, trying again", "doing", what, "try", try+1, "error", err)
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-r.Life.Done():
		}
		timer.Stop()
		pause = min(2*pause, longestPause)
	}
}

// Unknown is the error of what was sent more than once, where the last time was
// refused, and the outcome of an earlier one is not known.
func (r *Retry) Unknown(err error) error {
	if !errors.Is(err, daybook.ErrRefused) {
		return err
	}
	return fmt.Errorf("%s: it was sent before and may be done, the outcome is unknown; now the answer is: %w", r.Driver, Unrefused(err))
}

// Unrefused returns what lies beneath err so that it does not match
// daybook.ErrRefused: what the server has refused came after something that is
// done.
func Unrefused(err error) error {
	for within := err; within != nil; within = errors.Unwrap(within) {
		if !errors.Is(within, daybook.ErrRefused) {
			return within
		}
	}
	return errors.New(err.Error())
}
