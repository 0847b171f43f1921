package azureblob

import (
	"context"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// poller looks for what others append while somebody waits for it.
type poller struct {
	driver *Driver

	mu      sync.Mutex // guards all below
	waiting int
	running bool
}

// Wait implements daybook.Waiter. What this process appends ends it at once,
// what others do within Options.Poll.
func (d *Driver) Wait(ctx context.Context, after daybook.Position) error {
	for first := true; ; first = false {
		if err := d.begin(); err != nil {
			return err
		}
		d.log.mu.RLock()
		end, grown := d.log.state.last, d.log.grown
		d.log.mu.RUnlock()
		err := ctx.Err()
		if err == nil && end <= after && first {
			err = d.refresh(ctx)
		}
		d.calls.Done()
		switch {
		case err != nil:
			return err
		case end > after:
			return nil
		}
		if err := d.poller.await(ctx, grown); err != nil {
			return err
		}
	}
}

// await waits until the log has grown, and sees to it that somebody looks.
func (p *poller) await(ctx context.Context, grown <-chan struct{}) error {
	p.mu.Lock()
	p.waiting++
	if !p.running {
		p.running = true
		go p.poll()
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.waiting--
		p.mu.Unlock()
	}()
	select {
	case <-grown:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.driver.closing:
		return daybook.ErrClosed
	}
}

// poll looks every Options.Poll, until nobody waits.
func (p *poller) poll() {
	d := p.driver
	ticker := time.NewTicker(d.options.Poll)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-d.closing:
		}
		p.mu.Lock()
		if p.waiting == 0 {
			p.running = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		if d.begin() != nil {
			p.mu.Lock()
			p.running = false
			p.mu.Unlock()
			return
		}
		if err := d.refresh(d.life); err != nil {
			d.options.Logger.Warn("looking for new records failed", "error", err)
		}
		d.calls.Done()
	}
}
