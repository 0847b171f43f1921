package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
)

// Import implements daybook.Importer.
func (d *Driver) Import(_ context.Context, changesets []daybook.RecordedChangeset) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return daybook.ErrClosed
	}
	if err := d.checkImport(changesets); err != nil {
		return err
	}
	for len(changesets) > 0 {
		n := 1 // of the changesets of one append
		for n < len(changesets) && changesets[n].AppendID == changesets[0].AppendID {
			n++
		}
		d.importAppend(changesets[:n])
		changesets = changesets[n:]
	}
	close(d.grown)
	d.grown = make(chan struct{})
	return nil
}

// importAppend adds the changesets of one append.
func (d *Driver) importAppend(changesets []daybook.RecordedChangeset) {
	var settled []daybook.Changeset
	for i := range changesets {
		c := &changesets[i]
		header := c.ChangesetHeader
		header.Metadata, header.Claims = slices.Clone(c.Metadata), slices.Clone(c.Claims)
		header.Releases, header.References = slices.Clone(c.Releases), slices.Clone(c.References)
		if header.Ordinal <= d.ordinal {
			header.Ordinal = d.ordinal + 1
		}
		records := slices.Clone(c.Records)
		for j := range records {
			records[j].Event = records[j].Event.Clone()
		}
		added := d.add(c.Stream, &header, c.RecordedAt, records)
		receipt := d.appends[c.AppendID]
		receipt.AppendID, receipt.RecordedAt, receipt.Durability = c.AppendID, c.RecordedAt, daybook.DurabilityMemory
		receipt.Changesets = append(receipt.Changesets, added)
		d.appends[c.AppendID] = receipt
		settled = append(settled, daybook.Changeset{Stream: c.Stream, Claims: c.Claims, Releases: c.Releases})
	}
	d.settle(settled)
}

// checkImport returns why the changesets cannot follow the end of the log.
func (d *Driver) checkImport(changesets []daybook.RecordedChangeset) error {
	heads := map[daybook.StreamID]daybook.Head{}
	for i := range changesets {
		c := &changesets[i]
		head, seen := heads[c.Stream]
		if !seen {
			head = d.head(c.Stream)
		}
		field := fmt.Sprintf("changesets[%d]", i)
		switch {
		case c.Records[0].Position <= d.last:
			return &daybook.InvalidError{Field: field + ".position", Value: fmt.Sprint(c.Records[0].Position), Reason: fmt.Sprintf("must lie above the end of the log, %d", d.last)}
		case c.RecordedAt.Before(d.latest):
			return &daybook.InvalidError{Field: field + ".recorded_at", Value: c.RecordedAt.String(), Reason: "must not lie before the end of the log"}
		case head.Version > 0 && (c.First != head.Version+1 || c.Number != head.Changeset+1):
			return &daybook.InvalidError{Field: field + ".first", Value: fmt.Sprint(c.First), Reason: fmt.Sprintf("must follow version %d, changeset %d of its stream", head.Version, head.Changeset)}
		}
		heads[c.Stream] = daybook.Head{Version: c.Last(), Changeset: c.Number}
	}
	return nil
}
