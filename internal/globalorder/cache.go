package globalorder

import (
	"context"
	"sync"

	"github.com/daybook-go/daybook"
)

// cache is what appends are decided by, as it is with page at. All pages above
// base are taken in; what is not in it has not changed since base, and stands
// where Settle has written it.
type cache struct {
	base, at int64
	ids      map[daybook.ID]daybook.Receipt
	heads    map[daybook.StreamID]daybook.Head
	claims   map[ClaimKey]daybook.StreamID
}

// maxCached is how much a cache holds before it is begun anew.
const maxCached = 100_000

// advance takes in what a view has that the cache lacks. Where it lacks pages
// that the view has let go of it begins anew, and the jobs are checked again.
func (c *cache) advance(v view, jobs []*job) {
	if c.ids == nil || v.settled > c.at || len(c.ids)+len(c.heads)+len(c.claims) > maxCached {
		*c = cache{
			base: v.settled, at: v.settled, ids: map[daybook.ID]daybook.Receipt{}, heads: map[daybook.StreamID]daybook.Head{},
			claims: map[ClaimKey]daybook.StreamID{},
		}
		for _, j := range jobs {
			j.checked = false
		}
	}
	for _, p := range v.pages {
		if p.Number > c.at {
			c.add(p)
		}
	}
	c.at = v.number
}

// follow takes in the page behind those that are known. One that is settled at
// once is not in the next view.
func (c *cache) follow(p *Page) {
	if c.ids != nil && p.Number == c.at+1 {
		c.add(p)
		c.at = p.Number
	}
}

func (c *cache) add(p *Page) {
	for i := range p.Appends {
		c.ids[p.Appends[i].ID] = p.Appends[i].receipt(daybook.DurabilityDefault)
	}
	p.changesets(func(changeset *PlacedChangeset) { c.heads[changeset.Stream] = changeset.Head() })
	p.hands(func(key ClaimKey, holder daybook.StreamID) { c.claims[key] = holder })
}

// lookups are what must be known to decide some jobs and is not in the cache.
type lookups struct {
	engine *Engine
	view   view

	mu    sync.Mutex // guards all below
	err   error
	stale bool // something is newer than view
}

// lookUp reads what jobs need and the cache lacks. False says that the view is
// older than what was found.
func (e *Engine) lookUp(ctx context.Context, v view, jobs []*job) (bool, error) {
	l := &lookups{engine: e, view: v}
	var asks []func() error
	streams, claims := map[daybook.StreamID]bool{}, map[ClaimKey]bool{}
	needsStream := func(id daybook.StreamID) {
		if _, known := e.cache.heads[id]; !known && !streams[id] {
			streams[id] = true
			asks = append(asks, func() error { return l.head(ctx, id) })
		}
	}
	needsClaim := func(key ClaimKey) {
		if _, known := e.cache.claims[key]; !known && !claims[key] {
			claims[key] = true
			asks = append(asks, func() error { return l.claim(ctx, key) })
		}
	}
	for _, j := range jobs {
		j.needs(needsStream, needsClaim)
		if _, stored := e.cache.ids[j.append.ID]; !stored && !j.checked && j.imported == nil && !j.adopts {
			asks = append(asks, func() error { return l.append(ctx, j) })
		}
		if j.append.Condition != nil && j.scanned < v.number {
			asks = append(asks, func() error { return l.condition(ctx, j) })
		}
	}
	l.run(asks)
	return !l.stale, l.err
}

// needs names the streams and claims that decide over a job.
func (j *job) needs(stream func(daybook.StreamID), claim func(ClaimKey)) {
	all := func(id daybook.StreamID, references []daybook.StreamID, claims ...[]daybook.Claim) {
		stream(id)
		for _, reference := range references {
			stream(reference)
		}
		for _, some := range claims {
			for _, c := range some {
				claim(ClaimKey{id.Partition, c})
			}
		}
	}
	for i := range j.append.Changesets {
		c := &j.append.Changesets[i]
		all(c.Stream, c.References, c.Claims, c.Releases)
	}
	for i := range j.imported {
		stream(j.imported[i].Stream)
	}
}

// run asks all, some at once, until one fails.
func (l *lookups) run(asks []func() error) {
	var group sync.WaitGroup
	slots := make(chan struct{}, l.engine.options.Lookups)
	for _, ask := range asks {
		slots <- struct{}{}
		l.mu.Lock()
		failed := l.err != nil
		l.mu.Unlock()
		if failed {
			break
		}
		group.Add(1)
		go func() {
			defer group.Done()
			defer func() { <-slots }()
			if err := ask(); err != nil {
				l.mu.Lock()
				l.err = err
				l.mu.Unlock()
			}
		}()
	}
	group.Wait()
}

func (l *lookups) head(ctx context.Context, id daybook.StreamID) error {
	found, err := l.engine.storage.Head(ctx, id)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// What was settled is complete up to view.settled, and all that came since
	// is in the cache: so this is the head, unless it is newer than the view.
	if found.Stamp > l.view.number {
		l.stale = true
		return nil
	}
	l.engine.cache.heads[id] = found.Head
	return nil
}

func (l *lookups) claim(ctx context.Context, key ClaimKey) error {
	found, err := l.engine.storage.Claim(ctx, key)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if found.Stamp > l.view.number {
		l.stale = true
		return nil
	}
	l.engine.cache.claims[key] = found.Holder
	return nil
}

// append looks whether the append of a job was stored before.
func (l *lookups) append(ctx context.Context, j *job) error {
	number, err := l.engine.storage.AppendPage(ctx, j.append.ID)
	if err != nil {
		return err
	}
	var receipt daybook.Receipt
	if number > 0 && number <= l.view.number {
		page, err := l.engine.page(ctx, number)
		if err != nil {
			return err
		}
		placed := page.append(j.append.ID)
		if placed == nil {
			return errLacks(number)
		}
		receipt = placed.receipt(daybook.DurabilityDefault)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case number > l.view.number:
		l.stale = true
	case number > 0:
		l.engine.cache.ids[j.append.ID] = receipt
	default:
		j.checked = true
	}
	return nil
}

// condition holds the records of the log, as far as that was not done before,
// against the condition of a job.
func (l *lookups) condition(ctx context.Context, j *job) error {
	condition := j.append.Condition
	from := j.scanned + 1
	if j.scanned == 0 && condition.After >= l.view.totals.Position {
		from = l.view.number + 1
	} else if j.scanned == 0 && condition.After > 0 {
		number, err := l.engine.seek(ctx, l.view, condition.After+1)
		if err != nil {
			return err
		}
		from = max(number, 1)
	}
	err := l.engine.pages(ctx, l.view, from, l.view.number, func(p *Page) bool {
		p.records(true, func(r *daybook.Record) bool {
			if r.Position > condition.After && condition.Query.Matches(r.Type, r.Tags) {
				j.broken = r.Position
				return false
			}
			return r.Position > condition.After
		})
		return true
	})
	if err == nil {
		j.scanned = l.view.number
	}
	return err
}
