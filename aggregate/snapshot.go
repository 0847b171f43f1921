package aggregate

import (
	"context"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// Snapshots say when the states of a repository are saved, how and where. Name
// and Policy must be set; the other fields may be zero and mean the defaults.
//
// A snapshot is used by those who fold alike: it carries Name, and a
// fingerprint of what can be seen of the fold: the structure of the state's
// type, the encoding, the initial state, and the states that folding Samples
// gives. Raise Name ("v1", "v2") whenever Evolve changes what it makes of events
// that are stored already. When that is forgotten, and Samples show the change,
// the snapshot is passed over all the same and Hooks.OnSnapshot is told
// SnapshotStale. A change that neither the types nor the samples show stays
// unseen: code itself is not looked at.
type Snapshots[S, E any] struct {
	// Name is the version of the fold. Up to 64 letters, digits, "-", "_" and
	// ".".
	Name string
	// Policy says after which appends to take one: Every(100).
	Policy SnapshotPolicy
	// Samples are events, in an order that Evolve can take, which together
	// reach all of it. Use recorded ones.
	Samples []E
	// Encoding writes states. Default codec.JSON{}; that takes exported fields
	// only, so a state that has others is refused when the repository is built.
	Encoding codec.Encoding
	// Store is where snapshots go. Default beside the events: see
	// StreamSnapshots.
	Store SnapshotStore
	// Queue is how many snapshots may wait to be written; further ones are
	// dropped. Default 64.
	Queue int
}

// Snapshot is a saved state.
type Snapshot struct {
	Stream daybook.StreamID // of the aggregate
	Name   string
	// Version, Position and RecordedAt are those of the last record that it
	// includes.
	Version     daybook.Version
	Position    daybook.Position
	RecordedAt  time.Time
	Fingerprint string
	ContentType string
	Data        []byte
}

// SnapshotStore keeps snapshots: beside the events (StreamSnapshots), or
// elsewhere. It may lose them. It may be called by many goroutines at once.
type SnapshotStore interface {
	// Save keeps a snapshot, which the store must not change.
	Save(ctx context.Context, snapshot Snapshot) error
	// Newest returns the newest snapshot of the stream with the name that lies
	// within the bound; nil if there is none. To return an older one is
	// allowed.
	Newest(ctx context.Context, stream daybook.StreamID, name string, asOf AsOf) (*Snapshot, error)
	// Forget removes all snapshots of a stream, of every name. d says whether to
	// remove the content, who asked and why.
	Forget(ctx context.Context, stream daybook.StreamID, d daybook.Deletion) error
}

// SnapshotPolicy says whether to take a snapshot after an append. It must be
// quick, and may be asked by many goroutines at once. The append is stored by
// then: where it panics, there is no snapshot, and Hooks.OnSnapshot is told.
type SnapshotPolicy func(due Due) bool

// Due is what a policy decides on.
type Due struct {
	Before daybook.Version // of the aggregate before the append
	After  daybook.Version // and behind it
	// Since is when the last record was recorded that the newest known snapshot
	// includes; where there is no snapshot, the first record that was folded.
	Since time.Time
	Now   time.Time
}

// Every takes a snapshot when an append reaches or passes a multiple of n
// events: one, however many it passes. 0 and less is never.
func Every(n int) SnapshotPolicy {
	return func(due Due) bool {
		return n > 0 && due.Before/daybook.Version(n) != due.After/daybook.Version(n)
	}
}

// EveryPeriod takes a snapshot with the first append after the last one has
// become as old as d. 0 and less is never.
func EveryPeriod(d time.Duration) SnapshotPolicy {
	return func(due Due) bool { return d > 0 && due.Now.Sub(due.Since) >= d }
}

// AnyOf takes a snapshot when one of the policies does. Nil ones never do.
func AnyOf(policies ...SnapshotPolicy) SnapshotPolicy {
	return func(due Due) bool {
		for _, policy := range policies {
			if policy != nil && policy(due) {
				return true
			}
		}
		return false
	}
}
