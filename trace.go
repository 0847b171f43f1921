package daybook

import (
	"context"
	"time"
)

// Hooks let a program watch its store: for logs, metrics and spans, without a
// telemetry library in here. Every hook may be nil, is called in the goroutine
// of the call it tells about, and must not call the store. What it is given is
// good during the call only: to keep an event, clone it.
type Hooks struct {
	// AppendStart is called before an append, and may return a context that
	// the append and AppendEnd are given.
	AppendStart func(ctx context.Context, a *Append) context.Context
	// AppendEnd is called after an append, with its outcome.
	AppendEnd func(ctx context.Context, end AppendEnd)
	// DeletionStart is called before a deletion, and may return a context that
	// the deletion and DeletionEnd are given.
	DeletionStart func(ctx context.Context, d Deletion) context.Context
	// DeletionEnd is called after a deletion, with its outcome.
	DeletionEnd func(ctx context.Context, end DeletionEnd)
	// ReadEnd is called after a read of a stream or of the log was ranged over.
	ReadEnd func(ctx context.Context, end ReadEnd)
}

// AppendEnd tells how an append ended.
type AppendEnd struct {
	Append  *Append
	Receipt Receipt // zero after an error
	Err     error
	Took    time.Duration
}

// DeletionEnd tells how a deletion ended.
type DeletionEnd struct {
	Deletion Deletion
	Receipt  DeletionReceipt // zero after an error
	Err      error
	Took     time.Duration
}

// ReadEnd tells how a read ended.
type ReadEnd struct {
	Stream  StreamID // zero for a read of the log
	Records int64    // how many were yielded
	Err     error
	Took    time.Duration
}
