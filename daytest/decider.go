package daytest

import (
	"errors"
	"fmt"
	"reflect"
)

// Decider is three pure functions, as aggregates are made of. An
// aggregate.Decider converts to it: daytest.Decider[S, C, E](accounts).
type Decider[S, C, E any] struct {
	// Initial returns the state before the first event. Nil is the zero S.
	Initial func() S
	// Decide returns what a command comes to. Required.
	Decide func(state S, command C) ([]E, error)
	// Evolve returns the state after an event. Required.
	Evolve func(state S, event E) S
	// Clone allows Evolve to change the state that it is given. Nil demands
	// that it does not. A clone must be equal, and share nothing that Evolve
	// changes; both are checked.
	Clone func(state S) S
}

// Given is a decider and what has happened.
type Given[S, C, E any] struct {
	t       T
	decider Decider[S, C, E]
	events  []E
}

// Given begins a test with what has happened.
func (d Decider[S, C, E]) Given(t T, events ...E) *Given[S, C, E] {
	t.Helper()
	if d.Decide == nil || d.Evolve == nil {
		t.Fatalf("daytest: a Decider needs Decide and Evolve")
	}
	noNil(t, events)
	return &Given[S, C, E]{t: t, decider: d, events: events}
}

// State returns the state after what has happened.
func (g *Given[S, C, E]) State() S {
	g.t.Helper()
	state := g.fold().state(g.t, g.events)
	if g.decider.Clone != nil {
		g.checkClone()
	}
	return state
}

// checkClone sees to it that a clone is equal, and that what evolves it leaves
// alone what it was cloned from.
func (g *Given[S, C, E]) checkClone() {
	g.t.Helper()
	if len(g.events) == 0 {
		return
	}
	last := len(g.events) - 1
	state := g.fold().upTo(g.events[:last])
	before := fmt.Sprintf("%+v", state)
	clone := g.decider.Clone(state)
	if !equal(g.t, clone, state) {
		g.t.Errorf("daytest: a clone is another state\n    state: %s\n    clone: %+v", before, clone)
		return
	}
	g.decider.Evolve(clone, g.events[last])
	if after := fmt.Sprintf("%+v", state); after != before {
		g.t.Errorf("daytest: evolving a clone changes the state that it was cloned from\n    before: %s\n    after:  %s", before, after)
	}
}

func (g *Given[S, C, E]) fold() Fold[S, E] {
	return Fold[S, E]{Initial: g.decider.Initial, Evolve: g.decider.Evolve, Immutable: g.decider.Clone == nil}
}

// When has the decider decide on a command. The test fails if that is not
// pure: if it changes the state that it is given, or the command, or decides
// differently when it is asked again; and if it gives nil as an event.
func (g *Given[S, C, E]) When(command C) *Decided[S, C, E] {
	g.t.Helper()
	state, untouched := g.State(), g.State()
	asked := show(command)
	events, err := g.decider.Decide(state, command)
	if !equal(g.t, state, untouched) {
		g.t.Errorf("daytest: deciding on %s changes the state, which only evolve may\n    before: %+v\n    after:  %+v", asked, untouched, state)
	}
	if after := show(command); after != asked {
		g.t.Errorf("daytest: deciding changes the command\n    before: %s\n    after:  %s", asked, after)
	}
	if err != nil && len(events) > 0 {
		g.t.Errorf("daytest: deciding on %s gives events and an error: %v", asked, err)
	}
	for i := range events {
		if isNil(events[i]) {
			g.t.Errorf("daytest: deciding on %s gives nil as event %d", asked, i+1)
			return &Decided[S, C, E]{given: g, asked: asked, events: events[:i], err: err}
		}
	}
	again, errAgain := g.decider.Decide(untouched, command)
	if !equalLists(g.t, events, again) || (err == nil) != (errAgain == nil) {
		g.t.Errorf("daytest: deciding on %s a second time comes to something else, as if by time or by chance: let the command bring those\n    first:  %s\n    second: %s",
			asked, outcome(events, err), outcome(again, errAgain))
	}
	return &Decided[S, C, E]{given: g, asked: asked, events: events, err: err}
}

// Decided is what a decider came to.
type Decided[S, C, E any] struct {
	given  *Given[S, C, E]
	asked  string
	events []E
	err    error
}

// Then demands that these events happened, in this order; none where none are
// given. They are compared by reflect.DeepEqual (see Comparing).
func (d *Decided[S, C, E]) Then(want ...E) *Decided[S, C, E] {
	d.given.t.Helper()
	if d.err != nil || !equalLists(d.given.t, d.events, want) {
		d.given.t.Errorf("daytest: %s comes to\n    %s\nwant\n    %s", d.asked, outcome(d.events, d.err), outcome(want, nil))
	}
	return d
}

// ThenError demands that the command was refused with an error that matches
// want, by errors.Is; with any error where want is nil.
func (d *Decided[S, C, E]) ThenError(want error) *Decided[S, C, E] {
	d.given.t.Helper()
	if d.err == nil || want != nil && !errors.Is(d.err, want) {
		wanted := "any"
		if want != nil {
			wanted = want.Error()
		}
		d.given.t.Errorf("daytest: %s comes to\n    %s\nwant\n    error: %s", d.asked, outcome(d.events, d.err), wanted)
	}
	return d
}

// ThenState demands that the state is want after what happened.
func (d *Decided[S, C, E]) ThenState(want S) *Decided[S, C, E] {
	d.given.t.Helper()
	events := append(append([]E(nil), d.given.events...), d.events...)
	d.given.fold().compare(d.given.t, events, want)
	return d
}

// And begins a test behind this one: what happened is given now.
func (d *Decided[S, C, E]) And() *Given[S, C, E] {
	events := append(append([]E(nil), d.given.events...), d.events...)
	return &Given[S, C, E]{t: d.given.t, decider: d.given.decider, events: events}
}

// noNil refuses events that are nil: no store can have held them.
func noNil[E any](t T, events []E) {
	t.Helper()
	for i := range events {
		if isNil(events[i]) {
			t.Fatalf("daytest: event %d that is given is nil", i+1)
		}
	}
}

// isNil reports whether a value is nil, or a pointer that is.
func isNil(value any) bool {
	v := reflect.ValueOf(value)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// outcome is what a decision came to, for people.
func outcome[E any](events []E, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	return list(events)
}

// list is values with their types, for people.
func list[E any](values []E) string {
	if len(values) == 0 {
		return "nothing"
	}
	text := ""
	for i, value := range values {
		if i > 0 {
			text += "\n    "
		}
		text += show(value)
	}
	return text
}

func show(value any) string {
	if text, own := value.(fmt.Stringer); own {
		return fmt.Sprintf("%T{%s}", value, text)
	}
	if v := reflect.ValueOf(value); v.Kind() == reflect.Pointer && !v.IsNil() {
		return fmt.Sprintf("&%T%+v", v.Elem().Interface(), v.Elem().Interface())
	}
	return fmt.Sprintf("%T%+v", value, value)
}
