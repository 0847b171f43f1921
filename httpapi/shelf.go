package httpapi

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/daybook-go/daybook"
)

// shelf holds the windows that live readers share. A source that one reader
// follows has none: there is nobody to share with.
type shelf struct {
	bytes atomic.Int64 // of all windows

	mu      sync.Mutex // guards all below, and window.readers
	sources map[daybook.StreamID]*sourceReaders
	deleted daybook.DeletionNumber // the last deletion that no window is older than
}

// sourceReaders are the readers of one source.
type sourceReaders struct {
	readers int
	windows []*window // each with readers
}

// windowsPerSource is how many places of one source can be shared at a time:
// its end, and others where many readers lag.
const windowsPerSource = 4

func newShelf() *shelf { return &shelf{sources: map[daybook.StreamID]*sourceReaders{}} }

// renew puts away the windows that were filled before a deletion, so that a
// reader who begins now does not see in them what is not there any more. Those
// who are at them go on there: they began before.
func (s *shelf) renew(ctx context.Context, store *daybook.Store) error {
	s.mu.Lock()
	known := s.deleted
	s.mu.Unlock()
	last, err := lastDeletion(ctx, store, known)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if last > s.deleted {
		s.deleted = last
		for _, of := range s.sources {
			of.windows = nil
		}
	}
	return nil
}

// lastDeletion returns the number of the last deletion, or a later one's, of a
// store that has made so many at least. Numbers have no gaps, so it doubles the
// distance, and then halves it.
func lastDeletion(ctx context.Context, store *daybook.Store, least daybook.DeletionNumber) (daybook.DeletionNumber, error) {
	made := func(number daybook.DeletionNumber) (bool, error) {
		one, err := first(store.ReadDeletions(ctx, daybook.DeletionRead{After: number - 1, Limit: 1}))
		if errors.Is(err, daybook.ErrUnsupported) {
			return false, nil
		}
		return err == nil && one != nil, err
	}
	low, high, step := least, least, daybook.DeletionNumber(1)
	for {
		high += step
		if is, err := made(high); err != nil {
			return 0, err
		} else if !is {
			break
		}
		low, step = high, step*2
	}
	for low+1 < high { // low was made, high was not
		middle := low + (high-low)/2
		is, err := made(middle)
		switch {
		case err != nil:
			return 0, err
		case is:
			low = middle
		default:
			high = middle
		}
	}
	return low, nil
}

// join adds a reader of a source.
func (s *shelf) join(from source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sources[from.stream] == nil {
		s.sources[from.stream] = &sourceReaders{}
	}
	s.sources[from.stream].readers++
}

// leave takes away a reader who had joined, and is at a window or, if that is
// nil, at none.
func (s *shelf) leave(from source, at *window) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.sources[from.stream]
	s.exchange(of, at, nil)
	if of.readers--; of.readers == 0 {
		delete(s.sources, from.stream)
	}
}

// move brings a reader to the window that covers its place and reaches
// furthest, so that those who lag meet those who do not. Where there is none
// it opens one, if create allows it; else it returns nil: read alone.
func (s *shelf) move(from source, at *window, place int64, create bool) *window {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.sources[from.stream]
	var best *window
	for _, w := range of.windows {
		if v := w.view.Load(); v.covers(place) && (best == nil || v.to > best.view.Load().to) {
			best = w
		}
	}
	if best == nil && create && of.readers > 1 {
		s.exchange(of, at, nil)
		at = nil
		if len(of.windows) < windowsPerSource {
			best = newWindow(from, place, &s.bytes)
			of.windows = append(of.windows, best)
		}
	}
	s.exchange(of, at, best)
	return best
}

// exchange moves a reader from one window to another; either may be nil. The
// window that nobody is left at is gone.
func (s *shelf) exchange(of *sourceReaders, from, to *window) {
	if from == to {
		return
	}
	if to != nil {
		to.readers++
	}
	if from == nil {
		return
	}
	if from.readers--; from.readers > 0 {
		return
	}
	s.bytes.Add(-from.bytes) // nobody fills it: who does is its reader
	for i, w := range of.windows {
		if w == from {
			of.windows = append(of.windows[:i:i], of.windows[i+1:]...)
			break
		}
	}
}
