package router

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/daybook-go/daybook"
)

// DeleteStream implements daybook.Deleter. Deletions are noted in the order as
// records are: their numbers are those of the router.
func (d *Driver) DeleteStream(ctx context.Context, deletion daybook.Deletion) (daybook.DeletionReceipt, error) {
	if err := d.enter(); err != nil {
		return daybook.DeletionReceipt{}, err
	}
	defer d.leave()
	if d.options.ReadOnly {
		return daybook.DeletionReceipt{}, daybook.ErrReadOnly
	}
	index := d.table.of(deletion.Stream)
	m := &d.members[index]
	deleter, ok := m.Driver.(daybook.Deleter)
	if !ok {
		return daybook.DeletionReceipt{}, d.lacks(m, "deleting streams")
	}
	if d.order == nil {
		return deleter.DeleteStream(ctx, deletion)
	}
	if err := d.deletedElsewhere(ctx, index, &deletion); err != nil {
		return daybook.DeletionReceipt{}, err
	}
	receipt, err := deleter.DeleteStream(ctx, deletion)
	if err != nil {
		return daybook.DeletionReceipt{}, d.refusal(ctx, index, err)
	}
	wanted := mark{line: line(index, deletions), through: int64(receipt.Number), latest: receipt.RecordedAt}
	if err := d.order.note(ctx, wanted); err != nil {
		return daybook.DeletionReceipt{}, settled("the deletion", err)
	}
	find := finder{order: d.order, line: line(index, deletions)}
	if err := d.number(ctx, &find, &receipt); err != nil {
		return daybook.DeletionReceipt{}, settled("the deletion", err)
	}
	return receipt, nil
}

// deletedElsewhere asks the other members whether the id of a deletion was used
// there.
func (d *Driver) deletedElsewhere(ctx context.Context, index int, deletion *daybook.Deletion) error {
	used, err := d.ask(ctx, index, func(m *member) error {
		deleter, ok := m.Driver.(daybook.Deleter)
		if !ok {
			return daybook.ErrUnsupported
		}
		_, err := deleter.DeleteStream(ctx, daybook.Deletion{ID: deletion.ID, Stream: deletion.Stream, Through: 1, Expect: never()})
		return err
	})
	if used {
		return &daybook.ReusedIDError{ID: deletion.ID, Deletion: true}
	}
	return err
}

// number makes a receipt of a member one of the router.
func (d *Driver) number(ctx context.Context, find *finder, receipt *daybook.DeletionReceipt) error {
	t, ok, err := find.find(ctx, int64(receipt.Number))
	if err != nil {
		return err
	}
	if !ok {
		return d.order.corrupt(d.order.known().version, "deletion %d of store %q is not noted", receipt.Number, d.order.names[find.line/kinds])
	}
	at := placed{floor: t.floor}
	receipt.Number = daybook.DeletionNumber(t.place(int64(receipt.Number)))
	receipt.RecordedAt = at.recordedAt(receipt.RecordedAt)
	return nil
}

// ReadDeletions implements daybook.DeletionReader. Storages that cannot delete
// have none.
func (d *Driver) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	return func(yield func(daybook.RecordedDeletion, error) bool) {
		if d.isClosed() {
			yield(daybook.RecordedDeletion{}, daybook.ErrClosed)
			return
		}
		if err := d.readDeletions(ctx, read, func(deletion *daybook.RecordedDeletion) bool { return yield(*deletion, nil) }); err != nil {
			yield(daybook.RecordedDeletion{}, err)
		}
	}
}

