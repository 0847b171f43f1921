package codec

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/jsonform"
)

// build gathers the entries of a codec, and what is wrong with them.
type build struct {
	set      reflect.Type // E
	options  *Options
	events   []*event
	upcasts  []*upcast
	sealed   []reflect.Type
	problems []error

	byName   map[string]*shelf
	byType   map[reflect.Type]*event
	olds     map[reflect.Type][]*source
	decoders []Encoding // the first one writes
}

// shelf holds the sources of one name.
type shelf struct {
	bySchema map[string]*source // nil where there is only other
	other    *source            // of any other schema; nil where there is none
}

// source reads records of one name and schema.
type source struct {
	kind    reflect.Type // nil for what is dropped
	nilable bool
	read    func(decodeFunc, []byte) (any, error)
	upcast  *upcast // nil for an event
	// decode has a place for each encoding; strict only where unknown fields
	// are not passed over.
	decode []decodeFunc
}

// value returns what data holds, by the encoding of that place. It makes an error
// of a panic: a record from the past must not be able to end the program.
func (s *source) value(encoding int, data []byte) (value any, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			value, err = nil, fmt.Errorf("decoding into %s panicked: %v", s.kind, reason)
		}
	}()
	return s.read(s.decode[encoding], data)
}

func (b *build) problem(kind reflect.Type, name, problem string) {
	b.problems = append(b.problems, &EntryError{Name: name, Type: kind, Problem: problem})
}

// finish checks the entries together and returns all that is wrong.
func (b *build) finish() error {
	if b.options == nil {
		b.options = &Options{}
	}
	b.options.settle()
	b.checkPolicies()
	b.byName, b.byType, b.olds = map[string]*shelf{}, map[reflect.Type]*event{}, map[reflect.Type][]*source{}
	b.checkEncodings()
	for _, e := range b.events {
		b.addEvent(e)
	}
	for _, u := range b.upcasts {
		b.addUpcast(u)
	}
	b.checkSteps()
	b.checkSealed()
	return errors.Join(b.problems...)
}

func (b *build) checkPolicies() {
	for _, policy := range []struct {
		field string
		is    Policy
	}{{"UnknownTypes", b.options.UnknownTypes}, {"UnknownFields", b.options.UnknownFields}, {"BadData", b.options.BadData}} {
		if policy.is > Aside {
			b.problem(nil, "", fmt.Sprintf("options.%s must be Fail, Skip or Aside (it is %d)", policy.field, policy.is))
		}
	}
}

func (b *build) checkEncodings() {
	b.decoders = append([]Encoding{b.options.Encoding}, b.options.Also...)
	for i, encoding := range b.decoders {
		if encoding == nil {
			b.problem(nil, "", fmt.Sprintf("options.Also[%d] is nil", i-1))
			continue
		}
		contentType := encoding.ContentType()
		if contentType == "" || len(contentType) > daybook.MaxTextLen {
			b.problem(nil, "", fmt.Sprintf("the content type of %T must have 1 to %d bytes (it has %d)", encoding, daybook.MaxTextLen, len(contentType)))
		}
		for _, before := range b.decoders[:i] {
			if before != nil && mediaType(before.ContentType()) == mediaType(contentType) {
				b.problem(nil, "", fmt.Sprintf("two encodings for content type %q", contentType))
			}
		}
		if _, strict := encoding.(StrictEncoding); !strict && b.options.UnknownFields != Skip {
			b.problem(nil, "", fmt.Sprintf("the encoding for %q cannot tell unknown fields: it is no StrictEncoding", contentType))
		}
	}
}

func (b *build) addEvent(e *event) {
	switch {
	case e.kind.Kind() == reflect.Interface:
		b.problem(e.kind, e.name, "an interface is no event; register the types that implement it")
	case !e.kind.AssignableTo(b.set):
		b.problem(e.kind, e.name, fmt.Sprintf("it is no %s%s", b.set, pointerHint(e.kind, b.set)))
	default:
		b.checkForm(e)
	}
	if other := b.byType[e.kind]; other != nil {
		b.problem(e.kind, e.name, fmt.Sprintf("the type is event %q already; for an old name see Formerly", other.name))
		return
	}
	b.byType[e.kind] = e
	from := &source{kind: e.kind, nilable: e.nilable, read: e.read}
	schema := AnySchema
	switch e.schema {
	case "":
	case AnySchema:
		b.problem(e.kind, e.name, "its schema must be a name, not AnySchema")
	default:
		schema = e.schema
	}
	b.place(e.name, schema, from)
	for _, name := range e.former {
		b.place(name, AnySchema, from)
	}
}

