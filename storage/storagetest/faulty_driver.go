package storagetest

import (
	"context"
	"iter"

	"github.com/daybook-go/daybook"
)

// Name returns the name of the inner driver.
func (f *Faulty) Name() string { return f.inner.Name() }

// Close closes the inner driver; it cannot be made to fail.
func (f *Faulty) Close() error { return f.inner.Close() }

// Limits returns those of the inner driver, none where it tells none.
func (f *Faulty) Limits() daybook.Limits {
	if inner, ok := f.inner.(daybook.Limiter); ok {
		return inner.Limits()
	}
	return daybook.Limits{}
}

// Append implements daybook.Driver.
func (f *Faulty) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	return struck(ctx, f, CallAppend, func(ctx context.Context) (daybook.Receipt, error) { return f.inner.Append(ctx, a) })
}

// ReadStream implements daybook.Driver.
func (f *Faulty) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return struckRead(ctx, f, CallReadStream, func(ctx context.Context) iter.Seq2[daybook.Record, error] {
		return f.inner.ReadStream(ctx, id, read)
	})
}

// ReadLog implements daybook.Driver.
func (f *Faulty) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return struckRead(ctx, f, CallReadLog, func(ctx context.Context) iter.Seq2[daybook.Record, error] {
		return f.inner.ReadLog(ctx, read)
	})
}

// Head implements daybook.HeadReader.
func (f *Faulty) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	inner, ok := f.inner.(daybook.HeadReader)
	if !ok {
		return daybook.Head{}, f.lacks("heads")
	}
	return struck(ctx, f, CallHead, func(ctx context.Context) (daybook.Head, error) { return inner.Head(ctx, id) })
}

// End implements daybook.EndReader.
func (f *Faulty) End(ctx context.Context) (daybook.Position, error) {
	inner, ok := f.inner.(daybook.EndReader)
	if !ok {
		return 0, f.lacks("the end of the log")
	}
	return struck(ctx, f, CallEnd, inner.End)
}

// Wait implements daybook.Waiter.
func (f *Faulty) Wait(ctx context.Context, after daybook.Position) error {
	inner, ok := f.inner.(daybook.Waiter)
	if !ok {
		return f.lacks("waiting")
	}
	_, err := struck(ctx, f, CallWait, func(ctx context.Context) (struct{}, error) { return struct{}{}, inner.Wait(ctx, after) })
	return err
}

// ListStreams implements daybook.StreamLister.
func (f *Faulty) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	inner, ok := f.inner.(daybook.StreamLister)
	if !ok {
		return func(yield func(daybook.StreamHead, error) bool) {
			yield(daybook.StreamHead{}, f.lacks("listing streams"))
		}
	}
	return struckRead(ctx, f, CallListStreams, func(ctx context.Context) iter.Seq2[daybook.StreamHead, error] {
		return inner.ListStreams(ctx, list)
	})
}

// Stats implements daybook.StatsReader.
func (f *Faulty) Stats(ctx context.Context) (daybook.Stats, error) {
	inner, ok := f.inner.(daybook.StatsReader)
	if !ok {
		return daybook.Stats{}, f.lacks("statistics")
	}
	return struck(ctx, f, CallStats, inner.Stats)
}

// ClaimHolder implements daybook.ClaimReader.
func (f *Faulty) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	inner, ok := f.inner.(daybook.ClaimReader)
	if !ok {
		return daybook.StreamID{}, false, f.lacks("looking up claims")
	}
	type answer struct {
		holder daybook.StreamID
		held   bool
	}
	a, err := struck(ctx, f, CallClaimHolder, func(ctx context.Context) (a answer, err error) {
		a.holder, a.held, err = inner.ClaimHolder(ctx, partition, claim)
		return a, err
	})
	return a.holder, a.held, err
}

// Import implements daybook.Importer.
func (f *Faulty) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	inner, ok := f.inner.(daybook.Importer)
	if !ok {
		return f.lacks("importing with positions kept")
	}
	_, err := struck(ctx, f, CallImport, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, inner.Import(ctx, changesets)
	})
	return err
}

// DeleteStream implements daybook.Deleter.
func (f *Faulty) DeleteStream(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
	inner, ok := f.inner.(daybook.Deleter)
	if !ok {
		return daybook.DeletionReceipt{}, f.lacks("deleting streams")
	}
	return struck(ctx, f, CallDeleteStream, func(ctx context.Context) (daybook.DeletionReceipt, error) {
		return inner.DeleteStream(ctx, d)
	})
}

// ReadDeletions implements daybook.DeletionReader.
func (f *Faulty) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	inner, ok := f.inner.(daybook.DeletionReader)
	if !ok {
		return func(yield func(daybook.RecordedDeletion, error) bool) {
			yield(daybook.RecordedDeletion{}, f.lacks("reading deletions"))
		}
	}
	return struckRead(ctx, f, CallReadDeletions, func(ctx context.Context) iter.Seq2[daybook.RecordedDeletion, error] {
		return inner.ReadDeletions(ctx, read)
	})
}

func (f *Faulty) lacks(feature string) error {
	return &daybook.UnsupportedError{Driver: f.inner.Name(), Feature: feature}
}
