package globalorder

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
)

// mayAdopt reports whether what was there before the log may have to be taken
// in first.
func (e *Engine) mayAdopt(v view) bool {
	_, adopts := e.storage.(Adopter)
	return adopts && (v.number == 0 || v.open)
}

// mustAdopt is mayAdopt for who leads, and knows whether it was looked for.
func (e *Engine) mustAdopt(v view) bool {
	return e.mayAdopt(v) && (v.open || !e.vacant)
}

// errNotAdopted is what a reader is told who may not write.
var errNotAdopted = fmt.Errorf("the storage holds records from before it had a log: open it once for appending, and read, to take them over: %w", daybook.ErrRefused)

// mustBeAdopted returns an error where there is no log but what to adopt. Where
// some of it was adopted that may be read.
func (e *Engine) mustBeAdopted(ctx context.Context, v view) error {
	if v.number > 0 {
		return nil
	}
	for _, err := range e.storage.(Adopter).Found(ctx) {
		if err != nil {
			return err
		}
		return errNotAdopted
	}
	return nil
}

// adoptedChangesets is how many changesets of before the log one page takes in.
const adoptedChangesets = 500

// adopt takes into the log what was in the storage before there was one, a page
// at a time. Each page but the last says that there is more to do, so whoever
// finds such a page goes on where another stopped: the heads of the streams
// say what is done. Two who do it at once get in each other's way, no more.
func (e *Engine) adopt(ctx context.Context, v view) error {
	heads, err := e.adoptedHeads(ctx, v)
	if err != nil {
		return err
	}
	d := e.adopting(v, heads)
	for c, err := range e.storage.(Adopter).Found(ctx) {
		if err != nil {
			return err
		}
		if head := heads[c.Stream]; c.First <= head.Version {
			continue
		}
		size, rows := sizeOfRecorded([]daybook.RecordedChangeset{c}), rowsOfRecorded([]daybook.RecordedChangeset{c})
		if err := e.checkSize(size, rows, "found"); err != nil {
			return err
		}
		if len(d.page.Appends) == adoptedChangesets || d.size+size > e.options.PageBytes || d.rows+rows > e.options.PageRows {
			done, err := e.adoptPage(ctx, d, true)
			if err != nil || !done {
				return err
			}
			v, _ = e.tail.now()
			d = e.adopting(v, heads)
		}
		d.adopt(c, size, rows)
		heads[c.Stream] = d.head(c.Stream)
	}
	if len(d.page.Appends) == 0 && v.number == 0 {
		e.vacant = true
		return nil
	}
	_, err = e.adoptPage(ctx, d, false)
	return err
}

// adopting returns an empty page that takes in what was there before the log.
func (e *Engine) adopting(v view, heads map[daybook.StreamID]daybook.Head) *decision {
	d := e.decide(v, nil)
	d.heads = heads
	return d
}

// adopt puts a changeset behind all that is in the page, as if it were appended
// now; a time that falls is raised. Numbers and ordinals that rise are kept.
func (d *decision) adopt(c daybook.RecordedChangeset, size, rows int) {
	after := d.page.After
	if c.RecordedAt.Before(after.RecordedAt) {
		c.RecordedAt = after.RecordedAt
	}
	c.Number = max(c.Number, d.head(c.Stream).Changeset+1)
	for i := range c.Records {
		c.Records[i].Position = after.Position + daybook.Position(i) + 1
	}
	d.add(Placed{ID: c.AppendID, Changesets: []PlacedChangeset{d.place(c)}}, size, rows)
}

// adoptPage creates a page. False says that somebody else was faster.
func (e *Engine) adoptPage(ctx context.Context, d *decision, more bool) (bool, error) {
	d.page.Adopting = more
	v, _ := e.tail.now()
	var err error
	if d.page.Settled, err = e.makeRoom(ctx, v); err != nil {
		return false, err
	}
	created, err := e.create(ctx, d)
	if created {
		e.settleSoon()
	}
	return created, err
}

// adoptedHeads returns where the streams end that were taken in already.
func (e *Engine) adoptedHeads(ctx context.Context, v view) (map[daybook.StreamID]daybook.Head, error) {
	heads := map[daybook.StreamID]daybook.Head{}
	err := e.pages(ctx, v, 1, v.number, func(p *Page) bool {
		p.changesets(func(c *PlacedChangeset) { heads[c.Stream] = c.Head() })
		return true
	})
	return heads, err
}
