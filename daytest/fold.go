package daytest

import (
	"fmt"

	"github.com/daybook-go/daybook"
)

// Fold is a state made of events.
type Fold[S, E any] struct {
	// Initial returns the state before the first event. Nil is the zero S.
	Initial func() S
	// Evolve returns the state after an event. Required.
	Evolve func(state S, event E) S
	// Immutable demands that Evolve leaves the state that it is given as it is,
	// as whoever shares states between readers needs.
	Immutable bool
}

// Folded is a state and where it comes from.
type Folded[S, E any] struct {
	t      T
	fold   Fold[S, E]
	events []E
}

// Given begins a test with what has happened.
func (f Fold[S, E]) Given(t T, events ...E) *Folded[S, E] {
	t.Helper()
	if f.Evolve == nil {
		t.Fatalf("daytest: a Fold needs Evolve")
	}
	noNil(t, events)
	return &Folded[S, E]{t: t, fold: f, events: events}
}

// Then demands that the state is want, by reflect.DeepEqual (see Comparing).
// The test fails as well if the fold is not pure: if the same events lead to
// another state the second time.
func (f *Folded[S, E]) Then(want S) *Folded[S, E] {
	f.t.Helper()
	f.fold.compare(f.t, f.events, want)
	return f
}

// State returns the state, checked as Then does.
func (f *Folded[S, E]) State() S {
	f.t.Helper()
	return f.fold.state(f.t, f.events)
}

func (f Fold[S, E]) compare(t T, events []E, want S) {
	t.Helper()
	if got := f.state(t, events); !equal(t, got, want) {
		t.Errorf("daytest: the state is\n    %+v\nwant\n    %+v", got, want)
	}
}

func (f Fold[S, E]) initial() (state S) {
	if f.Initial != nil {
		state = f.Initial()
	}
	return state
}

// state folds the events, twice, and tells where the two part.
func (f Fold[S, E]) state(t T, events []E) S {
	t.Helper()
	if f.Immutable && !f.leavesStates(t, events) {
		return f.upTo(events)
	}
	state := f.upTo(events)
	before := fmt.Sprintf("%+v", state)
	again := f.upTo(events)
	if after := fmt.Sprintf("%+v", state); after != before {
		t.Errorf("daytest: folding the events again changes the state of the first time: initial must return a new state each time\n    before: %s\n    after:  %s", before, after)
		return state
	}
	if !equal(t, state, again) {
		t.Errorf("daytest: the same events lead to another state the second time: evolve must use nothing but its arguments and leave the event as it is, "+
			"and the state must hold no functions\n    first:  %+v\n    second: %+v", state, again)
	}
	return state
}

// leavesStates reports whether no step changes the state that it is given: of
// two folds beside each other, the one that waits has what the other began with.
func (f Fold[S, E]) leavesStates(t T, events []E) bool {
	t.Helper()
	state, waiting := f.initial(), f.initial()
	for i, event := range events {
		given := state
		state = f.Evolve(state, event)
		if !equal(t, given, waiting) {
			t.Errorf("daytest: evolving by event %d, %s, changes the state that it was given, instead of a copy\n    before: %+v\n    after:  %+v", i+1, show(event), waiting, given)
			return false
		}
		waiting = f.Evolve(waiting, event)
	}
	return true
}

// upTo folds events anew.
func (f Fold[S, E]) upTo(events []E) S {
	state := f.initial()
	for _, event := range events {
		state = f.Evolve(state, event)
	}
	return state
}

// Projection is a fold of records.
type Projection[S any] struct {
	// Initial returns the state before the first record. Nil is the zero S.
	Initial func() S
	// Apply returns the state after a record, which it must not keep. Required.
	Apply func(state S, record *daybook.Record) (S, error)
}

func (p Projection[S]) initial() (state S) {
	if p.Initial != nil {
		state = p.Initial()
	}
	return state
}

// Projected is a projection and the records that it is given.
type Projected[S any] struct {
	t          T
	projection Projection[S]
	records    []daybook.Record
}

// Given begins a test with records, for example those of [Records] or
// [Log.Records].
func (p Projection[S]) Given(t T, records ...daybook.Record) *Projected[S] {
	t.Helper()
	if p.Apply == nil {
		t.Fatalf("daytest: a Projection needs Apply")
	}
	return &Projected[S]{t: t, projection: p, records: records}
}

// Then demands that the records lead to want, by reflect.DeepEqual (see
// Comparing), and again when they are applied to a new state. Each record is
// applied as a copy, so that one that Apply keeps or changes shows.
func (p *Projected[S]) Then(want S) *Projected[S] {
	p.t.Helper()
	for _, times := range []string{"", " the second time"} {
		state := p.projection.initial()
		for i := range p.records {
			record := p.records[i].Clone()
			var err error
			if state, err = p.projection.Apply(state, &record); err != nil {
				p.t.Errorf("daytest: applying record %d%s: %v", p.records[i].Position, times, err)
				return p
			}
			clear(record.Data) // as the memory of a borrowed record may be
		}
		if !equal(p.t, state, want) {
			p.t.Errorf("daytest: the state%s is\n    %+v\nwant\n    %+v", times, state, want)
			return p
		}
	}
	return p
}

// ThenError demands that one of the records cannot be applied.
func (p *Projected[S]) ThenError() *Projected[S] {
	p.t.Helper()
	state := p.projection.initial()
	for i := range p.records {
		record := p.records[i].Clone()
		var err error
		if state, err = p.projection.Apply(state, &record); err != nil {
			return p
		}
	}
	p.t.Errorf("daytest: all records apply, to\n    %+v", state)
	return p
}
