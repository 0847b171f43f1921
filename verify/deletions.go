package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// deletions is what the store tells of its deletions.
type deletions struct {
	last daybook.DeletionNumber
	// gone has, for each stream from which something went, the last version
	// that is gone.
	gone       map[daybook.StreamID]daybook.Version
	changesets int64 // that went
}

// readDeletions takes in the recorded deletions. A store that cannot tell has
// none.
func (w *walk) readDeletions(ctx context.Context) error {
	d := &w.deletions
	d.gone = map[daybook.StreamID]daybook.Version{}
	var latest time.Time
	for deletion, err := range w.store.ReadDeletions(ctx, daybook.DeletionRead{}) {
		if errors.Is(err, daybook.ErrUnsupported) {
			return nil
		}
		if err != nil {
			return err
		}
		r := &deletion.Receipt
		if r.Number != d.last+1 {
			w.found(Deletions, deletion.Stream, 0, "deletion %d follows deletion %d", r.Number, d.last)
		}
		if r.Through < d.gone[deletion.Stream] {
			w.found(Deletions, deletion.Stream, 0, "deletion %d says that version %d is the last that is gone, but version %d is", r.Number, r.Through, d.gone[deletion.Stream])
		}
		if r.RecordedAt.Before(latest) || !isStored(r.RecordedAt) {
			w.found(Deletions, deletion.Stream, 0, "deletion %d was recorded at %s, the one before it at %s", r.Number, r.RecordedAt, latest)
		}
		d.last, latest = max(d.last, r.Number), r.RecordedAt
		if r.Through > 0 {
			d.gone[deletion.Stream] = max(d.gone[deletion.Stream], r.Through)
		}
		d.changesets += r.Changesets
		w.report.Deletions++
	}
	return nil
}

// deletedMeanwhile reports whether deletions were made since they were read.
func (w *walk) deletedMeanwhile(ctx context.Context) (bool, error) {
	for _, err := range w.store.ReadDeletions(ctx, daybook.DeletionRead{After: w.deletions.last, Limit: 1}) {
		if errors.Is(err, daybook.ErrUnsupported) {
			return false, nil
		}
		return err == nil, err
	}
	return false, nil
}

// lasting are the kinds of findings that no deletion beside a walk explains.
var lasting = map[Kind]bool{
	Damaged: true, Malformed: true, PositionOrder: true, TimeOrder: true, OutOfRange: true, ChangesetCut: true, ChangesetHeader: true,
	DuplicateID: true, AppendIDReused: true, Deletions: true,
}

// pardon forgets what deletions beside the walk may explain.
func (w *walk) pardon() {
	var kept []Finding
	for _, finding := range w.report.Findings {
		if lasting[finding.Kind] {
			kept = append(kept, finding)
		}
	}
	w.report.Findings, w.report.Found = kept, w.lasting
	w.skip(fmt.Sprintf("agreement: records were deleted each of the %d times that the store was walked", attempts))
}

// explains reports whether deletions explain that so many changesets more are
// missing between the ordinals.
func (w *walk) explains(missing daybook.Ordinal) bool {
	if w.missing+int64(missing) > w.deletions.changesets {
		return false
	}
	w.missing += int64(missing)
	return true
}

// endIsDeleted reports whether the log ends with a record that was deleted: one
// of the streams that have none left ended there.
func (w *walk) endIsDeleted(ctx context.Context, end daybook.Position) (bool, error) {
	for id := range w.deletions.gone {
		if w.streams[id] != nil {
			continue
		}
		head, err := w.store.Head(ctx, id)
		if err != nil || head.Position == end {
			return !head.Exists(), err
		}
	}
	return false, nil
}

// deletedStreams checks that of each stream what was deleted is gone, that it
// begins where deletions say, and that it is remembered.
func (w *walk) deletedStreams(ctx context.Context) error {
	for id, gone := range w.deletions.gone {
		known := w.streams[id]
		if known != nil {
			if first := known.head.First; first != gone+1 {
				w.found(VersionGap, id, 0, "begins at version %d, but what was deleted ends at version %d", first, gone)
			}
			continue
		}
		head, err := w.store.Head(ctx, id)
		if err != nil {
			return err
		}
		begun := head.Exists() && head.Position > w.last // again, behind the walk
		if !begun && (head.Exists() || head.Version != gone || head.First != gone+1) {
			w.found(HeadDiffers, id, head.Position, "was deleted up to version %d, but its head is said to be %s", gone, describe(head))
		}
		for record, err := range w.store.ReadStream(ctx, id, daybook.StreamRead{To: gone, Limit: 1}) {
			if err != nil {
				return err
			}
			w.hidden(&record)
		}
	}
	return nil
}

// hidden tells of a record that was deleted and can be read.
func (w *walk) hidden(r *daybook.Record) {
	w.found(Deletions, r.Stream, r.Position, "version %d can be read, but was deleted", r.Version)
}
