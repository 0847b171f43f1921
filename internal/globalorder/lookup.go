package globalorder

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

// Head is that of daybook.HeadReader.
func (e *Engine) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	v, err := e.look(ctx)
	if err != nil {
		return daybook.Head{}, err
	}
	if head, found := v.heads(func(found daybook.StreamID) bool { return found == id })[id]; found {
		return head, nil
	}
	found, err := e.storage.Head(ctx, id)
	return found.Head, err
}

// heads returns where the streams end that a view has pages of, of those that
// are wanted.
func (v view) heads(wanted func(daybook.StreamID) bool) map[daybook.StreamID]daybook.Head {
	heads := map[daybook.StreamID]daybook.Head{}
	for _, p := range v.pages {
		p.changesets(func(c *PlacedChangeset) {
			if wanted(c.Stream) {
				heads[c.Stream] = c.Head()
			}
		})
	}
	return heads
}

// End is that of daybook.EndReader.
func (e *Engine) End(ctx context.Context) (daybook.Position, error) {
	v, err := e.look(ctx)
	return v.totals.Position, err
}

// Stats is that of daybook.StatsReader.
func (e *Engine) Stats(ctx context.Context) (daybook.Stats, error) {
	v, err := e.look(ctx)
	t := v.totals
	return daybook.Stats{
		Streams: t.Streams, Changesets: t.Changesets, Records: t.Records, LongestStream: t.Longest,
		LastPosition: t.Position, LastOrdinal: t.Ordinal,
	}, err
}

// ClaimHolder is that of daybook.ClaimReader.
func (e *Engine) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	v, err := e.look(ctx)
	if err != nil {
		return daybook.StreamID{}, false, err
	}
	key := ClaimKey{partition, claim}
	found, err := e.storage.Claim(ctx, key)
	if err != nil {
		return daybook.StreamID{}, false, err
	}
	for _, p := range v.pages {
		if p.Number > found.Stamp {
			p.hands(func(changed ClaimKey, holder daybook.StreamID) {
				if changed == key {
					found.Holder = holder
				}
			})
		}
	}
	return found.Holder, found.Holder != daybook.StreamID{}, nil
}

// ListStreams is that of daybook.StreamLister.
func (e *Engine) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		v, err := e.look(ctx)
		if err != nil {
			yield(daybook.StreamHead{}, err)
			return
		}
		wanted := func(id daybook.StreamID) bool {
			return list.Filter.MatchesStream(id) && (list.After == daybook.StreamID{} || id.Compare(list.After) > 0)
		}
		late := v.heads(wanted)
		var names []daybook.StreamID
		for id := range late {
			names = append(names, id)
		}
		slices.SortFunc(names, daybook.StreamID.Compare)
		left := list.Limit
		pass := func(head daybook.StreamHead) bool {
			if !head.Exists() {
				return true
			}
			if err := ctx.Err(); err != nil {
				yield(daybook.StreamHead{}, err)
				return false
			}
			left--
			return yield(head, nil) && left != 0
		}
		for head, err := range e.storage.Streams(ctx, list.After, list.Filter) {
			if err != nil {
				yield(daybook.StreamHead{}, err)
				return
			}
			if !wanted(head.Stream) {
				continue
			}
			for len(names) > 0 && names[0].Compare(head.Stream) < 0 {
				if !pass(daybook.StreamHead{Stream: names[0], Head: late[names[0]]}) {
					return
				}
				names = names[1:]
			}
			if len(names) > 0 && names[0] == head.Stream {
				if newer := late[names[0]]; newer.Version > head.Version {
					head.Head = newer
				}
				names = names[1:]
			}
			if !pass(head) {
				return
			}
		}
		for _, id := range names {
			if !pass(daybook.StreamHead{Stream: id, Head: late[id]}) {
				return
			}
		}
	}
}

// Wait is that of daybook.Waiter. It asks the storage every Options.Poll, once
// for all who wait; appends of this engine are seen at once.
func (e *Engine) Wait(ctx context.Context, after daybook.Position) error {
	for first := true; ; first = false {
		e.tail.mu.Lock()
		grown := e.tail.grown
		e.tail.mu.Unlock()
		v, _ := e.tail.now()
		if first || v.totals.Position <= after && !e.tail.askedSince(time.Now().Add(-e.options.Poll/2)) {
			var err error
			if v, err = e.look(ctx); err != nil {
				return err
			}
		}
		if v.totals.Position > after {
			return nil
		}
		timer := time.NewTimer(e.options.Poll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-e.closing:
			timer.Stop()
			return daybook.ErrClosed
		case <-grown:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// Import is that of daybook.Importer. All of it must fit into one page.
func (e *Engine) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	j := &job{size: sizeOfRecorded(changesets), rows: rowsOfRecorded(changesets), done: make(chan struct{})}
	if err := e.checkSize(j.size, j.rows, "changesets"); err != nil {
		return err
	}
	for _, c := range changesets {
		j.imported = append(j.imported, cloneRecorded(c))
	}
	_, err := e.submit(ctx, j)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	return nil
}

// cloneRecorded returns a copy that shares no memory with c.
func cloneRecorded(c daybook.RecordedChangeset) daybook.RecordedChangeset {
	c.Metadata, c.Claims = slices.Clone(c.Metadata), slices.Clone(c.Claims)
	c.Releases, c.References = slices.Clone(c.Releases), slices.Clone(c.References)
	c.Records = slices.Clone(c.Records)
	for i := range c.Records {
		c.Records[i].Event = c.Records[i].Event.Clone()
	}
	return c
}
