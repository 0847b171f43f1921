package codec

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/daybook-go/daybook"
)

// Codec turns values of E, the event type of an aggregate, into events and
// records into values of E. It may be used by many goroutines at once.
type Codec[E any] struct {
	options  Options
	byName   map[string]*shelf
	byType   map[reflect.Type]*event
	olds     map[reflect.Type][]*source
	decoders []Encoding
	types    []string // by decoders' place: the media type
	names    []string
}

// New returns a codec of the entries. E is most often an interface that the
// events implement; any will do, and so will a single type.
//
// Its error joins an *EntryError for everything that is wrong.
func New[E any](entries ...Entry) (*Codec[E], error) {
	b := &build{set: reflect.TypeFor[E]()}
	for i, entry := range entries {
		if entry == nil {
			b.problem(nil, "", fmt.Sprintf("entry %d is nil", i))
			continue
		}
		entry.add(b)
	}
	if err := b.finish(); err != nil {
		return nil, err
	}
	c := &Codec[E]{options: *b.options, byName: b.byName, byType: b.byType, olds: b.olds, decoders: b.decoders}
	for _, encoding := range b.decoders {
		c.types = append(c.types, mediaType(encoding.ContentType()))
	}
	c.names = slices.Sorted(maps.Keys(b.byName))
	return c, nil
}

// Must returns c, and panics if there is an error. It is for codecs that are
// built when the program starts.
func Must[E any](c *Codec[E], err error) *Codec[E] {
	if err != nil {
		panic(err)
	}
	return c
}

// Names returns the types of records that the codec reads, old ones and
// dropped ones too, sorted. They are what a daybook.Filter should ask for.
func (c *Codec[E]) Names() []string { return slices.Clone(c.names) }

// Name returns the name under which value is recorded. It fails as Encode does
// for a value that has none.
func (c *Codec[E]) Name(value E) (string, error) {
	e, err := c.entry(any(value))
	if err != nil {
		return "", err
	}
	return e.name, nil
}

// Quarantine returns where records go that are put aside.
func (c *Codec[E]) Quarantine() *Quarantine { return c.options.Quarantine }

// Encode returns the event that value is recorded as: its type, content type
// and data, and what the value or its entry bring: schema, tags, the time when
// it occurred. The rest, its id and its circumstances, is for the caller to
// fill in. It fails with an *EncodeError.
//
// Claims and references belong to a changeset, see [Codec.Changeset].
func (c *Codec[E]) Encode(value E) (daybook.Event, error) {
	v := any(value)
	e, err := c.entry(v)
	if err != nil {
		return daybook.Event{}, err
	}
	return c.encode(e, v)
}

func (c *Codec[E]) encode(e *event, v any) (daybook.Event, error) {
	data, err := c.options.Encoding.Encode(v)
	if err != nil {
		return daybook.Event{}, &EncodeError{Type: e.kind, Err: err}
	}
	out := daybook.Event{Type: e.name, ContentType: c.options.Encoding.ContentType(), Data: data}
	out.Context.Schema = e.schema
	if e.tags != nil {
		out.Tags = e.tags(v)
	}
	if e.occurredAt != nil {
		out.OccurredAt = e.occurredAt(v)
	}
	return out, nil
}

// entry returns what is known of the type of v.
func (c *Codec[E]) entry(v any) (*event, error) {
	if v == nil {
		return nil, &EncodeError{Err: ErrNil}
	}
	kind := reflect.TypeOf(v)
	e := c.byType[kind]
	if e == nil {
		return nil, &EncodeError{Type: kind, Err: c.unregistered(kind)}
	}
	if e.nilable && reflect.ValueOf(v).IsNil() {
		return nil, &EncodeError{Type: kind, Err: ErrNil}
	}
	return e, nil
}

// unregistered is ErrUnregistered, with a hint where a pointer makes the
// difference.
func (c *Codec[E]) unregistered(kind reflect.Type) error {
	near := reflect.PointerTo(kind)
	if kind.Kind() == reflect.Pointer {
		near = kind.Elem()
	}
	if c.byType[near] != nil {
		return fmt.Errorf("%w, which has one for %s", ErrUnregistered, near)
	}
	return ErrUnregistered
}

