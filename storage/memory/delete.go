package memory

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/daybook-go/daybook"
)

// DeleteStream implements daybook.Deleter. Nothing is kept of the content of
// records that went, whether a scrub was asked for or not.
func (d *Driver) DeleteStream(_ context.Context, deletion daybook.Deletion) (daybook.DeletionReceipt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return daybook.DeletionReceipt{}, daybook.ErrClosed
	}
	if i, done := d.deleted[deletion.ID]; done {
		if !d.deletions[i].Fits(&deletion) {
			return daybook.DeletionReceipt{}, &daybook.ReusedIDError{ID: deletion.ID, Deletion: true}
		}
		receipt := d.deletions[i].Receipt
		receipt.Repeated = true
		return receipt, nil
	}
	if head := d.head(deletion.Stream); !deletion.Expect.Holds(head) {
		return daybook.DeletionReceipt{}, &daybook.ConflictError{Stream: deletion.Stream, Expect: deletion.Expect, Found: head}
	}
	d.tick()
	receipt := daybook.DeletionReceipt{
		ID: deletion.ID, Number: daybook.DeletionNumber(len(d.deletions) + 1), Stream: deletion.Stream, RecordedAt: d.latest,
		Scrubbed: deletion.Scrub, Durability: daybook.DurabilityMemory,
	}
	if s := d.streams[deletion.Stream]; s != nil {
		receipt.Changesets, receipt.Records = d.take(s, deletion.Stream, deletion.Through)
		receipt.Through = s.head.First - 1
	}
	deletion.Expect = daybook.ExpectAny()
	d.deleted[deletion.ID] = len(d.deletions)
	d.deletions = append(d.deletions, daybook.RecordedDeletion{Deletion: deletion, Receipt: receipt})
	return receipt, nil
}

// take takes the changesets of a stream that end at a version or below, all of
// them for 0. It returns how many went, and how many records.
func (d *Driver) take(s *stream, id daybook.StreamID, through daybook.Version) (changesets, records int64) {
	gone := map[*daybook.Record]bool{}
	for _, record := range s.records {
		if through > 0 && record.Changeset.Last() > through {
			break
		}
		if record.Version == record.Changeset.First {
			changesets++
		}
		gone[record] = true
	}
	if len(gone) == 0 {
		return 0, 0
	}
	s.records = slices.Clone(s.records[len(gone):])
	s.head.First += daybook.Version(len(gone))
	// Readers go on in the log that they began with.
	d.records = slices.DeleteFunc(slices.Clone(d.records), func(record *daybook.Record) bool { return gone[record] })
	d.changesets -= changesets
	if !s.head.Exists() {
		maps.DeleteFunc(d.holders, func(_ claimKey, holder daybook.StreamID) bool { return holder == id })
	}
	return changesets, int64(len(gone))
}

// ReadDeletions implements daybook.DeletionReader.
func (d *Driver) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	return func(yield func(daybook.RecordedDeletion, error) bool) {
		d.mu.RLock()
		closed, deletions := d.closed, d.deletions
		d.mu.RUnlock()
		if closed {
			yield(daybook.RecordedDeletion{}, daybook.ErrClosed)
			return
		}
		left := read.Limit
		for i := range deletions {
			if !read.Holds(&deletions[i]) {
				continue
			}
			if err := ctx.Err(); err != nil {
				yield(daybook.RecordedDeletion{}, err)
				return
			}
			left--
			if !yield(deletions[i], nil) || left == 0 {
				return
			}
		}
	}
}
