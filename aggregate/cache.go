package aggregate

import (
	"container/list"
	"sync"

	"github.com/daybook-go/daybook"
)

// cache keeps the states that were used last.
type cache[S any] struct {
	size int

	mu    sync.Mutex // guards all below
	used  *list.List // of *Loaded[S], the last used in front
	byKey map[daybook.StreamID]*list.Element
}

func newCache[S any](size int) *cache[S] {
	return &cache[S]{size: size, used: list.New(), byKey: map[daybook.StreamID]*list.Element{}}
}

// get returns a state, which the caller must not change.
func (c *cache[S]) get(stream daybook.StreamID) (Loaded[S], bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.byKey[stream]
	if element == nil {
		return Loaded[S]{}, false
	}
	c.used.MoveToFront(element)
	return *element.Value.(*Loaded[S]), true
}

// put takes a state over, unless a newer one is there.
func (c *cache[S]) put(at Loaded[S]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.byKey[at.Stream]; element != nil {
		if held := element.Value.(*Loaded[S]); held.Version < at.Version {
			*held = at
		}
		c.used.MoveToFront(element)
		return
	}
	own := at // so that at itself stays where it is
	c.byKey[at.Stream] = c.used.PushFront(&own)
	if c.used.Len() > c.size {
		oldest := c.used.Back()
		c.used.Remove(oldest)
		delete(c.byKey, oldest.Value.(*Loaded[S]).Stream)
	}
}

func (c *cache[S]) drop(stream daybook.StreamID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.byKey[stream]; element != nil {
		c.used.Remove(element)
		delete(c.byKey, stream)
	}
}
