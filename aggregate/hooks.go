package aggregate

import (
	"context"
	"time"

	"github.com/daybook-go/daybook"
)

// Hooks let a program watch its aggregates. Every hook may be nil, and is
// called in the goroutine that it tells about: those of commands before the
// command goes on, and returns, OnSnapshot also behind the scenes. It must be
// quick, and execute no commands: others wait for the turn of the aggregate.
type Hooks struct {
	// OnConflict is called before a command is decided again.
	OnConflict func(ctx context.Context, conflict Conflict)
	// OnExecuted is called when a command, or Persist, has ended. Commands of a
	// transaction are told by TransactionOptions.
	OnExecuted func(ctx context.Context, executed Executed)
	// OnSnapshot is called when a snapshot was stored, or lost, or passed over.
	// Log at least SnapshotStale, SnapshotUnreadable and SnapshotFailed.
	OnSnapshot func(note SnapshotNote)
}

// Conflict tells that others were quicker.
type Conflict struct {
	Stream daybook.StreamID
	Try    int           // the one that failed, from 1
	Missed int           // how many records were folded from the conflict itself
	Read   int           // how many had to be read besides
	Wait   time.Duration // before the next try; most often none, see Retry
}

// Executed tells how a command ended.
type Executed struct {
	Stream  daybook.StreamID
	Tries   int
	Records int  // how many were read, over all tries
	Cached  bool // the first try was decided on a state from the cache
	Events  int  // how many were stored
	Receipt daybook.Receipt
	Err     error
	Took    time.Duration
}

// SnapshotOutcome says what became of a snapshot.
type SnapshotOutcome string

const (
	// SnapshotSaved was written.
	SnapshotSaved SnapshotOutcome = "saved"
	// SnapshotDropped was not written, since too many wait to be. A later one
	// will be.
	SnapshotDropped SnapshotOutcome = "dropped"
	// SnapshotFailed could not be encoded, written or read; Err says why.
	SnapshotFailed SnapshotOutcome = "failed"
	// SnapshotUnreadable was found and does not decode. It was passed over.
	SnapshotUnreadable SnapshotOutcome = "unreadable"
	// SnapshotStale was found with another fingerprint: the fold, or the type
	// of the state, has changed, and Snapshots.Name has not. It was passed
	// over. Raise the name.
	SnapshotStale SnapshotOutcome = "stale"
	// SnapshotOutlived includes records that are not in the stream any more,
	// since that was deleted. It was passed over.
	SnapshotOutlived SnapshotOutcome = "outlived"
)

// SnapshotNote tells what became of one snapshot.
type SnapshotNote struct {
	Outcome SnapshotOutcome
	Stream  daybook.StreamID // of the aggregate
	Version daybook.Version  // that it includes
	Name    string
	Err     error
}
