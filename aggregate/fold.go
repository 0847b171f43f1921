package aggregate

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/daybook-go/daybook"
)

// machine is what a repository folds and decides with: a Decider, or an
// object.
type machine[S, C, E any] struct {
	initial func() S
	decide  func(S, C) ([]E, error)
	evolve  func(S, E) S
	clone   func(S) S // nil where nothing has to be copied, or nothing can be
	// adopt makes a state that was decoded ready for use; nil where it is.
	adopt func(S) S
	// applies is set when decide carries its events out on the state that it is
	// given, as objects do.
	applies bool
}

// spoils reports whether a state is used up by deciding on it.
func (m *machine[S, C, E]) spoils() bool { return m.applies && m.clone == nil }

// own returns a state that may be changed without changing state.
func (m *machine[S, C, E]) own(state S) S {
	if m.clone == nil {
		return state
	}
	return m.clone(state)
}

// attempt decides on a state, which stays as it is unless m spoils, and
// returns the state with the events carried out.
func (m *machine[S, C, E]) attempt(stream daybook.StreamID, state S, command C) (events []E, after S, err error) {
	if !m.applies {
		if events, err = m.decide(state, command); err != nil || len(events) == 0 {
			return nil, state, err
		}
		after, err = m.fold(m.own(state), events)
		return events, after, in(err, stream, 0)
	}
	defer func() {
		// Emit panics with what Apply panicked with, to leave the command.
		switch panicked := recover().(type) {
		case nil:
		case *EvolveError:
			events, err = nil, in(panicked, stream, 0)
		default:
			panic(panicked)
		}
	}()
	after = m.own(state)
	events, err = m.decide(after, command)
	return events, after, err
}

// fold returns the state after events.
func (m *machine[S, C, E]) fold(state S, events []E) (_ S, err error) {
	at := 0
	defer func() {
		if panicked := recover(); panicked != nil {
			err = &EvolveError{Event: events[at], Panic: panicked, Stack: debug.Stack()}
		}
	}()
	for ; at < len(events); at++ {
		if any(events[at]) == nil {
			return state, fmt.Errorf("events[%d]: %w", at, ErrNilEvent)
		}
		state = m.evolve(state, events[at])
	}
	return state, nil
}

// spoilsStates reports whether a state may be damaged that this has happened
// to: whoever panics while it folds may have begun to change what it was given.
func spoilsStates(err error) bool {
	var failed *EvolveError
	return errors.As(err, &failed)
}

// in says in err where it happened.
func in(err error, stream daybook.StreamID, version daybook.Version) error {
	failed, ok := err.(*EvolveError)
	if ok {
		failed.Stream, failed.Version = stream, version
	}
	return err
}