// Decode returns the values that a record holds: most often one; several or
// none where an upcast says so; none where it is passed over or put aside. It
// fails with a *DecodeError. The values share no memory with the record, which
// may be a borrowed one.
func (c *Codec[E]) Decode(r *daybook.Record) ([]E, error) { return c.AppendDecode(nil, r) }

// AppendDecode is Decode, and appends the values to into, which may save
// memory. After an error it returns into as it was.
func (c *Codec[E]) AppendDecode(into []E, r *daybook.Record) ([]E, error) {
	from := c.source(r)
	if from == nil && c.options.UnknownTypes == Skip { // no error is made for each of many
		return into, nil
	}
	out, err := c.decode(into, from, r)
	if err == nil {
		return out, nil
	}
	switch c.options.policy(err.Reason) {
	case Skip:
		return into, nil
	case Aside:
		c.options.Quarantine.put(r, err)
		return into, nil
	default:
		return into, err
	}
}

// Check reports why a record does not decode, whatever Options say about it:
// nil, or a *DecodeError. It puts nothing aside.
func (c *Codec[E]) Check(r *daybook.Record) error {
	if _, err := c.decode(nil, c.source(r), r); err != nil {
		return err
	}
	return nil
}

// errOtherSchemas helps those who forgot a step.
var errOtherSchemas = errors.New("only other schemas of it have an entry")

// decode returns the values of a record behind those of into. The source is
// that of the record; nil where there is none.
func (c *Codec[E]) decode(into []E, from *source, r *daybook.Record) ([]E, *DecodeError) {
	if from == nil {
		if c.byName[r.Type] != nil {
			return into, failure(r, UnknownType, errOtherSchemas)
		}
		return into, failure(r, UnknownType, nil)
	}
	if from.kind == nil {
		return into, nil
	}
	at := c.encodingOf(r.ContentType)
	if at < 0 {
		return into, failure(r, UnknownContentType, nil)
	}
	value, err := from.value(at, r.Data)
	if err != nil {
		if errors.Is(err, ErrUnknownField) {
			return into, failure(r, UnknownField, err)
		}
		return into, failure(r, BadData, err)
	}
	if from.upcast == nil {
		if from.nilable && reflect.ValueOf(value).IsNil() {
			return into, failure(r, BadData, ErrNil)
		}
		return append(into, value.(E)), nil
	}
	out, err := c.follow(into, from.upcast, value, r, len(c.olds))
	if err != nil {
		return into, failure(r, BadUpcast, err)
	}
	return out, nil
}

// source returns what reads records of the type and schema of r.
func (c *Codec[E]) source(r *daybook.Record) *source {
	on := c.byName[r.Type]
	if on == nil {
		return nil
	}
	if on.bySchema != nil {
		if from := on.bySchema[r.Context.Schema]; from != nil {
			return from
		}
	}
	return on.other
}

// encodingOf returns the place of the encoding of a content type; -1 for none.
func (c *Codec[E]) encodingOf(contentType string) int {
	for i, known := range c.types {
		if known == contentType {
			return i
		}
	}
	return slices.Index(c.types, mediaType(contentType))
}

// follow takes the step of u, and those behind it, until all are events. It
// gives up after so many as there are, so that it comes to an end.
func (c *Codec[E]) follow(into []E, u *upcast, old any, r *daybook.Record, left int) ([]E, error) {
	values, err := u.take(old, r)
	if err != nil {
		return into, err
	}
	if left == 0 {
		return into, fmt.Errorf("the steps lead in a circle, by %s", u.old)
	}
	out := into
	for _, value := range values {
		if value == nil {
			return into, fmt.Errorf("the step from %s gave nil", u.old)
		}
		kind := reflect.TypeOf(value)
		if e := c.byType[kind]; e != nil {
			out = append(out, value.(E))
			continue
		}
		next := c.olds[kind]
		if len(next) != 1 {
			return into, fmt.Errorf("the step from %s gave %s, which is neither an event nor has one step of its own", u.old, kind)
		}
		if out, err = c.follow(out, next[0].upcast, value, r, left-1); err != nil {
			return into, err
		}
	}
	return out, nil
}
