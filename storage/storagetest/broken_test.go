package storagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// brokenTable is drivers by the promise that they break: the feature and the
// name of the promise.
type brokenTable map[string][]func() (daybook.Driver, func() daybook.Driver)

// brokenDrivers returns, for every promise, drivers that break it.
func brokenDrivers() brokenTable {
	all := brokenTable{}
	for _, some := range []map[string][]func() daybook.Driver{
		brokenAppending, brokenExpecting, brokenRepeating, brokenReading, brokenContents, brokenOrder, brokenSeveral,
		brokenConditions, brokenClaims, brokenOptional, brokenDeleting, brokenDeletingDemands,
	} {
		for name, opens := range some {
			for _, open := range opens {
				all[name] = append(all[name], func() (daybook.Driver, func() daybook.Driver) { return open(), nil })
			}
		}
	}
	maps.Copy(all, brokenReopening)
	return all
}

var brokenAppending = map[string][]func() daybook.Driver{
	"appending: the records of a stream have versions from 1 up by one": {
		eachRecord(func(_ *bent, r *daybook.Record) bool { r.Version--; return true }),
		eachRecord(func(_ *bent, r *daybook.Record) bool { r.Version *= 2; return true }),
	},
	"appending: positions rise with every record": {
		eachRecord(func(_ *bent, r *daybook.Record) bool { r.Position = 1000 - r.Position; return true }),
		eachRecord(func(_ *bent, r *daybook.Record) bool { r.Position = daybook.Position(r.Changeset.Ordinal); return true }),
	},
	"appending: a receipt says exactly where the records went": {
		answering(func(r *daybook.Receipt, err error) error {
			for i := range r.Changesets {
				r.Changesets[i].FirstPosition--
			}
			return err
		}),
		answering(func(r *daybook.Receipt, err error) error {
			for i := range r.Changesets {
				r.Changesets[i].Number++
			}
			return err
		}),
		answering(func(r *daybook.Receipt, err error) error { r.RecordedAt = r.RecordedAt.Add(time.Second); return err }),
	},
	"appending: every record carries the header of its changeset": {
		eachRecord(func(_ *bent, r *daybook.Record) bool { r.Changeset.Count = 1; return true }),
		eachRecord(func(_ *bent, r *daybook.Record) bool { r.Changeset.Releases = nil; return true }),
		streamReads(func(read *daybook.StreamRead) { read.From = max(0, read.From-1) }),
	},
	"appending: what was appended can be read at once": {
		eachRecord(func(b *bent, r *daybook.Record) bool {
			end, _ := b.Driver.End(context.Background())
			return r.Position < end
		}),
	},
	"appending: a stored record never changes": {
		eachRecord(func(b *bent, r *daybook.Record) bool {
			if end, _ := b.Driver.End(context.Background()); r.Position == 1 && end > 10 {
				r.Data = []byte("changed")
			}
			return true
		}),
	},
	"appending: a refused append leaves no trace": {
		bending(func(b *bent) { // stores what it refuses
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				receipt, err := b.Driver.Append(ctx, a)
				if errors.Is(err, daybook.ErrConflict) {
					a = copied(a)
					a.Changesets[0].Expect = daybook.ExpectAny()
					_, _ = b.Driver.Append(ctx, a)
				}
				return receipt, err
			}
		}),
		bending(func(b *bent) { // remembers the id of what it refuses
			refused := map[daybook.ID]bool{}
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				receipt, err := b.Driver.Append(ctx, a)
				receipt.Repeated = receipt.Repeated || refused[a.ID]
				refused[a.ID] = err != nil
				return receipt, err
			}
		}),
	},
	"appending: the caller's memory is neither kept nor changed": {
		bending(func(b *bent) { // keeps it
			given := map[daybook.ID]*daybook.Event{}
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				for i := range a.Changesets {
					for j := range a.Changesets[i].Events {
						e := a.Changesets[i].Events[j]
						given[e.ID] = &e
					}
				}
				return b.Driver.Append(ctx, a)
			}
			inner := eachRecord(func(_ *bent, r *daybook.Record) bool { r.Data = given[r.ID].Data; return true })().(*bent)
			inner.Driver = b.Driver
			b.log, b.stream = inner.log, inner.stream
		}),
		bending(func(b *bent) { // changes it
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				receipt, err := b.Driver.Append(ctx, a)
				a.Changesets[0].Events[0].ContentType = "changed"
				return receipt, err
			}
		}),
	},
	"appending: a durability is reached or refused": {
		asking(func(_ *bent, a *daybook.Append) { a.Durability = 0 }),
		answering(func(r *daybook.Receipt, err error) error { r.Durability = 0; return err }),
	},
	"appending: what is not offered is refused by name, and nothing stored": {
		refusing(func(_ context.Context, b *bent, a daybook.Append) error {
			if a.Condition != nil {
				return daybook.ErrUnsupported
			}
			return nil
		}),
		refusing(func(ctx context.Context, b *bent, a daybook.Append) error {
			if a.Changesets[0].Claims == nil {
				return nil
			}
			_, _ = b.Driver.Append(ctx, a)
			return &daybook.UnsupportedError{Driver: "bent", Feature: "claims"}
		}),
	},
}

// looksThenWrites checks an Expect and stores the append in two steps.
var looksThenWrites = twoSteps(func(b *bent, a daybook.Append) error {
	head, _ := b.Driver.Head(context.Background(), a.Changesets[0].Stream)
	if !a.Changesets[0].Expect.Holds(head) {
		return errors.New("does not hold")
	}
	return nil
}, func(a *daybook.Append) { a.Changesets[0].Expect = daybook.ExpectAny() })

