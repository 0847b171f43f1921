// Package aggregate folds streams into states, decides on them, and appends
// what was decided.
//
// A [Decider] is three pure functions: the state before the first event, the
// events that a command leads to, the state after an event. A [Repository]
// runs it on a store:
//
//	accounts, err := aggregate.New(store, "account", events, decider, nil)
//	result, err := accounts.Execute(ctx, "ann", Deposit{Amount: 100}, nil)
//	ann, err := accounts.Load(ctx, "ann")
//
// Those who prefer objects that change themselves embed [Root] and use
// [Objects], a thin layer on the same machinery. [Transact] runs commands of
// several aggregates as one append, all or nothing.
//
// What is promised:
//
//  1. A command is decided on the whole stream, and stored only if nothing was
//     added to it meanwhile. Where something was, the command is decided again
//     on what was missed, as often as [Retry] allows. That holds for the answer
//     no as well: an error of Decide, and a decision that stores nothing, are
//     given only on a state that was current after the command came.
//  2. Every event is folded before it is stored. One that Evolve cannot take,
//     or that the codec cannot encode, fails the command, and nothing is
//     stored.
//  3. A command with an id is carried out once, however often it is sent.
//  4. Snapshots and the cache only save reading: without them, and where they
//     are damaged, stale or lost, every answer is the same.
//
// A decision reads one stream only, or those of its transaction. What it must
// know of others is declared on the event: see codec.
package aggregate

import (
	"time"

	"github.com/daybook-go/daybook"
)

// Decider is an aggregate as three functions of its state S, its commands C
// and its events E. They must be pure: the same arguments give the same
// results, and nothing else happens, since Decide may run several times for one
// command.
type Decider[S, C, E any] struct {
	// Initial returns the state before the first event. Nil is the zero S.
	Initial func() S
	// Decide returns the events that a command leads to, in order; none when
	// there is nothing to do; an error to refuse the command.
	Decide func(state S, command C) ([]E, error)
	// Evolve returns the state after an event. It takes every event that was
	// ever stored, so it must not refuse: a panic is reported as *EvolveError.
	// It leaves state, and all that state points to, alone (copy a map before
	// changing it), unless Clone is set.
	Evolve func(state S, event E) S
	// Clone returns a copy of state that shares nothing that Evolve changes.
	// With it Evolve may change its argument and return it, and the repository
	// copies where it still needs the old one. Nil is: Evolve is pure.
	Clone func(state S) S
}

// Loaded is the state of an aggregate and where in its stream it stands.
type Loaded[S any] struct {
	Stream daybook.StreamID
	// State is shared with others when Decider.Clone is nil: do not change
	// what it points to.
	State S
	// Version is that of the last record that State includes; 0 when there was
	// none yet, and State is the initial one.
	Version daybook.Version
	// Position and RecordedAt are those of that record.
	Position   daybook.Position
	RecordedAt time.Time

	// since is when the fold began to be without a snapshot: when the record
	// was recorded that the last one includes, or the first of all.
	since time.Time
}

// Exists reports whether the aggregate has a history.
func (l Loaded[S]) Exists() bool { return l.Version > 0 }

// AsOf is a bound on history, which includes it. Zero fields are no bound.
type AsOf struct {
	// Version is the last version to fold.
	Version daybook.Version
	// Time leaves out what was recorded later. Recorded times never fall, so
	// the answer is a prefix of the stream; what OccurredAt says does not
	// matter.
	Time time.Time
}

// holds reports whether a record, or a snapshot that ends with one, lies
// within the bound.
func (a AsOf) holds(version daybook.Version, recordedAt time.Time) bool {
	return (a.Version == 0 || version <= a.Version) && (a.Time.IsZero() || !recordedAt.After(a.Time))
}

// Result tells what a command led to.
type Result[S, E any] struct {
	// Loaded is the aggregate with the events of the command. After a repeat,
	// and where nothing was stored, it is the aggregate as it stands.
	Loaded[S]
	// Events are what was stored by this call; none after a repeat.
	Events []E
	// Receipt says where the events went; zero where nothing was to be stored.
	// Its Repeated is set when a command with this id was carried out before.
	Receipt daybook.Receipt
	// Tries is how often the command was decided: once, and again whenever the
	// state was found to be an old one.
	Tries int
}
