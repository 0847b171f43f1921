package sqlstore

import (
	"context"
	"sync"

	"github.com/daybook-go/daybook"
)

// Bell wakes those who wait for the log to grow. Appends of this process ring
// it. While somebody waits, one goroutine of the driver looks for those of
// others.
type Bell struct {
	mu      sync.Mutex       // guards all below
	end     daybook.Position // the log has reached it
	grown   chan struct{}    // closed, and replaced, when end has risen; nil while nobody waits
	waiting int
	looking bool
}

// Wait waits, as a call of a driver, until the log has grown above a position.
// readEnd tells where it ends now. look runs, once for all who wait, in a
// goroutine of its own: it rings for what others append, and returns when the
// life of the driver has ended or Idle reports so.
func (b *Bell) Wait(ctx context.Context, calls *Calls, after daybook.Position, readEnd func(context.Context) (daybook.Position, error), look func()) error {
	if err := calls.Begin(); err != nil {
		return err
	}
	defer calls.Done()
	b.come()
	defer b.leave()
	for first := true; ; first = false {
		grown := b.above(after, calls, look)
		if grown == nil {
			return nil
		}
		if first {
			end, err := readEnd(ctx)
			if err != nil {
				return err
			}
			if b.Ring(end); end > after {
				return nil
			}
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		case <-calls.Life().Done():
			return daybook.ErrClosed
		}
	}
}

// Ring takes in that the log has reached a position.
func (b *Bell) Ring(end daybook.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if end <= b.end {
		return
	}
	b.end = end
	if b.grown != nil {
		close(b.grown)
		b.grown = nil
	}
}

// End returns the position that the log is known to have reached.
func (b *Bell) End() daybook.Position {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.end
}

// Awaited reports whether somebody waits.
func (b *Bell) Awaited() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting > 0
}

// Idle reports whether nobody waits. Then the one who looks must end: the next
// who waits starts another.
func (b *Bell) Idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting > 0 {
		return false
	}
	b.looking = false
	return true
}

func (b *Bell) come() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting++
}

func (b *Bell) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting--
}

// above returns nil if the log has grown above a position, else what is closed
// when it has grown again; then somebody looks.
func (b *Bell) above(after daybook.Position, calls *Calls, look func()) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end > after {
		return nil
	}
	if b.grown == nil {
		b.grown = make(chan struct{})
	}
	if !b.looking {
		b.looking = true
		calls.Go(look)
	}
	return b.grown
}
