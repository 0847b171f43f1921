package daytest

import (
	"context"
	"iter"

	"github.com/daybook-go/daybook"
)

// Name implements daybook.Driver.
func (f *faulty) Name() string { return f.inner.Name() }

// Close does nothing: the storage outlives the program.
func (f *faulty) Close() error { return nil }

// Limits implements daybook.Limiter.
func (f *faulty) Limits() daybook.Limits {
	if inner, ok := f.inner.(daybook.Limiter); ok {
		return inner.Limits()
	}
	return daybook.Limits{}
}

// ReadStream implements daybook.Driver.
func (f *faulty) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return guarded(f, "stream "+id.String(), f.inner.ReadStream(ctx, id, read))
}

// ReadLog implements daybook.Driver.
func (f *faulty) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return guarded(f, "the log", f.inner.ReadLog(ctx, read))
}

// Head implements daybook.HeadReader.
func (f *faulty) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	return asked(f, "heads", func(inner daybook.HeadReader) (daybook.Head, error) { return inner.Head(ctx, id) })
}

// End implements daybook.EndReader.
func (f *faulty) End(ctx context.Context) (daybook.Position, error) {
	return asked(f, "the end of the log", func(inner daybook.EndReader) (daybook.Position, error) { return inner.End(ctx) })
}

// Wait implements daybook.Waiter.
func (f *faulty) Wait(ctx context.Context, after daybook.Position) error {
	_, err := asked(f, "waiting", func(inner daybook.Waiter) (struct{}, error) { return struct{}{}, inner.Wait(ctx, after) })
	return err
}

// ListStreams implements daybook.StreamLister.
func (f *faulty) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	streams, err := optional(f, "listing streams", func(inner daybook.StreamLister) (iter.Seq2[daybook.StreamHead, error], error) {
		return inner.ListStreams(ctx, list), nil
	})
	if err != nil {
		return failed[daybook.StreamHead](err)
	}
	return guarded(f, "the list of streams", streams)
}

// Stats implements daybook.StatsReader.
func (f *faulty) Stats(ctx context.Context) (daybook.Stats, error) {
	return asked(f, "statistics", func(inner daybook.StatsReader) (daybook.Stats, error) { return inner.Stats(ctx) })
}

// ClaimHolder implements daybook.ClaimReader.
func (f *faulty) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	held := false
	holder, err := asked(f, "looking up claims", func(inner daybook.ClaimReader) (holder daybook.StreamID, err error) {
		holder, held, err = inner.ClaimHolder(ctx, partition, claim)
		return holder, err
	})
	return holder, held, err
}

// DeleteStream implements daybook.Deleter.
func (f *faulty) DeleteStream(ctx context.Context, d daybook.Deletion) (daybook.DeletionReceipt, error) {
	return optional(f, "deleting streams", func(inner daybook.Deleter) (daybook.DeletionReceipt, error) { return inner.DeleteStream(ctx, d) })
}

// ReadDeletions implements daybook.DeletionReader.
func (f *faulty) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	deletions, err := optional(f, "reading deletions", func(inner daybook.DeletionReader) (iter.Seq2[daybook.RecordedDeletion, error], error) {
		return inner.ReadDeletions(ctx, read), nil
	})
	if err != nil {
		return failed[daybook.RecordedDeletion](err)
	}
	return guarded(f, "deletions", deletions)
}

// Import implements daybook.Importer.
func (f *faulty) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	_, err := optional(f, "importing with positions kept", func(inner daybook.Importer) (struct{}, error) {
		return struct{}{}, inner.Import(ctx, changesets)
	})
	return err
}
