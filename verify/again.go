package verify

import (
	"context"

	"github.com/daybook-go/daybook"
)

// The log once more: for the append ids that did not fit the first pass, and
// backwards.

// otherAppendIDs looks for append ids that stand on two appends, among those
// that the walk forwards had no room for.
func (w *walk) otherAppendIDs(ctx context.Context) error {
	for w.appendIDs.next() {
		var current daybook.ID
		for record, err := range w.store.ReadLog(ctx, daybook.LogRead{To: w.last}) {
			if err != nil {
				return err
			}
			w.progress("append ids", int64(record.Position), int64(w.last))
			if record.Changeset == nil || record.Changeset.AppendID == current {
				continue
			}
			current = record.Changeset.AppendID
			if current != (daybook.ID{}) && w.appendIDs.add(current) {
				w.reused(&record)
			}
		}
	}
	return nil
}

// backwards reads what was walked the other way round.
func (w *walk) backwards(ctx context.Context) error {
	if w.last == 0 {
		return nil
	}
	var sum digest
	before := w.last + 1
	for record, err := range w.store.ReadLog(ctx, daybook.LogRead{To: w.last, Backwards: true}) {
		if err != nil {
			return err
		}
		if record.Position >= before {
			w.found(Backwards, record.Stream, record.Position, "read backwards, it comes after position %d", before)
		}
		before = record.Position
		sum.add(w.hasher.of(&record))
		w.progress("log backwards", sum.count, w.total.count)
	}
	if sum != w.total {
		w.found(Backwards, daybook.StreamID{}, 0, "backwards the log has %s", differing(sum, w.total))
	}
	return nil
}
