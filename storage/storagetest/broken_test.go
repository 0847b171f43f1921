package storagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
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
		brokenConditions, brokenClaims, brokenOptional,
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
		twoSteps(func(b *bent, a daybook.Append) error {
			head, _ := b.Driver.Head(context.Background(), a.Changesets[0].Stream)
			if !a.Changesets[0].Expect.Holds(head) {
				return errors.New("does not hold")
			}
			return nil
		}, func(a *daybook.Append) { a.Changesets[0].Expect = daybook.ExpectAny() }),
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

var brokenReading = map[string][]func() daybook.Driver{
	"reading: a stream is read as asked": {
		streamReads(func(read *daybook.StreamRead) { read.Backwards = false }),
		streamReads(func(read *daybook.StreamRead) {
			if read.From > 0 {
				read.From++
			}
		}),
		streamReads(func(read *daybook.StreamRead) {
			if read.Limit > 1 {
				read.Limit--
			}
		}),
	},
	"reading: the log is read as asked": {
		logReads(func(read *daybook.LogRead) { read.After = max(0, read.After-1) }),
		logReads(func(read *daybook.LogRead) { read.To = max(0, read.To-1) }),
		logReads(func(read *daybook.LogRead) {
			if read.Backwards {
				read.After = 0
			}
		}),
	},
	"reading: a read goes up to a time": {
		logReads(func(read *daybook.LogRead) {
			if !read.Until.IsZero() {
				read.Until = read.Until.Add(-time.Microsecond)
			}
		}),
		streamReads(func(read *daybook.StreamRead) { read.Until = time.Time{} }),
	},
	"reading: a stream without records yields nothing": {
		bending(func(b *bent) {
			b.stream = func(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
				return func(yield func(daybook.Record, error) bool) {
					if head, _ := b.Driver.Head(ctx, id); !head.Exists() {
						yield(daybook.Record{}, errors.New("not found"))
						return
					}
					b.Driver.ReadStream(ctx, id, read)(yield)
				}
			}
		}),
	},
	"reading: a head says where its stream ends": {
		bending(func(b *bent) {
			b.head = func(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
				head, err := b.Driver.Head(ctx, id)
				head.First = 0
				return head, err
			}
		}),
	},
	"reading: the end is the position of the last record": {
		bending(func(b *bent) {
			b.end = func(ctx context.Context) (daybook.Position, error) {
				end, err := b.Driver.End(ctx)
				return end + 1, err
			}
		}),
	},
	"reading: a reader may stop early":            {locking(false)},
	"reading: a reader may append while it reads": {locking(true)},
	"reading: a read ends with the error of its context": {
		bending(func(b *bent) { // ends without a word
			b.log = func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
				return func(yield func(daybook.Record, error) bool) {
					for r, err := range b.Driver.ReadLog(ctx, read) {
						if err != nil || !yield(r, nil) {
							return
						}
					}
				}
			}
		}),
		bending(func(b *bent) { // does not heed it
			b.stream = func(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
				return b.Driver.ReadStream(context.WithoutCancel(ctx), id, read)
			}
		}),
	},
	"filtering: a filter selects by partition and by stream type": {
		logReads(func(read *daybook.LogRead) { read.Filter.Partitions = nil }),
		logReads(func(read *daybook.LogRead) { read.Filter.StreamTypes = nil }),
	},
	"filtering: a query selects by type and by tags": {
		logReads(func(read *daybook.LogRead) { // any of the tags
			var items []daybook.QueryItem
			for _, item := range read.Filter.Query.Items {
				for _, tag := range item.Tags {
					items = append(items, daybook.QueryItem{Types: item.Types, Tags: []string{tag}})
				}
				if len(item.Tags) == 0 {
					items = append(items, item)
				}
			}
			read.Filter.Query.Items = items
		}),
		logReads(func(read *daybook.LogRead) {
			read.Filter.Query.Items = read.Filter.Query.Items[:min(1, len(read.Filter.Query.Items))]
		}),
	},
	"filtering: a limit counts what the filter selects": {
		bending(func(b *bent) {
			b.log = func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
				return func(yield func(daybook.Record, error) bool) {
					filter := read.Filter
					read.Filter = daybook.Filter{}
					for r, err := range b.Driver.ReadLog(ctx, read) {
						if err == nil && !filter.Matches(&r) {
							continue
						}
						if !yield(r, err) {
							return
						}
					}
				}
			}
		}),
	},
	"filtering: every read agrees with a walk through the log": {
		logReads(func(read *daybook.LogRead) {
			if read.Backwards && len(read.Filter.Query.Items) > 0 {
				read.To = 0
			}
		}),
	},
}

