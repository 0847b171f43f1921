package storagetest

import (
	"context"
	"iter"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// bent is a driver that can be made to break a promise: each method that is
// not nil takes the place of that of the storage in memory.
type bent struct {
	*memory.Driver
	append  func(ctx context.Context, a daybook.Append) (daybook.Receipt, error)
	stream  func(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error]
	log     func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error]
	head    func(ctx context.Context, id daybook.StreamID) (daybook.Head, error)
	end     func(ctx context.Context) (daybook.Position, error)
	wait    func(ctx context.Context, after daybook.Position) error
	list    func(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error]
	stats   func(ctx context.Context) (daybook.Stats, error)
	holder  func(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error)
	imports func(ctx context.Context, changesets []daybook.RecordedChangeset) error
	close   func() error

	delete    func(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error)
	deletions func(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error]
}

func straight() *bent { return &bent{Driver: memory.New(nil)} }

func (b *bent) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	if b.append != nil {
		return b.append(ctx, a)
	}
	return b.Driver.Append(ctx, a)
}

func (b *bent) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	if b.stream != nil {
		return b.stream(ctx, id, read)
	}
	return b.Driver.ReadStream(ctx, id, read)
}

func (b *bent) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	if b.log != nil {
		return b.log(ctx, read)
	}
	return b.Driver.ReadLog(ctx, read)
}

func (b *bent) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	if b.head != nil {
		return b.head(ctx, id)
	}
	return b.Driver.Head(ctx, id)
}

func (b *bent) End(ctx context.Context) (daybook.Position, error) {
	if b.end != nil {
		return b.end(ctx)
	}
	return b.Driver.End(ctx)
}

func (b *bent) Wait(ctx context.Context, after daybook.Position) error {
	if b.wait != nil {
		return b.wait(ctx, after)
	}
	return b.Driver.Wait(ctx, after)
}

func (b *bent) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	if b.list != nil {
		return b.list(ctx, list)
	}
	return b.Driver.ListStreams(ctx, list)
}

func (b *bent) Stats(ctx context.Context) (daybook.Stats, error) {
	if b.stats != nil {
		return b.stats(ctx)
	}
	return b.Driver.Stats(ctx)
}

func (b *bent) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	if b.holder != nil {
		return b.holder(ctx, partition, claim)
	}
	return b.Driver.ClaimHolder(ctx, partition, claim)
}

func (b *bent) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	if b.imports != nil {
		return b.imports(ctx, changesets)
	}
	return b.Driver.Import(ctx, changesets)
}

func (b *bent) DeleteStream(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
	if b.delete != nil {
		return b.delete(ctx, d)
	}
	return b.Driver.DeleteStream(ctx, d)
}

func (b *bent) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	if b.deletions != nil {
		return b.deletions(ctx, read)
	}
	return b.Driver.ReadDeletions(ctx, read)
}

func (b *bent) Close() error {
	if b.close != nil {
		return b.close()
	}
	return b.Driver.Close()
}

// asking bends what the driver is asked to append. What it is given may be
// changed: it is a copy.
func asking(change func(b *bent, a *daybook.Append)) func() daybook.Driver {
	return func() daybook.Driver {
		b := straight()
		b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
			a = copied(a)
			change(b, &a)
			return b.Driver.Append(ctx, a)
		}
		return b
	}
}

// copied returns an append whose changesets and events can be changed.
func copied(a daybook.Append) daybook.Append {
	a.Changesets = append([]daybook.Changeset(nil), a.Changesets...)
	for i := range a.Changesets {
		c := &a.Changesets[i]
		c.Events = append([]daybook.Event(nil), c.Events...)
		for j := range c.Events {
			c.Events[j] = c.Events[j].Clone()
		}
	}
	if a.Condition != nil {
		condition := *a.Condition
		a.Condition = &condition
	}
	return a
}

// eachEvent bends every event that is appended.
func eachEvent(change func(e *daybook.Event)) func() daybook.Driver {
	return asking(func(_ *bent, a *daybook.Append) {
		for i := range a.Changesets {
			for j := range a.Changesets[i].Events {
				change(&a.Changesets[i].Events[j])
			}
		}
	})
}

// answering bends the answer to an append.
func answering(change func(r *daybook.Receipt, err error) error) func() daybook.Driver {
	return func() daybook.Driver {
		b := straight()
		b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
			receipt, err := b.Driver.Append(ctx, a)
			err = change(&receipt, err)
			return receipt, err
		}
		return b
	}
}

// refusing refuses an append before the driver is asked, where check says so.
func refusing(check func(ctx context.Context, b *bent, a daybook.Append) error) func() daybook.Driver {
	return func() daybook.Driver {
		b := straight()
		b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
			if err := check(ctx, b, a); err != nil {
				return daybook.Receipt{}, err
			}
			return b.Driver.Append(ctx, a)
		}
		return b
	}
}

// eachRecord bends every record that is read, or leaves it out.
func eachRecord(change func(b *bent, r *daybook.Record) (keep bool)) func() daybook.Driver {
	return func() daybook.Driver {
		b := straight()
		bend := func(records iter.Seq2[daybook.Record, error]) iter.Seq2[daybook.Record, error] {
			return func(yield func(daybook.Record, error) bool) {
				for r, err := range records {
					if err == nil {
						header := *r.Changeset
						r.Changeset = &header
						if !change(b, &r) {
							continue
						}
					}
					if !yield(r, err) {
						return
					}
				}
			}
		}
		b.stream = func(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
			return bend(b.Driver.ReadStream(ctx, id, read))
		}
		b.log = func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
			return bend(b.Driver.ReadLog(ctx, read))
		}
		return b
	}
}

// streamReads bends what is asked of a stream.
func streamReads(change func(read *daybook.StreamRead)) func() daybook.Driver {
	return func() daybook.Driver {
		b := straight()
		b.stream = func(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
			change(&read)
			return b.Driver.ReadStream(ctx, id, read)
		}
		return b
	}
}

// logReads bends what is asked of the log.
func logReads(change func(read *daybook.LogRead)) func() daybook.Driver {
	return func() daybook.Driver {
		b := straight()
		b.log = func(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
			change(&read)
			return b.Driver.ReadLog(ctx, read)
		}
		return b
	}
}

// bending gives a driver that bend has changed.
func bending(bend func(b *bent)) func() daybook.Driver {
	return func() daybook.Driver {
		b := straight()
		bend(b)
		return b
	}
}

// twoSteps checks first and writes then: an append is given to the driver
// without its demands, after another append may have come between.
func twoSteps(holds func(b *bent, a daybook.Append) error, strip func(a *daybook.Append)) func() daybook.Driver {
	return func() daybook.Driver {
		b := straight()
		between := make(chan struct{})
		b.append = func(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
			if err := holds(b, a); err != nil {
				return b.Driver.Append(ctx, a) // refused, or answered again
			}
			meet(between)
			a = copied(a)
			strip(&a)
			return b.Driver.Append(ctx, a)
		}
		return b
	}
}

// meet waits until another call has come to the same place, or not for long.
func meet(place chan struct{}) {
	select {
	case place <- struct{}{}:
	case <-place:
	case <-time.After(20 * time.Millisecond):
	}
}
