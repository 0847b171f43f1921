package sqlstore

import (
	"context"
	"math"

	"github.com/daybook-go/daybook"
)

// Source is where Pages come from: a query of a driver.
type Source interface {
	// Fetch reads so many records at most between two places, first and last
	// among them, into a page that is empty, and counts their bytes. Unless whole
	// is set it stops where the page is full, and sets Cut.
	Fetch(ctx context.Context, first, last int64, limit int, whole bool, page *Page) error
	// Complete fetches what the changesets of a page have besides events. Records
	// that were deleted meanwhile are left out.
	Complete(ctx context.Context, page *Page) error
	// End returns the last place as it is now.
	End(ctx context.Context) (int64, error)
}

// Page is records that are read at once.
type Page struct {
	Records []daybook.Record
	Missing []daybook.Ordinal // the changesets that have more than was fetched
	Bytes   int
	Cut     bool // it is full: there is more than was fetched
}

// IsFull reports whether a page has more bytes than it should, and more than one
// record.
func (p *Page) IsFull() bool { return p.Bytes > mostPageBytes && len(p.Records) > 1 }

// Clear empties a page, to be fetched anew.
func (p *Page) Clear() {
	p.Records, p.Missing, p.Bytes, p.Cut = p.Records[:0], p.Missing[:0], 0, false
}

// Pages reads what a read asks for, page by page: between two pages it holds no
// connection and no snapshot, however long its consumer takes. A changeset is
// on one page, so that a deletion meanwhile takes all of it, or nothing.
type Pages struct {
	Calls       *Calls
	Source      Source
	Place       func(*daybook.Record) int64 // where a record stands: its version or position
	First, Last int64                       // of the places that are left; Last 0 is the end
	Limit       int                         // how many records are left; 0 is no limit
	Backwards   bool
	// Keep selects among what the source finds; nil is all of it.
	Keep func(*daybook.Record) bool

	rows         int  // on the next page
	page, before Page // before is still being consumed
}

// How many rows a page has: the first ones few, then as many as have about
// pageBytes.
const (
	firstPage   = 128
	leastPage   = 2
	largestPage = 4096
	pageBytes   = 2 << 20
	// mostPageBytes is where a page ends whose records are larger than thought.
	mostPageBytes = 16 << 20
)

// fewPages is how many pages are read one after the other: reads that end soon
// read nothing in vain.
const fewPages = 2

// fetched is a page, and whether there may be another behind it.
type fetched struct {
	records []daybook.Record
	more    bool
	err     error
}

// Run reads until its consumer has enough. It may be called once.
func (p *Pages) Run(ctx context.Context, yield func(daybook.Record, error) bool) {
	p.rows = firstPage
	bounded := p.Last > 0
	if !bounded {
		p.Last = math.MaxInt64
	}
	var ahead chan fetched // the page that is read while this one is consumed
	for n := 0; ; n++ {
		var f fetched
		if ahead != nil {
			f = <-ahead
		} else {
			f = p.next(ctx)
		}
		if f.err == nil && f.more && !bounded && !p.Backwards {
			// What is stored from now on is not waited for.
			p.Last, f.err = p.Source.End(ctx)
			bounded = true
		}
		if f.err != nil {
			yield(daybook.Record{}, f.err)
			return
		}
		f = p.counted(f)
		if ahead = nil; f.more && n >= fewPages {
			ahead = make(chan fetched, 1) // a consumer who has enough leaves it there
			go func(ahead chan<- fetched) { ahead <- p.next(ctx) }(ahead)
		}
		for i := range f.records {
			if err := ctx.Err(); err != nil {
				yield(daybook.Record{}, err)
				return
			}
			if !yield(f.records[i], nil) {
				return
			}
		}
		if !f.more {
			return
		}
	}
}

// counted returns what the consumer gets of a page, and counts it.
func (p *Pages) counted(f fetched) fetched {
	if p.Keep != nil {
		kept := f.records[:0]
		for i := range f.records {
			if p.Keep(&f.records[i]) {
				kept = append(kept, f.records[i])
			}
		}
		f.records = kept
	}
	if p.Limit > 0 {
		f.records = f.records[:min(len(f.records), p.Limit)]
		p.Limit -= len(f.records)
		f.more = f.more && p.Limit > 0
	}
	return f
}

// next reads the next page.
func (p *Pages) next(ctx context.Context) fetched {
	if err := p.Calls.Begin(); err != nil {
		return fetched{err: err}
	}
	defer p.Calls.Done()
	p.page, p.before = p.before, p.page
	// What the consumer gets of a page is not known where some of it is left out.
	limit, counts := p.rows, p.Limit > 0 && p.Keep == nil
	last := counts && p.Limit <= limit
	if last {
		limit = p.Limit
	}
	for whole := false; ; whole = true {
		if err := p.fetch(ctx, limit, whole); err != nil {
			return fetched{err: err}
		}
		records := p.page.Records
		if !p.page.Cut && (last || len(records) < limit) {
			return p.complete(ctx, false)
		}
		n := len(records)
		for n > 0 && records[n-1].Changeset == records[len(records)-1].Changeset {
			n--
		}
		if n > 0 {
			p.page.Records = records[:n]
			break
		}
		// One changeset is larger than the page.
		limit = max(2*limit, records[0].Changeset.Count+1)
		if last = counts && p.Limit <= limit; last {
			limit = p.Limit
		}
	}
	if at := p.Place(&p.page.Records[len(p.page.Records)-1]); p.Backwards {
		p.Last = at - 1
	} else {
		p.First = at + 1
	}
	return p.complete(ctx, p.First <= p.Last)
}

func (p *Pages) complete(ctx context.Context, more bool) fetched {
	if len(p.page.Missing) > 0 {
		if err := p.Source.Complete(ctx, &p.page); err != nil {
			return fetched{err: err}
		}
	}
	return fetched{records: p.page.Records, more: more}
}

// fetch reads so many records at most, and works out how many the next page has.
func (p *Pages) fetch(ctx context.Context, limit int, whole bool) error {
	if cap(p.page.Records) < limit {
		p.page.Records = make([]daybook.Record, 0, limit)
	}
	p.page.Clear()
	if err := p.Source.Fetch(ctx, p.First, p.Last, limit, whole, &p.page); err != nil {
		return err
	}
	if n := len(p.page.Records); n > 0 {
		p.rows = min(max(pageBytes*n/max(p.page.Bytes, 1), leastPage), largestPage)
	}
	return nil
}
