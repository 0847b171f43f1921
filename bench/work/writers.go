package work

import (
	"context"
	"sync"
	"time"

	"github.com/daybook-go/daybook/bench/measure"
	"github.com/daybook-go/daybook/bench/peer"
)

// warmUp is which part of a task's duration goes by before anything counts, on
// top of it.
const warmUp = 5

// bodyCount is how many different events a process draws from.
const bodyCount = 1024

// turn is one append of a writer, tried until it is stored. It returns how
// often it had to be decided again.
type turn func(ctx context.Context) (refused int64, err error)

// runWriters lets writers take turns for the duration of the task, each turn
// storing the events of one append, and measures.
func runWriters(ctx context.Context, t Task, p peer.Peer, writer func(n int) (turn, error)) (Result, error) {
	processor, err := processorClock(ctx, p)
	if err != nil {
		return Result{}, err
	}
	turns := make([]turn, t.Writers)
	for n := range turns {
		if turns[n], err = writer(n); err != nil {
			return Result{}, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	window := measure.NewWindow(t.Duration/warmUp, t.Duration)
	counts := make([]count, t.Writers)
	var running sync.WaitGroup
	for n := range turns {
		counts[n].latencies = measure.NewLatencies()
		running.Go(func() {
			if err := counts[n].repeat(ctx, turns[n], window); err != nil {
				cancel(err)
			}
		})
	}
	window.WaitOpen(ctx)
	before := processor()
	elapsed := window.WaitClosed(ctx)
	result := Result{Elapsed: elapsed, Processor: processor() - before}
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return Result{}, err
	}
	all := measure.NewLatencies()
	for n := range counts {
		all.Merge(counts[n].latencies)
		result.Refused += counts[n].refused
	}
	result.Events = all.Count() * int64(max(t.Group, 1))
	result.P50, result.P99, result.P999 = all.Quantile(0.5), all.Quantile(0.99), all.Quantile(0.999)
	result.Version = versionOf(ctx, p)
	return result, nil
}

// count is what one writer has done within the window.
type count struct {
	latencies *measure.Latencies
	refused   int64
}

// repeat takes turns until the window closes, and counts those that ended
// within it.
func (c *count) repeat(ctx context.Context, take turn, window *measure.Window) error {
	for began := time.Now(); ; {
		refused, err := take(ctx)
		if err != nil {
			return err
		}
		ended := time.Now()
		counted, more := window.Count(c.latencies, began, ended)
		if counted {
			c.refused += refused
		}
		if !more {
			return nil
		}
		began = ended
	}
}
