// Package work holds the pieces of work that contenders are given, each
// measured in a process of its own: whoever compares starts one process for
// one Task and reads one Result.
package work

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/daybook-go/daybook/bench/measure"
	"github.com/daybook-go/daybook/bench/peer"
)

// Task is one thing to do and measure. Which fields count is for the work to
// say.
type Task struct {
	Work      string // the name of a Kind
	Contender string // who does it: the name of a peer, or of what the work offers
	Dir       string // where the contender keeps what it stores
	Duration  time.Duration
	Bytes     int   // of an event
	Writers   int   // writers, readers or connections at once
	Group     int   // events an append
	Records   int64 // how many records there are
	Streams   int64 // in how many streams
	// Processors is how many cores the process may use; 0 is all.
	Processors int
	// Borrow asks that records are lent where they are read.
	Borrow bool
	// Volatile asks for appends that are not durable.
	Volatile bool
	// Killed asks that the process ends by kill -9, with a tail behind what was
	// stored.
	Killed bool
}

// Result is what came of a task. What was not measured is zero.
type Result struct {
	Events    int64 // events, records or requests
	Elapsed   time.Duration
	P50       time.Duration // of one call
	P99       time.Duration
	P999      time.Duration
	Processor time.Duration // of the contender, and of the server that works for it
	Resident  int64         // bytes, above what the process had before
	Refused   int64         // appends that had to be decided again
	Lost      int64         // readers that were dropped and came back
	Version   string
	// Absent says why the contender could not take part; "" if it did.
	Absent string
}

// Rate returns events a second.
func (r Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Events) / r.Elapsed.Seconds()
}

// Kind is a piece of work by its name.
type Kind struct {
	Name string
	Run  func(ctx context.Context, t Task) (Result, error)
}

// Kinds returns all pieces of work.
func Kinds() []Kind {
	return []Kind{
		{"append", appendOwnStreams},
		{"append-tagged", appendTagged},
		{"append-if-never", appendIfNever},
		{"append-if-own", appendIfOwn},
		{"contend-tag", contendTag},
		{"contend-stream", contendStream},
		{"load", load},
		{"replay", replay},
		{"replay-typed", replayTyped},
		{"replay-stream", replayStream},
		{"replay-tag", replayTag},
		{"open", openStore},
		{"http-append", httpAppend},
		{"http-tail", httpTail},
	}
}

// Run does a task. A contender that cannot be had here is no error: the result
// says so.
func Run(ctx context.Context, t Task) (Result, error) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == t.Work })
	if i < 0 {
		return Result{}, fmt.Errorf("no work is called %q", t.Work)
	}
	result, err := kinds[i].Run(ctx, t)
	if errors.Is(err, peer.ErrAbsent) {
		return Result{Absent: err.Error()}, nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("%s of %s: %w", t.Work, t.Contender, err)
	}
	return result, nil
}

// open opens the contender of a task. Servers are reached as the environment
// says.
func open(ctx context.Context, t Task, place peer.Place) (peer.Peer, error) {
	contender, ok := peer.Named(t.Contender)
	if !ok {
		return nil, fmt.Errorf("no contender is called %q", t.Contender)
	}
	place.Dir = filepath.Join(t.Dir, t.Contender)
	place.PostgresURL, place.MessageDBURL = os.Getenv("DAYBOOK_POSTGRES_URL"), os.Getenv("DAYBOOK_MESSAGEDB_URL")
	if place.Name == "" {
		place.Name = "append"
	}
	return contender.Open(ctx, place)
}

// processorClock returns what tells the processor time that the contender has
// used so far: that of this process, and of the server that works for it.
func processorClock(ctx context.Context, p peer.Peer) (func() time.Duration, error) {
	served, ok := peer.As[peer.ServerProcess](p)
	if !ok {
		return measure.Processor, nil
	}
	pid, err := served.ServerPID(ctx)
	if err != nil {
		return nil, err
	}
	return func() time.Duration { return measure.Processor() + measure.ProcessorOf(pid) }, nil
}

// versionOf returns what a peer tells of its version; "" if a list of modules
// does.
func versionOf(ctx context.Context, p peer.Peer) string {
	versioned, ok := peer.As[peer.Versioner](p)
	if !ok {
		return ""
	}
	version, err := versioned.Version(ctx)
	if err != nil {
		return ""
	}
	return version
}
