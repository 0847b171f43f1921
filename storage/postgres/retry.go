package postgres

import (
	"context"
	"math/rand/v2"
	"time"
)

// Pauses between tries grow from the first to the longest.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// again does something until it succeeds, fails for good, or patience ends:
// what may be repeated, since doing it twice is the same as once. The calls of
// it are counted from 0. Where one of them may have been done, the error of a
// later one does not say that it was refused.
func (d *Driver) again(ctx context.Context, what string, do func(try int) error) error {
	var until time.Time
	pause := firstPause
	unsure := false
	final := func(err error) error {
		if err = explained(err, d.options.Schema); unsure {
			return unknown(err)
		}
		return err
	}
	for try := 0; ; try++ {
		err := do(try)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || !isTransient(err):
			return final(err)
		}
		unsure = unsure || mayBeDone(err)
		now := time.Now()
		if try == 0 {
			until = now.Add(d.options.Patience)
		}
		if now.After(until) || d.life.Err() != nil {
			return final(err)
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