func (d *Driver) readDeletions(ctx context.Context, read daybook.DeletionRead, yield func(deletion *daybook.RecordedDeletion) bool) error {
	readers := map[int]daybook.DeletionReader{}
	for i := range d.members {
		if reader, ok := d.members[i].Driver.(daybook.DeletionReader); ok {
			readers[i] = reader
		}
	}
	if len(readers) == 0 {
		return d.lacks(&d.members[0], "reading deletions")
	}
	m := merge[daybook.RecordedDeletion]{}
	defer m.stop()
	if d.order == nil {
		m.add(keyed(readers[0].ReadDeletions(ctx, read)))
	} else if err := d.mergeDeletions(ctx, read, readers, &m); err != nil {
		return err
	}
	left := read.Limit
	for {
		deletion, err := m.next()
		if err != nil || deletion == nil {
			return err
		}
		left--
		if !yield(deletion) || left == 0 {
			return nil
		}
	}
}

func keyed(deletions iter.Seq2[daybook.RecordedDeletion, error]) iter.Seq2[sorted[daybook.RecordedDeletion], error] {
	return func(yield func(sorted[daybook.RecordedDeletion], error) bool) {
		for deletion, err := range deletions {
			if !yield(sorted[daybook.RecordedDeletion]{key: int64(deletion.Receipt.Number), value: deletion}, err) {
				return
			}
		}
	}
}

// mergeDeletions adds what each member has, noted first.
func (d *Driver) mergeDeletions(ctx context.Context, read daybook.DeletionRead, readers map[int]daybook.DeletionReader, m *merge[daybook.RecordedDeletion]) error {
	if err := d.order.refresh(ctx); err != nil {
		return err
	}
	var marks []mark
	for i := range d.members {
		if readers[i] == nil {
			continue
		}
		found, err := d.deleted(ctx, i, readers[i])
		switch {
		case errors.Is(err, daybook.ErrUnsupported):
			delete(readers, i)
		case err != nil:
			return err
		default:
			marks = append(marks, found)
		}
	}
	if len(readers) == 0 {
		return d.lacks(&d.members[0], "reading deletions")
	}
	if !d.options.ReadOnly {
		if err := d.order.note(ctx, marks...); err != nil {
			return err
		}
	}
	after, err := d.order.before(ctx, deletions, int64(read.After))
	if err != nil {
		return err
	}
	tail := d.order.known()
	for i, reader := range readers {
		if d.reads(i, read) {
			asked := read
			asked.After = daybook.DeletionNumber(after[i])
			m.add(keyed(d.numbered(ctx, i, reader.ReadDeletions(ctx, asked), tail.ends[line(i, deletions)])))
		}
	}
	return nil
}

// reads reports whether a member can hold what is asked for.
func (d *Driver) reads(index int, read daybook.DeletionRead) bool {
	return read.Stream == daybook.StreamID{} || d.table.of(read.Stream) == index
}

// deleted returns how far the deletions of a member have come.
func (d *Driver) deleted(ctx context.Context, index int, reader daybook.DeletionReader) (mark, error) {
	l := line(index, deletions)
	found := mark{line: l, through: d.order.known().ends[l]}
	for deletion, err := range reader.ReadDeletions(ctx, daybook.DeletionRead{After: daybook.DeletionNumber(found.through)}) {
		if err != nil {
			return mark{}, fmt.Errorf("store %q: %w", d.members[index].Name, err)
		}
		found.through, found.latest = int64(deletion.Receipt.Number), deletion.Receipt.RecordedAt
	}
	return found, nil
}

// numbered yields deletions of a member, up to one, with their numbers in the
// router.
func (d *Driver) numbered(ctx context.Context, index int, all iter.Seq2[daybook.RecordedDeletion, error], through int64) iter.Seq2[daybook.RecordedDeletion, error] {
	return func(yield func(daybook.RecordedDeletion, error) bool) {
		find := finder{order: d.order, line: line(index, deletions)}
		for deletion, err := range all {
			if err == nil && int64(deletion.Receipt.Number) > through {
				return
			}
			if err == nil {
				err = d.number(ctx, &find, &deletion.Receipt)
			}
			if !yield(deletion, err) || err != nil {
				return
			}
		}
	}
}
