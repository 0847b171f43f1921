package globalorder

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/daybook-go/daybook"
)

// look returns the end of the log for a call that begins now.
func (e *Engine) look(ctx context.Context) (view, error) {
	for {
		e.mu.Lock()
		closed := e.closed
		e.mu.Unlock()
		if closed {
			return view{}, daybook.ErrClosed
		}
		v, err := e.refresh(ctx)
		if err != nil || !e.mayAdopt(v) {
			return v, err
		}
		if e.options.ReadOnly {
			return v, e.mustBeAdopted(ctx, v)
		}
		if _, err := e.submit(ctx, &job{adopts: true, done: make(chan struct{})}); err != nil {
			return view{}, err
		}
		if v.number == 0 {
			return e.refresh(ctx)
		}
	}
}

// seek returns the number of the page where the record at a position stands, or
// of one before it.
func (e *Engine) seek(ctx context.Context, v view, position daybook.Position) (int64, error) {
	for i := len(v.pages) - 1; i >= 0; i-- {
		if v.pages[i].First() <= position {
			return v.pages[i].Number, nil
		}
	}
	if position <= 1 || v.settled == 0 {
		return 1, nil
	}
	number, err := e.storage.Seek(ctx, position)
	return max(min(number, v.settled), 1), err
}

// pages yields pages that a view has, until yield returns false.
func (e *Engine) pages(ctx context.Context, v view, from, to int64, yield func(*Page) bool) error {
	if last := min(to, v.settled); from <= last {
		next := from
		for stored, err := range e.storage.Pages(ctx, from, last) {
			if err != nil {
				return err
			}
			page, err := open(&stored, next)
			if err != nil {
				return err
			}
			if !yield(page) {
				return nil
			}
			next++
		}
		if next <= last {
			return fmt.Errorf("page %d: %w", next, errGap(0))
		}
	}
	for _, p := range v.pages {
		if p.Number >= from && p.Number <= to && !yield(p) {
			return nil
		}
	}
	return nil
}

// backPages is how many pages a read backwards takes at once.
const backPages = 64

// pagesBack yields pages from the one with a number down to the first.
func (e *Engine) pagesBack(ctx context.Context, v view, from int64, yield func(*Page) bool) error {
	for to := from; to > 0; {
		low := max(to-backPages+1, 1)
		if to > v.settled {
			low = max(low, v.settled+1)
		}
		var some []*Page
		err := e.pages(ctx, v, low, to, func(p *Page) bool {
			some = append(some, p)
			return true
		})
		if err != nil {
			return err
		}
		for i := len(some) - 1; i >= 0; i-- {
			if !yield(some[i]) {
				return nil
			}
		}
		to = low - 1
	}
	return nil
}

// ReadLog is that of daybook.Driver.
func (e *Engine) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		v, err := e.look(ctx)
		if err != nil {
			yield(daybook.Record{}, err)
			return
		}
		if read.After >= v.totals.Position || read.To > 0 && read.To <= read.After {
			return
		}
		left, wanted := read.Limit, true
		look := func(r *daybook.Record) bool {
			switch {
			case !read.Backwards && (read.To > 0 && r.Position > read.To || !read.Until.IsZero() && r.RecordedAt.After(read.Until)),
				read.Backwards && r.Position <= read.After:
				wanted = false
				return false
			case !read.Holds(r):
				return true
			}
			if err := ctx.Err(); err != nil {
				wanted = yield(daybook.Record{}, err) && false
				return false
			}
			left--
			wanted = yield(*r, nil) && left != 0
			return wanted
		}
		page := func(p *Page) bool { return p.records(read.Backwards, look) }
		if read.Backwards {
			err = e.logBack(ctx, v, read, page)
		} else {
			err = e.logOn(ctx, v, read, page)
		}
		if err != nil && wanted {
			yield(daybook.Record{}, err)
		}
	}
}

