package livestate

import (
	"fmt"
	"reflect"
	"regexp"
	"runtime/debug"

	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/internal/jsonform"
)

// Fold makes a state of type T of events of type E. One Fold may be used by
// several services.
type Fold[T, E any] struct {
	name    string
	initial func() T
	evolve  func(T, E) T
	options FoldOptions[T]
}

// FoldOptions say more about a fold. Nil and zero fields mean the defaults.
type FoldOptions[T any] struct {
	// Clone returns a copy of a state that shares nothing that evolve changes.
	// With it evolve may change its argument and return it: the service copies
	// once for every append and every group of records, since others read the
	// old one. Nil is: evolve is pure.
	Clone func(T) T
	// Encoding writes snapshots. Default codec.JSON{}.
	Encoding codec.Encoding
}

// NewFold returns a fold. The name is its version, under which its snapshots
// are kept: raise it ("counts-2") whenever evolve, or T, changes. Up to 64
// letters, digits, "-", "_" and "."; no two folds of a service have the same.
//
// evolve returns the state after an event and leaves the old one, and all that
// it points to, alone (copy a map before changing it), unless Clone is set. It
// takes every event that was ever stored.
func NewFold[T, E any](name string, initial func() T, evolve func(state T, event E) T, options *FoldOptions[T]) *Fold[T, E] {
	f := &Fold[T, E]{name: name, initial: initial, evolve: evolve}
	if options != nil {
		f.options = *options
	}
	if f.options.Encoding == nil {
		f.options.Encoding = codec.JSON{}
	}
	return f
}

// Of returns what the fold has come to in a state. It panics where the state is
// nil, or of a service that does not run the fold.
func (f *Fold[T, E]) Of(state *State) T {
	if state == nil {
		panic(fmt.Sprintf("livestate: fold %q is asked for its part of no state: look at the error that came with it", f.name))
	}
	at, found := state.index[f]
	if !found {
		panic(fmt.Sprintf("livestate: fold %q is not run by the service of the state", f.name))
	}
	value, _ := state.values[at].(T) // an interface that is nil is none
	return value
}

// Name returns the name of the fold.
func (f *Fold[T, E]) Name() string { return f.name }

// Folder is a *Fold of events of type E, whatever its state.
type Folder[E any] interface {
	// Name returns the name of the fold.
	Name() string

	check() string
	// lost returns what a snapshot would lose of a state; "" for nothing.
	lost() string
	begin() any
	// advance folds events, but for those that panic.
	advance(value any, events []E) (any, []failure)
	// try folds events, none of which may panic.
	try(value any, events []E) (any, error)
	encode(value any) (data []byte, contentType string, err error)
	decode(data []byte) (any, error)
}

// failure is an event that a fold could not take.
type failure struct {
	at  int // which of the events
	err *FoldError
}

var foldName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// check returns what is wrong with f; "" for nothing.
func (f *Fold[T, E]) check() string {
	switch {
	case f == nil:
		return "must not be nil"
	case !foldName.MatchString(f.name) || f.name[0] == '.':
		return fmt.Sprintf("its name must be 1 to 64 letters, digits, \"-\", \"_\" and \".\", not first (it is %q)", f.name)
	case f.initial == nil || f.evolve == nil:
		return "its functions must be set"
	}
	return ""
}

func (f *Fold[T, E]) lost() string {
	if _, isJSON := f.options.Encoding.(codec.JSON); isJSON {
		if lost := jsonform.Problem(reflect.TypeFor[T](), nil); lost != "" {
			return "JSON loses a part of the state in a snapshot: " + lost + "; export it, give an encoding, or tag it `json:\"-\"` where that is meant"
		}
	}
	return ""
}

func (f *Fold[T, E]) begin() any { return f.initial() }

// own returns a state that may be changed.
func (f *Fold[T, E]) own(value any) T {
	state, _ := value.(T)
	if f.options.Clone == nil {
		return state
	}
	return f.options.Clone(state)
}

func (f *Fold[T, E]) try(value any, events []E) (any, error) {
	state, _, err := f.run(f.own(value), events, 0, nil)
	if err != nil {
		return nil, err
	}
	return state, nil
}

func (f *Fold[T, E]) advance(value any, events []E) (any, []failure) {
	var failed []failure
	state, from := f.own(value), 0
	for {
		next, at, err := f.run(state, events, from, failed)
		if err == nil {
			return next, failed
		}
		err.stored = true
		failed = append(failed, failure{at: at, err: err})
		if f.options.Clone == nil {
			state, from = next, at+1
			continue
		}
		// The event may have been half carried out: begin again without it.
		state = f.own(value)
	}
}

// run folds events from one on, without those that have failed. Where one
// panics it returns which, and the state before it.
func (f *Fold[T, E]) run(state T, events []E, from int, without []failure) (out T, at int, failed *FoldError) {
	out, at = state, from
	defer func() {
		if panicked := recover(); panicked != nil {
			failed = &FoldError{Fold: f.name, Event: events[at], Panic: panicked, Stack: debug.Stack()}
		}
	}()
	for ; at < len(events); at++ {
		skip := false
		for i := range without {
			skip = skip || without[i].at == at
		}
		if !skip {
			out = f.evolve(out, events[at])
		}
	}
	return out, at, nil
}

func (f *Fold[T, E]) encode(value any) ([]byte, string, error) {
	state, _ := value.(T)
	data, err := f.options.Encoding.Encode(state)
	return data, f.options.Encoding.ContentType(), err
}

func (f *Fold[T, E]) decode(data []byte) (any, error) {
	return codec.DecodeAs[T](f.options.Encoding, data)
}
