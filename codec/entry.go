package codec

import (
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// Entry is one of the things that a codec is built of: [Event], [Upcast],
// [UpcastMany], [Drop], [Sealed] and *[Options].
type Entry interface{ add(*build) }

// AnySchema reads records of every schema that no other entry of the same name
// reads.
const AnySchema = "*"

// Event says that values of type T are recorded as events of that name. T is a
// concrete type, and one of the codec's event type E. Up to
// daybook.MaxTypeLen bytes; neither a name nor a type may stand in two.
func Event[T any](name string, options ...Option) Entry {
	e := &event{name: name, kind: reflect.TypeFor[T](), read: readerOf[T]()}
	e.nilable = nilable(e.kind)
	e.given = options
	e.takeMethods()
	return e
}

// event is what a codec knows of one event type.
type event struct {
	name    string
	schema  string // written to records; "" for none
	former  []string
	kind    reflect.Type
	nilable bool
	given   []Option
	read    func(decodeFunc, []byte) (any, error)

	// What values bring; nil where they bring nothing.
	tags       func(any) []string
	claims     func(any) []daybook.Claim
	releases   func(any) []daybook.Claim
	references func(any) []daybook.StreamID
	occurredAt func(any) time.Time
}

// readerOf returns how values of type T are decoded. Where T is a pointer, the
// encoding is given that pointer, as those of messages want it.
func readerOf[T any]() func(decodeFunc, []byte) (any, error) {
	if kind := reflect.TypeFor[T](); kind.Kind() == reflect.Pointer {
		return func(decode decodeFunc, data []byte) (any, error) {
			value := reflect.New(kind.Elem()).Interface()
			return value, decode(data, value)
		}
	}
	// The interface that is returned holds a copy, so what is decoded into can
	// be lent again and again.
	var zero T
	lent := sync.Pool{New: func() any { return new(T) }}
	return func(decode decodeFunc, data []byte) (any, error) {
		into := lent.Get().(*T)
		err := decode(data, into)
		var value any = *into
		*into = zero
		lent.Put(into)
		return value, err
	}
}

func nilable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		return true
	}
	return false
}

// Tagger is an event that brings tags.
type Tagger interface{ Tags() []string }

// Claimer is an event by which its stream takes claims.
type Claimer interface{ Claims() []daybook.Claim }

// Releaser is an event by which its stream gives claims back.
type Releaser interface{ Releases() []daybook.Claim }

// Requirer is an event that needs other streams to exist.
type Requirer interface{ Requires() []daybook.StreamID }

// Occurrer is an event that knows when it happened in the world.
type Occurrer interface{ Occurred() time.Time }

// takeMethods takes over what values bring by their methods. It is asked once,
// so that no value is asked what it can do.
func (e *event) takeMethods() {
	implements := func(i reflect.Type) bool { return e.kind.Implements(i) }
	if implements(reflect.TypeFor[Tagger]()) {
		e.tags = func(v any) []string { return v.(Tagger).Tags() }
	}
	if implements(reflect.TypeFor[Claimer]()) {
		e.claims = func(v any) []daybook.Claim { return v.(Claimer).Claims() }
	}
	if implements(reflect.TypeFor[Releaser]()) {
		e.releases = func(v any) []daybook.Claim { return v.(Releaser).Releases() }
	}
	if implements(reflect.TypeFor[Requirer]()) {
		e.references = func(v any) []daybook.StreamID { return v.(Requirer).Requires() }
	}
	if implements(reflect.TypeFor[Occurrer]()) {
		e.occurredAt = func(v any) time.Time { return v.(Occurrer).Occurred() }
	}
}

// Option says more about an event type.
type Option struct {
	word    string
	kind    reflect.Type // that its function takes; nil for any
	missing bool         // its function is nil
	apply   func(*event) // nil in the zero Option
}

// Schema names the shape that is written now, as Context.Schema of the event.
// Records with another one are not read as this event: give each an [Upcast].
// Without it nothing is written, and records of every schema are read.
func Schema(schema string) Option {
	return Option{word: "Schema", apply: func(e *event) { e.schema = schema }}
}

// Formerly reads records of old names as this event. Their data must have its
// shape; if not, see [Upcast].
func Formerly(names ...string) Option {
	return Option{word: "Formerly", apply: func(e *event) { e.former = append(e.former, names...) }}
}

// Tags says which tags an event brings, in place of its method [Tagger].
func Tags[T any](of func(T) []string) Option {
	return Option{word: "Tags", kind: reflect.TypeFor[T](), missing: of == nil, apply: func(e *event) {
		e.tags = func(v any) []string { return of(v.(T)) }
	}}
}

// Claims says which claims the stream of an event takes by it, in place of its
// method [Claimer]. See [Codec.Changeset].
func Claims[T any](of func(T) []daybook.Claim) Option {
	return Option{word: "Claims", kind: reflect.TypeFor[T](), missing: of == nil, apply: func(e *event) {
		e.claims = func(v any) []daybook.Claim { return of(v.(T)) }
	}}
}

// Releases says which claims the stream of an event gives back by it, in place
// of its method [Releaser]. See [Codec.Changeset].
func Releases[T any](of func(T) []daybook.Claim) Option {
	return Option{word: "Releases", kind: reflect.TypeFor[T](), missing: of == nil, apply: func(e *event) {
		e.releases = func(v any) []daybook.Claim { return of(v.(T)) }
	}}
}

// Requires says which streams must exist for an event, in place of its method
// [Requirer]. See [Codec.Changeset].
func Requires[T any](of func(T) []daybook.StreamID) Option {
	return Option{word: "Requires", kind: reflect.TypeFor[T](), missing: of == nil, apply: func(e *event) {
		e.references = func(v any) []daybook.StreamID { return of(v.(T)) }
	}}
}

// Occurred says when an event happened in the world, in place of its method
// [Occurrer]. A zero time is: when it is recorded.
func Occurred[T any](of func(T) time.Time) Option {
	return Option{word: "Occurred", kind: reflect.TypeFor[T](), missing: of == nil, apply: func(e *event) {
		e.occurredAt = func(v any) time.Time { return of(v.(T)) }
	}}
}

// add makes an event an Entry.
func (e *event) add(b *build) {
	own := *e // an entry may be given to two codecs
	own.former = nil
	for _, option := range e.given {
		switch {
		case option.apply == nil:
			b.problem(own.kind, own.name, "an option of it says nothing: use Schema, Formerly, Tags and the like")
		case option.kind != nil && option.kind != own.kind:
			b.problem(own.kind, own.name, fmt.Sprintf("its option %s is for %s", option.word, option.kind))
		case option.missing:
			b.problem(own.kind, own.name, fmt.Sprintf("the function of its option %s must not be nil", option.word))
		default:
			option.apply(&own)
		}
	}
	b.events = append(b.events, &own)
}
