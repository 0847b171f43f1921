package httpapi

import (
	"github.com/daybook-go/daybook/internal/wire"
)

// deleteStream deletes the records of a stream, all or up to a version, and
// answers with the receipt.
func (h *Handler) deleteStream(x *exchange) error {
	d, err := wire.ParseDeletion(x.query, x.streamID())
	if err != nil {
		return err
	}
	if err := x.identify(&d.ID, "deletion_id"); err != nil {
		return err
	}
	receipt, err := h.store.DeleteStream(x.context(), d)
	if err != nil {
		return err
	}
	replayed(x, receipt.Repeated)
	x.out = append(wire.AppendDeletionReceipt(x.out, &receipt), '\n')
	return nil
}

// deletions answers with the deletions that were made.
func (h *Handler) deletions(x *exchange) error {
	read, err := wire.ParseDeletionRead(x.query)
	if err != nil {
		return err
	}
	format, err := x.format(formatJSON, formatNDJSON)
	if err != nil {
		return err
	}
	if format == formatNDJSON {
		return ndjson(x, h.store.ReadDeletions(x.context(), read), wire.AppendDeletion)
	}
	read.Limit = h.page(read.Limit)
	last, err := page(x, "deletions", h.store.ReadDeletions(x.context(), read), wire.AppendDeletion)
	if err != nil {
		return err
	}
	if last != nil {
		read.After = last.Receipt.Number
	}
	x.next("next_after", int64(read.After))
	x.out = append(x.out, "}\n"...)
	return nil
}
