package peer

import (
	"runtime"
	"sync"
)

// committer lets many callers share one commit: the group commit of the bound,
// and what is put before the engines that have none.
//
// The first caller of a group leads it: it waits until the group before it is
// committed, lets callers who are just waking from that group join, closes the
// group and commits it. The others wait. A caller that is alone does one
// commit and waits for nobody.
type committer[G any] struct {
	commit func(group *G) error // called by one goroutine at a time
	full   func(group *G) bool  // whether the group takes no more callers
	empty  func(group *G)       // makes a group ready to be used again

	mu      sync.Mutex
	filling *group[G]     // what callers join; nil if the next one begins a group
	last    chan struct{} // closed when the newest group is committed; nil before the first
	spare   []*G          // groups to be used again
}

type group[G any] struct {
	content  *G
	joined   int           // how many callers; guarded by committer.mu
	previous chan struct{} // closed when the group before it is committed
	done     chan struct{} // closed when this one is
	err      error         // why it is not; read after done
}

// do lets add put something into a group, and returns when that is committed.
func (c *committer[G]) do(add func(group *G)) error {
	c.mu.Lock()
	g := c.filling
	leads := g == nil
	if leads {
		g = c.begin()
	}
	add(g.content)
	g.joined++
	if c.full(g.content) {
		c.filling = nil
	}
	c.mu.Unlock()
	if leads {
		c.lead(g)
	} else {
		<-g.done
	}
	return g.err
}

// begin opens a group behind the last one. It is called with mu held.
func (c *committer[G]) begin() *group[G] {
	g := &group[G]{previous: c.last, done: make(chan struct{})}
	if n := len(c.spare); n > 0 {
		g.content, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		g.content = new(G)
	}
	c.filling, c.last = g, g.done
	return g
}

// lead commits the group when its turn has come.
func (c *committer[G]) lead(g *group[G]) {
	if g.previous != nil {
		<-g.previous
	}
	c.gather(g)
	c.mu.Lock()
	if c.filling == g {
		c.filling = nil
	}
	c.mu.Unlock()

	g.err = c.commit(g.content)

	c.empty(g.content)
	c.mu.Lock()
	c.spare = append(c.spare, g.content)
	c.mu.Unlock()
	close(g.done)
}

// turns is how often a leader yields to the scheduler at most.
const turns = 4

// gather yields to the scheduler, so that callers who are runnable can join the
// group: two groups half full become one full one. It goes on as long as each
// turn brings somebody. One turn alone is often not enough: an idle processor
// may take the leader up again at once.
func (c *committer[G]) gather(g *group[G]) {
	before := 0
	for range turns {
		runtime.Gosched()
		c.mu.Lock()
		joined := g.joined
		c.mu.Unlock()
		if joined == before {
			return
		}
		before = joined
	}
}
