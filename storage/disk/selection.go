package disk

import (
	"iter"
	"slices"
	"sort"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// selector is what a read asks the index for: the records that a narrow query
// selects, or, where it has no items, the changesets of the streams of a type, in
// a partition (logindex.Run.SelectStreams), by their first records.
type selector struct {
	query       daybook.Query
	partitions  []string
	streamTypes []string
}

// selectorOf returns how the index finds what a filter selects, or more than
// that; not ok if it cannot help. The default partition is most often
// everything, and so is not indexed.
func selectorOf(f *daybook.Filter) (s selector, ok bool) {
	if logindex.Narrow(f.Query) {
		return selector{query: f.Query}, true
	}
	s = selector{partitions: f.Partitions, streamTypes: f.StreamTypes}
	if slices.Contains(s.partitions, "") {
		s.partitions = nil
	}
	return s, len(s.partitions)+len(s.streamTypes) > 0
}

func (s *selector) byQuery() bool { return len(s.query.Items) > 0 }

// in finds what is selected in an index file.
func (s *selector) in(r *logindex.Run) (*logindex.Selection, error) {
	if s.byQuery() {
		return r.Select(s.query)
	}
	return r.SelectStreams(s.partitions, s.streamTypes)
}

// inPart finds what is selected in a part of the index, as it is now.
func (s *selector) inPart(p *part, backwards bool) partSelection {
	cursors := func(of *terms, texts []string) (all []positionCursor) {
		for _, text := range texts {
			all = append(all, newPositionCursor(of.list(text), backwards))
		}
		return all
	}
	if !s.byQuery() {
		switch {
		case len(s.partitions) == 1:
			return partSelection{{all: cursors(&p.postings.partitions, s.partitions), any: cursors(&p.kinds, s.streamTypes)}}
		case len(s.streamTypes) > 0:
			return partSelection{{any: cursors(&p.kinds, s.streamTypes)}}
		default:
			return partSelection{{any: cursors(&p.postings.partitions, s.partitions)}}
		}
	}
	items := make(partSelection, len(s.query.Items))
	for i, item := range s.query.Items {
		items[i].all, items[i].any = cursors(&p.tags, item.Tags), cursors(&p.types, item.Types)
	}
	return items
}

// selected yields the positions above one and up to another that a selector
// selects, in the order of a read. It is the only way by which reads ask the
// index for positions. Where an index file fails it, sealed.failure tells.
func (l *log) selected(of *selector, after, to daybook.Position, backwards bool) iter.Seq[daybook.Position] {
	return func(yield func(daybook.Position) bool) {
		recent, above := l.selections(of, backwards)
		low, high := max(after, above), min(to, above) // what is recent, and what is sealed
		if !backwards && !l.index.sealed.selected(of, after, high, false, yield) {
			return
		}
		for i := range recent {
			if backwards {
				i = len(recent) - 1 - i
			}
			if !recent[i].positions(low, to, backwards, yield) {
				return
			}
		}
		if backwards {
			l.index.sealed.selected(of, after, high, true, yield)
		}
	}
}

// partSelection finds what is selected in a part of the index.
type partSelection []itemPositions

// selections returns what is selected in the parts of the index in memory, as
// they are now, and the position above which they stand.
func (l *log) selections(of *selector, backwards bool) (all []partSelection, above daybook.Position) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	above = l.index.last
	for n, p := range l.index.parts {
		if n == 0 {
			above = p.first - 1
		}
		all = append(all, of.inPart(p, backwards))
	}
	return all, above
}

// positions yields what is selected above a position and up to another. It
// reports whether to go on.
func (items partSelection) positions(after, to daybook.Position, backwards bool, yield func(daybook.Position) bool) bool {
	step, from := daybook.Position(1), after+1
	if backwards {
		step, from = -1, to
	}
	for after < from && from <= to {
		var found daybook.Position
		for i := range items {
			if items[i].seek(from, backwards); earlier(items[i].next, found, backwards) {
				found = items[i].next
			}
		}
		if found == 0 || found <= after || found > to {
			return true
		}
		if !yield(found) {
			return false
		}
		from = found + step
	}
	return true
}

// earlier reports whether a read comes to a before b; 0 is never.
func earlier(a, b daybook.Position, backwards bool) bool {
	return a != 0 && (b == 0 || backwards && a > b || !backwards && a < b)
}

// itemPositions finds the positions of the records that an item selects.
type itemPositions struct {
	all  []positionCursor // of the tags
	any  []positionCursor // of the types
	next daybook.Position // what was found last
	done bool             // nothing more is there to find
}

// seek finds the first position from one on, in the order of the read; 0 if
// there is none.
func (s *itemPositions) seek(from daybook.Position, backwards bool) {
	if !s.done && (s.next == 0 || earlier(s.next, from, backwards)) {
		s.next = s.search(from, backwards)
		s.done = s.next == 0
	}
}

func (s *itemPositions) search(from daybook.Position, backwards bool) daybook.Position {
	for {
		found := from
		for i := range s.all {
			if found = s.all[i].seek(found); found == 0 {
				return 0
			}
		}
		if len(s.any) > 0 {
			var first daybook.Position
			for i := range s.any {
				if p := s.any[i].seek(found); earlier(p, first, backwards) {
					first = p
				}
			}
			if found = first; found == 0 {
				return 0
			}
		}
		if found == from {
			return found
		}
		from = found
	}
}

// positionCursor goes through a rising list of positions, in the order of a
// read.
type positionCursor struct {
	list      positions
	at        int // what comes next in list
	backwards bool
}

// newPositionCursor returns a cursor over a list, as it is now; nil is an empty
// one.
func newPositionCursor(list *positions, backwards bool) positionCursor {
	c := positionCursor{backwards: backwards}
	if list != nil {
		c.list = *list
	}
	if backwards {
		c.at = c.list.len() - 1
	}
	return c
}

// seek moves to the first position from one on and returns it; 0 if there is
// none. It looks near the place where it stands first.
func (c *positionCursor) seek(from daybook.Position) daybook.Position {
	if c.backwards {
		low, high := c.at, c.at+1 // list[high] and all above lie above from
		for step := 1; low >= 0 && c.list.at(low) > from; step *= 2 {
			low, high = low-step, low
		}
		low = max(low, -1)
		c.at = low + sort.Search(high-low-1, func(i int) bool { return c.list.at(low+1+i) > from })
		if c.at < 0 {
			return 0
		}
		return c.list.at(c.at)
	}
	low, high := c.at-1, c.at // list[low] and all below lie below from
	for step := 1; high < c.list.len() && c.list.at(high) < from; step *= 2 {
		low, high = high, high+step
	}
	high = min(high, c.list.len())
	c.at = low + 1 + sort.Search(high-low-1, func(i int) bool { return c.list.at(low+1+i) >= from })
	if c.at == c.list.len() {
		return 0
	}
	return c.list.at(c.at)
}
