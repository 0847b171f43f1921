package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
)

// eachStream reads every stream alone, up to the version that was walked.
func (w *walk) eachStream(ctx context.Context) error {
	var done int64
	for _, id := range w.sorted() {
		if err := w.head(ctx, id); err != nil {
			return err
		}
		if err := w.alone(ctx, id, &done); err != nil {
			return err
		}
	}
	return nil
}

// sorted returns the streams that were walked, by partition and name.
func (w *walk) sorted() []daybook.StreamID {
	ids := make([]daybook.StreamID, 0, len(w.streams))
	for id := range w.streams {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, daybook.StreamID.Compare)
	return ids
}

// head compares the head of a stream with its records in the log.
func (w *walk) head(ctx context.Context, id daybook.StreamID) error {
	head, err := w.store.Head(ctx, id)
	if err != nil {
		return err
	}
	w.checkHead(HeadDiffers, id, head)
	return nil
}

// checkHead compares a head with that of the log. Of a head behind the walk it
// is only known that the stream must have grown.
func (w *walk) checkHead(kind Kind, id daybook.StreamID, head daybook.Head) {
	known := w.streams[id].head
	grown := head.Position > w.last && head.Version > known.Version && head.Changeset > known.Changeset && head.First == known.First
	if !grown && !same(head, known) {
		w.found(kind, id, known.Position, "the head is said to be %s, but is %s in the log", describe(head), describe(known))
	}
}

func same(a, b daybook.Head) bool {
	times := a.RecordedAt.Equal(b.RecordedAt)
	a.RecordedAt = b.RecordedAt
	return times && a == b
}

func describe(h daybook.Head) string {
	return fmt.Sprintf("version %d, changeset %d, first version %d, position %d, recorded at %s", h.Version, h.Changeset, h.First, h.Position, h.RecordedAt)
}

// alone reads a stream, compares it with its records in the log, and looks for
// event ids that stand twice in a changeset. done counts records for progress.
func (w *walk) alone(ctx context.Context, id daybook.StreamID, done *int64) error {
	known := w.streams[id]
	ids := map[daybook.ID]struct{}{} // of the changeset
	var sum digest
	before := daybook.Version(0)
	for record, err := range w.store.ReadStream(ctx, id, daybook.StreamRead{To: known.head.Version}) {
		if err != nil {
			return err
		}
		if record.Version == record.Changeset.First {
			clear(ids)
		}
		if _, twice := ids[record.ID]; twice {
			w.found(DuplicateID, id, record.Position, "event id %s stands twice in its changeset", record.ID)
		}
		ids[record.ID] = struct{}{}
		if record.Version <= before {
			w.found(StreamDiffers, id, record.Position, "read alone, version %d comes after version %d", record.Version, before)
		}
		before = record.Version
		sum.add(w.hasher.of(&record))
		*done++
		w.progress("streams", *done, w.total.count)
	}
	if sum != known.digest {
		w.found(StreamDiffers, id, 0, "read alone, the stream has %s", differing(sum, known.digest))
	}
	return nil
}

// differing says how what was read differs from what the log has.
func differing(read, log digest) string {
	if read.count != log.count {
		return fmt.Sprintf("%d records, and %d in the log", read.count, log.count)
	}
	return fmt.Sprintf("%d records as in the log, but not the same ones", read.count)
}

// listStreams compares the list of streams with the log.
func (w *walk) listStreams(ctx context.Context) error {
	listed := int64(0)
	var before daybook.StreamID
	for head, err := range w.store.ListStreams(ctx, daybook.StreamList{}) {
		if err != nil {
			if w.unsupported(err) {
				return nil
			}
			return err
		}
		if before != (daybook.StreamID{}) && head.Stream.Compare(before) <= 0 {
			w.found(ListDiffers, head.Stream, 0, "listed after stream %q", before)
		}
		before = head.Stream
		switch {
		case w.streams[head.Stream] != nil:
			listed++
			w.checkHead(ListDiffers, head.Stream, head.Head)
		case head.Position <= w.last:
			w.found(ListDiffers, head.Stream, head.Position, "listed, but the log has no record of it")
		}
	}
	if known := int64(len(w.streams)); listed != known {
		w.found(ListDiffers, daybook.StreamID{}, 0, "%d of %d streams are listed", listed, known)
	}
	return nil
}
