package disk

import "time"

// gathering decides how long a round that could be written waits for more
// appends. Those whom the round before has let go are often about to append
// again: with them, two rounds half full become one full one. Where they are
// so many that a round could be written before the last of them has come, the
// next round takes them.
//
// It is guarded by writer.mu, but for the timer.
type gathering struct {
	awaited int       // how many appends the oldest round holds if all of them come
	since   time.Time // when they were let go
	parked  bool      // the leader waits for them
	come    chan struct{}
	timer   *time.Timer // owned by who leads

	writing time.Duration // how long it takes to write a round, smoothed
	joining time.Duration // how long it takes until one more has come, smoothed
	hasty   int           // how often in a row nobody was waited for
}

const (
	// probeEvery is how often it is tried whether waiting has become worth
	// while.
	probeEvery = 16
	// lateness is how many times as long as expected the awaited may take, and
	// grace how long in any case.
	lateness = 4
	grace    = 20 * time.Microsecond
	// smoothing is the inverse of the weight of what was measured last.
	smoothing = 8
)

func newGathering() gathering {
	g := gathering{come: make(chan struct{}, 1), timer: time.NewTimer(time.Hour), joining: time.Microsecond}
	g.timer.Stop()
	return g
}

// expect takes in that a round was written, which took a while, and lets
// appends go, while others wait for the next one already.
func (g *gathering) expect(letGo, waiting int, took time.Duration, now time.Time) {
	g.awaited, g.since = letGo+waiting, now
	g.writing += (took - g.writing) / smoothing
}

// joins takes in how many appends wait for the oldest round now.
func (g *gathering) joins(waiting int) {
	if g.parked && waiting >= g.awaited {
		g.parked = false
		g.come <- struct{}{}
	}
}

// patience returns how long to wait for so many who are missing; not above 0:
// not at all.
func (g *gathering) patience(missing int) time.Duration {
	expected := time.Duration(missing) * g.joining
	if expected > g.writing {
		if g.hasty++; g.hasty < probeEvery {
			return 0
		}
	}
	g.hasty = 0
	return min(grace+lateness*expected, g.writing) - time.Since(g.since)
}

// joined takes in how many came while they were waited for. One who is very
// late says little about the others.
func (g *gathering) joined(n int, took time.Duration) {
	each := min(took/time.Duration(max(1, n)), 2*g.joining)
	g.joining += (each - g.joining) / smoothing
}

// gather returns the oldest round, closed, once those have joined it who are
// worth waiting for.
func (w *writer) gather() *round {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, g := w.queue[0], &w.gathering
	if missing := g.awaited - r.waiting; missing > 0 && !r.full {
		if patience := g.patience(missing); patience > 0 {
			w.park(r, patience)
		}
	}
	g.awaited = 0
	r.full = true
	return r
}

// park waits until all have joined a round who are awaited, or for a time.
// w.mu is held, and let go meanwhile.
func (w *writer) park(r *round, patience time.Duration) {
	g, before, began := &w.gathering, r.waiting, time.Now()
	g.parked = true
	w.mu.Unlock()
	g.timer.Reset(patience)
	select {
	case <-g.come:
	case <-g.timer.C:
	}
	g.timer.Stop()
	w.mu.Lock()
	if !g.parked {
		select { // who came last may have told after the time was over
		case <-g.come:
		default:
		}
	}
	g.parked = false
	g.joined(r.waiting-before, time.Since(began))
}
