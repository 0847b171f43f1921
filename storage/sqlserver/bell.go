package sqlserver

import (
	"context"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// bell wakes those who wait for the log to grow. Appends of this process ring
// it. While somebody waits, one goroutine looks for those of others every
// Options.Poll: the server has nothing light that could tell.
type bell struct {
	driver *Driver

	mu      sync.Mutex       // guards all below
	end     daybook.Position // the log has reached it
	grown   chan struct{}    // closed, and replaced, when end has risen; nil while nobody waits
	waiting int
	looking bool
}

// Wait implements daybook.Waiter.
func (d *Driver) Wait(ctx context.Context, after daybook.Position) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.calls.Done()
	e, err := d.readEnd(ctx)
	if err != nil {
		return err
	}
	b := &d.bell
	b.ring(e.position)
	b.come()
	defer b.leave()
	for {
		grown := b.above(after)
		if grown == nil {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		case <-d.life.Done():
			return daybook.ErrClosed
		}
	}
}

// ring takes in that the log has reached a position.
func (b *bell) ring(end daybook.Position) {
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

// above returns nil if the log has grown above a position, else what is closed
// when it has grown again.
func (b *bell) above(after daybook.Position) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.end > after {
		return nil
	}
	if b.grown == nil {
		b.grown = make(chan struct{})
	}
	return b.grown
}

// come takes in that somebody waits, whose call of the driver is running.
func (b *bell) come() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting++
	if !b.looking {
		b.looking = true
		b.driver.calls.Add(1) // Close waits for the call, so it has not begun to wait for none
		go b.look()
	}
}

func (b *bell) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting--
}

// idle reports whether nobody waits; then nobody looks either from now on.
func (b *bell) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting > 0 {
		return false
	}
	b.looking = false
	return true
}

// look looks for what others append, until nobody waits.
func (b *bell) look() {
	d := b.driver
	defer d.calls.Done()
	ticks := time.NewTicker(d.options.Poll)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-d.life.Done():
			return
		}
		if b.idle() {
			return
		}
		// A failure is no answer: the next tick asks again.
		if e, err := d.readEnd(d.life); err == nil {
			b.ring(e.position)
		}
	}
}
