package sqlserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/daybook-go/daybook"
)

// Pauses between tries grow from the first to the longest.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// again does something until it succeeds, fails for good, or patience ends:
// what may be repeated, since doing it twice is the same as once. The calls of
// it are counted from 0.
func (d *Driver) again(ctx context.Context, what string, do func(try int) error) error {
	var until time.Time
	pause := firstPause
	for try := 0; ; try++ {
		err := do(try)
		if err != nil && ctx.Err() != nil {
			// Whatever the server said of a statement that was cancelled, it may
			// have been done.
			return fmt.Errorf("sqlserver: %w: %w", ctx.Err(), err)
		}
		if err == nil || !isTransient(err) {
			return d.final(err)
		}
		now := time.Now()
		if try == 0 {
			until = now.Add(d.options.Patience)
		}
		if now.After(until) || d.life.Err() != nil {
			return d.final(err)
		}
		d.options.Logger.Warn("the connection failed, trying again", "doing", what, "try", try+1, "error", err)
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
		case <-d.life.Done():
		}
		timer.Stop()
		pause = min(2*pause, longestPause)
	}
}

// final is the error that a caller gets.
func (d *Driver) final(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, daybook.ErrClosed), d.life.Err() != nil && isOver(err):
		return daybook.ErrClosed
	}
	return explained(err, d.options.Schema)
}
