package router

import (
	"context"
	"iter"

	"github.com/daybook-go/daybook"
)

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	if alone := d.alone(); alone != nil {
		return alone.ReadStream(ctx, id, read)
	}
	return func(yield func(daybook.Record, error) bool) {
		if d.isClosed() {
			yield(daybook.Record{}, daybook.ErrClosed)
			return
		}
		index := d.table.of(id)
		asked := read
		if read.Backwards && (d.options.ReadOnly || !read.Until.IsZero()) {
			asked.Limit = 0 // the first that come may be such as are not yielded
		}
		translate := d.translator(index, read.Borrow)
		left := read.Limit
		for record, err := range d.members[index].Driver.ReadStream(ctx, id, asked) {
			noted := false
			if err == nil {
				noted, err = translate.record(ctx, &record)
			}
			switch {
			case err != nil:
				yield(daybook.Record{}, err)
				return
			case !noted || !read.Until.IsZero() && record.RecordedAt.After(read.Until):
				continue
			}
			left--
			if !yield(record, nil) || left == 0 {
				return
			}
		}
	}
}

// ReadLog implements daybook.Driver. The log of every member is read once, and
// their records are yielded by the places that the order gives them.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	if alone := d.alone(); alone != nil {
		return alone.ReadLog(ctx, read)
	}
	return func(yield func(daybook.Record, error) bool) {
		if d.isClosed() {
			yield(daybook.Record{}, daybook.ErrClosed)
			return
		}
		if err := d.readLog(ctx, read, func(record *daybook.Record) bool { return yield(*record, nil) }); err != nil {
			yield(daybook.Record{}, err)
		}
	}
}

// readLog calls yield for what read asks for, until it returns false.
func (d *Driver) readLog(ctx context.Context, read daybook.LogRead, yield func(record *daybook.Record) bool) error {
	if known := d.order.known(); read.To == 0 || int64(read.To) > known.total(records) {
		if err := d.survey(ctx); err != nil {
			return err
		}
	}
	tail := d.order.known()
	to := tail.total(records)
	if read.To > 0 {
		to = min(to, int64(read.To))
	}
	if int64(read.After) >= to {
		return nil
	}
	low, err := d.order.before(ctx, records, int64(read.After))
	if err != nil {
		return err
	}
	high, err := d.order.before(ctx, records, to)
	if err != nil {
		return err
	}
	m := merge[daybook.Record]{backwards: read.Backwards}
	defer m.stop()
	for i := range d.members {
		if high[i] > low[i] {
			m.add(d.readMember(ctx, i, read, low[i], high[i]))
		}
	}
	left := read.Limit
	for {
		record, err := m.next()
		if err != nil || record == nil {
			return err
		}
		left--
		if !yield(record) || left == 0 {
			return nil
		}
	}
}

// readMember yields what read asks for of the log of a member, from behind a
// place of the member up to another, with its places in the router.
func (d *Driver) readMember(ctx context.Context, index int, read daybook.LogRead, after, through int64) iter.Seq2[sorted[daybook.Record], error] {
	asked := read
	asked.After, asked.To = daybook.Position(after), daybook.Position(through)
	if read.Backwards && !read.Until.IsZero() || d.foreign(index, read.Filter) {
		asked.Limit = 0 // some that come may be such as are not yielded
	}
	return func(yield func(sorted[daybook.Record], error) bool) {
		translate := d.translator(index, read.Borrow)
		for record, err := range d.members[index].Driver.ReadLog(ctx, asked) {
			if err == nil && d.table.of(record.Stream) != index {
				continue
			}
			if err == nil {
				_, err = translate.record(ctx, &record)
			}
			if err != nil {
				yield(sorted[daybook.Record]{}, err)
				return
			}
			if !read.Until.IsZero() && record.RecordedAt.After(read.Until) {
				if read.Backwards {
					continue
				}
				return
			}
			if !yield(sorted[daybook.Record]{key: int64(record.Position), value: record}, nil) {
				return
			}
		}
	}
}

// foreign reports whether a member may hold records that a filter selects, but
// that the rules send elsewhere. With a limit, they would count.
func (d *Driver) foreign(index int, filter daybook.Filter) bool {
	if len(filter.Partitions) == 0 || len(filter.StreamTypes) == 0 {
		return true
	}
	for _, partition := range filter.Partitions {
		for _, name := range filter.StreamTypes {
			if d.table.of(daybook.StreamID{Partition: partition, Name: name}) != index {
				return true
			}
		}
	}
	return false
}

// translator makes records of a member records of the router.
type translator struct {
	d        *Driver
	find     *finder
	borrowed bool
	from, to *daybook.ChangesetHeader // the last header, and what became of it
}

func (d *Driver) translator(index int, borrowed bool) *translator {
	return &translator{d: d, find: d.finder(index), borrowed: borrowed}
}

// record changes a record of the member into that of the router, but for the
// memory that it shares with others. It is false where the record cannot be
// noted.
func (t *translator) record(ctx context.Context, r *daybook.Record) (bool, error) {
	at, ok, err := t.d.locate(ctx, t.find, r.Position)
	if err != nil || !ok {
		return false, err
	}
	r.Position, r.RecordedAt = at.position, at.recordedAt(r.RecordedAt)
	if r.Changeset == nil || r.Changeset.Ordinal == 0 {
		return true, nil
	}
	// A header that is lent may hold another one at the next step.
	if t.borrowed || r.Changeset != t.from || t.to == nil {
		if t.to == nil || !t.borrowed {
			t.to = new(daybook.ChangesetHeader)
		}
		*t.to, t.from = *r.Changeset, r.Changeset
		t.to.Ordinal = 0
	}
	r.Changeset = t.to
	return true, nil
}
