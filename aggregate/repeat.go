package aggregate

import (
	"context"
	"errors"
	"math"

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
	for _, stream := range streams {
		position, err := positionOf(ctx, store, id, stream)
		if err != nil {
			return daybook.Receipt{}, false, err
		}
		if position > 0 {
			receipt, err = receiptAt(ctx, store, id, position)
			return receipt, err == nil, err
		}
	}
	return daybook.Receipt{}, false, reused
}

// The records of an append that was decided otherwise are looked for in pieces,
// each twice as long as the one before: most often it was one of the last.
const firstPiece = 32

// positionOf returns the position of a record of the append in a stream; 0 if
// there is none.
func positionOf(ctx context.Context, store *daybook.Store, id daybook.ID, stream daybook.StreamID) (daybook.Position, error) {
	to := daybook.Version(0)
	for piece := firstPiece; ; piece *= 2 {
		n := 0
		for record, err := range store.ReadStream(ctx, stream, daybook.StreamRead{To: to, Backwards: true, Limit: piece, Borrow: true}) {
			if err != nil {
				return 0, err
			}
			if record.Changeset.AppendID == id {
				return record.Position, nil
			}
			n, to = n+1, record.Version-1
		}
		if n < piece || to == 0 {
			return 0, nil
		}
	}
}

// receiptAt puts the receipt of an append together from its records, which
// stand around a position: the changesets of one append are neighbours.
func receiptAt(ctx context.Context, store *daybook.Store, id daybook.ID, position daybook.Position) (daybook.Receipt, error) {
	receipt := daybook.Receipt{AppendID: id, Repeated: true}
	from := position
	err := eachOf(ctx, store, id, daybook.LogRead{To: position, Backwards: true}, func(record *daybook.Record) { from = record.Position })
	if err != nil {
		return receipt, err
	}
	err = eachOf(ctx, store, id, daybook.LogRead{After: from - 1}, func(record *daybook.Record) {
		header := record.Changeset
		last := len(receipt.Changesets) - 1
		if last < 0 || receipt.Changesets[last].Stream != record.Stream {
			receipt.Changesets = append(receipt.Changesets, daybook.ChangesetReceipt{
				Stream: record.Stream, Number: header.Number, Ordinal: header.Ordinal, First: header.First, Last: header.Last(), FirstPosition: record.Position,
			})
			receipt.RecordedAt, last = record.RecordedAt, last+1
		}
		receipt.Changesets[last].LastPosition = record.Position
	})
	return receipt, err
}

// eachOf looks at the records of an append from one end of it on.
func eachOf(ctx context.Context, store *daybook.Store, id daybook.ID, read daybook.LogRead, look func(record *daybook.Record)) error {
	read.Borrow = true
	for read.Limit = firstPiece; ; read.Limit *= 2 {
		n := 0
		for record, err := range store.ReadLog(ctx, read) {
			if err != nil {
				return err
			}
			if record.Changeset.AppendID != id {
				return nil
			}
			look(&record)
			if n++; read.Backwards {
				read.To = record.Position - 1
			} else {
				read.After = record.Position
			}
		}
		if n < read.Limit || read.Backwards && read.To == 0 {
			return nil
		}
	}
}
