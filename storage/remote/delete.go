package remote

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// DeleteStream implements daybook.Deleter. Like an append it is sent until it
// is answered: the server tells a repeat by its id.
func (d *Driver) DeleteStream(ctx context.Context, deletion daybook.Deletion) (daybook.DeletionReceipt, error) {
	body, err := d.insist(ctx, request{
		method: http.MethodDelete, path: streamPath(deletion.Stream, ""), params: wire.DeletionParams(&deletion), accept: typeJSON,
	})
	if err != nil {
		return daybook.DeletionReceipt{}, err
	}
	receipt, err := wire.DecodeDeletionReceipt(body)
	if err != nil {
		return daybook.DeletionReceipt{}, d.stranger(err)
	}
	return receipt, nil
}

// ReadDeletions implements daybook.DeletionReader.
func (d *Driver) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	left := remaining(read.Limit)
	l := &lines[daybook.RecordedDeletion]{
		driver: d, path: "/deletions", decode: wire.DecodeDeletion,
		params: func() (url.Values, bool) {
			read.Limit = left.limit()
			return wire.DeletionReadParams(read), !left.done
		},
		seen: func(deletion daybook.RecordedDeletion) {
			left.take()
			read.After = deletion.Receipt.Number
		},
	}
	return l.values(ctx)
}
