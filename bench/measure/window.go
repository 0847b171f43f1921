package measure

import (
	"context"
	"sync"
	"time"
)

// Window is the time in which calls count. It opens when the warm-up is over
// and closes after its duration, but not before one call has ended in it: what
// is slower than the window is measured all the same. It may be used by many
// goroutines at once.
type Window struct {
	opens, closes time.Time
	once          sync.Once
	counted       chan struct{} // closed when a call was counted
}

// NewWindow returns a window whose warm-up begins now.
func NewWindow(warmUp, duration time.Duration) *Window {
	opens := time.Now().Add(warmUp)
	return &Window{opens: opens, closes: opens.Add(duration), counted: make(chan struct{})}
}

// Count adds a call that has just ended, if it ended within the window. It
// reports whether it did, and whether there is time for another call.
func (w *Window) Count(latencies *Latencies, began, ended time.Time) (counted, more bool) {
	if ended.Before(w.opens) {
		return false, true
	}
	late := !ended.Before(w.closes)
	if late {
		select {
		case <-w.counted:
			return false, false
		default:
		}
	}
	latencies.Add(ended.Sub(began))
	w.once.Do(func() { close(w.counted) })
	return true, !late
}

// WaitOpen waits until the window opens, or ctx ends.
func (w *Window) WaitOpen(ctx context.Context) { waitUntil(ctx, w.opens) }

// WaitClosed waits until the window is closed, or ctx ends. It returns how long
// it was open.
func (w *Window) WaitClosed(ctx context.Context) time.Duration {
	waitUntil(ctx, w.closes)
	select {
	case <-w.counted:
		return w.closes.Sub(w.opens)
	default:
	}
	select {
	case <-w.counted:
	case <-ctx.Done():
	}
	return time.Since(w.opens)
}

func waitUntil(ctx context.Context, moment time.Time) {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
