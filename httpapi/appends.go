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
	if err := x.identify(&a.ID, "append_id"); err != nil {
		return err
	}
	receipt, err := h.store.AppendAll(x.context(), a)
	if err != nil {
		return err
	}
	replayed(x, receipt.Repeated)
	x.out = append(wire.AppendReceipt(x.out, &receipt), '\n')
	return nil
}

// identify makes an id that of the header Idempotency-Key, where there is one.
// Field is the name of the parameter that may give the id too: then both must
// be the same.
func (x *exchange) identify(id *daybook.ID, field string) error {
	key := x.request.Header.Get("Idempotency-Key")
	if key == "" {
		return nil
	}
	named := daybook.IDOf(key)
	if (*id != daybook.ID{}) && *id != named {
		return &daybook.InvalidError{Field: field, Value: id.String(), Reason: fmt.Sprintf("must be that of the header Idempotency-Key, %s", named)}
	}
	*id = named
	return nil
}
