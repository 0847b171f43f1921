package aggregate

import (
	"errors"
	"fmt"
	"reflect"
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
	most    int64 // events that one command may lead to
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
		if events, err = m.decide(state, command); err == nil {
			err = m.check(events)
		}
		if err != nil || len(events) == 0 {
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
	if events, err = m.decide(after, command); err == nil {
		err = m.check(events)
	}
	return events, after, err
}

// check refuses new events that are nil, and too many of them, before anything
// is done with them.
func (m *machine[S, C, E]) check(events []E) error {
	if n := int64(len(events)); n > m.most {
		return &daybook.LimitError{Field: "events", Value: n, Limit: m.most, Unit: "events"}
	}
	for i := range events {
		if isNil(events[i]) {
			return fmt.Errorf("events[%d]: %w", i, ErrNilEvent)
		}
	}
	return nil
}

// isNil reports whether an event is nil, or a pointer that is.
func isNil(event any) bool {
	v := reflect.ValueOf(event)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
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
