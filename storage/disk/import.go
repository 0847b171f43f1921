package disk

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
)

// Import implements daybook.Importer. The changesets are stored and synced
// whole or not at all; up to 1 GiB of them fit into one call.
func (d *Driver) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	if d.writer == nil {
		return d.readOnly()
	}
	if err := d.admit(ctx); err != nil {
		return err
	}
	return d.writer.importAll(ctx, changesets)
}

func (w *writer) importAll(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	d, err := draftImport(changesets)
	if err != nil {
		return err
	}
	defer d.free()
	w.mu.Lock()
	w.seekRoom(len(d.buf))
	if err := w.usable(); err != nil || len(changesets) == 0 {
		w.mu.Unlock()
		return err
	}
	refusal := w.checkImport(changesets, d)
	if err := w.log.index.sealed.failure(); err != nil {
		w.mu.Unlock()
		return err
	}
	if refusal != nil {
		if err := w.unlockAfter(ctx, w.hidden(w.last) || len(w.log.index.hiddenHiding) > 0, daybook.DurabilityMemory); err != nil {
			return err
		}
		return refusal
	}
	w.accept(d, daybook.DurabilityDisk)
	_, err = w.unlockAndWait(ctx)
	return err
}

// checkImport returns why the changesets cannot follow the end of the log. It
// completes the summaries of their draft.
func (w *writer) checkImport(changesets []daybook.RecordedChangeset, d *draft) error {
	heads := map[daybook.StreamID]daybook.Head{}
	last, ordinal, latest := w.last, w.ordinal, w.latest
	for i := range changesets {
		c, s := &changesets[i], d.summaries[i]
		head, seen := heads[c.Stream]
		if !seen {
			head = w.head(c.Stream)
		}
		field := fmt.Sprintf("changesets[%d]", i)
		switch {
		case s.firstPosition() <= last:
			return &daybook.InvalidError{Field: field + ".position", Value: fmt.Sprint(s.firstPosition()), Reason: fmt.Sprintf("must lie above the end of the log, %d", last)}
		case c.RecordedAt.Before(latest):
			return &daybook.InvalidError{Field: field + ".recorded_at", Value: c.RecordedAt.String(), Reason: "must not lie before the end of the log"}
		case head.Version > 0 && (c.First != head.Version+1 || c.Number != head.Changeset+1):
			return &daybook.InvalidError{Field: field + ".first", Value: fmt.Sprint(c.First), Reason: fmt.Sprintf("must follow version %d, changeset %d of its stream", head.Version, head.Changeset)}
		}
		ordinal = max(ordinal+1, c.Ordinal)
		s.number, s.ordinal, s.first, s.recorded = c.Number, ordinal, c.First, daybook.Microseconds(c.RecordedAt)
		s.revives = head.Version > 0 && !head.Exists()
		heads[c.Stream] = s.head(head)
		last, latest = s.lastPosition(), s.recorded
	}
	return nil
}
