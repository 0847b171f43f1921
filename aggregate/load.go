package aggregate

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
)

// errGap is the answer to a fold that meets a record which does not follow:
// what lies between was deleted.
var errGap = errors.New("records between were deleted")

// Load returns an aggregate as it stands: with everything that was stored
// before the call. One without a history is no error: its Version is 0, its
// State the initial one.
//
// It reads what stands behind the newest snapshot, or behind the state in the
// cache. It fails with what the codec says of a record that does not decode,
// with *EvolveError where the fold panics, and with the errors of the store.
// Of a stream whose beginning was deleted, without a snapshot, it folds what is
// left.
func (r *Repository[S, C, E]) Load(ctx context.Context, id string) (Loaded[S], error) {
	stream, err := r.stream(id)
	if err != nil {
		return Loaded[S]{}, err
	}
	run := r.run(stream)
	fresh, err := run.base(ctx, &run.at)
	if err == nil && !fresh {
		_, err = run.refresh(ctx, &run.at)
	}
	if err != nil {
		return Loaded[S]{}, err
	}
	r.keep(run.at)
	return run.at, nil
}

// LoadAsOf returns an aggregate as it stood: at a version, or at a time, when
// both are given at the earlier. It reads on the terms of Load, behind the
// newest snapshot that lies within the bound.
func (r *Repository[S, C, E]) LoadAsOf(ctx context.Context, id string, asOf AsOf) (Loaded[S], error) {
	stream, err := r.stream(id)
	if err != nil {
		return Loaded[S]{}, err
	}
	if asOf.Version < 0 {
		return Loaded[S]{}, &daybook.InvalidError{Field: "version", Value: fmt.Sprint(int64(asOf.Version)), Reason: "must not be negative"}
	}
	return r.run(stream).load(ctx, asOf)
}

// run is the work on one stream for one caller.
type run[S, C, E any] struct {
	*core[S, C, E]
	stream  daybook.StreamID
	at      Loaded[S] // what is decided on
	events  []E       // the memory of decoding
	records int       // how many were read
	cached  bool
	refused bool // by Decide, on a state that is as it should be
}

func (c *core[S, C, E]) run(stream daybook.StreamID) *run[S, C, E] {
	return &run[S, C, E]{core: c, stream: stream}
}

// base makes of at a state to decide on, which the caller may change. It is
// fresh if it was read now, and from the cache if not.
func (r *run[S, C, E]) base(ctx context.Context, at *Loaded[S]) (fresh bool, err error) {
	if r.cache != nil {
		var found bool
		if *at, found = r.cache.get(r.stream); found {
			at.State = r.machine.own(at.State)
			r.cached = true
			return false, nil
		}
	}
	*at, err = r.load(ctx, AsOf{})
	return true, err
}

// keep puts a state into the cache, which does not share it.
func (c *core[S, C, E]) keep(at Loaded[S]) {
	if c.cache != nil && at.Version > 0 {
		at.State = c.machine.own(at.State)
		c.cache.put(at)
	}
}

// evict takes a state out of the cache.
func (c *core[S, C, E]) evict(stream daybook.StreamID) {
	if c.cache != nil {
		c.cache.drop(stream)
	}
}

// load folds the stream up to a bound, from the newest snapshot that can be
// used.
func (r *run[S, C, E]) load(ctx context.Context, asOf AsOf) (Loaded[S], error) {
	at, found, err := r.fromSnapshot(ctx, asOf)
	if err != nil || found {
		return at, err
	}
	at = Loaded[S]{Stream: r.stream, State: r.machine.initial()}
	return at, r.read(ctx, &at, asOf)
}

// fromSnapshot folds the stream from the newest snapshot within the bound, if
// there is one that can be used.
func (r *run[S, C, E]) fromSnapshot(ctx context.Context, asOf AsOf) (at Loaded[S], found bool, err error) {
	if r.snapshots == nil {
		return at, false, nil
	}
	at, found, err = r.snapshots.newest(ctx, r.stream, asOf)
	if err != nil || !found {
		return at, false, err
	}
	from := at.Version
	err = r.read(ctx, &at, asOf)
	switch {
	case errors.Is(err, errGap):
	case err != nil || at.Version > from:
		return at, true, err
	default:
		// Nothing stands behind the snapshot: does what it includes?
		head, err := r.store.Head(ctx, r.stream)
		if err != nil || head.Exists() && head.Version >= from && head.First <= from+1 {
			return at, true, err
		}
	}
	r.snapshots.tell(SnapshotNote{Outcome: SnapshotOutlived, Stream: r.stream, Version: from})
	return at, false, nil
}

// refresh folds what was stored since, and reports whether there was anything.
func (r *run[S, C, E]) refresh(ctx context.Context, at *Loaded[S]) (moved bool, err error) {
	version := at.Version
	err = r.read(ctx, at, AsOf{})
	if errors.Is(err, errGap) {
		*at, err = r.load(ctx, AsOf{})
	}
	return at.Version != version, err
}

// read folds the records behind at.
func (r *run[S, C, E]) read(ctx context.Context, at *Loaded[S], asOf AsOf) error {
	if asOf.Version > 0 && at.Version >= asOf.Version {
		return nil
	}
	read := daybook.StreamRead{From: at.Version + 1, To: asOf.Version, Until: asOf.Time, Borrow: true}
	one := new(daybook.Record) // one for all, so that not each takes memory of its own
	for record, err := range r.store.ReadStream(ctx, r.stream, read) {
		if err != nil {
			return fmt.Errorf("read stream %q: %w", r.stream, err)
		}
		r.records++
		*one = record
		if err := r.apply(at, one); err != nil {
			return err
		}
	}
	return nil
}

// apply folds one record. After an error at is where it was, but for a state
// that Evolve has begun to change.
func (r *run[S, C, E]) apply(at *Loaded[S], record *daybook.Record) error {
	if at.Version > 0 && record.Version != at.Version+1 {
		return errGap
	}
	events, err := r.codec.AppendDecode(r.events[:0], record)
	if err != nil {
		return fmt.Errorf("stream %q, version %d: %w", r.stream, record.Version, err)
	}
	r.events = events
	state, err := r.machine.fold(at.State, events)
	if err != nil {
		return in(err, r.stream, record.Version)
	}
	if at.since.IsZero() {
		at.since = record.RecordedAt
	}
	at.State, at.Version, at.Position, at.RecordedAt = state, record.Version, record.Position, record.RecordedAt
	return nil
}

// rebase brings at to where a conflict found the stream, by what the conflict
// has brought; what that lacks is read. It returns how many records came with
// it, and how many were read.
func (r *run[S, C, E]) rebase(ctx context.Context, at *Loaded[S], conflict *daybook.ConflictError) (missed, read int, err error) {
	before := r.records
	defer func() { read = r.records - before }()
	gone := at.Version > 0 && conflict.Found.First > at.Version
	if r.machine.spoils() || conflict.Ahead() || gone {
		*at, err = r.load(ctx, AsOf{})
		return 0, 0, err
	}
	for i := range conflict.Missed {
		for j := range conflict.Missed[i].Records {
			record := &conflict.Missed[i].Records[j]
			if record.Version <= at.Version {
				continue
			}
			if err = r.apply(at, record); errors.Is(err, errGap) {
				*at, err = r.load(ctx, AsOf{})
				return missed, 0, err
			} else if err != nil {
				return missed, 0, err
			}
			missed++
		}
	}
	if conflict.Incomplete {
		_, err = r.refresh(ctx, at)
	}
	return missed, 0, err
}
