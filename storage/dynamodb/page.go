package dynamodb

import (
	"context"
	"iter"
	"sync"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// itemBytes is how much content one item takes: 400 KB is the service's limit,
// for all of it.
const itemBytes = 380_000

// pageItems returns the items that a page is kept in.
func pageItems(p *globalorder.StoredPage) []row {
	content, deflated := shorter(p.Bytes)
	parts := (len(content) + itemBytes - 1) / itemBytes
	items := make([]row, parts)
	for i := range items {
		end := min((i+1)*itemBytes, len(content))
		items[i] = keyOf(pagesKey(blockOf(p.Number)), partNumber(p.Number, i))
		items[i][attrBytes] = binary(content[i*itemBytes : end])
	}
	head := items[0]
	head[attrFirst], head[attrSettled], head[attrParts] = number(p.First), number(p.Settled), number(parts)
	if deflated {
		head[attrDeflated] = number(1)
	}
	return items
}

// pageOf returns the page that items hold.
func pageOf(items []row) (globalorder.StoredPage, error) {
	head := items[0]
	p := globalorder.StoredPage{
		Number: head.number(attrChangeset) / pageParts, First: daybook.Position(head.number(attrFirst)), Settled: head.number(attrSettled), Done: true,
	}
	if int64(len(items)) != head.number(attrParts) {
		return p, corrupt("page %d has %d items of %d", p.Number, len(items), head.number(attrParts))
	}
	for _, item := range items {
		p.Bytes = append(p.Bytes, item.binary(attrBytes)...)
	}
	var err error
	if head.has(attrDeflated) {
		p.Bytes, err = longer(p.Bytes)
	}
	return p, err
}

// Last implements globalorder.Storage: the last block has the last page. Every
// page is settled when it is created.
func (t *table) Last(ctx context.Context) (globalorder.Place, error) {
	block, err := t.first(ctx, query{partition: text(blocksKey), from: 0, backwards: true})
	if err != nil || block == nil {
		return globalorder.Place{}, err
	}
	key := pagesKey(block.number(attrBlock))
	item, err := t.first(ctx, query{partition: text(key), from: 0, backwards: true})
	if err != nil {
		return globalorder.Place{}, err
	}
	if item == nil {
		return globalorder.Place{}, corrupt("block %d has no pages", block.number(attrBlock))
	}
	if item.number(attrParts) == 1 {
		page, err := pageOf([]row{item})
		if err != nil {
			return globalorder.Place{}, err
		}
		t.recent.add(page)
	}
	last := item.number(attrChangeset) / pageParts
	return globalorder.Place{Number: last, Settled: last}, nil
}

// Seek implements globalorder.Storage: the rows of the blocks are sorted by the
// first position of each.
func (t *table) Seek(ctx context.Context, position daybook.Position) (int64, error) {
	if page, known := t.recent.seek(position); known {
		return page, nil
	}
	block, err := t.first(ctx, query{partition: text(blocksKey), from: 0, to: int64(position), backwards: true})
	if err != nil || block == nil {
		return 0, err
	}
	// Of the pages low is at or before the position; high is not, or not there.
	low := max(block.number(attrBlock)*blockPages, 1)
	high := (block.number(attrBlock) + 1) * blockPages
	for high-low > 1 {
		middle := (low + high) / 2
		head, err := t.get(ctx, keyOf(pagesKey(blockOf(middle)), partNumber(middle, 0)), attrFirst)
		if err != nil {
			return 0, err
		}
		if head != nil && daybook.Position(head.number(attrFirst)) <= position {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// Pages implements globalorder.Storage: a query for each block.
func (t *table) Pages(ctx context.Context, from, to int64) iter.Seq2[globalorder.StoredPage, error] {
	return func(yield func(globalorder.StoredPage, error) bool) {
		next := max(from, 1)
		for ; to > 0 && next <= to; next++ { // a page never changes
			page, known := t.recent.page(next)
			if !known {
				break
			}
			if !yield(page, nil) {
				return
			}
		}
		for to == 0 || next <= to {
			last := (blockOf(next)+1)*blockPages - 1
			end := last
			if to > 0 {
				end = min(end, to)
			}
			for page, err := range t.pagesOfBlock(ctx, next, end) {
				if err == nil && page.Number != next {
					err = corrupt("page %d is not there, but page %d", next, page.Number)
				}
				if !yield(page, err) || err != nil {
					return
				}
				next++
			}
			if next <= last {
				return // nothing lies behind
			}
		}
	}
}

// pagesOfBlock yields pages of one block.
func (t *table) pagesOfBlock(ctx context.Context, from, to int64) iter.Seq2[globalorder.StoredPage, error] {
	return func(yield func(globalorder.StoredPage, error) bool) {
		var items []row
		pass := func() bool {
			page, err := pageOf(items)
			items = nil
			if err == nil {
				t.recent.add(page)
			}
			return yield(page, err) && err == nil
		}
		q := query{partition: text(pagesKey(blockOf(from))), from: partNumber(from, 0), to: partNumber(to, pageParts-1)}
		for item, err := range t.rows(ctx, q) {
			if err != nil {
				yield(globalorder.StoredPage{}, err)
				return
			}
			if len(items) > 0 && item.number(attrChangeset)%pageParts == 0 && !pass() {
				return
			}
			items = append(items, item)
		}
		if len(items) > 0 {
			pass()
		}
	}
}

// MarkSettled implements globalorder.Storage: pages are created settled.
func (t *table) MarkSettled(context.Context, []int64) error { return nil }

// Settle implements globalorder.Storage: pages are created settled.
func (t *table) Settle(context.Context, *globalorder.Settlement) error { return nil }

// recent keeps pages that were read or created. They never change, so that what
// it has need not be read again.
type recent struct {
	mu    sync.Mutex // guards all below
	pages map[int64]globalorder.StoredPage
	order []int64 // of their arrival
	bytes int
	last  int64 // the highest of all
}

const recentBytes = 8 << 20

func (r *recent) add(p globalorder.StoredPage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.pages[p.Number]; known {
		return
	}
	if r.pages == nil {
		r.pages = map[int64]globalorder.StoredPage{}
	}
	r.pages[p.Number], r.order, r.bytes, r.last = p, append(r.order, p.Number), r.bytes+len(p.Bytes)+128, max(r.last, p.Number)
	for r.bytes > recentBytes && len(r.order) > 1 {
		r.bytes -= len(r.pages[r.order[0]].Bytes) + 128
		delete(r.pages, r.order[0])
		r.order = r.order[1:]
	}
}

func (r *recent) page(number int64) (globalorder.StoredPage, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, known := r.pages[number]
	return p, known
}

// seek returns the page of a position if it is the last one of all that were
// seen, or stands before one that is kept.
func (r *recent) seek(position daybook.Position) (int64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for number := r.last; number > 0; number-- {
		p, known := r.pages[number]
		if !known {
			return 0, false
		}
		if p.First <= position {
			return number, true
		}
	}
	return 0, r.last > 0
}
