package storagetest

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/daybook-go/daybook"
)

// oneByOne stores the changesets of an append one after the other, until one
// is refused. What is demanded of the log holds for the last.
var oneByOne = bending(func(b *bent) {
	b.append = func(ctx context.Context, a daybook.Append) (receipt daybook.Receipt, err error) {
		if len(a.Changesets) == 1 {
			return b.Driver.Append(ctx, a)
		}
		var all []daybook.ChangesetReceipt
		for i, c := range a.Changesets {
			part := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{c}}
			if i == len(a.Changesets)-1 {
				part.Condition = a.Condition
			}
			if receipt, err = b.Driver.Append(ctx, part); err != nil {
				return receipt, err
			}
			all = append(all, receipt.Changesets...)
		}
		receipt.AppendID, receipt.Changesets = a.ID, all
		return receipt, nil
	}
})

var brokenSeveral = map[string][]func() daybook.Driver{
	"several streams: an append of several streams is stored in all of them": {
		oneByOne,
		answering(func(r *daybook.Receipt, err error) error { slices.Reverse(r.Changesets); return err }),
		asking(func(_ *bent, a *daybook.Append) { slices.Reverse(a.Changesets) }),
	},
	"several streams: an append that one stream refuses is stored in none":  {oneByOne},
	"several streams: an append that a condition refuses is stored in none": {oneByOne},
	"several streams: an append that a claim refuses is stored in none":     {oneByOne},
	"several streams: an append that a reference refuses is stored in none": {oneByOne},
	"several streams: several streams become visible at once": {
		bending(func(b *bent) {
			var calls atomic.Int64
			inner := eachRecord(func(_ *bent, r *daybook.Record) bool { return r.Stream.Name != "right-1" || calls.Add(1)%5 != 0 })().(*bent)
			inner.Driver = b.Driver
			b.stream = inner.stream
		}),
		bending(func(b *bent) {
			var calls atomic.Int64
			inner := eachRecord(func(_ *bent, r *daybook.Record) bool { return r.Stream.Name != "right-1" || calls.Add(1)%5 != 0 })().(*bent)
			inner.Driver = b.Driver
			b.log = inner.log
		}),
	},
}

var brokenConditions = map[string][]func() daybook.Driver{
	"conditions: a condition holds exactly if nothing that matches stands behind its position": {
		asking(func(_ *bent, a *daybook.Append) {
			if a.Condition != nil {
				a.Condition.After = max(0, a.Condition.After-1)
			}
		}),
		asking(func(_ *bent, a *daybook.Append) {
			if a.Condition != nil {
				a.Condition.After++
			}
		}),
		asking(func(_ *bent, a *daybook.Append) { // the first item counts
			if a.Condition != nil {
				a.Condition.Query.Items = a.Condition.Query.Items[:min(1, len(a.Condition.Query.Items))]
			}
		}),
		asking(func(_ *bent, a *daybook.Append) { // no items match nothing
			if a.Condition != nil && len(a.Condition.Query.Items) == 0 {
				a.Condition = nil
			}
		}),
	},
	"conditions: the append's own events do not count": {
		refusing(func(_ context.Context, _ *bent, a daybook.Append) error {
			for _, e := range a.Changesets[0].Events {
				if a.Condition != nil && a.Condition.Query.Matches(e.Type, e.Tags) {
					return &daybook.ConditionError{Condition: *a.Condition, Found: 1}
				}
			}
			return nil
		}),
	},
	"conditions: a condition looks at what stands in the log only": {
		bending(func(b *bent) {
			var refused []daybook.Event
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				for _, e := range refused {
					if a.Condition != nil && a.Condition.Query.Matches(e.Type, e.Tags) {
						return daybook.Receipt{}, &daybook.ConditionError{Condition: *a.Condition, Found: 1}
					}
				}
				receipt, err := b.Driver.Append(ctx, a)
				if err != nil {
					refused = append(refused, a.Changesets[0].Events...)
				}
				return receipt, err
			}
		}),
	},
	"conditions: a refusal brings the records that stand in the way": {
		answering(func(_ *daybook.Receipt, err error) error {
			if condition := (*daybook.ConditionError)(nil); errors.As(err, &condition) {
				condition.Found = condition.Condition.After + 1
			}
			return err
		}),
		answering(func(_ *daybook.Receipt, err error) error {
			if condition := (*daybook.ConditionError)(nil); errors.As(err, &condition) {
				condition.Condition = daybook.Condition{}
			}
			return err
		}),
	},
	"conditions: a condition stands beside an Expect": {
		asking(func(_ *bent, a *daybook.Append) {
			if a.Condition != nil {
				a.Changesets[0].Expect = daybook.ExpectAny()
			}
		}),
		asking(func(_ *bent, a *daybook.Append) {
			if !a.Changesets[0].Expect.Any() {
				a.Condition = nil
			}
		}),
	},
	"conditions: unrelated conditional appends never refuse each other": {
		asking(func(_ *bent, a *daybook.Append) {
			if a.Condition != nil {
				a.Condition.Query = daybook.Query{}
			}
		}),
	},
	"conditions: no decision is stored behind a record that it did not see": {
		twoSteps(func(b *bent, a daybook.Append) error {
			for r := range b.Driver.ReadLog(context.Background(), daybook.LogRead{After: a.Condition.After, Filter: daybook.Filter{Query: a.Condition.Query}}) {
				return &daybook.ConditionError{Condition: *a.Condition, Found: r.Position}
			}
			return nil
		}, func(a *daybook.Append) { a.Condition = nil }),
	},
}