func (e *Engine) logOn(ctx context.Context, v view, read daybook.LogRead, page func(*Page) bool) error {
	from, err := e.seek(ctx, v, read.After+1)
	if err != nil {
		return err
	}
	return e.pages(ctx, v, from, v.number, page)
}

func (e *Engine) logBack(ctx context.Context, v view, read daybook.LogRead, page func(*Page) bool) error {
	from := v.number
	if read.To > 0 && read.To < v.totals.Position {
		var err error
		if from, err = e.seek(ctx, v, read.To); err != nil {
			return err
		}
	}
	return e.pagesBack(ctx, v, from, page)
}

// ReadStream is that of daybook.Driver.
func (e *Engine) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		v, err := e.look(ctx)
		if err != nil {
			yield(daybook.Record{}, err)
			return
		}
		s := &streamRead{engine: e, ctx: ctx, id: id, read: read, view: v, left: read.Limit, yield: yield}
		if read.Backwards {
			err = s.back()
		} else {
			err = s.on()
		}
		if err != nil && !s.ended {
			yield(daybook.Record{}, err)
		}
	}
}

// streamRead is a read of a stream that is under way.
type streamRead struct {
	engine *Engine
	ctx    context.Context
	id     daybook.StreamID
	read   daybook.StreamRead
	view   view
	left   int
	yield  func(daybook.Record, error) bool
	ended  bool // nothing more is to be yielded
	header *daybook.ChangesetHeader
}

// pass yields a record that is asked for. It reports whether to go on.
func (s *streamRead) pass(r daybook.Record) bool {
	if !s.read.Holds(r.Version, r.RecordedAt) {
		return true
	}
	if err := s.ctx.Err(); err != nil {
		s.ended = true
		s.yield(daybook.Record{}, err)
		return false
	}
	if s.header != nil && s.header.Number == r.Changeset.Number {
		r.Changeset = s.header // the records of a changeset share it
	}
	s.header = r.Changeset
	s.left--
	s.ended = !s.yield(r, nil) || s.left == 0
	return !s.ended
}

// late returns the records of the stream in the pages that may not be settled.
func (s *streamRead) late() (records []*daybook.Record) {
	for _, p := range s.view.pages {
		p.changesets(func(c *PlacedChangeset) {
			if c.Stream == s.id {
				for i := range c.Records {
					records = append(records, &c.Records[i])
				}
			}
		})
	}
	return records
}

func (s *streamRead) top() daybook.Version {
	if s.read.To > 0 {
		return s.read.To
	}
	return math.MaxInt64
}

func (s *streamRead) on() error {
	late := s.late()
	from, to := max(s.read.From, 1), s.top()
	if len(late) > 0 {
		to = min(to, late[0].Version-1)
	}
	if from <= to {
		for r, err := range s.engine.storage.Records(s.ctx, s.id, from, to, false) {
			if err != nil {
				return err
			}
			if r.Position > s.view.totals.Position {
				break // of pages behind the view, of which some may lack
			}
			if !s.pass(r) {
				return nil
			}
		}
	}
	for _, r := range late {
		if !s.pass(*r) {
			return nil
		}
	}
	return nil
}

func (s *streamRead) back() error {
	late := s.late()
	var head daybook.Head
	for len(late) == 0 {
		found, err := s.engine.storage.Head(s.ctx, s.id)
		if err != nil {
			return err
		}
		if head = found.Head; found.Stamp <= s.view.number {
			break
		}
		if s.view, err = s.engine.refresh(s.ctx); err != nil {
			return err
		}
		late = s.late()
	}
	to, first := head.Version, max(head.First, 1)
	if len(late) > 0 {
		to, first = late[0].Version-1, 1
	}
	for i := len(late) - 1; i >= 0; i-- {
		if !s.pass(*late[i]) {
			return nil
		}
	}
	from, to := max(s.read.From, first), min(to, s.top())
	if from > to {
		return nil
	}
	for r, err := range s.engine.storage.Records(s.ctx, s.id, from, to, true) {
		if err != nil {
			return err
		}
		if !s.pass(r) {
			return nil
		}
	}
	return nil
}
