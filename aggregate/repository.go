package aggregate

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/internal/deciding"
)

// Repository loads the aggregates of one type and runs commands on them. It may
// be used by many goroutines at once, and by many programs on one store.
type Repository[S, C, E any] struct {
	partition string
	*core[S, C, E]
}

// core is what a repository shares with those of other partitions.
type core[S, C, E any] struct {
	store      *daybook.Store
	streamType string
	codec      *codec.Codec[E]
	machine    machine[S, C, E]
	cache      *cache[S] // nil for none
	turns      *deciding.Turns
	snapshots  *snapshots[S]
	retry      deciding.Retry
	maxTries   int
	hooks      Hooks
	now        func() time.Time
}

// Options of a Repository. Nil and zero fields mean the defaults.
type Options[S, E any] struct {
	// Cache is how many aggregates are kept in memory, those used last; default
	// none. A command on one that is there is decided without reading; the
	// append's own Expect checks that it was current. A stream that another
	// program deletes whole may live on in a cache until it is read or written
	// again: see Repository.Delete.
	Cache int
	// Snapshots say when states are saved. Default never.
	Snapshots *Snapshots[S, E]
	// Retry says how commands are tried again.
	Retry Retry
	// Hooks watch.
	Hooks Hooks
	// Now is the clock of snapshots by time, and of Executed.Took. Default
	// time.Now.
	Now func() time.Time
}

