package daybook

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Deletion takes records from the beginning of one stream. What went is gone
// for every reader; the stream itself is remembered, so that no version,
// changeset number or position is ever given twice.
type Deletion struct {
	// ID makes the deletion repeatable: a second one with the same ID changes
	// nothing and is answered with the receipt of the first. A zero ID is
	// replaced by a fresh one. The ids of deletions are apart from those of
	// appends.
	ID     ID
	Stream StreamID
	// Expect must hold for the stream, in one step with the deletion. The zero
	// value lets it begin anywhere, also with a stream that never was.
	Expect Expect
	// Through is the last version that goes; 0, and one above the last version,
	// is all that the stream holds now. It is rounded down to the end of a
	// changeset: none is ever cut in two.
	Through Version
	// Scrub also removes the content of the records from the storage: see
	// Deleter.
	Scrub bool
	Who   string // the person or program that asked for it; up to MaxTextLen bytes
	Why   string // what led to it, for those who audit; up to MaxTextLen bytes
}

// DeletionNumber counts the deletions of a store, from 1, without gaps.
type DeletionNumber int64

// DeletionReceipt says what a deletion did.
type DeletionReceipt struct {
	ID         ID
	Number     DeletionNumber // its place among all deletions
	Stream     StreamID
	RecordedAt time.Time // never falls, along records and deletions together
	// Through is the last version that is gone: the stream holds nothing at or
	// below it, by this deletion or by what was before. One less than the
	// First of its head; 0 where nothing is gone.
	Through    Version
	Changesets int64 // how many went now; 0 where nothing was left to go
	Records    int64 // how many went now
	// Scrubbed is set when a scrub was asked for and is done: the storage does
	// not hold the content any more.
	Scrubbed   bool
	Durability Durability // of the deletion
	// Repeated is set when the deletion had been made before: everything else
	// is as it was answered then, except that Scrubbed may have become true and
	// Durability may have risen.
	Repeated bool
}

// RecordedDeletion is a deletion as it is kept: deletions are never deleted.
type RecordedDeletion struct {
	Deletion                 // as it was asked for; Expect is not kept, and ExpectAny
	Receipt  DeletionReceipt // as it was answered, Scrubbed as it is now; never Repeated
}

// Fits reports whether d asks for the same as the deletion that was recorded:
// the same stream, Through and Scrub. A driver asks it before it answers a
// repeated deletion.
func (r *RecordedDeletion) Fits(d *Deletion) bool {
	return r.Stream == d.Stream && r.Through == d.Through && r.Scrub == d.Scrub
}

// DeletionRead says which recorded deletions to read. The zero value reads all
// of them.
type DeletionRead struct {
	After  DeletionNumber // only those behind this one
	Stream StreamID       // only those of this stream; zero is any
	Limit  int            // at most so many; 0 is no limit
}

// Holds reports whether r asks for the deletion, its Limit aside.
func (r DeletionRead) Holds(d *RecordedDeletion) bool {
	return d.Receipt.Number > r.After && (r.Stream == StreamID{} || d.Stream == r.Stream)
}

// DeleteStream deletes the records of a stream up to a version, or all of
// them, on the terms of Deleter.
//
// An error that matches ErrRefused left everything as it was: *InvalidError or
// *LimitError for wrong input, *ConflictError when the stream is not where
// d.Expect says, *ReusedIDError when another deletion has the ID,
// *UnsupportedError where the driver cannot delete. After any other error the
// outcome is unknown: send the same deletion with the same ID again.
func (s *Store) DeleteStream(ctx context.Context, d Deletion) (DeletionReceipt, error) {
	driver, ok := s.driver.(Deleter)
	if !ok {
		return DeletionReceipt{}, s.unsupported("deleting streams")
	}
	if err := d.validate(); err != nil {
		return DeletionReceipt{}, err
	}
	if err := ctx.Err(); err != nil {
		return DeletionReceipt{}, fmt.Errorf("%w before it began: %w", ErrRefused, err)
	}
	if d.ID == (ID{}) {
		d.ID = NewID()
	}
	hooks := &s.options.Hooks
	if hooks.DeletionStart == nil && hooks.DeletionEnd == nil {
		return s.delete(ctx, driver, d)
	}
	start := s.options.Now()
	if hooks.DeletionStart != nil {
		ctx = hooks.DeletionStart(ctx, d)
	}
	receipt, err := s.delete(ctx, driver, d)
	if hooks.DeletionEnd != nil {
		hooks.DeletionEnd(ctx, DeletionEnd{Deletion: d, Receipt: receipt, Err: err, Took: s.options.Now().Sub(start)})
	}
	return receipt, err
}

// delete hands d to the driver and explains a conflict.
func (s *Store) delete(ctx context.Context, driver Deleter, d Deletion) (DeletionReceipt, error) {
	receipt, err := driver.DeleteStream(ctx, d)
	if err != nil {
		s.explain(ctx, err)
		return DeletionReceipt{}, err
	}
	return receipt, nil
}

// ReadDeletions yields the deletions that were made, in the order in which
// they were. The sequence is finite and may be ranged over once; after an
// error it ends. *UnsupportedError where the driver cannot tell.
func (s *Store) ReadDeletions(ctx context.Context, read DeletionRead) iter.Seq2[RecordedDeletion, error] {
	driver, ok := s.driver.(DeletionReader)
	if !ok {
		return failed[RecordedDeletion](s.unsupported("reading deletions"))
	}
	if err := read.validate(); err != nil {
		return failed[RecordedDeletion](err)
	}
	return driver.ReadDeletions(ctx, read)
}

// validate returns the first thing that is wrong with d in itself.
func (d *Deletion) validate() error {
	if err := d.Stream.Validate(); err != nil {
		return err
	}
	switch {
	case d.Expect.at < 0:
		return negative("expect", d.Expect.at)
	case d.Through < 0:
		return negative("through", int64(d.Through))
	}
	if err := checkText("who", d.Who, MaxTextLen); err != nil {
		return err
	}
	return checkText("why", d.Why, MaxTextLen)
}

func (r DeletionRead) validate() error {
	switch {
	case r.After < 0:
		return negative("after", int64(r.After))
	case r.Limit < 0:
		return negative("limit", int64(r.Limit))
	case r.Stream == StreamID{}:
		return nil
	}
	return r.Stream.Validate()
}
