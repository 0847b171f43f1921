package globalorder_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// several is a driver that gives each call to another engine on one storage, as
// a program does whose requests reach one of several processes: what one has
// acknowledged all must know.
type several struct {
	engines []*globalorder.Engine
	calls   atomic.Uint64
}

func newSeveral(storage globalorder.Storage, n int) *several {
	s := &several{}
	for range n {
		s.engines = append(s.engines, globalorder.New("table", storage, options()))
	}
	return s
}

func (s *several) any() *globalorder.Engine {
	return s.engines[s.calls.Add(1)%uint64(len(s.engines))]
}

func (s *several) Name() string { return s.any().Name() }

func (s *several) Limits() daybook.Limits { return s.any().Limits() }

func (s *several) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	return s.any().Append(ctx, a)
}

func (s *several) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return s.any().ReadStream(ctx, id, read)
}

func (s *several) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return s.any().ReadLog(ctx, read)
}

func (s *several) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	return s.any().Head(ctx, id)
}

func (s *several) End(ctx context.Context) (daybook.Position, error) { return s.any().End(ctx) }

func (s *several) Wait(ctx context.Context, after daybook.Position) error {
	return s.any().Wait(ctx, after)
}

func (s *several) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return s.any().ListStreams(ctx, list)
}

func (s *several) Stats(ctx context.Context) (daybook.Stats, error) { return s.any().Stats(ctx) }

func (s *several) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	return s.any().ClaimHolder(ctx, partition, claim)
}

func (s *several) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	return s.any().Import(ctx, changesets)
}

func (s *several) Close() error {
	var all error
	for _, e := range s.engines {
		all = errors.Join(all, e.Close())
	}
	return all
}

func TestSeveralEnginesOnOneStorageKeepsEveryPromise(t *testing.T) {
	storagetest.RunDurable(t, func(*testing.T) (daybook.Driver, func() daybook.Driver) {
		storage := newTable()
		return newSeveral(storage, 3), func() daybook.Driver { return newSeveral(storage, 2) }
	})
}
