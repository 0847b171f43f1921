package sqlstore

import (
	"context"
	"sync"

	"github.com/daybook-go/daybook"
)

// Calls are the calls of a driver that run: Close waits for them.
type Calls struct {
	life context.Context // ends with Close
	end  context.CancelFunc

	mu      sync.Mutex     // guards closed, and running when it is set
	running sync.WaitGroup // what Close waits for
	closed  bool
}

// NewCalls returns the calls of a driver that is open, whose life ends with
// Close or with ctx.
func NewCalls(ctx context.Context) *Calls {
	c := &Calls{}
	c.life, c.end = context.WithCancel(ctx)
	return c
}

// Begin lets a call run; its caller calls Done behind it. Of a driver that is
// closed it returns daybook.ErrClosed.
func (c *Calls) Begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return daybook.ErrClosed
	}
	c.running.Add(1)
	return nil
}

// Done takes in that a call has ended.
func (c *Calls) Done() { c.running.Done() }

// Go starts what Close waits for too. Only a call that runs may start it: so
// Close has not begun to wait for none.
func (c *Calls) Go(do func()) { c.running.Go(do) }

// Life ends when the driver is closed.
func (c *Calls) Life() context.Context { return c.life }

// Close waits until all calls have ended, and lets none begin. It reports
// whether it is the first to do so.
func (c *Calls) Close() bool {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.mu.Unlock()
	if was {
		return false
	}
	c.end()
	c.running.Wait()
	return true
}
