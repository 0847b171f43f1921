package globalorder

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// tail is what the engine knows of the end of the log: the pages that may not
// be settled. It is never ahead of the storage, and behind it until refreshed.
type tail struct {
	mu    sync.Mutex // guards all below
	known bool
	view  view
	done  map[int64]bool // of view.pages: those that are settled
	grown chan struct{}  // closed, and replaced, when the view has
	asked time.Time      // when the storage was asked last for what is behind
}

// askedSince reports whether the storage was asked, by anybody, since a time.
func (t *tail) askedSince(at time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asked.After(at)
}

// view is the end of the log at one moment. It does not change.
type view struct {
	settled int64   // all pages up to this one are settled
	pages   []*Page // all behind it, in order
	number  int64   // of the last page
	totals  Totals  // with the last page
	open    bool    // the last page says that adopting goes on
}

func (t *tail) now() (view, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.view, t.known
}

// add takes in pages that follow one another; those that are known already may
// be among them. It reports whether they follow what is known.
func (t *tail) add(pages []loaded) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.view.number
	for _, p := range pages {
		switch {
		case p.page.Number <= t.view.number:
		case p.page.Number == t.view.number+1:
			// Views share the array: it is only ever written behind all of them.
			t.view.pages = append(t.view.pages, p.page)
			t.view.number, t.view.totals, t.view.open = p.page.Number, p.page.After, p.page.Adopting
			t.raise(p.page.Settled)
		default:
			return false
		}
		if p.done && p.page.Number > t.view.settled {
			t.done[p.page.Number] = true
		}
	}
	t.trim()
	if t.view.number > before {
		close(t.grown)
		t.grown = make(chan struct{})
	}
	return true
}

// reset forgets what is known, and begins behind settled pages, of which the
// last one is given where there is one.
func (t *tail) reset(settled int64, last *Page) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known && t.view.number >= settled {
		return // somebody else was faster, or it is nothing new
	}
	t.known, t.done = true, map[int64]bool{}
	t.view = view{settled: settled, number: settled}
	if last != nil {
		t.view.totals, t.view.open = last.After, last.Adopting
	}
}

// settle takes in that pages are settled.
func (t *tail) settle(numbers []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, number := range numbers {
		if number > t.view.settled {
			t.done[number] = true
		}
	}
	t.trim()
}

// raise takes in that all pages up to one are settled.
func (t *tail) raise(settled int64) {
	for number := t.view.settled + 1; number <= settled; number++ {
		t.done[number] = true
	}
}

// trim lets go of the pages that are settled.
func (t *tail) trim() {
	for len(t.view.pages) > 0 && t.done[t.view.settled+1] {
		t.view.settled++
		delete(t.done, t.view.settled)
		t.view.pages = t.view.pages[1:]
	}
}

// loaded is a page that was read, and whether it is marked as settled.
type loaded struct {
	page *Page
	done bool
}

// load reads pages, at most so many; more says that there are others behind.
func (e *Engine) load(ctx context.Context, from, to int64, most int) (pages []loaded, more bool, err error) {
	for attempt := 1; ; attempt++ {
		pages, more, err = e.loadOnce(ctx, from, to, most)
		// A storage that reads while others write may show page 8, created a
		// moment ago, and not page 7, looked for a moment before.
		if !errors.Is(err, daybook.ErrCorrupt) || attempt == loadAttempts {
			return pages, more, err
		}
	}
}

// loadAttempts is how often pages are read before their chain counts as broken.
const loadAttempts = 3

func (e *Engine) loadOnce(ctx context.Context, from, to int64, most int) (pages []loaded, more bool, err error) {
	next := from
	for stored, err := range e.storage.Pages(ctx, from, to) {
		if err != nil {
			return nil, false, err
		}
		if len(pages) == most {
			return pages, true, nil
		}
		if stored.Number > next && len(pages) > 0 {
			return pages, false, nil // the one between was created since
		}
		page, err := open(&stored, next)
		if err != nil {
			return nil, false, err
		}
		pages = append(pages, loaded{page, stored.Done})
		next++
	}
	return pages, false, nil
}

// open returns the content of a page that must have a number.
func open(stored *StoredPage, number int64) (*Page, error) {
	page, err := decode(stored.Bytes)
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", number, err)
	}
	if stored.Number != number || page.Number != number {
		return nil, fmt.Errorf("page %d: %w", number, errGap(page.Number))
	}
	return page, nil
}

// refresh returns the end of the log as it is now, or later.
func (e *Engine) refresh(ctx context.Context) (view, error) {
	began := time.Now()
	for {
		v, known := e.tail.now()
		if known {
			pages, more, err := e.load(ctx, v.number+1, 0, 2*e.options.Gap)
			if err != nil {
				return view{}, err
			}
			if !more && e.tail.add(pages) {
				e.tail.mu.Lock()
				defer e.tail.mu.Unlock()
				e.tail.asked = began
				return e.tail.view, nil
			}
		}
		// Nothing is known, or it is far behind.
		place, err := e.storage.Last(ctx)
		if err != nil {
			return view{}, err
		}
		var last *Page
		if place.Settled > 0 {
			if last, err = e.page(ctx, place.Settled); err != nil {
				return view{}, err
			}
		}
		e.tail.reset(place.Settled, last)
	}
}

// page reads one page, which must be there.
func (e *Engine) page(ctx context.Context, number int64) (*Page, error) {
	pages, _, err := e.load(ctx, number, number, 1)
	if err != nil {
		return nil, err
	}
	if len(pages) == 0 {
		return nil, fmt.Errorf("page %d: %w", number, errGap(0))
	}
	return pages[0].page, nil
}

// Decode returns the content of a page, for a driver that needs it.
func Decode(stored *StoredPage) (*Page, error) { return open(stored, stored.Number) }
