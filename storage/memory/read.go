package memory

import (
	"context"
	"iter"
	"slices"
	"sort"

	"github.com/daybook-go/daybook"
)

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		d.mu.RLock()
		closed := d.closed
		var records []*daybook.Record
		if s := d.streams[id]; s != nil {
			records = s.records
		}
		d.mu.RUnlock()
		if closed {
			yield(daybook.Record{}, daybook.ErrClosed)
			return
		}
		left := read.Limit
		for i := range ordered(len(records), read.Backwards) {
			record := records[i]
			if !read.Holds(record.Version, record.RecordedAt) {
				continue
			}
			if !pass(ctx, record, &left, yield) {
				return
			}
		}
	}
}

// ReadLog implements daybook.Driver.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		d.mu.RLock()
		closed, records := d.closed, d.records
		d.mu.RUnlock()
		if closed {
			yield(daybook.Record{}, daybook.ErrClosed)
			return
		}
		records = records[after(records, read.After):]
		if read.To > 0 {
			records = records[:after(records, read.To)]
		}
		left := read.Limit
		for i := range ordered(len(records), read.Backwards) {
			if !read.Holds(records[i]) {
				continue
			}
			if !pass(ctx, records[i], &left, yield) {
				return
			}
		}
	}
}

// pass yields a record, or the end of ctx. It reports whether to go on; left
// counts the records still wanted, from 0 if all are.
func pass(ctx context.Context, record *daybook.Record, left *int, yield func(daybook.Record, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield(daybook.Record{}, err)
		return false
	}
	*left--
	return yield(*record, nil) && *left != 0
}

// after returns how many of the records stand at the position or below it.
func after(records []*daybook.Record, position daybook.Position) int {
	return sort.Search(len(records), func(i int) bool { return records[i].Position > position })
}

// ordered yields 0 to n-1, or n-1 to 0.
func ordered(n int, backwards bool) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if backwards {
				i = n - 1 - i
			}
			if !yield(i) {
				return
			}
		}
	}
}

// Head implements daybook.HeadReader.
func (d *Driver) Head(_ context.Context, id daybook.StreamID) (daybook.Head, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return daybook.Head{}, daybook.ErrClosed
	}
	return d.head(id), nil
}

// End implements daybook.EndReader.
func (d *Driver) End(context.Context) (daybook.Position, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return 0, daybook.ErrClosed
	}
	return d.last, nil
}

// Wait implements daybook.Waiter.
func (d *Driver) Wait(ctx context.Context, position daybook.Position) error {
	for {
		d.mu.RLock()
		closed, end, grown := d.closed, d.last, d.grown
		d.mu.RUnlock()
		switch {
		case closed:
			return daybook.ErrClosed
		case end > position:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-grown:
		}
	}
}

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		d.mu.RLock()
		closed := d.closed
		var heads []daybook.StreamHead
		for id, s := range d.streams {
			if s.head.Exists() && list.Filter.MatchesStream(id) && (list.After == daybook.StreamID{} || id.Compare(list.After) > 0) {
				heads = append(heads, daybook.StreamHead{Stream: id, Head: s.head})
			}
		}
		d.mu.RUnlock()
		if closed {
			yield(daybook.StreamHead{}, daybook.ErrClosed)
			return
		}
		slices.SortFunc(heads, func(a, b daybook.StreamHead) int { return a.Stream.Compare(b.Stream) })
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

// Stats implements daybook.StatsReader.
func (d *Driver) Stats(context.Context) (daybook.Stats, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return daybook.Stats{}, daybook.ErrClosed
	}
	stats := daybook.Stats{
		Records: int64(len(d.records)), LastPosition: d.last, LastOrdinal: d.ordinal, Changesets: d.changesets,
	}
	for _, s := range d.streams {
		if s.head.Exists() {
			stats.Streams++
			stats.LongestStream = max(stats.LongestStream, s.head.Changeset)
		}
	}
	return stats, nil
}

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(_ context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return daybook.StreamID{}, false, daybook.ErrClosed
	}
	holder, held := d.holders[claimKey{partition, claim}]
	return holder, held, nil
}
