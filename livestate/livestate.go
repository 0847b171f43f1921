// Package livestate keeps states in memory that follow a stream, or the whole
// log, and appends events that are decided on them.
//
// A [Fold] says how events lead to a state. A [Service] runs one or several of
// them, and hands out what they have come to as a [State], which never changes:
//
//	counts := livestate.NewFold("counts-1", newCounts, count, nil)
//	words, err := livestate.Start(store, livestate.OfStream(stream), events, []livestate.Folder[Event]{counts}, nil)
//	err = words.Ready(ctx)
//	state, err := words.Local()
//	fmt.Println(counts.Of(state)["daybook"])
//
// [Service.Local] is a pointer that is read: no lock, no input, perhaps a moment
// old. [Service.Current] includes all that stood when it was called. [Append]
// and [Service.Transact] decide on the newest state and try again for as long as
// others are quicker.
//
// What is promised:
//
//  1. Of two appends that were decided on the same state, through any programs
//     on one store, only one is stored; the other is decided again on what it
//     missed. On a stream that is the append's Expect; on the log a Condition on
//     the query of the source, after the last position that was folded.
//  2. An answer of no is as exact: an error, or no events, is taken from a
//     builder only if its state was current after the call began.
//  3. New events go through every fold before they are written. One that a fold
//     cannot take is never stored.
//  4. A record that is stored and breaks a fold leaves that fold's state as it
//     was, and goes into quarantine; everything else goes on. Such a fold is
//     inconsistent, and its snapshots are refused, until the program is
//     started with one that can take the record.
//
// A state must fit into memory. Deletions are not seen by a running service,
// whose states keep what they have folded; delete its snapshots as well and
// start it again.
package livestate

import (
	"fmt"

	"github.com/daybook-go/daybook"
)

// ErrNotReady is returned while a service has not caught up yet with what
// stood when it was started. See Service.Ready and Service.Progress.
// It matches daybook.ErrRefused: nothing was stored.
var ErrNotReady = fmt.Errorf("the live state has not caught up yet: %w", daybook.ErrRefused)

// ErrClosed is returned by a service that was closed. It matches
// daybook.ErrRefused: nothing was stored.
var ErrClosed = fmt.Errorf("the live state is closed: %w", daybook.ErrRefused)

// ErrAborted is returned, or panicked with, by a transaction that is used after
// Abort.
var ErrAborted = fmt.Errorf("the transaction was aborted: %w", daybook.ErrRefused)

// FoldError says that a fold panicked. In an append the event was about to be
// stored, and was not: it matches daybook.ErrInvalid. In quarantine it is
// stored.
type FoldError struct {
	Fold  string
	Event any
	Panic any
	Stack []byte // where it panicked, for people

	stored bool
}

func (e *FoldError) Error() string {
	return fmt.Sprintf("fold %q cannot take the event %T: %v", e.Fold, e.Event, e.Panic)
}

// Is reports whether target is a question that e answers with yes.
func (e *FoldError) Is(target error) bool {
	return !e.stored && (target == daybook.ErrInvalid || target == daybook.ErrRefused)
}

// Unwrap returns what was panicked with, where that is an error.
func (e *FoldError) Unwrap() error {
	err, _ := e.Panic.(error)
	return err
}

// SetupError says that something was put together wrongly, or is used where it
// must not be, or that an append was asked for what the source does not hold.
// Nothing was stored; it matches daybook.ErrInvalid.
type SetupError struct {
	What   string // "folds[1]"
	Reason string // "must not be nil"
}

func (e *SetupError) Error() string { return "livestate: " + e.What + ": " + e.Reason }

// Is reports whether target is a question that e answers with yes.
func (e *SetupError) Is(target error) bool {
	return target == daybook.ErrInvalid || target == daybook.ErrRefused
}

// UnknownOutcomeError says that the storage failed in a way that does not tell
// whether the events were stored, and several repeats of the append did not
// help. An append with AppendOptions.ID set to ID is stored once.
type UnknownOutcomeError struct {
	ID  daybook.ID
	Err error
}

func (e *UnknownOutcomeError) Error() string { return fmt.Sprintf("append %s: %v", e.ID, e.Err) }

// Unwrap returns what the storage said.
func (e *UnknownOutcomeError) Unwrap() error { return e.Err }

// Source says which records a service follows.
type Source struct {
	kind   sourceKind
	stream daybook.StreamID
	filter daybook.Filter
}

type sourceKind uint8

const (
	sourceStream sourceKind = iota + 1
	sourceLog
)

// OfStream follows one stream. Appends go to it.
func OfStream(stream daybook.StreamID) Source { return Source{kind: sourceStream, stream: stream} }

// OfLog follows the records of the log that the filter selects; the zero Filter
// is all of them, also those of other parts of the program: name the types that
// the codec reads (see codec.Codec.Names). Appends need Options.StreamOf, and a
// storage that knows conditions. A condition holds over all partitions and
// stream types, so whatever matches filter.Query anywhere makes appends try
// again.
func OfLog(filter daybook.Filter) Source { return Source{kind: sourceLog, filter: filter} }

// isStream reports whether the source is one stream.
func (s Source) isStream() bool { return s.kind == sourceStream }

// check returns what is wrong with s, on a store with these limits.
func (s Source) check(limits daybook.Limits) error {
	switch s.kind {
	case sourceStream:
		if err := s.stream.Validate(); err != nil {
			return &SetupError{What: "source", Reason: err.Error()}
		}
	case sourceLog:
		// What an append on this source would be refused for.
		err := limits.Check(daybook.Append{
			Condition:  &daybook.Condition{Query: s.filter.Query},
			Changesets: []daybook.Changeset{{Stream: daybook.Stream("a-1"), Events: []daybook.Event{{Type: "any"}}}},
		})
		if err != nil {
			return &SetupError{What: "source", Reason: err.Error()}
		}
	default:
		return &SetupError{What: "source", Reason: "must be OfStream or OfLog"}
	}
	return nil
}

// String returns what snapshots remember of their source.
func (s Source) String() string {
	if s.isStream() {
		return fmt.Sprintf("stream %q", s.stream)
	}
	return fmt.Sprintf("log %q %q %q", s.filter.Partitions, s.filter.StreamTypes, s.filter.Query.Items)
}

// State is what the folds of a service had come to at one moment. It never
// changes: keep it as long as you like, and do not change what is in it.
type State struct {
	index    map[any]int // which value is that of a fold
	values   []any
	version  daybook.Version  // of the last record folded, where the source is a stream
	position daybook.Position // of the last record folded
	seen     daybook.Position // everything up to here is folded
}

// Version returns the version of the last record that the state includes, where
// the source is a stream; else 0.
func (s *State) Version() daybook.Version { return s.version }

// Position returns the position of the last record that the state includes; 0
// for none.
func (s *State) Position() daybook.Position { return s.position }

// with returns s with other values.
func (s *State) with(values []any) *State {
	next := *s
	next.values = values
	return &next
}
