package disk

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/daybook-go/daybook"
)

// each calls visit with the rows, the newest first if backwards, until it is
// done. A row that turns out to be damaged, or whose file cannot be read, is built
// anew from its segments, and asked again. Where that fails, the failure is kept,
// so that nobody takes what is missing for an answer.
func (x *sealed) each(backwards bool, visit func(*sealedRow) (done bool, err error)) {
	if err := x.try(backwards, visit); err != nil {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.failed == nil && !x.closed {
			x.failed = fmt.Errorf("disk: an index cannot be read or built anew: %w", err)
		}
	}
}

func (x *sealed) try(backwards bool, visit func(*sealedRow) (bool, error)) error {
	for rebuilt := 0; ; rebuilt++ {
		bad, err := x.visit(backwards, visit)
		if err == nil || errors.Is(err, daybook.ErrClosed) || rebuilt == x.most() {
			return err
		}
		if again := x.rebuild(bad, unpaced); again != nil {
			return errors.Join(err, again)
		}
	}
}

// most returns how often a row is built anew for one answer: each may be
// damaged, and may turn out to be so again.
func (x *sealed) most() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.rows) + 3
}

func (x *sealed) visit(backwards bool, visit func(*sealedRow) (bool, error)) (bad *sealedRow, err error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.closed {
		return nil, daybook.ErrClosed
	}
	for i := range x.rows {
		if backwards {
			i = len(x.rows) - 1 - i
		}
		if done, err := visit(x.rows[i]); done || err != nil {
			return x.rows[i], err
		}
	}
	return nil, nil
}

// failure returns why an answer that was given may be wrong.
func (x *sealed) failure() error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.failed == nil && x.closed {
		return daybook.ErrClosed
	}
	return x.failed
}

// head returns where a stream ends.
func (x *sealed) head(id daybook.StreamID) daybook.Head {
	head, ok := x.foresight.headOf(id)
	if ok || x.empty() {
		return head
	}
	round := x.foresight.now()
	head = x.headBelow(id, math.MaxInt)
	x.foresight.keepHead(round, id, head)
	return head
}

// headBelow returns where a stream ends below a segment at which a row begins.
func (x *sealed) headBelow(id daybook.StreamID, segment int) (head daybook.Head) {
	x.each(true, func(r *sealedRow) (found bool, err error) {
		if r.first >= segment {
			return false, nil
		}
		h, found, err := r.Head(id)
		if found {
			head = h
		}
		return found, err
	})
	return head
}

// findAppend returns the place of the first frame of an append.
func (x *sealed) findAppend(id daybook.ID) (at place, known bool) {
	if !x.mayHoldAppend(id) {
		return 0, false
	}
	at, known, ok := x.foresight.appendOf(id)
	if ok {
		return at, known
	}
	round := x.foresight.now()
	x.each(false, func(r *sealedRow) (found bool, err error) {
		p, found, err := r.Append(id)
		if found {
			at, known = r.place(p), true
		}
		return found, err
	})
	x.foresight.keepAppend(round, id, at, known)
	return at, known
}

// mayHoldAppend reports whether an id lies among those of an index file, so far
// as that is known without reading: ids of version 7 rise, and most new ones lie
// above all that are in files.
func (x *sealed) mayHoldAppend(id daybook.ID) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.ContainsFunc(x.rows, func(r *sealedRow) bool { return r.Spans(id) })
}

// holder returns who took a claim last.
func (x *sealed) holder(key claimKey) (holder holding) {
	x.each(true, func(r *sealedRow) (found bool, err error) {
		h, since, found, err := r.Claim(key.partition, key.claim)
		if found {
			holder = holding{h, h.Name != "", since}
		}
		return found, err
	})
	return holder
}

// lastMatch returns the highest position above after that a query, which must
// be narrow, selects; 0 if there is none. The same query is often asked again:
// what it selects in files changes only when they do.
func (x *sealed) lastMatch(query daybook.Query, after daybook.Position) daybook.Position {
	if x.lastPosition() <= after {
		return 0
	}
	var room [foreseenQuery]byte
	key := appendQuery(room[:0], &query)
	if len(key) > len(room) {
		return x.findMatch(&query, after)
	}
	found, ok := x.foresight.matchOf(key)
	if !ok {
		round := x.foresight.now()
		if found = x.findMatch(&query, 0); x.failure() == nil {
			x.foresight.keepMatch(round, key, found)
		}
	}
	return above(found, after)
}

