package sqlserver

import (
	"context"
	"time"

	"github.com/daybook-go/daybook"
)

// Wait implements daybook.Waiter.
func (d *Driver) Wait(ctx context.Context, after daybook.Position) error {
	return d.bell.Wait(ctx, d.calls, after, d.endPosition, d.look)
}

// look looks for what others append every Options.Poll, until nobody waits: the
// server has nothing light that could tell.
func (d *Driver) look() {
	life := d.calls.Life()
	ticks := time.NewTicker(d.options.Poll)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-life.Done():
			return
		}
		if d.bell.Idle() {
			return
		}
		// A failure is no answer: the next tick asks again.
		if end, err := d.endPosition(life); err == nil {
			d.bell.Ring(end)
		}
	}
}
