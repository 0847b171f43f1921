package deciding

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daybook-go/daybook"
)

// Turns lets those of one process who decide on the same streams go one after
// the other, in the order in which they came: only one of them can win, so
// sending at once would tell the others nothing but that they lost.
//
// A turn is a courtesy, not a lock. Whoever has waited for so long that nobody
// in front went on goes without one, since the store decides in the end. So
// nobody waits for ever for somebody slow, or for himself.
type Turns struct {
	// Order is another one for each. Whoever needs several Turns takes them in
	// this order, so that no two wait for each other.
	Order int64

	mu    sync.Mutex // guards all below, and the turns
	lines map[daybook.StreamID]*line
	spare []*line // some that are out of use, so that not each takes memory of its own
}

// maxSpare bounds how much memory is kept for turns to come.
const maxSpare = 16

// line is who wants a stream, in order. The first one has it, or waits for
// another stream besides.
type line struct {
	turns  []*Turn
	passed int // how often somebody left it
}

// Turn is the right to work on some streams.
type Turn struct {
	of      *Turns
	streams []daybook.StreamID
	one     [1]daybook.StreamID // the memory of streams, where that is one
	behind  int                 // in how many lines somebody stands in front
	come    chan struct{}       // closed when that are none; nil where there were none
}

// made counts the Turns, to give each its order.
var made atomic.Int64

// NewTurns returns Turns that nobody has.
func NewTurns() *Turns { return &Turns{Order: made.Add(1), lines: map[daybook.StreamID]*line{}} }

// Try takes a turn if nobody has the stream, else it returns nil. Whoever has a
// turn must Pass it.
func (t *Turns) Try(stream daybook.StreamID) *Turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lines[stream] != nil {
		return nil
	}
	return t.join([]daybook.StreamID{stream})
}

// Take waits for a turn on all of the streams at once, each of which stands in
// the list once. It returns nil if nobody in front went on within patience.
// Before it waits it asks refuse, and fails with what that says; it fails with
// the error of ctx besides. Whoever has a turn must Pass it.
func (t *Turns) Take(ctx context.Context, patience time.Duration, refuse func() error, streams ...daybook.StreamID) (*Turn, error) {
	t.mu.Lock()
	mine := t.join(streams)
	passed := t.passed(mine)
	t.mu.Unlock()
	if mine.come == nil {
		return mine, nil
	}
	if err := refuse(); err != nil {
		mine.Pass()
		return nil, err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-mine.come:
			return mine, nil
		case <-ctx.Done():
			mine.Pass()
			return nil, ctx.Err()
		case <-timer.C:
		}
		t.mu.Lock()
		before := passed
		passed = t.passed(mine)
		come := mine.behind == 0
		t.mu.Unlock()
		switch {
		case come:
			return mine, nil
		case passed == before:
			mine.Pass()
			return nil, nil
		}
		timer.Reset(patience)
	}
}

// join puts a new turn at the end of its lines. The caller holds mu.
func (t *Turns) join(streams []daybook.StreamID) *Turn {
	mine := &Turn{of: t}
	mine.streams = append(mine.one[:0], streams...)
	for _, stream := range streams {
		at := t.lines[stream]
		if at == nil {
			if last := len(t.spare) - 1; last < 0 {
				at = &line{}
			} else {
				at, t.spare = t.spare[last], t.spare[:last]
			}
			t.lines[stream] = at
		}
		if len(at.turns) > 0 {
			mine.behind++
		}
		at.turns = append(at.turns, mine)
	}
	if mine.behind > 0 {
		mine.come = make(chan struct{})
	}
	return mine
}

// passed returns how often somebody left the lines of a turn. The caller holds
// mu.
func (t *Turns) passed(mine *Turn) (n int) {
	for _, stream := range mine.streams {
		n += t.lines[stream].passed
	}
	return n
}

// Pass leaves the streams to the next ones; also those that were waited for.
func (mine *Turn) Pass() {
	t := mine.of
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, stream := range mine.streams {
		at := t.lines[stream]
		i := slices.Index(at.turns, mine)
		at.turns = slices.Delete(at.turns, i, i+1)
		at.passed++
		switch {
		case len(at.turns) == 0:
			delete(t.lines, stream)
			if at.passed = 0; len(t.spare) < maxSpare {
				t.spare = append(t.spare, at)
			}
		case i == 0:
			if next := at.turns[0]; next.behind == 1 {
				next.behind = 0
				close(next.come)
			} else {
				next.behind--
			}
		}
	}
}