// locking keeps a lock while it reads, and forgets to release it where a
// reader stops early, unless it releases.
func locking(releases bool) func() daybook.Driver {
	return bending(func(b *bent) {
		var mu sync.RWMutex
		b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
			mu.Lock()
			defer mu.Unlock()
			return b.Driver.Append(ctx, a)
		}
		b.log = func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
			return func(yield func(daybook.Record, error) bool) {
				mu.RLock()
				if releases {
					defer mu.RUnlock()
				}
				for r, err := range b.Driver.ReadLog(ctx, read) {
					if !yield(r, err) {
						return
					}
				}
				if !releases {
					mu.RUnlock()
				}
			}
		}
	})
}

var brokenContents = map[string][]func() daybook.Driver{
	"contents: data comes back byte for byte": {
		eachEvent(func(e *daybook.Event) {
			var compact bytes.Buffer
			if e.ContentType == daybook.ContentTypeJSON && json.Compact(&compact, e.Data) == nil {
				e.Data = compact.Bytes()
			}
		}),
		eachEvent(func(e *daybook.Event) { e.Data = bytes.ToValidUTF8(e.Data, []byte("\uFFFD")) }),
		eachEvent(func(e *daybook.Event) { e.Data = bytes.TrimRight(e.Data, "\x00") }),
	},
	"contents: large data comes back byte for byte": {
		eachEvent(func(e *daybook.Event) { e.Data = e.Data[:min(len(e.Data), 1<<16)] }),
	},
	"contents: the content type is kept": {
		eachEvent(func(e *daybook.Event) { e.ContentType = strings.ToLower(e.ContentType) }),
	},
	"contents: names that differ in a byte are different streams": {
		asking(func(_ *bent, a *daybook.Append) {
			a.Changesets[0].Stream.Name = strings.ToLower(a.Changesets[0].Stream.Name)
		}),
		asking(func(_ *bent, a *daybook.Append) { // one text for both parts
			if id := &a.Changesets[0].Stream; id.Partition != "" {
				*id = daybook.Stream(id.Partition + "/" + id.Name)
			}
		}),
	},
	"contents: types and tags that differ in a byte are different": {
		eachEvent(func(e *daybook.Event) { e.Type = strings.TrimRight(e.Type, " ") }),
		logReads(func(read *daybook.LogRead) {
			read.Filter.Query = daybook.Query{Items: slices.Clone(read.Filter.Query.Items)}
			for i := range read.Filter.Query.Items {
				item := &read.Filter.Query.Items[i]
				for _, kind := range item.Types {
					item.Types = append(item.Types, strings.ToUpper(kind))
				}
			}
		}),
	},
	"contents: the context of an event is kept": {
		eachEvent(func(e *daybook.Event) {
			if e.Context.Why != nil && *e.Context.Why == (daybook.Cause{}) {
				e.Context.Why = nil
			}
		}),
		eachEvent(func(e *daybook.Event) { e.Context.Correlation = strings.TrimSpace(e.Context.Correlation) }),
	},
	"contents: the metadata of a changeset is kept": {
		asking(func(_ *bent, a *daybook.Append) {
			a.Changesets[0].Metadata = bytes.ToValidUTF8(a.Changesets[0].Metadata, nil)
		}),
	},
	"contents: the time of the fact is kept to the microsecond": {
		eachEvent(func(e *daybook.Event) { e.OccurredAt = e.OccurredAt.Truncate(time.Millisecond) }),
		eachEvent(func(e *daybook.Event) {
			if e.OccurredAt.Year() < 1970 {
				e.OccurredAt = time.Unix(0, 0).UTC()
			}
		}),
		eachRecord(func(_ *bent, r *daybook.Record) bool {
			r.OccurredAt = r.OccurredAt.In(time.FixedZone("", 60))
			return true
		}),
	},
	"contents: an event that tells no time happened when it was recorded": {
		eachRecord(func(_ *bent, r *daybook.Record) bool { r.OccurredAt = time.Time{}; return true }),
	},
	"contents: tags keep their order": {
		eachEvent(func(e *daybook.Event) { slices.Sort(e.Tags) }),
	},
	"contents: the longest texts are kept": {
		eachEvent(func(e *daybook.Event) { e.Type = e.Type[:min(len(e.Type), 200)] }),
		refusing(func(_ context.Context, _ *bent, a daybook.Append) error {
			if len(a.Changesets[0].Stream.Name) > 900 {
				return fmt.Errorf("name too long: %w", daybook.ErrInvalid)
			}
			return nil
		}),
	},
}
