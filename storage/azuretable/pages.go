package azuretable

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// pageBytes is how large a page may be. In a batch its bytes are base64, and
// must stay below maxBatchBytes.
const pageBytes = 2_800_000

// A page is one row for each pagePart bytes, of properties of maxBinary bytes,
// and a row in the index.
const (
	pagePieces = 14
	pagePart   = pagePieces * maxBinary
)

// Create implements globalorder.Storage. All rows of a page are one batch, whose
// first row must not be there.
func (s *storage) Create(ctx context.Context, page *globalorder.StoredPage) error {
	var actions []aztables.TransactionAction
	part := 0
	for piece := range slices.Chunk(page.Bytes, pagePart) {
		row := newEntity(pagesPartition, pageKey(page.Number, part))
		if part == 0 {
			row.number("First", int64(page.First))
			row.number("Settled", page.Settled)
			row.number("Bytes", int64(len(page.Bytes)))
		}
		i := 1
		for property := range slices.Chunk(piece, maxBinary) {
			row.binary(numbered("Page", i), property)
			i++
		}
		actions = append(actions, aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: row.bytes()})
		part++
	}
	index := newEntity(pagesPartition, indexKey(page.First, page.Number))
	index.number("Number", page.Number)
	index.number("Settled", page.Settled)
	actions = append(actions, aztables.TransactionAction{ActionType: aztables.TransactionTypeAdd, Entity: index.bytes()})
	_, err := s.submit(ctx, s.once, actions)
	if isExists(err) {
		return globalorder.ErrExists
	}
	return err
}

// Last implements globalorder.Storage.
func (s *storage) Last(ctx context.Context) (place globalorder.Place, err error) {
	row, err := s.first(ctx, "i", "j")
	if err == nil && row != nil {
		place = globalorder.Place{Number: row.readNumber("Number"), Settled: row.readNumber("Settled")}
	}
	return place, err
}

// Seek implements globalorder.Storage.
func (s *storage) Seek(ctx context.Context, position daybook.Position) (int64, error) {
	row, err := s.first(ctx, seekKey(position), "j")
	if err != nil || row == nil {
		return 0, err
	}
	return row.readNumber("Number"), nil
}

// first returns the first row of the pages' partition in a range of keys; nil
// where there is none.
func (s *storage) first(ctx context.Context, from, below string) (*entity, error) {
	top := int32(1)
	for row, err := range s.query(ctx, within(pagesPartition, from, below), &top) {
		return row, err
	}
	return nil, nil
}

// Pages implements globalorder.Storage.
func (s *storage) Pages(ctx context.Context, from, to int64) iter.Seq2[globalorder.StoredPage, error] {
	return func(yield func(globalorder.StoredPage, error) bool) {
		below := "q"
		if to > 0 {
			below = pageKey(to+1, 0)
		}
		var page globalorder.StoredPage
		left := int64(0) // bytes of the page that are still to come
		for row, err := range s.query(ctx, within(pagesPartition, pageKey(from, 0), below), nil) {
			if err != nil {
				yield(globalorder.StoredPage{}, err)
				return
			}
			if left == 0 {
				page = globalorder.StoredPage{
					First: daybook.Position(row.readNumber("First")), Settled: row.readNumber("Settled"), Done: row.readFlag("Done"),
				}
				if _, err := fmt.Sscanf(row.key(), "p%d_00", &page.Number); err != nil {
					yield(page, corrupt(row, "the first part of a page is missing"))
					return
				}
				left = row.readNumber("Bytes")
			}
			for i := 1; row.has(numbered("Page", i)); i++ {
				piece := row.readBinary(numbered("Page", i))
				page.Bytes = append(page.Bytes, piece...)
				left -= int64(len(piece))
			}
			if left < 0 {
				yield(page, corrupt(row, "the parts of a page are longer than the page"))
				return
			}
			if left == 0 && !yield(page, nil) {
				return
			}
		}
		if left > 0 {
			yield(page, fmt.Errorf("%w: page %d lacks its last %d bytes", daybook.ErrCorrupt, page.Number, left))
		}
	}
}

// MarkSettled implements globalorder.Storage.
func (s *storage) MarkSettled(ctx context.Context, numbers []int64) error {
	for some := range slices.Chunk(numbers, maxRows) {
		var actions []aztables.TransactionAction
		for _, number := range some {
			row := newEntity(pagesPartition, pageKey(number, 0))
			row.flag("Done")
			any := azcore.ETagAny
			actions = append(actions, aztables.TransactionAction{ActionType: aztables.TransactionTypeUpdateMerge, Entity: row.bytes(), IfMatch: &any})
		}
		if _, err := s.submit(ctx, s.table, actions); err != nil {
			return err
		}
	}
	return nil
}
