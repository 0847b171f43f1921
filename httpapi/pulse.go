package httpapi

import (
	"iter"
	"sync"
	"time"
)

// pulsed is values, with beat called when nothing was sent for the time of a
// heartbeat: while the store looks for a value that is far away, the client
// must see that somebody is there. What the range over it does and beat never
// run at once.
func pulsed[T any](x *exchange, values iter.Seq2[T, error], beat func() error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var turn sync.Mutex // held by whoever works on the reply
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			x.pulse(&turn, stop, beat)
		}()
		defer func() {
			close(stop)
			<-stopped
		}()
		pass := func(value T, err error) bool {
			turn.Lock()
			defer turn.Unlock()
			return yield(value, err)
		}
		for value, err := range values {
			if !pass(value, err) {
				return
			}
		}
	}
}

// pulse calls beat each time that nothing was sent between two ticks, until
// stop. It is real time, since clients know no other.
func (x *exchange) pulse(turn *sync.Mutex, stop <-chan struct{}, beat func() error) {
	ticker := time.NewTicker(max(x.handler.options.Heartbeat/2, time.Millisecond))
	defer ticker.Stop()
	for before := int64(-1); ; {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		turn.Lock()
		if x.sent == before && x.broken == nil {
			_ = beat() // who has gone is noticed at the next value
		}
		before = x.sent
		turn.Unlock()
	}
}
