package storagetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// deleting bends what the driver is asked to delete.
func deleting(change func(b *bent, d *daybook.Deletion)) func() daybook.Driver {
	return bending(func(b *bent) {
		b.delete = func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
			change(b, &d)
			return b.Driver.DeleteStream(ctx, d)
		}
	})
}

// deleted bends the answer to a deletion.
func deleted(change func(d daybook.Deletion, r *daybook.DeletionReceipt)) func() daybook.Driver {
	return bending(func(b *bent) {
		b.delete = func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
			receipt, err := b.Driver.DeleteStream(ctx, d)
			change(d, &receipt)
			return receipt, err
		}
	})
}

// headOf returns the head of a stream.
func headOf(b *bent, id daybook.StreamID) daybook.Head {
	head, _ := b.Driver.Head(context.Background(), id)
	return head
}

// roundsUp deletes to the end of a changeset that was to stay.
var roundsUp = deleting(func(b *bent, d *daybook.Deletion) {
	for r := range b.Driver.ReadStream(context.Background(), d.Stream, daybook.StreamRead{From: d.Through, Limit: 1}) {
		if d.Through > 0 && d.Through >= r.Changeset.First {
			d.Through = r.Changeset.Last()
		}
	}
})

// forgetsHeads tells of a stream without records that it never was.
var forgetsHeads = bending(func(b *bent) {
	b.head = func(_ context.Context, id daybook.StreamID) (daybook.Head, error) {
		if head := headOf(b, id); head.Exists() {
			return head, nil
		}
		return daybook.Head{}, nil
	}
})

// deletesInTwoSteps looks at Expect first, and deletes when another has
// appended.
var deletesInTwoSteps = bending(func(b *bent) {
	appended := make(chan struct{})
	b.delete = func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
		if !d.Expect.Holds(headOf(b, d.Stream)) {
			return b.Driver.DeleteStream(ctx, d)
		}
		select {
		case <-appended:
		case <-time.After(20 * time.Millisecond): // all others may be deleting
		}
		d.Expect = daybook.ExpectAny()
		return b.Driver.DeleteStream(ctx, d)
	}
	b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		receipt, err := b.Driver.Append(ctx, a)
		select {
		case appended <- struct{}{}:
		default:
		}
		return receipt, err
	}
})

var brokenDeleting = map[string][]func() daybook.Driver{
	"deleting: a deleted stream is gone from every read, list and count": {
		deleting(func(b *bent, d *daybook.Deletion) { // all but the last changeset
			if d.Through == 0 {
				d.Through = max(1, headOf(b, d.Stream).Version-1)
			}
		}),
		bending(func(b *bent) { // the end falls
			b.end = func(ctx context.Context) (daybook.Position, error) {
				for r, err := range b.Driver.ReadLog(ctx, daybook.LogRead{Backwards: true, Limit: 1}) {
					return r.Position, err
				}
				return 0, nil
			}
		}),
		bending(func(b *bent) { // counts what it gave out
			b.stats = func(ctx context.Context) (daybook.Stats, error) {
				stats, err := b.Driver.Stats(ctx)
				stats.Changesets = int64(stats.LastOrdinal)
				return stats, err
			}
		}),
		forgetsHeads,
	},
	"deleting: what goes are whole changesets up to a version": {
		roundsUp,
		deleted(func(d daybook.Deletion, r *daybook.DeletionReceipt) { r.Through = max(r.Through, d.Through) }),
	},
	"deleting: a running read shows a changeset whole or not at all": {
		eachRecord(func(b *bent, r *daybook.Record) bool { return r.Version >= headOf(b, r.Stream).First }),
	},
	"deleting: a stream goes on above what was deleted": {
		answering(func(r *daybook.Receipt, err error) error { // begins anew
			for i := range r.Changesets {
				if c := &r.Changesets[i]; c.Stream.Name == "bill-1" {
					c.First, c.Last = 1, c.Last-c.First+1
				}
			}
			return err
		}),
	},
	"deleting: each Expect holds exactly where it should, of what was deleted and of who deletes": {
		deleting(func(_ *bent, d *daybook.Deletion) { d.Expect = daybook.ExpectAny() }),
		refusing(func(_ context.Context, b *bent, a daybook.Append) error { // what was there once exists
			c := a.Changesets[0]
			if head := headOf(b, c.Stream); c.Expect.None() && head.Version > 0 {
				return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: head}
			}
			return nil
		}),
	},
	"deleting: a repeated deletion takes nothing and is answered with the first receipt": {
		deleting(func(_ *bent, d *daybook.Deletion) { d.ID = daybook.NewID() }),
		deleted(func(_ daybook.Deletion, r *daybook.DeletionReceipt) { r.Repeated = false }),
		bending(func(b *bent) { // does not remember that there was nothing to take
			b.delete = func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
				if headOf(b, d.Stream).Version == 0 {
					return daybook.DeletionReceipt{ID: d.ID, Stream: d.Stream, Durability: daybook.DurabilityMemory}, nil
				}
				return b.Driver.DeleteStream(ctx, d)
			}
		}),
	},
	"deleting: an append whose records were deleted stays known": {
		asking(func(b *bent, a *daybook.Append) {
			if head := headOf(b, a.Changesets[0].Stream); head.First > 1 {
				a.ID = daybook.NewID()
			}
		}),
	},
	"deleting: deletions are recorded, in their order": {
		deleting(func(_ *bent, d *daybook.Deletion) { d.Why = "" }),
		bending(func(b *bent) {
			b.deletions = func(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
				read.After = max(0, read.After-1)
				return b.Driver.ReadDeletions(ctx, read)
			}
		}),
		bending(func(b *bent) {
			b.deletions = func(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
				read.Stream = daybook.StreamID{}
				return b.Driver.ReadDeletions(ctx, read)
			}
		}),
	},
	"deleting: a scrub is asked for and told": {
		deleting(func(_ *bent, d *daybook.Deletion) { d.Scrub = false }),
		deleted(func(_ daybook.Deletion, r *daybook.DeletionReceipt) { r.Scrubbed = true }),
	},
}

