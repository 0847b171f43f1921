package disk

import "time"

// gathering decides how long a round that could be written waits for more
// appends. Those whom the round before has let go are often about to append
// again: with them, two rounds half full become one full one, and a sync costs
// more processor time than many appends. Where they do not come back soon,
// waiting for them would only be slow.
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
	pause   int           // how often nobody is waited for once few came
	pausing int           // how often still
}

const (
	// lateness is how many times as long as expected the awaited may take, and
	// grace how long in any case; longest is the most, in times that it takes to
	// write a round.
	lateness = 4
	grace    = 20 * time.Microsecond
	longest  = 8
	// longestPause is how often in a row nobody is waited for, at most.
	longestPause = 15
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
	if g.pausing > 0 {
		g.pausing--
		return 0
	}
	expected := time.Duration(missing) * g.joining
	return min(grace+lateness*expected, longest*g.writing) - time.Since(g.since)
}

// joined takes in how many of those who were missing came while they were
// waited for. One who is very late says little about the others.
func (g *gathering) joined(n, missing int, took time.Duration) {
	each := min(took/time.Duration(max(1, n)), 2*g.joining)
	g.joining += (each - g.joining) / smoothing
	if n >= (missing+1)/2 {
		g.pause = 0
	} else {
		g.pause = min(2*g.pause+1, longestPause)
		g.pausing = g.pause
	}
}

// gather returns the oldest round, closed, once those have joined it who are
// worth waiting for.
func (w *writer) gather() *round {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, g := w.queue[0], &w.gathering
	if missing := g.awaited - r.waiting; missing > 0 && !r.full {
		if patience := g.patience(missing); patience > 0 {
			w.park(r, missing, patience)
		}
	}
	g.awaited = 0
	r.full = true
	return r
}

// park waits until all have joined a round who are awaited, or for a time.
// w.mu is held, and let go meanwhile.
func (w *writer) park(r *round, missing int, patience time.Duration) {
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
	g.joined(r.waiting-before, missing, time.Since(began))
}
