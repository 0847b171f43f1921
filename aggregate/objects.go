package aggregate

import (
	"context"
	"reflect"
	"runtime/debug"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// Root is embedded by aggregates in the style of objects: structs that change
// themselves by events.
//
//	type Account struct {
//		aggregate.Root[AccountEvent]
//		Balance int
//	}
//
//	func (a *Account) Apply(event AccountEvent) { … }         // changes the fields
//	func (a *Account) Deposit(n int) { a.Emit(Deposited{n}) } // decides
//
// Apply runs when an event is emitted and again whenever the object is loaded.
// The object is used by one goroutine at a time.
type Root[E any] struct {
	apply   func(E)
	pending []E
	at      place
}

// place is where in its stream an object was loaded.
type place = Loaded[struct{}]

// Object is a pointer to a struct that embeds Root and has a method Apply.
type Object[E any] interface {
	// Apply changes the object by an event. It takes every event that was ever
	// stored and must not refuse.
	Apply(event E)
	root() *Root[E]
}

// Cloner is an object that can be copied. Those that can are kept in the cache,
// and a conflict does not read them again.
type Cloner[T any] interface {
	// Clone returns a copy that shares nothing that Apply changes. Copying the
	// struct copies Root as well, which is right.
	Clone() T
}

// Emit applies an event and keeps it until the object is persisted. A nil
// event, and a panic of Apply, end the command that Emit was called in: nothing
// of it is stored. On an object that neither Objects nor Begin has made, Emit
// panics.
func (r *Root[E]) Emit(event E) {
	if r.apply == nil {
		panic("aggregate: Emit on an object that was not made by Objects or Begin")
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			panic(&EvolveError{Event: event, Panic: panicked, Stack: debug.Stack()})
		}
	}()
	if isNil(event) {
		panic(ErrNilEvent)
	}
	r.apply(event)
	r.pending = append(r.pending, event)
}

// Pending returns the events that were emitted and not persisted yet.
func (r *Root[E]) Pending() []E { return r.pending }

// Stream returns the stream of the object; zero if it was not loaded.
func (r *Root[E]) Stream() daybook.StreamID { return r.at.Stream }

// Version returns the version of the last record that the object was loaded
// from, or persisted as; 0 for a new one.
func (r *Root[E]) Version() daybook.Version { return r.at.Version }

// Position returns the position of that record: what a reader of the log must
// have passed to have seen it.
func (r *Root[E]) Position() daybook.Position { return r.at.Position }

//lint:ignore U1000 Object asks for it
func (r *Root[E]) root() *Root[E] { return r }

// rooted is implemented by every Root.
type rooted interface{ isRoot() }

func (r *Root[E]) isRoot() {}

// isRoot reports whether a type is a Root, which belongs to no state.
func isRoot(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[Root[int]]().PkgPath() &&
		reflect.PointerTo(t).Implements(reflect.TypeFor[rooted]())
}

// Begin makes an object ready to emit, and returns it: for tests, which need no
// store.
func Begin[T Object[E], E any](object T) T {
	object.root().apply = object.Apply
	return object
}

// Objects is a Repository of objects.
type Objects[T Object[E], E any] struct {
	inner *Repository[T, func(T) error, E]
}

// NewObjects returns a repository of objects, which are made by create. It fails
// as New does.
func NewObjects[T Object[E], E any](store *daybook.Store, streamType string, events *codec.Codec[E], create func() T, options *Options[T, E]) (*Objects[T, E], error) {
	if create == nil {
		return nil, &SetupError{What: "create", Reason: "must not be nil"}
	}
	if err := checkObject[T, E](create); err != nil {
		return nil, err
	}
	m := machine[T, func(T) error, E]{
		initial: func() T { return Begin[T, E](create()) },
		decide: func(object T, command func(T) error) ([]E, error) {
			err := command(object)
			root := object.root()
			events := root.pending
			root.pending = nil
			if err != nil {
				return nil, err
			}
			return events, nil
		},
		evolve:  func(object T, event E) T { object.Apply(event); return object },
		adopt:   func(object T) T { return Begin[T, E](object) },
		applies: true,
	}
	if _, clones := any(m.initial()).(Cloner[T]); clones {
		m.clone = func(object T) T { return Begin[T, E](any(object).(Cloner[T]).Clone()) }
	}
	inner, err := build(store, streamType, events, m, options)
	if err != nil {
		return nil, err
	}
	return &Objects[T, E]{inner: inner}, nil
}

