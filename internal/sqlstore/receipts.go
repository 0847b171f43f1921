package sqlstore

import (
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// Receipts are the receipts of appends, gathered from rows.
type Receipts map[daybook.ID]*daybook.Receipt

// Add takes in a changeset of an append; those of one append come in their order.
// Its Last is worked out from how many records it has.
func (r Receipts) Add(id daybook.ID, recordedAt time.Time, c daybook.ChangesetReceipt, records int64) {
	c.Last = c.First + daybook.Version(records) - 1
	receipt := r[id]
	if receipt == nil {
		receipt = &daybook.Receipt{AppendID: id, RecordedAt: recordedAt.UTC(), Durability: daybook.DurabilityDisk}
		r[id] = receipt
	}
	receipt.Changesets = append(receipt.Changesets, c)
}

// Answer returns the receipt of an append that was stored before. driver is what
// errors begin with.
func (r Receipts) Answer(driver string, a *daybook.Append) (daybook.Receipt, error) {
	found := r[a.ID]
	switch {
	case found == nil:
		return daybook.Receipt{}, fmt.Errorf("%s: the append %s was stored before, and has no receipt: the tables were changed by others", driver, a.ID)
	case !found.Fits(a):
		return daybook.Receipt{}, &daybook.ReusedIDError{ID: a.ID}
	}
	receipt := *found
	receipt.Repeated = true
	return receipt, nil
}

// AnswerAll answers appends that were stored before with their receipts, which
// read gathers.
func AnswerAll(driver string, entries []*Entry, read func(ids []daybook.ID) (Receipts, error)) {
	ids := make([]daybook.ID, len(entries))
	for i, e := range entries {
		ids[i] = e.Append.ID
	}
	receipts, err := read(ids)
	for _, e := range entries {
		if err != nil {
			e.Err = fmt.Errorf("%s: the append was stored before, and its receipt cannot be read: %w", driver, Unrefused(err))
			continue
		}
		e.Receipt, e.Err = receipts.Answer(driver, e.Append)
	}
}
