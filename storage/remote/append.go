package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// Append implements daybook.Driver. It sends the append until it is answered:
// the server tells a repeat by its id.
func (d *Driver) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	r := request{method: http.MethodPost, path: "/appends", contentType: typeJSON, accept: typeJSON, body: wire.AppendAppend(nil, &a)}
	sent := false // one of the tries may have reached the server
	for try := 0; ; try++ {
		body, err := d.askOnce(ctx, r)
		if err == nil {
			return decodeReceipt(body)
		}
		var lost *unreachable
		if !errors.As(err, &lost) {
			return daybook.Receipt{}, answered(err, sent)
		}
		// What the server itself refused left no trace, whatever the status.
		sent = sent || lost.sent && !errors.Is(err, daybook.ErrRefused)
		if ctx.Err() != nil || try >= d.options.Retries || d.pause(ctx, try) != nil {
			return daybook.Receipt{}, unanswered(err, sent)
		}
	}
}

func decodeReceipt(body []byte) (daybook.Receipt, error) {
	receipt, err := wire.DecodeReceipt(body)
	if err != nil {
		// It was stored, or this is no Daybook server: the outcome is unknown.
		return daybook.Receipt{}, fmt.Errorf("the server's receipt cannot be read: %v", err)
	}
	return receipt, nil
}

// answered is the error of an append that the server refused. If an earlier
// try was lost, it may still be on its way, and be stored where the refusal is
// one that passes: only what can never hold again is a proof.
func answered(err error, sent bool) error {
	if !sent || !errors.Is(err, daybook.ErrRefused) {
		return err
	}
	var conflict *daybook.ConflictError
	var condition *daybook.ConditionError
	switch {
	case errors.As(err, &conflict) && !conflict.Ahead(), errors.As(err, &condition), errors.Is(err, daybook.ErrInvalid):
		return err
	}
	return fmt.Errorf("an earlier try was not answered, and then: %v", err)
}

// unanswered is the error of an append that the server did not answer.
func unanswered(err error, sent bool) error {
	switch {
	case !sent && !errors.Is(err, daybook.ErrRefused):
		return fmt.Errorf("%w, it was never sent: %w", daybook.ErrRefused, err)
	case sent && errors.Is(err, daybook.ErrRefused):
		return answered(err, sent)
	}
	return err
}

// Import implements daybook.Importer. It is one request: the server stores all
// or nothing, and refuses one that is larger than it takes. It is not sent
// again when its reply is lost, since an import cannot be told from a repeat:
// compare the end of the log.
func (d *Driver) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	r := request{method: http.MethodPost, path: "/imports", contentType: typeNDJSON, accept: typeJSON}
	for i := range changesets {
		for j := range changesets[i].Records {
			r.body = append(wire.AppendRecord(r.body, &changesets[i].Records[j]), '\n')
		}
	}
	for try := 0; ; try++ {
		_, err := d.askOnce(ctx, r)
		var lost *unreachable
		if !errors.As(err, &lost) {
			return err
		}
		stored := lost.sent && !errors.Is(err, daybook.ErrRefused) // perhaps
		if stored || ctx.Err() != nil || try >= d.options.Retries || d.pause(ctx, try) != nil {
			return unanswered(err, stored)
		}
	}
}