// Retry says how often and when a command is decided again after a conflict,
// and an append sent again whose outcome is unknown. Two retries are sent at
// once, on what the conflict has told, the third waits, and so on: the waits are
// random, between nothing and MinWait, doubled each time up to MaxWait. Zero
// fields mean the defaults.
//
// Commands on one aggregate that meet in one repository go one after the other
// and do not collide. None waits for longer than MaxWait for another that does
// not get on.
type Retry struct {
	MaxTries int           // the first one too; default 150, 1 is none
	MinWait  time.Duration // default 1 ms
	MaxWait  time.Duration // default 250 ms, or MinWait where that is more
	// Rand returns numbers from 0 up to 1. Default rand.Float64.
	Rand func() float64
	// Sleep waits, or returns the error of ctx. Default by a timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// check returns what is wrong with r, which stands in holder.
func (r Retry) check(holder string) error {
	switch {
	case r.MaxTries < 0:
		return negative(holder+".MaxTries", r.MaxTries)
	case r.MinWait < 0:
		return negative(holder+".MinWait", r.MinWait)
	case r.MaxWait < 0:
		return negative(holder+".MaxWait", r.MaxWait)
	case r.MaxWait > 0 && r.MinWait > r.MaxWait:
		return &SetupError{What: holder + ".MinWait", Reason: fmt.Sprintf("must not be above MaxWait (it is %v, and MaxWait %v)", r.MinWait, r.MaxWait)}
	}
	return nil
}

// policy returns r with defaults filled in.
func (r Retry) policy() (deciding.Retry, int) {
	p := deciding.Retry{MinWait: r.MinWait, MaxWait: r.MaxWait, Rand: r.Rand, Sleep: r.Sleep}
	p.MinWait = cmp.Or(p.MinWait, time.Millisecond)
	p.MaxWait = cmp.Or(p.MaxWait, max(250*time.Millisecond, p.MinWait))
	if p.Rand == nil {
		p.Rand = rand.Float64
	}
	if p.Sleep == nil {
		p.Sleep = deciding.Sleep
	}
	return p, cmp.Or(r.MaxTries, 150)
}

// New returns a repository of the aggregates whose streams have the type: the
// aggregate "ann" of type "account" is the stream "account-ann". It fails with
// *SetupError when something is missing or does not fit.
func New[S, C, E any](store *daybook.Store, streamType string, events *codec.Codec[E], decider Decider[S, C, E], options *Options[S, E]) (*Repository[S, C, E], error) {
	if decider.Decide == nil || decider.Evolve == nil {
		return nil, &SetupError{What: "decider", Reason: "Decide and Evolve must be set"}
	}
	m := machine[S, C, E]{initial: decider.Initial, decide: decider.Decide, evolve: decider.Evolve, clone: decider.Clone}
	if m.initial == nil {
		m.initial = func() (none S) { return none }
	}
	return build(store, streamType, events, m, options)
}

// build puts a repository together.
func build[S, C, E any](store *daybook.Store, streamType string, events *codec.Codec[E], m machine[S, C, E], options *Options[S, E]) (*Repository[S, C, E], error) {
	switch {
	case store == nil:
		return nil, &SetupError{What: "store", Reason: "must not be nil"}
	case events == nil:
		return nil, &SetupError{What: "codec", Reason: "must not be nil"}
	case streamType == "" || strings.Contains(streamType, "-"):
		return nil, &SetupError{What: "streamType", Reason: fmt.Sprintf("must not be empty, nor hold a \"-\", which ends it (it is %q)", streamType)}
	case streamType == SnapshotStreamType:
		return nil, &SetupError{What: "streamType", Reason: fmt.Sprintf("%q is that of the streams of snapshots", streamType)}
	}
	if err := daybook.Stream(streamType + "-").Validate(); err != nil {
		return nil, &SetupError{What: "streamType", Reason: err.Error()}
	}
	if options == nil {
		options = &Options[S, E]{}
	}
	if err := options.Retry.check("options.Retry"); err != nil {
		return nil, err
	}
	switch {
	case options.Cache < 0:
		return nil, negative("options.Cache", options.Cache)
	case options.Cache > 0 && m.spoils():
		return nil, &SetupError{What: "options.Cache", Reason: "objects without a method Clone cannot be kept: see Cloner"}
	}
	m.most = store.Limits().Events
	c := &core[S, C, E]{
		store: store, streamType: streamType, codec: events, machine: m, hooks: options.Hooks, now: options.Now, turns: deciding.NewTurns(),
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.retry, c.maxTries = options.Retry.policy()
	if options.Cache > 0 {
		c.cache = newCache[S](options.Cache)
	}
	if options.Snapshots != nil {
		var err error
		if c.snapshots, err = newSnapshots(store, *options.Snapshots, &c.machine); err != nil {
			return nil, err
		}
		c.snapshots.note, c.snapshots.now = options.Hooks.OnSnapshot, c.now
	}
	return &Repository[S, C, E]{core: c}, nil
}

// In returns the repository of another partition: a tenant, "" by default. It
// shares everything else with r, and is closed with it.
func (r *Repository[S, C, E]) In(partition string) *Repository[S, C, E] {
	return &Repository[S, C, E]{partition: partition, core: r.core}
}

// Stream returns the stream of an aggregate: what another names as a
// reference.
func (r *Repository[S, C, E]) Stream(id string) daybook.StreamID {
	return daybook.StreamID{Partition: r.partition, Name: r.streamType + "-" + id}
}

// stream is Stream with the id checked.
func (r *Repository[S, C, E]) stream(id string) (daybook.StreamID, error) {
	if id == "" {
		return daybook.StreamID{}, &daybook.InvalidError{Field: "id", Value: `""`, Reason: "must not be empty"}
	}
	stream := r.Stream(id)
	return stream, stream.Validate()
}

// Close stops taking snapshots and waits until those that wait to be written
// are. It returns the error of ctx if that ends first; then the rest is lost,
// which costs reading only. The store stays open. Commands still run after it,
// without snapshots.
func (r *Repository[S, C, E]) Close(ctx context.Context) error {
	if r.snapshots == nil {
		return nil
	}
	return r.snapshots.close(ctx)
}

// Delete removes an aggregate: its events on the terms of
// daybook.Store.DeleteStream, its snapshots, so that no load can bring back from
// them what is gone, and its place in the cache of this repository. The fields of
// d that name the stream and the extent are filled in here; Expect, Scrub, Who
// and Why are the caller's. Other programs that may have the aggregate in their
// cache should be told. After an error it may be called again.
func (r *Repository[S, C, E]) Delete(ctx context.Context, id string, d daybook.Deletion) (daybook.DeletionReceipt, error) {
	stream, err := r.stream(id)
	if err != nil {
		return daybook.DeletionReceipt{}, err
	}
	d.Stream, d.Through = stream, 0
	receipt, err := r.store.DeleteStream(ctx, d)
	r.evict(stream)
	if err == nil && r.snapshots != nil {
		err = r.snapshots.forget(ctx, stream, d)
	}
	return receipt, err
}
