package globalorder

import (
	"context"
	"fmt"
	"sync"
)

// background is the goroutine that settles the pages of this engine beside its
// appends.
type background struct {
	mu      sync.Mutex // guards all below
	running bool
	owned   map[int64]bool // pages that this engine has created and not settled
}

// own takes in a page that this engine has created.
func (b *background) own(number int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owned == nil {
		b.owned = map[int64]bool{}
	}
	b.owned[number] = true
}

// mine returns those of the pages that this engine has created, and forgets
// those that need not be settled any more.
func (b *background) mine(v view) (pages []*Page) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range v.pages {
		if b.owned[p.Number] {
			pages = append(pages, p)
		}
	}
	for number := range b.owned {
		if number <= v.settled || len(pages) == 0 {
			delete(b.owned, number)
		}
	}
	return pages
}

// forget takes in that pages are settled.
func (b *background) forget(numbers []int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, number := range numbers {
		delete(b.owned, number)
	}
}

// settleSoon settles what this engine has created, beside the caller. What
// fails is left to whoever needs it.
func (e *Engine) settleSoon() {
	b := &e.background
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running || len(b.owned) == 0 {
		return
	}
	b.running = true
	e.calls.Add(1) // within the call that leads, so Close does not wait for none yet
	go func() {
		defer e.calls.Done()
		for {
			err := e.settleOwn(e.life)
			b.mu.Lock()
			if err != nil || len(b.owned) == 0 {
				b.running = false
				b.mu.Unlock()
				return
			}
			b.mu.Unlock()
		}
	}()
}

func (e *Engine) settleOwn(ctx context.Context) error {
	e.settling <- struct{}{}
	defer func() { <-e.settling }()
	v, _ := e.tail.now()
	return e.settle(ctx, e.background.mine(v))
}

// settle writes what pages say to where it is looked up, and then says that it
// did. The order counts: a page that is marked must be settled.
func (e *Engine) settle(ctx context.Context, pages []*Page) error {
	if len(pages) == 0 {
		return nil
	}
	if err := e.storage.Settle(ctx, settlementOf(pages)); err != nil {
		return err
	}
	numbers := make([]int64, len(pages))
	for i, p := range pages {
		numbers[i] = p.Number
	}
	if err := e.storage.MarkSettled(ctx, numbers); err != nil {
		return err
	}
	e.tail.settle(numbers)
	e.background.forget(numbers)
	return nil
}

// makeRoom sees to it that one page more does not leave too many unsettled, and
// returns up to where all are settled. What others have created and not settled
// is settled for them: they may be gone.
func (e *Engine) makeRoom(ctx context.Context, v view) (settled int64, err error) {
	if !e.crowded(v) {
		return v.settled, nil
	}
	e.settling <- struct{}{}
	defer func() { <-e.settling }()
	// The marks may have been set since the pages were read.
	pages, _, err := e.load(ctx, v.settled+1, v.number, len(v.pages))
	if err != nil {
		return 0, err
	}
	if len(pages) < len(v.pages) {
		return 0, fmt.Errorf("page %d: %w", v.settled+int64(len(pages))+1, errGap(0))
	}
	var open []*Page
	e.tail.add(pages)
	for _, p := range pages {
		if !p.done {
			open = append(open, p.page)
		}
	}
	if err := e.settle(ctx, open); err != nil {
		return 0, err
	}
	return v.number, nil
}

// crowded reports whether so much is unsettled that it must be settled first.
func (e *Engine) crowded(v view) bool {
	if len(v.pages) >= e.options.Gap {
		return true
	}
	size := 0
	for _, p := range v.pages {
		size += p.size
	}
	return size > e.options.GapBytes
}
