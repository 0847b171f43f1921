package azurefunctions

import (
	"context"
	"iter"
	"sort"
	"time"

	"github.com/daybook-go/daybook"
)

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		if d.isClosed() {
			yield(daybook.Record{}, daybook.ErrClosed)
			return
		}
		s := d.events.byID[id]
		if s == nil {
			return
		}
		first, last := max(int(read.From), 1), len(s.positions)
		if read.To > 0 {
			last = min(last, int(read.To))
		}
		left := read.Limit
		for i := range ordered(first, last, read.Backwards) {
			r, err := d.events.record(s.positions[i-1])
			if err == nil && !read.Holds(r.Version, r.RecordedAt) {
				continue
			}
			if !pass(ctx, r, err, &left, yield) {
				return
			}
		}
	}
}

// ReadLog implements daybook.Driver.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		if d.isClosed() {
			yield(daybook.Record{}, daybook.ErrClosed)
			return
		}
		log := d.events.log
		last := len(log)
		if read.To > 0 {
			last = min(last, int(read.To))
		}
		left := read.Limit
		for i := range ordered(int(min(read.After, daybook.Position(len(log))))+1, last, read.Backwards) {
			if !read.Filter.MatchesStream(d.events.streams[log[i-1].stream].id) {
				continue
			}
			r, err := d.events.record(daybook.Position(i))
			if err == nil && !read.Holds(&r) {
				continue
			}
			if !pass(ctx, r, err, &left, yield) {
				return
			}
		}
	}
}

// pass yields a record, an error, or the end of ctx. It reports whether to go
// on; left counts the records still wanted, from 0 if all are.
func pass(ctx context.Context, r daybook.Record, err error, left *int, yield func(daybook.Record, error) bool) bool {
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		yield(daybook.Record{}, err)
		return false
	}
	*left--
	return yield(r, nil) && *left != 0
}

// ordered yields first to last, or last to first.
func ordered(first, last int, backwards bool) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := first; i <= last; i++ {
			n := i
			if backwards {
				n = last - (i - first)
			}
			if !yield(n) {
				return
			}
		}
	}
}

// head returns the head of a stream.
func (e *events) head(s *stream) daybook.Head {
	last := len(s.positions)
	position := s.positions[last-1]
	at := time.UnixMicro(e.log[position-1].recorded).UTC()
	return daybook.Head{Version: daybook.Version(last), Changeset: daybook.ChangesetNumber(last), First: 1, Position: position, RecordedAt: at}
}

// Head implements daybook.HeadReader.
func (d *Driver) Head(_ context.Context, id daybook.StreamID) (daybook.Head, error) {
	if d.isClosed() {
		return daybook.Head{}, daybook.ErrClosed
	}
	if s := d.events.byID[id]; s != nil && len(s.positions) > 0 {
		return d.events.head(s), nil
	}
	return daybook.Head{}, nil
}

// End implements daybook.EndReader.
func (d *Driver) End(context.Context) (daybook.Position, error) {
	if d.isClosed() {
		return 0, daybook.ErrClosed
	}
	return daybook.Position(len(d.events.log)), nil
}

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		if d.isClosed() {
			yield(daybook.StreamHead{}, daybook.ErrClosed)
			return
		}
		all := d.events.streams
		from := 0
		if list.After != (daybook.StreamID{}) {
			after := &stream{id: list.After}
			from = sort.Search(len(all), func(i int) bool { return compareStreams(all[i], after) > 0 })
		}
		left := list.Limit
		for _, s := range all[from:] {
			if !list.Filter.MatchesStream(s.id) {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(daybook.StreamHead{}, err)
				return
			}
			left--
			if !yield(daybook.StreamHead{Stream: s.id, Head: d.events.head(s)}, nil) || left == 0 {
				return
			}
		}
	}
}

// Stats implements daybook.StatsReader. Bytes are those of the file that the
// events were read into.
func (d *Driver) Stats(context.Context) (daybook.Stats, error) {
	if d.isClosed() {
		return daybook.Stats{}, daybook.ErrClosed
	}
	e := d.events
	n := int64(len(e.log))
	stats := daybook.Stats{
		Streams: int64(len(e.streams)), Changesets: n, Records: n, LastPosition: daybook.Position(n), LastOrdinal: daybook.Ordinal(n), Bytes: e.written,
	}
	for _, s := range e.streams {
		stats.LongestStream = max(stats.LongestStream, daybook.ChangesetNumber(len(s.positions)))
	}
	return stats, nil
}
