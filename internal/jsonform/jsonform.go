// Package jsonform tells what encoding/json makes of a Go type, from the type
// alone: so that what would be lost, or could not be written, is said when a
// program starts.
package jsonform

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// opaque reports whether a type says itself how it is written.
func opaque(t reflect.Type) bool {
	for _, of := range []reflect.Type{t, reflect.PointerTo(t)} {
		if of.Implements(jsonMarshaler) || of.Implements(textMarshaler) {
			return true
		}
	}
	return false
}

// Problem returns the first thing in values of type t that encoding/json leaves
// out, though nothing says that it should, or cannot write: "account.balance is
// not exported". It returns "" if there is none. A field is left out on purpose
// where its tag says so: `json:"-"`. What skip reports is not looked into; nil
// skips nothing.
func Problem(t reflect.Type, skip func(reflect.Type) bool) string {
	return problem(t, skip, nil)
}

func problem(t reflect.Type, skip func(reflect.Type) bool, seen []reflect.Type) string {
	if slices.Contains(seen, t) || opaque(t) || skip != nil && skip(t) {
		return ""
	}
	seen = append(seen, t)
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return "a " + t.String() + " cannot be written"
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return problem(t.Elem(), skip, seen)
	case reflect.Map:
		if key := t.Key(); !opaque(key) && !isText(key.Kind()) {
			return "the keys of a " + t.String() + " cannot be written"
		}
		return problem(t.Elem(), skip, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if wrong := fieldProblem(t, t.Field(i), skip, seen); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

func fieldProblem(of reflect.Type, field reflect.StructField, skip func(reflect.Type) bool, seen []reflect.Type) string {
	if field.Name == "_" || field.Tag.Get("json") == "-" {
		return ""
	}
	if !field.IsExported() && !(field.Anonymous && isStruct(field.Type)) {
		return of.String() + "." + field.Name + " is not exported"
	}
	if wrong := problem(field.Type, skip, seen); wrong != "" {
		if strings.HasPrefix(wrong, "a ") || strings.HasPrefix(wrong, "the ") {
			return of.String() + "." + field.Name + ": " + wrong
		}
		return wrong
	}
	return ""
}

// isText reports whether keys of the kind become the text of a JSON key.
func isText(k reflect.Kind) bool {
	return k == reflect.String || reflect.Int <= k && k <= reflect.Uintptr
}

// isStruct reports whether a type is a struct, or a pointer to one, whose
// exported fields are those of what embeds it.
func isStruct(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}
