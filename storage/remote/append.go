package remote

import (
	"context"
	"errors"
	"net/http"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// Append implements daybook.Driver. It sends the append until it is answered:
// the server tells a repeat by its id.
func (d *Driver) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	body, err := d.insist(ctx, request{
		method: http.MethodPost, path: "/appends", contentType: typeJSON, accept: typeJSON, body: wire.AppendAppend(nil, &a),
	})
	if err != nil {
		return daybook.Receipt{}, err
	}
	return d.receipt(body)
}

// insist sends a request that the server knows again by an id until it is
// answered, and hands on the body of the reply.
func (d *Driver) insist(ctx context.Context, r request) ([]byte, error) {
	sent := false // one of the tries may have reached the server
	for try := 0; ; try++ {
		body, err := d.askOnce(ctx, r)
		if err == nil {
			return body, nil
		}
		var lost *UnreachableError
		if !errors.As(err, &lost) {
			return nil, answered(err, sent)
		}
		// What the server itself refused left no trace, whatever the status.
		sent = sent || lost.Sent && !errors.Is(err, daybook.ErrRefused)
		if ctx.Err() != nil || try >= d.options.Retries || d.pause(ctx, try) != nil {
			return nil, unanswered(err, sent)
		}
	}
}

// receipt reads a receipt. Where that fails the append may be stored all the
// same: the error must not match ErrRefused.
func (d *Driver) receipt(body []byte) (daybook.Receipt, error) {
	receipt, err := wire.DecodeReceipt(body)
	if err != nil {
		return daybook.Receipt{}, d.stranger(err)
	}
	return receipt, nil
}

// Import implements daybook.Importer. It is one request: the server stores all
// or nothing, and refuses one that is larger than it takes. It is not sent
// again when its reply is lost, since an import cannot be told from a repeat:
// compare the end of the log.
func (d *Driver) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	r := request{method: http.MethodPost, path: "/imports", contentType: typeNDJSON, accept: typeJSON}
	for i := range changesets {
		c := &changesets[i]
		for _, record := range c.Records {
			record.Stream, record.RecordedAt, record.Changeset = c.Stream, c.RecordedAt, &c.ChangesetHeader
			r.body = append(wire.AppendImport(r.body, &record), '\n')
		}
	}
	for try := 0; ; try++ {
		_, err := d.askOnce(ctx, r)
		var lost *UnreachableError
		if !errors.As(err, &lost) {
			return err
		}
		stored := lost.Sent && !errors.Is(err, daybook.ErrRefused) // perhaps
		if stored || ctx.Err() != nil || try >= d.options.Retries || d.pause(ctx, try) != nil {
			return unanswered(err, stored)
		}
	}
}
