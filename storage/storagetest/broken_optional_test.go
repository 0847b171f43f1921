package storagetest

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/daybook-go/daybook"
)

var brokenOptional = map[string][]func() daybook.Driver{
	"waiting: waiting ends when the log grows": {wakesAtNext},
	"waiting: waiting ends with its context": {
		bending(func(b *bent) {
			b.wait = func(ctx context.Context, after daybook.Position) error {
				return b.Driver.Wait(context.WithoutCancel(ctx), after)
			}
		}),
	},
	"waiting: no wake-up is lost": {wakesAtNext},
	"waiting: closing ends waiting": {
		bending(func(b *bent) {
			b.wait = func(ctx context.Context, after daybook.Position) error {
				err := b.Driver.Wait(ctx, after)
				if errors.Is(err, daybook.ErrClosed) {
					<-ctx.Done()
				}
				return err
			}
		}),
	},
	"listing streams: streams are listed with their heads, in the order of their bytes": {
		listing(func(heads []daybook.StreamHead) { slices.Reverse(heads) }),
		listing(func(heads []daybook.StreamHead) {
			for i := range heads {
				heads[i].Changeset = 1
			}
		}),
	},
	"listing streams: a list goes on behind a stream, up to a limit": {
		lists(func(list *daybook.StreamList) {
			if list.After.Name != "" {
				list.After.Name = list.After.Name[:len(list.After.Name)-1]
			}
		}),
		lists(func(list *daybook.StreamList) { list.Limit = 0 }),
		lists(func(list *daybook.StreamList) { list.After.Partition = "" }),
	},
	"listing streams: a list is filtered by partition and by stream type": {
		lists(func(list *daybook.StreamList) { list.Filter.Partitions = nil }),
		lists(func(list *daybook.StreamList) { list.Filter.StreamTypes = nil }),
	},
	"statistics: statistics are what a walk counts": {
		counting(func(stats *daybook.Stats) { stats.Changesets = stats.Records }),
		counting(func(stats *daybook.Stats) { stats.LongestStream = daybook.ChangesetNumber(stats.LastPosition) }),
	},
	"importing: what is imported is stored as it was": {
		importing(func(all []daybook.RecordedChangeset) {
			position := daybook.Position(0)
			for i := range all {
				for j := range all[i].Records {
					position++
					all[i].Records[j].Position = position
				}
			}
		}),
		importing(func(all []daybook.RecordedChangeset) {
			for i := range all {
				all[i].Ordinal = 0
			}
		}),
	},
	"importing: an import that cannot follow the log is refused whole": {
		bending(func(b *bent) { // one by one
			b.imports = func(ctx context.Context, all []daybook.RecordedChangeset) error {
				for i := range all {
					if err := b.Driver.Import(ctx, all[i:i+1]); err != nil {
						return err
					}
				}
				return nil
			}
		}),
		importing(func(all []daybook.RecordedChangeset) { // numbers are set right
			for i := range all {
				if all[i].Stream.Name == "account-1" && all[i].First == 4 {
					all[i].Number = 3
				}
			}
		}),
	},
	"importing: appends go on behind an import": {
		answering(func(r *daybook.Receipt, err error) error {
			for i := range r.Changesets {
				if c := &r.Changesets[i]; c.Stream.Name == "account-2" { // counts records, not versions
					c.First, c.Last = c.First-39, c.Last-39
				}
			}
			return err
		}),
	},
	"importing: an imported append is known by its id": {
		importing(func(all []daybook.RecordedChangeset) {
			for i := range all {
				all[i].AppendID = daybook.NewID()
			}
		}),
	},
	"importing: imported claims are held": {
		importing(func(all []daybook.RecordedChangeset) {
			for i := range all {
				all[i].Claims = nil
			}
		}),
		bending(func(b *bent) { // each changeset for itself
			b.imports = func(ctx context.Context, all []daybook.RecordedChangeset) error {
				for i := range all {
					if err := b.Driver.Import(ctx, all[i:i+1]); err != nil {
						return err
					}
				}
				return nil
			}
		}),
	},
	"importing: imported records are found by queries and conditions": {
		bending(func(b *bent) { // conditions see what was appended only
			var imported daybook.Position
			b.imports = func(ctx context.Context, all []daybook.RecordedChangeset) error {
				err := b.Driver.Import(ctx, all)
				imported, _ = b.Driver.End(ctx)
				return err
			}
			b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
				if a = copied(a); a.Condition != nil {
					a.Condition.After = max(a.Condition.After, imported)
				}
				return b.Driver.Append(ctx, a)
			}
		}),
	},
}

