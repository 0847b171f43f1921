package router

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/daybook-go/daybook"
)

// Head implements daybook.HeadReader.
func (d *Driver) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	if err := d.enter(); err != nil {
		return daybook.Head{}, err
	}
	defer d.leave()
	if d.order == nil {
		return d.members[0].store.Head(ctx, id)
	}
	index := d.table.of(id)
	head, err := d.members[index].store.Head(ctx, id)
	if err != nil {
		return daybook.Head{}, err
	}
	return d.noted(ctx, index, id, head)
}

// noted returns a head of a member as that of the router; where its end is not
// noted, and cannot be, the head as far as it is.
func (d *Driver) noted(ctx context.Context, index int, id daybook.StreamID, head daybook.Head) (daybook.Head, error) {
	translated, ok, err := d.head(ctx, index, head)
	if err != nil || ok {
		return translated, err
	}
	for record, err := range d.ReadStream(ctx, id, daybook.StreamRead{Backwards: true, Limit: 1}) {
		if err != nil {
			return daybook.Head{}, err
		}
		head.Version, head.Changeset, head.Position, head.RecordedAt = record.Version, record.Changeset.Number, record.Position, record.RecordedAt
		return head, nil
	}
	return daybook.Head{}, nil
}

// End implements daybook.EndReader.
func (d *Driver) End(ctx context.Context) (daybook.Position, error) {
	if err := d.enter(); err != nil {
		return 0, err
	}
	defer d.leave()
	if d.order == nil {
		return d.members[0].store.End(ctx)
	}
	if err := d.survey(ctx); err != nil {
		return 0, err
	}
	tail := d.order.known()
	return daybook.Position(tail.total(records)), nil
}

// Wait implements daybook.Waiter. It is woken by what routers note, in any
// process, and looks now and then for what nobody has noted.
func (d *Driver) Wait(ctx context.Context, after daybook.Position) error {
	if alone := d.alone(); alone != nil {
		if waiter, ok := alone.(daybook.Waiter); ok {
			return waiter.Wait(ctx, after)
		}
		return d.lacks(&d.members[0], "waiting")
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.life, cancel)()
	if d.isClosed() {
		return daybook.ErrClosed
	}
	err := d.order.refresh(waiting)
	for err == nil {
		tail := d.order.known()
		if tail.total(records) > int64(after) {
			return nil
		}
		err = d.waitForMore(waiting, tail.place)
	}
	switch {
	case d.isClosed():
		return daybook.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// waitForMore waits until the order has grown beyond a place, and looks into
// the storages when it is time to.
func (d *Driver) waitForMore(ctx context.Context, place daybook.Position) error {
	short, cancel := context.WithTimeout(ctx, d.options.SurveyInterval)
	defer cancel()
	err := d.order.store.Wait(short, place)
	switch {
	case err == nil:
		return d.order.refresh(ctx)
	case ctx.Err() != nil:
		return ctx.Err()
	case short.Err() != nil:
		return d.survey(ctx)
	}
	return fmt.Errorf("the order: %w", err)
}

// ListStreams implements daybook.StreamLister.
func (d *Driver) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		if d.isClosed() {
			yield(daybook.StreamHead{}, daybook.ErrClosed)
			return
		}
		if err := d.listStreams(ctx, list, func(head *daybook.StreamHead) bool { return yield(*head, nil) }); err != nil {
			yield(daybook.StreamHead{}, err)
		}
	}
}

func (d *Driver) listStreams(ctx context.Context, list daybook.StreamList, yield func(head *daybook.StreamHead) bool) error {
	m := merge[daybook.StreamHead]{compare: func(a, b *sorted[daybook.StreamHead]) int {
		return a.value.Stream.Compare(b.value.Stream)
	}}
	defer m.stop()
	for i := range d.members {
		lister, ok := d.members[i].Driver.(daybook.StreamLister)
		if !ok {
			return d.lacks(&d.members[i], "listing streams")
		}
		m.add(d.listMember(ctx, i, lister, list))
	}
	left := list.Limit
	for {
		head, err := m.next()
		if err != nil || head == nil {
			return err
		}
		left--
		if !yield(head) || left == 0 {
			return nil
		}
	}
}

// listMember lists the streams of a member, of those that rules send there.
func (d *Driver) listMember(ctx context.Context, index int, lister daybook.StreamLister, list daybook.StreamList) iter.Seq2[sorted[daybook.StreamHead], error] {
	if d.order != nil {
		list.Limit = 0 // some that come may be such as are not yielded
	}
	return func(yield func(sorted[daybook.StreamHead], error) bool) {
		for head, err := range lister.ListStreams(ctx, list) {
			if err == nil && d.table.of(head.Stream) != index {
				continue
			}
			if err == nil && d.order != nil {
				head.Head, err = d.noted(ctx, index, head.Stream, head.Head)
			}
			if err == nil && !head.Exists() {
				continue // none of its records is noted
			}
			if !yield(sorted[daybook.StreamHead]{value: head}, err) || err != nil {
				return
			}
		}
	}
}

// Stats implements daybook.StatsReader: the sums over all storages, as each
// counts what it holds.
func (d *Driver) Stats(ctx context.Context) (daybook.Stats, error) {
	if err := d.enter(); err != nil {
		return daybook.Stats{}, err
	}
	defer d.leave()
	var sum daybook.Stats
	for i := range d.members {
		reader, ok := d.members[i].Driver.(daybook.StatsReader)
		if !ok {
			return daybook.Stats{}, d.lacks(&d.members[i], "statistics")
		}
		stats, err := reader.Stats(ctx)
		if err != nil || d.order == nil {
			return stats, err
		}
		sum.Streams += stats.Streams
		sum.Changesets += stats.Changesets
		sum.Records += stats.Records
		sum.Bytes += stats.Bytes
		sum.LongestStream = max(sum.LongestStream, stats.LongestStream)
	}
	if stats, err := d.order.store.Stats(ctx); err == nil {
		sum.Bytes += stats.Bytes
	} else if !errors.Is(err, daybook.ErrUnsupported) {
		return daybook.Stats{}, fmt.Errorf("the order: %w", err)
	}
	if err := d.survey(ctx); err != nil {
		return daybook.Stats{}, err
	}
	tail := d.order.known()
	sum.LastPosition = daybook.Position(tail.total(records))
	return sum, nil
}

// ClaimHolder implements daybook.ClaimReader.
func (d *Driver) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	if err := d.enter(); err != nil {
		return daybook.StreamID{}, false, err
	}
	defer d.leave()
	if err := d.claims(partition); err != nil {
		return daybook.StreamID{}, false, err
	}
	m := &d.members[d.table.ofPartition(partition)[0]]
	reader, ok := m.Driver.(daybook.ClaimReader)
	if !ok {
		return daybook.StreamID{}, false, d.lacks(m, "looking up claims")
	}
	return reader.ClaimHolder(ctx, partition, claim)
}

// Import implements daybook.Importer where there is one storage: with several,
// positions follow from theirs.
func (d *Driver) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	if d.order == nil && d.options.ReadOnly {
		return daybook.ErrReadOnly
	}
	if d.order != nil {
		return d.unsupported("importing with positions kept: they follow from those of several stores")
	}
	importer, ok := d.members[0].Driver.(daybook.Importer)
	if !ok {
		return d.lacks(&d.members[0], "importing with positions kept")
	}
	return importer.Import(ctx, changesets)
}