// lastPosition returns the last position that is covered.
func (x *sealed) lastPosition() daybook.Position {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if n := len(x.rows); n > 0 {
		return x.rows[n-1].Totals().LastPosition
	}
	return 0
}

// findMatch is lastMatch by looking into the files.
func (x *sealed) findMatch(query *daybook.Query, after daybook.Position) (found daybook.Position) {
	x.each(true, func(r *sealedRow) (done bool, err error) {
		last := r.Totals().LastPosition
		if last <= after {
			return true, nil
		}
		selection, err := r.Select(*query)
		if err != nil {
			return false, err
		}
		at, err := selection.Previous(last)
		if at > after {
			found = at
		}
		return at > 0, err
	})
	return found
}

// positionsPage is how many positions are found at once.
const positionsPage = 512

// selected yields the positions above one and up to another that are selected,
// in the order of a read. It reports whether to go on.
func (x *sealed) selected(of *selector, after, to daybook.Position, backwards bool, yield func(daybook.Position) bool) bool {
	for after < to {
		page := x.positions(of, after, to, backwards)
		for _, position := range page {
			if !yield(position) {
				return false
			}
		}
		if len(page) < positionsPage {
			return x.failure() == nil
		}
		if last := page[len(page)-1]; backwards {
			to = last - 1
		} else {
			after = last
		}
	}
	return true
}

// positions returns the first of these positions.
func (x *sealed) positions(of *selector, after, to daybook.Position, backwards bool) []daybook.Position {
	var page []daybook.Position
	x.each(backwards, func(r *sealedRow) (full bool, err error) {
		if r == x.rows[0] && !backwards || r == x.rows[len(x.rows)-1] && backwards {
			page = page[:0] // also if an earlier round met a damaged row
		}
		totals := r.Totals()
		if totals.LastPosition <= after || totals.FirstPosition > to {
			return false, nil
		}
		selection, err := of.in(r.Run)
		if err != nil {
			return false, err
		}
		at, find, step := after+1, selection.Next, daybook.Position(1)
		if backwards {
			at, find, step = to, selection.Previous, -1
		}
		for len(page) < positionsPage && err == nil && after < at && at <= to {
			if at, err = find(at); at > after && at <= to {
				page = append(page, at)
				at += step
			}
		}
		return len(page) == positionsPage, err
	})
	return page
}

// headsPage is how many heads are read from each row at once.
const headsPage = 512

// heads returns streams that sort above one, in order, with the heads that
// they have in the index files: at least one, if there is any.
func (x *sealed) heads(after daybook.StreamID) ([]daybook.StreamHead, error) {
	found := map[daybook.StreamID]daybook.Head{}
	var bound *daybook.StreamID // rows that have more have it above this one
	x.each(true, func(r *sealedRow) (bool, error) {
		n := 0
		for head, err := range r.Streams(after) {
			if err != nil {
				return false, err
			}
			if _, newer := found[head.Stream]; !newer {
				found[head.Stream] = head.Head
			}
			if n++; n == headsPage {
				if bound == nil || head.Stream.Compare(*bound) < 0 {
					bound = &head.Stream
				}
				break
			}
		}
		return false, nil
	})
	var heads []daybook.StreamHead
	for id, head := range found {
		if bound == nil || id.Compare(*bound) <= 0 {
			heads = append(heads, daybook.StreamHead{Stream: id, Head: head})
		}
	}
	slices.SortFunc(heads, func(a, b daybook.StreamHead) int { return a.Stream.Compare(b.Stream) })
	return heads, x.failure()
}

// streams yields the streams that sort above one, in order.
func (x *sealed) streams(after daybook.StreamID) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		for {
			heads, err := x.heads(after)
			if err != nil {
				yield(daybook.StreamHead{}, err)
				return
			}
			for _, head := range heads {
				if !yield(head, nil) {
					return
				}
			}
			if len(heads) == 0 {
				return
			}
			after = heads[len(heads)-1].Stream
		}
	}
}