var brokenExpecting = map[string][]func() daybook.Driver{
	"expecting: each Expect holds exactly where it should": {
		asking(func(_ *bent, a *daybook.Append) {
			if a.Changesets[0].Expect.Exists() {
				a.Changesets[0].Expect = daybook.ExpectAny()
			}
		}),
		asking(func(_ *bent, a *daybook.Append) { // any version of the last changeset will do
			if v, ok := a.Changesets[0].Expect.Version(); ok && v == 5 {
				a.Changesets[0].Expect = daybook.ExpectVersion(6)
			}
		}),
		asking(func(_ *bent, a *daybook.Append) {
			if n, ok := a.Changesets[0].Expect.Changeset(); ok {
				a.Changesets[0].Expect = daybook.ExpectVersion(daybook.Version(n))
			}
		}),
	},
	"expecting: a conflict says where the stream was found": {
		answering(func(_ *daybook.Receipt, err error) error {
			if conflict := (*daybook.ConflictError)(nil); errors.As(err, &conflict) {
				conflict.Found.Changeset = 0
			}
			return err
		}),
		answering(func(_ *daybook.Receipt, err error) error {
			if conflict := (*daybook.ConflictError)(nil); errors.As(err, &conflict) {
				conflict.Expect = daybook.ExpectAny()
			}
			return err
		}),
	},
	"expecting: a conflict brings the changesets that were missed": {
		answering(func(_ *daybook.Receipt, err error) error { // says that it has filled in what was missed
			if conflict := (*daybook.ConflictError)(nil); errors.As(err, &conflict) {
				conflict.Missed = []daybook.RecordedChangeset{}
			}
			return err
		}),
		streamReads(func(read *daybook.StreamRead) {
			if read.From > 1 && read.Limit == 0 {
				read.From++
			}
		}),
	},
	"expecting: of appends that expect the same version one is stored": {
		looksThenWrites,
	},
}

// forgetful has no memory for the ids of appends.
var forgetful = bending(func(b *bent) {
	b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
		id := a.ID
		a.ID = daybook.NewID()
		receipt, err := b.Driver.Append(ctx, a)
		receipt.AppendID = id
		return receipt, err
	}
})

// checksFirst looks at something before it looks whether the append is a
// repeat.
func checksFirst(check func(b *bent, a daybook.Append) error) func() daybook.Driver {
	return refusing(func(_ context.Context, b *bent, a daybook.Append) error { return check(b, a) })
}

func claimsFirst(b *bent, a daybook.Append) error {
	for _, c := range a.Changesets {
		for _, claim := range c.Claims {
			holder, held, _ := b.Driver.ClaimHolder(context.Background(), c.Stream.Partition, claim)
			if held && holder != c.Stream {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}
			}
		}
	}
	return nil
}

var brokenRepeating = map[string][]func() daybook.Driver{
	"repeating: a repeat is answered with the first receipt, whatever it expects": {
		forgetful,
		checksFirst(func(b *bent, a daybook.Append) error { // looks at Expect first
			head, _ := b.Driver.Head(context.Background(), a.Changesets[0].Stream)
			if e := a.Changesets[0].Expect; e.None() && !e.Holds(head) {
				return &daybook.ConflictError{Stream: a.Changesets[0].Stream, Expect: e, Found: head}
			}
			return nil
		}),
		answering(func(r *daybook.Receipt, err error) error { // a time of its own for every answer
			if r.Repeated {
				r.RecordedAt = daybook.Microseconds(time.Now().Add(time.Second))
			}
			return err
		}),
	},
	"repeating: a repeat beside the first is stored once": {
		bending(func(b *bent) {
			place, known := make(chan struct{}), sync.Map{}
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				if _, ok := known.Load(a.ID); ok {
					return b.Driver.Append(ctx, a)
				}
				meet(place)
				known.Store(a.ID, true)
				a = copied(a)
				a.ID, a.Changesets[0].Expect = daybook.NewID(), daybook.ExpectAny()
				return b.Driver.Append(ctx, a)
			}
		}),
	},
	"repeating: an id that another append used is refused": {
		bending(func(b *bent) {
			receipts := map[daybook.ID]daybook.Receipt{}
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				if receipt, ok := receipts[a.ID]; ok {
					receipt.Repeated = true
					return receipt, nil
				}
				receipt, err := b.Driver.Append(ctx, a)
				receipts[a.ID] = receipt
				return receipt, err
			}
		}),
		forgetful,
	},
	"repeating: a repeat finds what a failed append has stored": {forgetful},
	"repeating: a repeat stores what a failed append has not": {
		answering(func(r *daybook.Receipt, err error) error { r.Repeated = true; return err }),
	},
	"repeating: an append whose context ends is stored whole or not at all": {
		bending(func(b *bent) { // says that nothing was stored, though it was
			calls := 0
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				receipt, err := b.Driver.Append(ctx, a)
				if calls++; calls == 3 {
					return daybook.Receipt{}, fmt.Errorf("%w: %w", daybook.ErrRefused, context.Canceled)
				}
				return receipt, err
			}
		}),
		forgetful,
	},
	"repeating: a repeat does not conflict with its own records": {
		checksFirst(func(b *bent, a daybook.Append) error {
			if a.Condition == nil {
				return nil
			}
			for r := range b.Driver.ReadLog(context.Background(), daybook.LogRead{After: a.Condition.After, Filter: daybook.Filter{Query: a.Condition.Query}}) {
				return &daybook.ConditionError{Condition: *a.Condition, Found: r.Position}
			}
			return nil
		}),
	},
	"repeating: a repeat does not quarrel about its own claims": {checksFirst(claimsFirst)},
	"repeating: a repeat of several streams answers for each": {
		answering(func(r *daybook.Receipt, err error) error {
			if r.Repeated {
				r.Changesets = r.Changesets[:1]
			}
			return err
		}),
	},
}