// checkObject sees to it that there is a new object each time.
func checkObject[T Object[E], E any](create func() T) error {
	one, other := create(), create()
	switch {
	case isNil(one):
		return &SetupError{What: "create", Reason: "must return an object (it returns nil)"}
	case any(one) == any(other):
		return &SetupError{What: "create", Reason: "must return a new object each time"}
	}
	cloner, clones := any(Begin[T, E](one)).(Cloner[T])
	if !clones {
		return nil
	}
	switch clone := cloner.Clone(); {
	case isNil(clone):
		return &SetupError{What: "Clone", Reason: "must return an object (it returns nil)"}
	case any(clone) == any(one):
		return &SetupError{What: "Clone", Reason: "must return another object, which shares nothing that Apply changes (it returns the object itself)"}
	}
	return nil
}

// In returns the repository of another partition; see Repository.In.
func (o *Objects[T, E]) In(partition string) *Objects[T, E] {
	return &Objects[T, E]{inner: o.inner.In(partition)}
}

// Stream returns the stream of an object; see Repository.Stream.
func (o *Objects[T, E]) Stream(id string) daybook.StreamID { return o.inner.Stream(id) }

// Load returns an object as it stands; a new one where there is no history.
func (o *Objects[T, E]) Load(ctx context.Context, id string) (T, error) {
	return placed[T, E](o.inner.Load(ctx, id))
}

// LoadAsOf returns an object as it stood; see Repository.LoadAsOf.
func (o *Objects[T, E]) LoadAsOf(ctx context.Context, id string, asOf AsOf) (T, error) {
	return placed[T, E](o.inner.LoadAsOf(ctx, id, asOf))
}

// placed returns the object of a load, which knows where it stands.
func placed[T Object[E], E any](at Loaded[T], err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	at.State.root().at = placeOf(at)
	return at.State, nil
}

func placeOf[S any](at Loaded[S]) place {
	return place{Stream: at.Stream, Version: at.Version, Position: at.Position, RecordedAt: at.RecordedAt, since: at.since}
}

// Persist appends what an object has emitted since it was loaded. It fails with
// *daybook.ConflictError where the stream has moved on since; then the object
// is of no more use, and neither is it after a receipt that is Repeated: load it
// again. After any other error it may be persisted again. With nothing pending
// it does nothing.
func (o *Objects[T, E]) Persist(ctx context.Context, object T, options *CommandOptions) (daybook.Receipt, error) {
	if isNil(object) {
		return daybook.Receipt{}, &SetupError{What: "persist", Reason: "the object must not be nil"}
	}
	root := object.root()
	if root.at.Stream == (daybook.StreamID{}) {
		return daybook.Receipt{}, &SetupError{What: "persist", Reason: "the object was not loaded: a new one comes from Load as well"}
	}
	at := Loaded[T]{
		Stream: root.at.Stream, State: object, Version: root.at.Version, Position: root.at.Position, RecordedAt: root.at.RecordedAt, since: root.at.since,
	}
	events := root.pending
	root.pending = nil // so that no copy for the cache carries them
	result, err := o.inner.Persist(ctx, at, events, options)
	if err != nil {
		root.pending = events
		return result.Receipt, err
	}
	root.at = placeOf(result.Loaded)
	return result.Receipt, nil
}

// Update loads an object, lets change work on it, and persists what it emitted.
// When somebody else was quicker, change runs again on a new object; so it must
// do nothing else. Without a method Clone (see Cloner) that object is read
// again. It fails with the error of change, and as Repository.Execute does.
// change may emit nothing: that is a success. It returns the object as it
// stands then.
func (o *Objects[T, E]) Update(ctx context.Context, id string, change func(object T) error, options *CommandOptions) (T, error) {
	if change == nil {
		var none T
		return none, &SetupError{What: "change", Reason: "must not be nil"}
	}
	result, err := o.inner.Execute(ctx, id, change, options)
	return placed[T, E](result.Loaded, err)
}

// LoadIn returns an object as a part of a transaction, to read only: it is
// changed by UpdateIn. See Repository.LoadIn.
func (o *Objects[T, E]) LoadIn(ctx context.Context, tx *Transaction, id string) (T, error) {
	at, err := o.inner.LoadIn(ctx, tx, id)
	return at.State, err
}

// UpdateIn is Update as a part of a transaction: see Transact, and
// Repository.ExecuteIn.
func (o *Objects[T, E]) UpdateIn(ctx context.Context, tx *Transaction, id string, change func(object T) error) (T, error) {
	if change == nil {
		var none T
		return none, tx.note(&SetupError{What: "change", Reason: "must not be nil"})
	}
	at, err := o.inner.ExecuteIn(ctx, tx, id, change)
	return at.State, err
}

// Delete removes an object; see Repository.Delete.
func (o *Objects[T, E]) Delete(ctx context.Context, id string, d daybook.Deletion) (daybook.DeletionReceipt, error) {
	return o.inner.Delete(ctx, id, d)
}

// Close is Repository.Close.
func (o *Objects[T, E]) Close(ctx context.Context) error { return o.inner.Close(ctx) }
