package disk

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// ask brings the log up to date and calls answer with it. While the log is
// damaged nobody knows how it goes on, so nothing is answered from the index.
func (d *Driver) ask(answer func(*log)) error {
	if err := d.refresh(); err != nil {
		return err
	}
	d.log.mu.RLock()
	defer d.log.mu.RUnlock()
	switch {
	case d.log.closed:
		return daybook.ErrClosed
	case d.log.damage != nil:
		return d.log.damage
	}
	answer(d.log)
	return nil
}

// Head implements daybook.HeadReader.
func (d *Driver) Head(_ context.Context, id daybook.StreamID) (head daybook.Head, err error) {
	err = d.ask(func(l *log) { head = l.index.shownHead(id) })
	return head, err
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
		grown := d.log.growing()
		var end daybook.Position
		if err := d.ask(func(l *log) { end = l.index.shown.last }); err != nil {
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
		var heads []daybook.StreamHead
		err := d.ask(func(l *log) {
			x := &l.index
			for n := range x.streams.all.n {
				id := x.streams.all.at(n).id
				if !list.Filter.MatchesStream(id) || (list.After != daybook.StreamID{} && compareStreams(id, list.After) <= 0) {
					continue
				}
				if head := x.shownEnd(n); head.Exists() {
					heads = append(heads, daybook.StreamHead{Stream: id, Head: head})
				}
			}
		})
		if err != nil {
			yield(daybook.StreamHead{}, err)
			return
		}
		slices.SortFunc(heads, func(a, b daybook.StreamHead) int { return compareStreams(a.Stream, b.Stream) })
		for i, head := range heads {
			if err := ctx.Err(); err != nil {
				yield(daybook.StreamHead{}, err)
				return
			}
			if !yield(head, nil) || i+1 == list.Limit {
				return
			}
		}
	}
}

// compareStreams orders streams by partition, then name, by their bytes.
func compareStreams(a, b daybook.StreamID) int {
	if c := strings.Compare(a.Partition, b.Partition); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// Stats implements daybook.StatsReader.
func (d *Driver) Stats(context.Context) (stats daybook.Stats, err error) {
	err = d.ask(func(l *log) {
		x := &l.index.shown
		stats = daybook.Stats{
			Streams: x.streams, Changesets: x.changesets, Records: x.records,
			LongestStream: x.longest, LastPosition: x.last, LastOrdinal: x.ordinal,
		}
		for _, s := range l.segments {
			stats.Bytes += s.end
		}
	})
	return stats, err
}

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(_ context.Context, partition string, claim daybook.Claim) (holder daybook.StreamID, held bool, err error) {
	err = d.ask(func(l *log) { holder, held = l.index.shownHolder(claimKey{partition, claim}) })
	return holder, held, err
}
