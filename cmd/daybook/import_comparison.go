package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// comparison walks through what the store has, beside the source.
type comparison struct {
	store *daybook.Store
	ctx   context.Context // of the one import that this serves
	whole bool            // the source has its log from the beginning, a file may begin anywhere
	end   daybook.Position
	next  func() (daybook.Record, error, bool) // nil before the first record
	halt  func()
}

func newComparison(ctx context.Context, store *daybook.Store, from source, end daybook.Position) *comparison {
	_, whole := from.(*storeSource)
	return &comparison{store: store, ctx: ctx, whole: whole, end: end, halt: func() {}}
}

func (c *comparison) stop() { c.halt() }

// begin reads what the store has from a position on.
func (c *comparison) begin(first daybook.Position) {
	if c.whole {
		first = 1
	}
	c.next, c.halt = iter.Pull2(c.store.ReadLog(c.ctx, daybook.LogRead{After: first - 1, To: c.end}))
}

// changeset compares a changeset of the source with what the store has there.
func (c *comparison) changeset(from source, read *readChangeset) error {
	if c.next == nil {
		c.begin(read.Records[0].Position)
	}
	for i := range read.Records {
		record := &read.Records[i]
		stored, err, more := c.next()
		switch {
		case err != nil:
			return err
		case more && stored.Position < record.Position:
			return missing(from.at(read, i), stored.Position)
		case !more || !sameRecord(&stored, record):
			return &failure{
				exit: exitConflict, err: fmt.Errorf("%s: the store has another record at position %d", from.at(read, i), record.Position),
				hint: "this is the log of another store; --append appends it behind this one",
			}
		}
	}
	return nil
}

// finished checks that the store has nothing more than what was compared,
// before the records from a place on are taken in.
func (c *comparison) finished(at string) error {
	if c.next == nil && c.whole && c.end > 0 {
		c.begin(1)
	}
	if c.next == nil {
		return nil
	}
	stored, err, more := c.next()
	if err != nil {
		return err
	}
	if more {
		return missing(at, stored.Position)
	}
	return nil
}

// missing is the error for a record of the store that the source has not.
func missing(at string, position daybook.Position) error {
	return &failure{
		exit: exitConflict, err: fmt.Errorf("%s: the store has a record at position %d that is missing before it", at, position),
		hint: "the store went its own way, or the record was deleted where it comes from; --append appends the rest behind it",
	}
}

// sameRecord reports whether two records are the same in everything that an import
// keeps. An ordinal may be given anew.
func sameRecord(a, b *daybook.Record) bool {
	without := func(r *daybook.Record) []byte {
		header := *r.Changeset
		header.Ordinal = 0
		plain := *r
		plain.Changeset = &header
		return wire.AppendRecord(nil, &plain)
	}
	return bytes.Equal(without(a), without(b))
}