// withClaims bends the claims and releases of every changeset.
func withClaims(change func(c *daybook.Changeset)) func() daybook.Driver {
	return asking(func(_ *bent, a *daybook.Append) {
		for i := range a.Changesets {
			change(&a.Changesets[i])
		}
	})
}

var brokenClaims = map[string][]func() daybook.Driver{
	"claims: a claim is held by one stream of a partition": {
		withClaims(func(c *daybook.Changeset) { c.Claims = nil }),
		withClaims(func(c *daybook.Changeset) {
			c.Claims = slices.Clone(c.Claims)
			for i := range c.Claims {
				c.Claims[i] = daybook.Claim{Kind: "all", Value: c.Claims[i].Kind + c.Claims[i].Value}
			}
		}),
	},
	"claims: a refused claim names its holder": {
		answering(func(_ *daybook.Receipt, err error) error {
			if claim := (*daybook.ClaimError)(nil); errors.As(err, &claim) {
				claim.Holder = daybook.Stream(claim.Holder.Name)
			}
			return err
		}),
		withClaims(func(c *daybook.Changeset) { c.Releases = nil }),
	},
	"claims: a released claim can be taken again": {
		withClaims(func(c *daybook.Changeset) { c.Releases = nil }),
		withClaims(func(c *daybook.Changeset) {
			if len(c.Releases) > 0 {
				c.Claims = nil
			}
		}),
	},
	"claims: taking what one holds and releasing what nobody holds do nothing": {
		refusing(func(ctx context.Context, b *bent, a daybook.Append) error {
			for _, claim := range a.Changesets[0].Claims {
				if holder, held, _ := b.Driver.ClaimHolder(ctx, "", claim); held {
					return &daybook.ClaimError{Stream: a.Changesets[0].Stream, Claim: claim, Holder: holder}
				}
			}
			return nil
		}),
	},
	"claims: releases are carried out before claims": {checksFirst(claimsFirst)},
	"claims: of streams that want the same claim one takes it": {
		twoSteps(claimsFirst, func(a *daybook.Append) { a.Changesets[0].Claims = nil }),
	},
	"claim lookup: the holder of a claim is told": {
		bending(func(b *bent) {
			b.holder = func(ctx context.Context, _ string, claim daybook.Claim) (daybook.StreamID, bool, error) {
				return b.Driver.ClaimHolder(ctx, "", claim)
			}
		}),
		bending(func(b *bent) {
			b.holder = func(context.Context, string, daybook.Claim) (daybook.StreamID, bool, error) {
				return daybook.StreamID{}, false, nil
			}
		}),
	},
	"references: a reference to a stream with records holds": {
		refusing(func(_ context.Context, _ *bent, a daybook.Append) error {
			for _, r := range a.Changesets[0].References {
				if r.Partition != a.Changesets[0].Stream.Partition {
					return &daybook.ReferenceError{Stream: a.Changesets[0].Stream, Reference: r}
				}
			}
			return nil
		}),
	},
	"references: a reference to a stream without records is refused and named": {
		withClaims(func(c *daybook.Changeset) { c.References = nil }),
		answering(func(_ *daybook.Receipt, err error) error {
			if reference := (*daybook.ReferenceError)(nil); errors.As(err, &reference) {
				reference.Reference = reference.Stream
			}
			return err
		}),
	},
	"references: a stream that the same append creates counts": {
		refusing(func(ctx context.Context, b *bent, a daybook.Append) error {
			for _, c := range a.Changesets {
				for _, r := range c.References {
					if head, _ := b.Driver.Head(ctx, r); !head.Exists() {
						return &daybook.ReferenceError{Stream: c.Stream, Reference: r}
					}
				}
			}
			return nil
		}),
	},
}
