package router

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
)

// Entries are kept in memory by blocks of neighbours, those that were used
// last. An entry says how far all lines had come, so any place of any line is
// found by halving.

const (
	blockEntries = 256
	maxBlocks    = 512 // some tens of megabytes
)

// block holds entries from the first of its place on, as many as there were
// when it was read.
type block struct {
	entries []entry // never changed
	used    int64
}

// entry returns the entry with a version, which is not above that of the tail.
func (o *order) entry(ctx context.Context, version daybook.Version) (entry, error) {
	number := (int64(version) - 1) / blockEntries
	first := daybook.Version(number*blockEntries + 1)
	o.mu.Lock()
	tail := o.tail
	b := o.blocks[number]
	if b != nil {
		o.uses++
		b.used = o.uses
	}
	o.mu.Unlock()
	if version == tail.version {
		return tail, nil
	}
	if b == nil || int(version-first) >= len(b.entries) {
		var err error
		if b, err = o.load(ctx, number, first, min(tail.version, first+blockEntries-1)); err != nil {
			return entry{}, err
		}
	}
	return b.entries[version-first], nil
}

// load reads the entries of a block, up to the last that there is.
func (o *order) load(ctx context.Context, number int64, first, last daybook.Version) (*block, error) {
	b := &block{}
	for record, err := range o.keeper.ReadStream(ctx, daybook.Stream(orderStream), daybook.StreamRead{From: first, To: last}) {
		if err != nil {
			return nil, fmt.Errorf("the order: %w", err)
		}
		e, err := o.decode(&record)
		if err != nil {
			return nil, err
		}
		if e.version != first+daybook.Version(len(b.entries)) {
			return nil, o.corrupt(first+daybook.Version(len(b.entries)), "the entry is not there")
		}
		b.entries = append(b.entries, e)
	}
	if n := daybook.Version(len(b.entries)); n != last-first+1 {
		return nil, o.corrupt(first+n, "the entry is not there")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.uses++
	b.used = o.uses
	o.blocks[number] = b
	if len(o.blocks) > o.maxBlocks {
		oldest := number
		for n, other := range o.blocks {
			if other.used < o.blocks[oldest].used {
				oldest = n
			}
		}
		delete(o.blocks, oldest)
	}
	return b, nil
}

// find returns the first entry with which something has come up to a target,
// which it has by now.
func (o *order) find(ctx context.Context, target int64, come func(e *entry) int64) (entry, error) {
	low, high := daybook.Version(1), o.known().version
	var found entry
	for low <= high {
		middle := low + (high-low)/2
		e, err := o.entry(ctx, middle)
		if err != nil {
			return entry{}, err
		}
		if come(&e) >= target {
			found, high = e, middle-1
		} else {
			low = middle + 1
		}
	}
	if found.version == 0 {
		return entry{}, o.corrupt(low, "the order ends before %d", target)
	}
	return found, nil
}

// before returns how far each member had come, at its own place, where the
// router had come to at: with everything up to there.
func (o *order) before(ctx context.Context, kind int, at int64) ([]int64, error) {
	tail := o.known()
	if at <= 0 {
		return make([]int64, len(o.names)), nil
	}
	if at >= tail.total(kind) {
		return tail.before(kind, daybook.MaxPlace), nil
	}
	e, err := o.find(ctx, at, func(e *entry) int64 { return e.total(kind) })
	if err != nil {
		return nil, err
	}
	return e.before(kind, at), nil
}

// finder finds places of one line, most often one behind the other.
type finder struct {
	order *order
	line  int
	in    take // where the last one was
}

// find returns the take that a place of the line lies in; false if it is not
// noted yet, as far as is known.
func (f *finder) find(ctx context.Context, place int64) (take, bool, error) {
	if place > f.in.after && place <= f.in.through {
		return f.in, true, nil
	}
	if tail := f.order.known(); place > tail.ends[f.line] {
		return take{}, false, nil
	}
	e, err := f.order.find(ctx, place, func(e *entry) int64 { return e.ends[f.line] })
	if err != nil {
		return take{}, false, err
	}
	for _, t := range e.takes {
		if t.line == f.line && place > t.after && place <= t.through {
			f.in = t
			return t, true, nil
		}
	}
	return take{}, false, f.order.corrupt(e.version, "it does not take in %d of store %q", place, f.order.names[f.line/kinds])
}

// place returns where something of a line stands in the router.
func (t *take) place(at int64) int64 { return t.at + at - t.after }