var brokenDeletingDemands = map[string][]func() daybook.Driver{
	"deleting: conditions do not see what was deleted": {
		bending(func(b *bent) { // looks at all that was ever stored
			twin := straight()
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				if _, err := twin.Driver.Append(ctx, a); err != nil {
					return daybook.Receipt{}, err
				}
				return b.Driver.Append(ctx, a)
			}
		}),
	},
	"deleting: a reference to a deleted stream is refused": {
		asking(func(b *bent, a *daybook.Append) { // what was there once exists
			for i := range a.Changesets {
				c := &a.Changesets[i]
				c.References = slices.DeleteFunc(slices.Clone(c.References), func(id daybook.StreamID) bool { return headOf(b, id).Version > 0 })
			}
		}),
	},
	"deleting: a stream without records holds no claim, any other holds all of its own": {
		bending(func(b *bent) { // nothing is released
			var holders sync.Map
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				c := a.Changesets[0]
				for _, claim := range c.Claims {
					if holder, held := holders.LoadOrStore(claim, c.Stream); held && holder != c.Stream {
						return daybook.Receipt{}, &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder.(daybook.StreamID)}
					}
				}
				return b.Driver.Append(ctx, a)
			}
		}),
		bending(func(b *bent) { // what a deleted changeset took is released
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				receipt, err := b.Driver.Append(ctx, a)
				var refused *daybook.ClaimError
				if errors.As(err, &refused) && headOf(b, refused.Holder).First > 1 {
					a = copied(a)
					a.Changesets[0].Claims = nil
					return b.Driver.Append(ctx, a)
				}
				return receipt, err
			}
		}),
	},
	"deleting: an import goes on above what was deleted": {
		bending(func(b *bent) { // it may begin anew
			b.imports = func(ctx context.Context, all []daybook.RecordedChangeset) error {
				if head := headOf(b, all[0].Stream); head.Version > 0 && !head.Exists() && all[0].First == 1 {
					return nil
				}
				return b.Driver.Import(ctx, all)
			}
		}),
	},
	"deleting: appends and deletions have an order that explains every answer": {
		deletesInTwoSteps,
		roundsUp,
	},
	"deleting: every random history with deletions ends as it does in the reference": {
		roundsUp,
		deleting(func(_ *bent, d *daybook.Deletion) { d.Who = "" }),
	},
}
