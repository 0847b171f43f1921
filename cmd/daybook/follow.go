package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// What is waited for a server that goes away while it is followed: it is being
// started again, most likely.
const (
	awayPause = time.Second // between the tries, which the client makes several of each time
	awayTries = 20
)

// follow is log that does not end. What was read is shown when nothing more
// waits, not record by record.
func (p *program) follow(ctx context.Context, read daybook.LogRead) error {
	out := p.recordWriter(logColumns)
	shown := func(context.Context, daybook.ReadEnd) { _ = out.flush() } // told by the next write, and at the end
	store, err := p.open(ctx, p.address(), reading, &daybook.Options{Hooks: daybook.Hooks{ReadEnd: shown}})
	if err != nil {
		return err
	}
	defer store.Close()
	_, err = store.End(ctx) // a server that was never there is not waited for
	for tries := 0; err == nil; {
		before := read.After
		if err = followOn(ctx, store, &read, out); err == nil {
			break
		}
		if read.After > before {
			tries = 0
		}
		if isAway(err) && ctx.Err() == nil && tries < awayTries {
			if tries == 0 && !p.json {
				fmt.Fprintf(p.stderr, "daybook: %s; waiting for it\n", printable(err.Error()))
			}
			tries++
			err = pause(ctx, awayPause)
		}
	}
	if err != nil && !errors.Is(err, context.Canceled) { // interrupted: that is how following ends
		return err
	}
	return out.flush()
}

// followOn writes what the log has, and what comes, and moves read behind it.
// It returns nil when all that was asked for is written.
func followOn(ctx context.Context, store *daybook.Store, read *daybook.LogRead, out *recordWriter) error {
	for record, err := range store.Follow(ctx, *read) {
		if err != nil {
			return err
		}
		if err := out.write(&record); err != nil {
			return err
		}
		read.After = record.Position
		if read.Limit > 0 {
			if read.Limit--; read.Limit == 0 {
				return nil
			}
		}
	}
	return nil
}

// pause waits, or returns the error of ctx when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
