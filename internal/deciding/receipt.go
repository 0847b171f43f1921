package deciding

import (
	"context"
	"errors"
	"iter"
	"math"

	"github.com/daybook-go/daybook"
)

// ReceiptOf returns the receipt of the append with the id, which went to some
// of the streams, if it is stored. *daybook.ReusedIDError if the id is that of an
// append to others.
//
// A store looks for the id of an append before anything else, so it is asked
// by one that can never be stored: no stream has the version that it expects.
// Where the append was of another shape its receipt is put together from the
// records.
func ReceiptOf(ctx context.Context, store *daybook.Store, id daybook.ID, streams ...daybook.StreamID) (daybook.Receipt, bool, error) {
	receipt, known, reused, err := ask(ctx, store, id, streams)
	if reused == nil || err != nil {
		return receipt, known, err
	}
	for _, stream := range streams {
		position, err := positionIn(ctx, store, id, stream)
		if err == nil && position > 0 {
			receipt, err = receiptAt(ctx, store, id, position)
		}
		if err != nil || position > 0 {
			return receipt, err == nil, err
		}
	}
	return daybook.Receipt{}, false, reused
}

// ReceiptInLog is ReceiptOf for an append to streams that nobody can tell any
// more, but for the records of the filter, of which it has some.
func ReceiptInLog(ctx context.Context, store *daybook.Store, id daybook.ID, filter daybook.Filter) (daybook.Receipt, bool, error) {
	receipt, known, reused, err := ask(ctx, store, id, []daybook.StreamID{daybook.Stream("question")})
	if reused == nil || err != nil {
		return receipt, known, err
	}
	position, err := find(id, func(to daybook.Position, piece int) iter.Seq2[daybook.Record, error] {
		return store.ReadLog(ctx, daybook.LogRead{To: to, Backwards: true, Limit: piece, Filter: filter, Borrow: true})
	}, func(r *daybook.Record) daybook.Position { return r.Position })
	switch {
	case err != nil:
		return daybook.Receipt{}, false, err
	case position == 0:
		return daybook.Receipt{}, false, reused
	}
	receipt, err = receiptAt(ctx, store, id, position)
	return receipt, err == nil, err
}

// ask asks a store whether it knows the id of an append. Where that was of
// another shape than the question, the answer is reused.
func ask(ctx context.Context, store *daybook.Store, id daybook.ID, streams []daybook.StreamID) (receipt daybook.Receipt, known bool, reused *daybook.ReusedIDError, err error) {
	question := daybook.Append{ID: id}
	for _, stream := range streams {
		question.Changesets = append(question.Changesets, daybook.Changeset{
			Stream: stream, Expect: daybook.ExpectVersion(math.MaxInt64), Events: []daybook.Event{{Type: "question"}},
		})
	}
	receipt, err = store.AppendAll(ctx, question)
	var conflict *daybook.ConflictError
	switch {
	case err == nil:
		receipt.Repeated = true
		return receipt, true, nil, nil
	case errors.As(err, &conflict):
		return daybook.Receipt{}, false, nil, nil
	case errors.As(err, &reused):
		return daybook.Receipt{}, false, reused, nil
	}
	return daybook.Receipt{}, false, nil, err
}

// The records of an append that was decided otherwise are looked for in pieces,
// each twice as long as the one before: most often it was one of the last.
const firstPiece = 32

// positionIn returns the position of a record of the append in a stream; 0 if
// there is none.
func positionIn(ctx context.Context, store *daybook.Store, id daybook.ID, stream daybook.StreamID) (daybook.Position, error) {
	return find(id, func(to daybook.Version, piece int) iter.Seq2[daybook.Record, error] {
		return store.ReadStream(ctx, stream, daybook.StreamRead{To: to, Backwards: true, Limit: piece, Borrow: true})
	}, func(r *daybook.Record) daybook.Version { return r.Version })
}

// find reads backwards, in pieces up to a place, until it meets a record of the
// append, and returns its position; 0 if there is none.
func find[P ~int64](id daybook.ID, read func(to P, piece int) iter.Seq2[daybook.Record, error], placeOf func(*daybook.Record) P) (daybook.Position, error) {
	to := P(0)
	for piece := firstPiece; ; piece *= 2 {
		n := 0
		for record, err := range read(to, piece) {
			if err != nil {
				return 0, err
			}
			if record.Changeset.AppendID == id {
				return record.Position, nil
			}
			n, to = n+1, placeOf(&record)-1
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