// wakesAtNext waits for the next append, whatever is there already; it looks
// what is there only after others had time to append.
var wakesAtNext = bending(func(b *bent) {
	nobody := make(chan struct{})
	b.wait = func(ctx context.Context, _ daybook.Position) error {
		meet(nobody)
		end, err := b.Driver.End(ctx)
		if err != nil {
			return err
		}
		return b.Driver.Wait(ctx, end)
	}
})

func listing(change func(heads []daybook.StreamHead)) func() daybook.Driver {
	return bending(func(b *bent) {
		b.list = func(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
			return func(yield func(daybook.StreamHead, error) bool) {
				heads, err := gatherHeads(b.Driver.ListStreams(ctx, list))
				change(heads)
				for _, head := range heads {
					if !yield(head, nil) {
						return
					}
				}
				if err != nil {
					yield(daybook.StreamHead{}, err)
				}
			}
		}
	})
}

func lists(change func(list *daybook.StreamList)) func() daybook.Driver {
	return bending(func(b *bent) {
		b.list = func(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
			change(&list)
			return b.Driver.ListStreams(ctx, list)
		}
	})
}

func counting(change func(stats *daybook.Stats)) func() daybook.Driver {
	return bending(func(b *bent) {
		b.stats = func(ctx context.Context) (daybook.Stats, error) {
			stats, err := b.Driver.Stats(ctx)
			change(&stats)
			return stats, err
		}
	})
}

func importing(change func(all []daybook.RecordedChangeset)) func() daybook.Driver {
	return bending(func(b *bent) {
		b.imports = func(ctx context.Context, all []daybook.RecordedChangeset) error {
			all = slices.Clone(all)
			for i := range all {
				all[i].Records = slices.Clone(all[i].Records)
			}
			change(all)
			return b.Driver.Import(ctx, all)
		}
	})
}

// reopened bends what is found when a driver is opened again.
func reopened(change func(all []daybook.RecordedChangeset) []daybook.RecordedChangeset) []func() (daybook.Driver, func() daybook.Driver) {
	return []func() (daybook.Driver, func() daybook.Driver){openLasting(change)}
}

// reopenedEach bends every changeset that is found.
func reopenedEach(change func(c *daybook.RecordedChangeset)) []func() (daybook.Driver, func() daybook.Driver) {
	return reopened(func(all []daybook.RecordedChangeset) []daybook.RecordedChangeset {
		for i := range all {
			change(&all[i])
		}
		return all
	})
}

var brokenReopening = brokenTable{
	"reopening: everything stored is there after reopening": append(
		reopened(func(all []daybook.RecordedChangeset) []daybook.RecordedChangeset { return all[:max(0, len(all)-1)] }),
		reopenedEach(func(c *daybook.RecordedChangeset) { c.Metadata = []byte("lost") })...,
	),
	"reopening: a repeat is known after reopening": reopenedEach(func(c *daybook.RecordedChangeset) { c.AppendID = daybook.NewID() }),
	"reopening: claims are held after reopening":   reopenedEach(func(c *daybook.RecordedChangeset) { c.Claims = nil }),
	"reopening: conditions see what was stored before reopening": reopenedEach(func(c *daybook.RecordedChangeset) {
		for i := range c.Records {
			c.Records[i].Tags = nil
		}
	}),
	"reopening: what is imported is there after reopening": reopened(func(all []daybook.RecordedChangeset) []daybook.RecordedChangeset {
		position := daybook.Position(0)
		for i := range all {
			for j := range all[i].Records {
				position++
				all[i].Records[j].Position = position
			}
		}
		return all
	}),
	"reopening: what was deleted is gone after reopening": reopened(func(all []daybook.RecordedChangeset) []daybook.RecordedChangeset {
		return all // and nothing of the deletions
	}),
	"reopening: what was acknowledged while the store was closed is there": reopened(func(all []daybook.RecordedChangeset) []daybook.RecordedChangeset {
		return all[:max(0, len(all)-5)]
	}),
	"reopening: a random history goes on over reopening as in the reference": reopenedEach(func(c *daybook.RecordedChangeset) { c.Metadata = nil }),
}
