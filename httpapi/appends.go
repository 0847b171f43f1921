package httpapi

import (
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// append stores an append of any kind and answers with its receipt.
func (h *Handler) append(x *exchange) error {
	body, err := h.readBody(x)
	if err != nil {
		return err
	}
	a, err := wire.DecodeAppend(body)
	if err != nil {
		return err
	}
	if key := x.request.Header.Get("Idempotency-Key"); key != "" {
		id := daybook.IDOf(key)
		if (a.ID != daybook.ID{}) && a.ID != id {
			return &daybook.InvalidError{Field: "append_id", Value: a.ID.String(), Reason: fmt.Sprintf("must be that of the header Idempotency-Key, %s", id)}
		}
		a.ID = id
	}
	receipt, err := h.store.AppendAll(x.context(), a)
	if err != nil {
		return err
	}
	replayed(x, receipt.Repeated)
	x.out = append(wire.AppendReceipt(x.out, &receipt), '\n')
	return nil
}
