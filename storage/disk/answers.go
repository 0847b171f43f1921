package disk

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// ask brings the log up to date and calls answer with it. While the log is
// damaged nobody knows how it goes on, so nothing is answered from the index.
func (d *Driver) ask(answer func(*log)) error {
	return d.with(func(l *log) error { return l.ask(answer) })
}

// ask calls answer with the log, unless that is closed or damaged.
func (l *log) ask(answer func(*log)) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return daybook.ErrClosed
	case l.damage != nil:
		return l.damage
	}
	answer(l)
	return l.index.sealed.failure()
}

// Head implements daybook.HeadReader.
func (d *Driver) Head(_ context.Context, id daybook.StreamID) (head daybook.Head, err error) {
	err = d.with(func(l *log) (err error) {
		head, err = l.headOf(id)
		return err
	})
	return head, err
}

func (l *log) headOf(id daybook.StreamID) (head daybook.Head, err error) {
	x := &l.index
	for {
		known := false
		err = l.ask(func(l *log) { head, known = l.index.recentHead(id) })
		if err == nil && !known {
			// Files are read without the lock of the log: writers need not wait.
			head = x.sealed.head(id)
			err = x.sealed.failure()
		}
		h := x.hidings.of(id, shownView)
		if err != nil || h == (logindex.Hiding{}) {
			return head, err
		}
		if h.Through <= head.Version { // else it was appended to and deleted in between
			return headBehind(head, h), nil
		}
	}
}

// End implements daybook.EndReader.
func (d *Driver) End(context.Context) (end daybook.Position, err error) {
	err = d.ask(func(l *log) { end = l.index.shown.last })
	return end, err
}

// Wait implements daybook.Waiter. Where another process writes, it looks every
// Options.PollInterval.
func (d *Driver) Wait(ctx context.Context, after daybook.Position) error {
	var poll <-chan time.Time
	if d.watch != nil {
		ticker := time.NewTicker(d.options.PollInterval)
		defer ticker.Stop()
		poll = ticker.C
	}
	for {
		// Asked for before the look at the end, so that nothing slips between.
		var grown <-chan struct{}
		var end daybook.Position
		if err := d.with(func(l *log) error {
			grown = l.growing()
			return l.ask(func(l *log) { end = l.index.shown.last })
		}); err != nil {
			return err
		}
		if end > after {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		case <-poll:
		}
	}
}

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		var recent []daybook.StreamHead
		l, err := d.hold()
		if err == nil {
			defer d.letGo(l)
			err = l.ask(func(l *log) { recent = l.index.recentHeads(list.After) })
		}
		if err != nil {
			yield(daybook.StreamHead{}, err)
			return
		}
		left := list.Limit
		for head, err := range withRecent(recent, l.index.sealed.streams(list.After)) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(daybook.StreamHead{}, err)
				return
			}
			head.Head = headBehind(head.Head, l.index.hidings.of(head.Stream, shownView))
			if !list.Filter.MatchesStream(head.Stream) || !head.Exists() {
				continue
			}
			if left--; !yield(head, nil) || left == 0 {
				return
			}
		}
	}
}

// recentHeads returns the streams that sort above one and that the index has
// in memory, in order.
func (x *index) recentHeads(after daybook.StreamID) []daybook.StreamHead {
	var heads []daybook.StreamHead
	seen := map[daybook.StreamID]bool{}
	for _, p := range slices.Backward(x.parts) {
		for n := range p.streams.all.n {
			s := p.streams.all.at(n)
			if after != (daybook.StreamID{}) && s.id.Compare(after) <= 0 {
				continue
			}
			end := x.shownEnd(s)
			if end.position <= x.shown.last && end.version > 0 && !seen[s.id] {
				seen[s.id] = true
				heads = append(heads, daybook.StreamHead{Stream: s.id, Head: end.head()})
			}
		}
	}
	slices.SortFunc(heads, func(a, b daybook.StreamHead) int { return a.Stream.Compare(b.Stream) })
	return heads
}

// withRecent yields both in order; of a stream that stands in both, what is
// recent.
func withRecent(recent []daybook.StreamHead, sealed iter.Seq2[daybook.StreamHead, error]) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		for head, err := range sealed {
			for err == nil && len(recent) > 0 && recent[0].Stream.Compare(head.Stream) < 0 {
				if !yield(recent[0], nil) {
					return
				}
				recent = recent[1:]
			}
			if err == nil && len(recent) > 0 && recent[0].Stream == head.Stream {
				head, recent = recent[0], recent[1:]
			}
			if !yield(head, err) || err != nil {
				return
			}
		}
		for _, head := range recent {
			if !yield(head, nil) {
				return
			}
		}
	}
}

// Stats implements daybook.StatsReader.
func (d *Driver) Stats(ctx context.Context) (stats daybook.Stats, err error) {
	for settled := false; !settled; {
		longest, at, err := d.longestStream(ctx)
		if err != nil {
			return daybook.Stats{}, err
		}
		err = d.ask(func(l *log) {
			// Else what was adopted in between is in neither number.
			settled = l.index.adoptions == at.adoptions
			x := &l.index.shown
			stats = daybook.Stats{
				Streams: x.streams, Changesets: x.changesets, Records: x.records,
				LongestStream: max(x.longest, longest), LastPosition: x.last, LastOrdinal: x.ordinal,
			}
			for _, s := range l.segments {
				stats.Bytes += s.end
			}
		})
		if err != nil {
			return daybook.Stats{}, err
		}
	}
	return stats, nil
}

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(_ context.Context, partition string, claim daybook.Claim) (holder daybook.StreamID, held bool, err error) {
	err = d.ask(func(l *log) { holder, held = l.index.shownHolder(claimKey{partition, claim}) })
	return holder, held, err
}
