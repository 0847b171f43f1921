package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// fault says in our words why a document could not be read as a value of a
// type, and where. encoding/json tells the place of some errors only, so the
// document is gone through once more, one value at a time.
func fault(document []byte, kind reflect.Type, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("body", fmt.Sprintf("%d bytes of JSON", len(document)), "ends too early")
	case errors.As(err, &syntax):
		return invalid("body", fmt.Sprintf("JSON up to byte %d", syntax.Offset), syntax.Error())
	}
	if found := faultIn("", document, kind); found != nil {
		return found
	}
	return invalid("body", "JSON", strings.TrimPrefix(err.Error(), "json: "))
}

var (
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
	timeType    = reflect.TypeFor[time.Time]()
	idType      = reflect.TypeFor[daybook.ID]()
)

// faultIn returns what is wrong with the value at a path, nil if nothing is.
func faultIn(path string, value json.RawMessage, kind reflect.Type) error {
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch {
	case kind == timeType:
		return faultOf(path, value, kind, "must be a time like 2026-01-31T12:00:00Z")
	case kind == idType:
		return faultOf(path, value, kind, "must be a UUID")
	case reflect.PointerTo(kind).Implements(unmarshaler):
		return faultOf(path, value, kind, "")
	case kind.Kind() == reflect.Struct:
		return faultInObject(path, value, kind)
	case kind.Kind() == reflect.Slice:
		return faultInArray(path, value, kind)
	}
	return faultOf(path, value, kind, "")
}

// faultOf reads a value that has no others in it that could be named.
func faultOf(path string, value json.RawMessage, kind reflect.Type, reason string) error {
	err := json.Unmarshal(value, reflect.New(kind).Interface())
	if err == nil {
		return nil
	}
	var told *daybook.InvalidError
	var wrongKind *json.UnmarshalTypeError
	switch {
	case reason != "":
		return invalid(named(path), Shorten(string(value)), reason)
	case errors.As(err, &told):
		return invalid(named(path), told.Value, told.Reason)
	case errors.As(err, &wrongKind):
		return invalid(named(path), "a JSON "+wrongKind.Value, "must be "+kindName(wrongKind.Type))
	}
	return invalid(named(path), Shorten(string(value)), strings.TrimPrefix(err.Error(), "json: "))
}

func faultInArray(path string, value json.RawMessage, kind reflect.Type) error {
	var elements []json.RawMessage
	if json.Unmarshal(value, &elements) != nil {
		return faultOf(path, value, kind, "")
	}
	for i, element := range elements {
		if err := faultIn(fmt.Sprintf("%s[%d]", path, i), element, kind.Elem()); err != nil {
			return err
		}
	}
	return nil
}

func faultInObject(path string, value json.RawMessage, kind reflect.Type) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(value, &members) != nil {
		return faultOf(path, value, kind, "")
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		within := name
		if path != "" {
			within = path + "." + name
		}
		member, known := memberOf(kind, name)
		if !known {
			return invalid(Shorten(within), Shorten(string(members[name])), "is an unknown field")
		}
		if err := faultIn(within, members[name], member); err != nil {
			return err
		}
	}
	return nil
}

// memberOf returns the type of a member of an object that stands for a struct.
func memberOf(kind reflect.Type, name string) (reflect.Type, bool) {
	for _, field := range reflect.VisibleFields(kind) {
		if tag := field.Tag.Get("json"); tag != "" && strings.EqualFold(tag, name) {
			return field.Type, true
		}
	}
	return nil, false
}

// named is a path as an error names it; the document itself is the body.
func named(path string) string {
	if path == "" {
		return "body"
	}
	return path
}

// kindName says which kind of JSON value a Go type stands for.
func kindName(kind reflect.Type) string {
	switch word := kind.Kind().String(); {
	case word == "struct" || word == "map":
		return "an object"
	case word == "slice" || word == "array":
		return "an array"
	case word == "string":
		return "a string"
	case word == "bool":
		return "true or false"
	case strings.HasPrefix(word, "int"), strings.HasPrefix(word, "uint"):
		return "a whole number that fits 64 bits"
	default:
		return "a " + word
	}
}

// inside puts the name of what holds it in front of the field that err names.
func inside(err error, format string, args ...any) error {
	var told *daybook.InvalidError
	if errors.As(err, &told) {
		told.Field = fmt.Sprintf(format, args...) + "." + told.Field
	}
	return err
}
