package daybook

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Store is what programs hold: a driver with all input checked, ids and times
// filled in, conflicts explained, and an answer for everything that the driver
// does not offer. It may be used by many goroutines at once.
type Store struct {
	driver  Driver
	limits  Limits
	options Options
}

// Options of a Store. Nil and zero fields mean the defaults.
type Options struct {
	// Limits bound an append; a driver that takes less lowers them.
	Limits Limits
	// MaxMissed bounds how many records a ConflictError or ConditionError
	// carries; whole changesets are never cut. Default 1,000.
	MaxMissed int
	// MaxMissedBytes bounds their size, in bytes, as they are written out one
	// by one: each with what its changeset carries. Default 4 MiB.
	MaxMissedBytes int64
	// PollInterval is how often Wait looks where the driver cannot wait.
	// Default 100 ms.
	PollInterval time.Duration
	// Hooks are called around appends and reads.
	Hooks Hooks
	// Now is the clock by which calls are timed for Hooks. Default time.Now.
	Now func() time.Time
}

// New returns a Store on driver. The store owns the driver from now on.
func New(driver Driver, options *Options) *Store {
	s := &Store{driver: driver}
	if options != nil {
		s.options = *options
	}
	if s.options.MaxMissed <= 0 {
		s.options.MaxMissed = 1000
	}
	if s.options.MaxMissedBytes <= 0 {
		s.options.MaxMissedBytes = 4 << 20
	}
	if s.options.PollInterval <= 0 {
		s.options.PollInterval = 100 * time.Millisecond
	}
	if s.options.Now == nil {
		s.options.Now = time.Now
	}
	var bound Limits
	if limiter, ok := driver.(Limiter); ok {
		bound = limiter.Limits()
	}
	s.limits = s.options.Limits.within(bound)
	return s
}

// Name returns the name of the driver.
func (s *Store) Name() string { return s.driver.Name() }

// Limits returns the bounds of one append on this store.
func (s *Store) Limits() Limits { return s.limits }

// Close closes the driver. Calls after it fail with ErrClosed.
func (s *Store) Close() error { return s.driver.Close() }

// Head returns where a stream ends; the zero Head if it never had records. One
// whose records were deleted ends where it did: see Head.Exists.
func (s *Store) Head(ctx context.Context, id StreamID) (Head, error) {
	if err := id.Validate(); err != nil {
		return Head{}, err
	}
	if driver, ok := s.driver.(HeadReader); ok {
		if head, err := driver.Head(ctx, id); !errors.Is(err, ErrUnsupported) {
			return head, err
		}
	}
	last, err := first(s.driver.ReadStream(ctx, id, StreamRead{Backwards: true, Limit: 1}))
	if err != nil || last == nil {
		return Head{}, err
	}
	oldest, err := first(s.driver.ReadStream(ctx, id, StreamRead{Limit: 1}))
	if err != nil || oldest == nil {
		return Head{}, err
	}
	return Head{
		Version: last.Version, Changeset: last.Changeset.Number, First: oldest.Version,
		Position: last.Position, RecordedAt: last.RecordedAt,
	}, nil
}

// End returns the position of the last record of the log, also when that was
// deleted; 0 if there never was one.
func (s *Store) End(ctx context.Context) (Position, error) {
	if driver, ok := s.driver.(EndReader); ok {
		if end, err := driver.End(ctx); !errors.Is(err, ErrUnsupported) {
			return end, err
		}
	}
	last, err := first(s.driver.ReadLog(ctx, LogRead{Backwards: true, Limit: 1}))
	if err != nil || last == nil {
		return 0, err
	}
	return last.Position, nil
}

// Wait returns nil when the log has a record above the position, or the error
// of ctx when that ends first. It may return nil early: read to see.
func (s *Store) Wait(ctx context.Context, after Position) error {
	if driver, ok := s.driver.(Waiter); ok {
		if err := driver.Wait(ctx, after); !errors.Is(err, ErrUnsupported) {
			return err
		}
	}
	ticker := time.NewTicker(s.options.PollInterval)
	defer ticker.Stop()
	for {
		end, err := s.End(ctx)
		if err != nil || end > after {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// ListStreams yields streams with their heads, by partition and name in the
// order of their bytes. *UnsupportedError where the driver cannot.
func (s *Store) ListStreams(ctx context.Context, list StreamList) iter.Seq2[StreamHead, error] {
	driver, ok := s.driver.(StreamLister)
	switch {
	case !ok:
		return failed[StreamHead](s.unsupported("listing streams"))
	case len(list.Filter.Query.Items) > 0:
		return failed[StreamHead](&InvalidError{Field: "filter.query", Value: "not empty", Reason: "streams are listed by partition and type only"})
	case list.Limit < 0:
		return failed[StreamHead](negative("limit", int64(list.Limit)))
	}
	return driver.ListStreams(ctx, list)
}

// Stats counts what the store holds. *UnsupportedError where the driver
// cannot.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	driver, ok := s.driver.(StatsReader)
	if !ok {
		return Stats{}, s.unsupported("statistics")
	}
	return driver.Stats(ctx)
}

// ClaimHolder returns the stream of the partition that holds the claim, if one
// does. The answer may be out of date when it arrives; only an append decides.
// *UnsupportedError where the driver cannot tell.
func (s *Store) ClaimHolder(ctx context.Context, partition string, claim Claim) (StreamID, bool, error) {
	if err := checkText("partition", partition, MaxPartitionLen); err != nil {
		return StreamID{}, false, err
	}
	if err := claim.validate(); err != nil {
		return StreamID{}, false, inside(err, "claim")
	}
	driver, ok := s.driver.(ClaimReader)
	if !ok {
		return StreamID{}, false, s.unsupported("looking up claims")
	}
	return driver.ClaimHolder(ctx, partition, claim)
}

func (s *Store) unsupported(feature string) error {
	return &UnsupportedError{Driver: s.driver.Name(), Feature: feature}
}

// first returns the first value of a sequence, nil if it has none.
func first[T any](sequence iter.Seq2[T, error]) (*T, error) {
	for value, err := range sequence {
		return &value, err
	}
	return nil, nil
}

// failed is a sequence that yields err and ends.
func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}
