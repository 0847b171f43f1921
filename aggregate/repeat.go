package aggregate

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/daybook-go/daybook"
)

// receiptOf returns the receipt of the append with the id, which went to the
// streams, if it is stored.
//
// A store looks for the id of an append before anything else, so it is asked
// by one that can never be stored: no stream has the version that it expects.
// Where the append was of another shape its receipt is put together from the
// records. *daybook.ReusedIDError if the id is that of an append to others.
func receiptOf(ctx context.Context, store *daybook.Store, id daybook.ID, streams ...daybook.StreamID) (daybook.Receipt, bool, error) {
	question := daybook.Append{ID: id}
	for _, stream := range streams {
		question.Changesets = append(question.Changesets, daybook.Changeset{
			Stream: stream, Expect: daybook.ExpectVersion(math.MaxInt64), Events: []daybook.Event{{Type: "question"}},
		})
	}
	receipt, err := store.AppendAll(ctx, question)
	var conflict *daybook.ConflictError
	var reused *daybook.ReusedIDError
	switch {
	case err == nil:
		receipt.Repeated = true
		return receipt, true, nil
	case errors.As(err, &conflict):
		return daybook.Receipt{}, false, nil
	case !errors.As(err, &reused):
		return daybook.Receipt{}, false, err
	}
	receipt = daybook.Receipt{AppendID: id, Repeated: true}
	for _, stream := range streams {
		changeset, at, err := changesetOf(ctx, store, id, stream)
		if err != nil {
			return daybook.Receipt{}, false, err
		}
		if changeset != nil {
			receipt.Changesets, receipt.RecordedAt = append(receipt.Changesets, *changeset), at
		}
	}
	if receipt.Changesets == nil {
		return daybook.Receipt{}, false, reused
	}
	return receipt, true, nil
}

// changesetOf returns where the append with the id went in a stream; nil if
// nowhere.
func changesetOf(ctx context.Context, store *daybook.Store, id daybook.ID, stream daybook.StreamID) (*daybook.ChangesetReceipt, time.Time, error) {
	var found *daybook.ChangesetReceipt
	var at time.Time
	for record, err := range store.ReadStream(ctx, stream, daybook.StreamRead{Backwards: true, Borrow: true}) {
		header := record.Changeset
		switch {
		case err != nil:
			return nil, at, err
		case header.AppendID != id:
			if found != nil {
				return found, at, nil
			}
			continue
		case found == nil:
			found, at = &daybook.ChangesetReceipt{
				Stream: stream, Number: header.Number, Ordinal: header.Ordinal, First: header.First, Last: header.Last(), LastPosition: record.Position,
			}, record.RecordedAt
		}
		found.FirstPosition = record.Position
	}
	return found, at, nil
}
