package storagetest

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"github.com/daybook-go/daybook"
)

var brokenOrder = map[string][]func() daybook.Driver{
	"order: nothing appears at or below what a reader has seen": {
		eachRecord(func(b *bent, r *daybook.Record) bool { // some come late
			end, _ := b.Driver.End(context.Background())
			return r.Position%5 != 0 || end > r.Position+2
		}),
	},
	"order: nothing appears at or below the end that was told": {
		bending(func(b *bent) { // numbers that were given out, not what is stored
			b.end = func(ctx context.Context) (daybook.Position, error) {
				end, err := b.Driver.End(ctx)
				return end + 3, err
			}
		}),
	},
	"order: the records of a changeset stand together": {
		bending(func(b *bent) {
			b.log = func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
				return func(yield func(daybook.Record, error) bool) {
					all, err := gather(b.Driver.ReadLog(ctx, read))
					for i := 0; i+2 < len(all); i++ {
						if x, y, z := all[i], all[i+1], all[i+2]; x.Stream == y.Stream && x.Version+1 == y.Version && y.Stream != z.Stream {
							all[i+1], all[i+2] = z, y
							all[i+1].Position, all[i+2].Position = y.Position, z.Position
						}
					}
					for _, r := range all {
						if !yield(r, nil) {
							return
						}
					}
					if err != nil {
						yield(daybook.Record{}, err)
					}
				}
			}
		}),
		eachRecord(func(_ *bent, r *daybook.Record) bool { r.Changeset.Ordinal *= 2; return true }),
	},
	"order: recorded times never fall along the log": {
		eachRecord(func(_ *bent, r *daybook.Record) bool {
			if r.Position%7 == 0 {
				r.RecordedAt = r.RecordedAt.Add(-time.Hour)
			}
			return true
		}),
	},
	"order: a follower is given every record once, in order": {
		bending(func(b *bent) {
			b.end = func(ctx context.Context) (daybook.Position, error) {
				end, err := b.Driver.End(ctx)
				return end + 1, err
			}
		}),
	},
	"histories: concurrent calls have an order that explains every answer": {
		bending(func(b *bent) { // reads what was there some time ago
			var calls atomic.Int64
			b.stream = func(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
				if head, _ := b.Driver.Head(ctx, id); calls.Add(1)%3 == 0 && head.Version > 3 {
					read.To = head.Version - 3
				}
				return b.Driver.ReadStream(ctx, id, read)
			}
		}),
		looksThenWrites,
		forgetful,
	},
	"histories: every random history ends as it does in the reference": {
		asking(func(_ *bent, a *daybook.Append) {
			if a.Condition != nil {
				a.Condition.After = max(0, a.Condition.After-1)
			}
		}),
		asking(func(_ *bent, a *daybook.Append) {
			if len(a.Changesets) > 1 {
				a.Changesets[1].References = nil
			}
		}),
		bending(func(b *bent) {
			b.stats = func(ctx context.Context) (daybook.Stats, error) {
				stats, err := b.Driver.Stats(ctx)
				stats.LongestStream = min(stats.LongestStream, 5)
				return stats, err
			}
		}),
	},
	"closing: an append as large as the limits say is taken": {
		asking(func(_ *bent, a *daybook.Append) {
			c := &a.Changesets[0]
			c.Events = c.Events[:min(len(c.Events), 5000)]
		}),
		refusing(func(_ context.Context, _ *bent, a daybook.Append) error {
			if len(a.Changesets) > 100 {
				return &daybook.LimitError{Field: "changesets", Value: int64(len(a.Changesets)), Limit: 100, Unit: "changesets"}
			}
			return nil
		}),
	},
	"closing: a closed driver answers every call with ErrClosed": {
		bending(func(b *bent) { // is silent about streams that it does not know
			b.stream = func(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
				if id.Key() == "2" {
					return func(func(daybook.Record, error) bool) {}
				}
				return b.Driver.ReadStream(ctx, id, read)
			}
		}),
		bending(func(b *bent) { b.close = func() error { return nil } }),
	},
	"closing: closing twice does nothing": {
		bending(func(b *bent) {
			closed := false
			b.close = func() error {
				if closed {
					return errors.New("closed already")
				}
				closed = true
				return b.Driver.Close()
			}
		}),
	},
	"closing: closing lets appends that run end whole": {
		bending(func(b *bent) {
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				receipt, err := b.Driver.Append(ctx, a)
				if errors.Is(err, daybook.ErrClosed) {
					err = errors.New("use of a closed file")
				}
				return receipt, err
			}
		}),
	},
}
