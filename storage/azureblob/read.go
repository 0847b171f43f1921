package azureblob

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sort"

	"github.com/daybook-go/daybook"
)

// look takes in what is new, for a call that only looks.
func (d *Driver) look(ctx context.Context) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.calls.Done()
	return d.refresh(ctx)
}

// reading is what a read goes through: records of the log as it was when the
// read began.
type reading struct {
	scan   *scan
	places func(i int) uint32 // the record at which the ith step is
	steps  int
	damage error // where the log could not be read further
}

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		damage, ok := d.beginRead(ctx, yield)
		if !ok {
			return
		}
		l := &d.log
		l.mu.RLock()
		r := reading{scan: newScan(d), damage: damage}
		if on := l.state.streams[id]; on != nil {
			records, from := on.records, on.from
			low, high := max(read.From, on.head.First), on.head.Version
			if read.To > 0 {
				if high >= read.To {
					r.damage = nil // it stands behind what is asked for
				}
				high = min(high, read.To)
			}
			if !read.Until.IsZero() {
				n := sort.Search(len(records), func(i int) bool { return r.scan.changesetOf(records[i]).at.After(read.Until) })
				high = min(high, from+daybook.Version(n)-1)
			}
			if low <= high {
				records = records[low-from : high-from+1]
				r.steps, r.places = len(records), func(i int) uint32 { return records[i] }
			}
		}
		l.mu.RUnlock()
		r.yield(ctx, read.Backwards, read.Limit, yield, func(uint32) bool { return true })
	}
}

// ReadLog implements daybook.Driver.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		damage, ok := d.beginRead(ctx, yield)
		if !ok {
			return
		}
		l := &d.log
		l.mu.RLock()
		s := l.state
		r := reading{scan: newScan(d), damage: damage}
		from, to := s.behind(read.After), uint32(len(s.records))
		if read.To > 0 {
			to = s.behind(read.To)
			if s.last >= read.To {
				r.damage = nil // it stands behind what is asked for
			}
		}
		if !read.Until.IsZero() {
			n := sort.Search(len(s.records), func(i int) bool { return r.scan.changesetOf(uint32(i)).at.After(read.Until) })
			to = min(to, uint32(n))
		}
		if to > from && len(read.Filter.Query.Items) > 0 {
			selected := s.selection(read.Filter.Query, from, to)
			r.steps, r.places = len(selected), func(i int) uint32 { return selected[i] }
		} else if to > from {
			r.steps, r.places = int(to-from), func(i int) uint32 { return from + uint32(i) }
		}
		l.mu.RUnlock()
		r.yield(ctx, read.Backwards, read.Limit, yield, r.selector(read.Filter))
	}
}

// selector returns what says whether a record is selected by a filter, its query
// aside.
func (r *reading) selector(filter daybook.Filter) func(uint32) bool {
	if len(filter.Partitions) == 0 && len(filter.StreamTypes) == 0 {
		return func(uint32) bool { return true }
	}
	return func(place uint32) bool { return filter.MatchesStream(r.scan.changesetOf(place).stream.id) }
}

// beginRead takes in what is new. Where the log is damaged behind what is known,
// that can be read, and the damage is what comes after it.
func (d *Driver) beginRead(ctx context.Context, yield func(daybook.Record, error) bool) (damage error, ok bool) {
	err := d.look(ctx)
	if err != nil && !errors.As(err, new(*daybook.CorruptError)) {
		yield(daybook.Record{}, err)
		return nil, false
	}
	return err, true
}

// yield yields the selected records, one way or the other.
func (r *reading) yield(ctx context.Context, backwards bool, limit int, yield func(daybook.Record, error) bool, selected func(uint32) bool) {
	if r.damage != nil && backwards {
		yield(daybook.Record{}, r.damage)
		return
	}
	for i := range r.steps {
		if backwards {
			i = r.steps - 1 - i
		}
		place := r.places(i)
		if !selected(place) {
			continue
		}
		err := ctx.Err()
		var record daybook.Record
		if err == nil {
			record, err = r.scan.record(place)
		}
		if err != nil {
			yield(daybook.Record{}, err)
			return
		}
		limit--
		if !yield(record, nil) || limit == 0 {
			return
		}
	}
	if r.damage != nil {
		yield(daybook.Record{}, r.damage)
	}
}

// Head implements daybook.HeadReader.
func (d *Driver) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	if err := d.look(ctx); err != nil {
		return daybook.Head{}, err
	}
	d.log.mu.RLock()
	defer d.log.mu.RUnlock()
	return d.log.state.head(id), nil
}

// End implements daybook.EndReader.
func (d *Driver) End(ctx context.Context) (daybook.Position, error) {
	if err := d.look(ctx); err != nil {
		return 0, err
	}
	return d.end(), nil
}

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		if err := d.look(ctx); err != nil {
			yield(daybook.StreamHead{}, err)
			return
		}
		var heads []daybook.StreamHead
		d.log.mu.RLock()
		for id, on := range d.log.state.streams {
			if on.head.Exists() && list.Filter.MatchesStream(id) && (list.After == daybook.StreamID{} || id.Compare(list.After) > 0) {
				heads = append(heads, daybook.StreamHead{Stream: id, Head: on.head})
			}
		}
		d.log.mu.RUnlock()
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

// Stats implements daybook.StatsReader. It walks the streams that are known.
func (d *Driver) Stats(ctx context.Context) (daybook.Stats, error) {
	if err := d.look(ctx); err != nil {
		return daybook.Stats{}, err
	}
	l := &d.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	stats := daybook.Stats{
		Records: int64(len(l.state.records)), Changesets: int64(len(l.state.changesets)),
		LastPosition: l.state.last, LastOrdinal: l.state.ordinal, Bytes: l.size,
	}
	for _, on := range l.state.streams {
		if on.head.Exists() {
			stats.Streams++
			stats.LongestStream = max(stats.LongestStream, on.head.Changeset)
		}
	}
	return stats, nil
}

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	if err := d.look(ctx); err != nil {
		return daybook.StreamID{}, false, err
	}
	d.log.mu.RLock()
	defer d.log.mu.RUnlock()
	if on := d.log.state.holders[claimKey{partition, claim}]; on != nil {
		return on.id, true, nil
	}
	return daybook.StreamID{}, false, nil
}
