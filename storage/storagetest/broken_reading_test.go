package storagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/daybook-go/daybook"
)

// lending is a driver that changes what it lends; before is what it lent last.
func lending(change func(before, r *daybook.Record)) func() daybook.Driver {
	return bending(func(b *bent) {
		b.log = func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
			return func(yield func(daybook.Record, error) bool) {
				var before daybook.Record
				for r, err := range b.Driver.ReadLog(ctx, read) {
					if err == nil && read.Borrow {
						r = r.Clone()
						next := r
						change(&before, &r)
						next.Context.Who = r.Context.Who
						before = next
					}
					if !yield(r, err) {
						return
					}
				}
			}
		}
	})
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
	"reading: a borrowed record is good until the next step, its strings for ever": {
		lending(func(before, r *daybook.Record) { // lends the next too early
			if before.Changeset != nil {
				r.Changeset = before.Changeset
			}
		}),
		lending(func(before, r *daybook.Record) { // writes over the strings too
			if before.Context.Who != "" {
				copy(unsafe.Slice(unsafe.StringData(before.Context.Who), len(before.Context.Who)), "????????")
			}
			r.Context.Who = string([]byte(r.Context.Who))
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