// checkForm refuses an event that JSON would store without saying all of it.
func (b *build) checkForm(e *event) {
	if _, isJSON := b.options.Encoding.(JSON); !isJSON {
		return
	}
	if lost := jsonform.Problem(e.kind, nil); lost != "" {
		b.problem(e.kind, e.name, fmt.Sprintf("JSON loses a part of it: %s; where that is meant, tag the field `json:\"-\"`", lost))
	}
}

// pointerHint tells whether one more or one fewer asterisk would do.
func pointerHint(t, set reflect.Type) string {
	if reflect.PointerTo(t).AssignableTo(set) {
		return fmt.Sprintf(", but *%s is", t)
	}
	return ""
}

func (b *build) addUpcast(u *upcast) {
	if u.old != nil && u.missing {
		b.problem(u.old, u.name, "its step must not be nil")
	}
	from := &source{kind: u.old, read: u.read, upcast: u}
	b.place(u.name, u.schema, from)
	if u.old != nil && u.old.Kind() == reflect.Interface && u.old.NumMethod() > 0 {
		b.problem(u.old, u.name, "nothing decodes into an interface with methods")
	}
	if u.old != nil {
		b.olds[u.old] = append(b.olds[u.old], from)
	}
}

// place puts a source where records will look for it.
func (b *build) place(name, schema string, from *source) {
	if problem := nameProblem(name); problem != "" {
		b.problem(from.kind, name, problem)
	}
	if len(schema) > daybook.MaxTextLen {
		b.problem(from.kind, name, fmt.Sprintf("the schema is longer than %d bytes", daybook.MaxTextLen))
	}
	strict := b.options.UnknownFields != Skip
	if from.kind != nil && from.decode == nil {
		for _, encoding := range b.decoders {
			from.decode = append(from.decode, decoderOf(encoding, from.kind, strict))
		}
	}
	on := b.byName[name]
	if on == nil {
		on = &shelf{}
		b.byName[name] = on
	}
	other := on.other
	if schema != AnySchema {
		other = on.bySchema[schema]
	}
	if other != nil {
		b.problem(from.kind, name, fmt.Sprintf("the name%s stands for %s already", ofSchema(schema), describe(other)))
		return
	}
	if schema == AnySchema {
		on.other = from
		return
	}
	if on.bySchema == nil {
		on.bySchema = map[string]*source{}
	}
	on.bySchema[schema] = from
}

func nameProblem(name string) string {
	switch {
	case name == "":
		return "the name must not be empty"
	case len(name) > daybook.MaxTypeLen:
		return fmt.Sprintf("the name is longer than %d bytes", daybook.MaxTypeLen)
	case !utf8.ValidString(name) || strings.IndexByte(name, 0) >= 0:
		return "the name must be valid UTF-8 without U+0000"
	}
	return ""
}

func ofSchema(schema string) string {
	switch schema {
	case AnySchema:
		return ""
	case "":
		return " without a schema"
	}
	return fmt.Sprintf(" with schema %q", schema)
}

func describe(s *source) string {
	if s.kind == nil {
		return "what is dropped"
	}
	return s.kind.String()
}

// checkSteps sees to it that every step leads to an event in the end.
func (b *build) checkSteps() {
	for _, u := range b.upcasts {
		var passed []reflect.Type
		for at := u; at.now != nil && at.now.Kind() != reflect.Interface && b.byType[at.now] == nil; {
			next := b.olds[at.now]
			passed = append(passed, at.old)
			switch {
			case len(next) == 0:
				b.problem(u.old, u.name, fmt.Sprintf("its step leads to %s, which is neither an event nor has a step of its own", at.now))
			case len(next) > 1:
				b.problem(u.old, u.name, fmt.Sprintf("its step leads to %s, from which two steps lead on", at.now))
			case slices.Contains(passed, at.now):
				b.problem(u.old, u.name, fmt.Sprintf("its steps lead in a circle, by %s", at.now))
			default:
				at = next[0].upcast
				continue
			}
			break
		}
	}
}
