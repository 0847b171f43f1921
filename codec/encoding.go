package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"

	"github.com/daybook-go/daybook"
)

// Encoding turns values into the data of events and back. It may be used by
// many goroutines at once.
type Encoding interface {
	// ContentType names the encoding; records carry it, and are decoded by the
	// encoding that they name, whatever parameters follow behind a ";".
	ContentType() string
	// Encode returns the data of a value, which is of a registered type. The
	// memory is the caller's.
	Encode(value any) ([]byte, error)
	// Decode fills what into points to: a zero value of a registered type, of
	// the old type of a step, or of the state of a snapshot; where that is a
	// pointer type, into is of it. It must not keep data, nor into.
	Decode(data []byte, into any) error
}

// StrictEncoding is an Encoding that can refuse fields that a type does not
// have. A codec that does not pass over unknown fields needs one.
type StrictEncoding interface {
	Encoding
	// DecodeStrict is Decode, and fails with an error that matches
	// ErrUnknownField where data holds more than the type does.
	DecodeStrict(data []byte, into any) error
}

// DecodeAs returns the T that data holds in an encoding: for what is stored
// beside events, as snapshots are. Where T is a pointer, the encoding is given a
// new one, as it is for events.
func DecodeAs[T any](encoding Encoding, data []byte) (T, error) {
	value, err := readerOf[T]()(encoding.Decode, data)
	if err != nil {
		var none T
		return none, err
	}
	out, _ := value.(T) // an interface that is nil is none
	return out, nil
}

// JSON is the default Encoding: that of encoding/json, with these differences.
//
//  1. It writes "<", ">" and "&" as they are.
//  2. Numbers that go into an interface (a field of type any, a map of them)
//     become json.Number, so that no digit is lost. In fields of a numeric
//     type nothing is rounded either, but for floats, which are floats.
//  3. Strings stay strings, also those that look like dates.
//  4. No data at all is the zero value, as {} is: events without a body are
//     written so by other programs. The document null is an error.
//  5. A type with a method UnmarshalJSON is handed the data as it is, and must
//     see itself that this is valid JSON. So a type that needs speed brings its
//     own decoder, and no other one runs before it.
type JSON struct{}

// ContentType returns daybook.ContentTypeJSON.
func (JSON) ContentType() string { return daybook.ContentTypeJSON }

// Encode implements Encoding.
func (JSON) Encode(value any) ([]byte, error) {
	w := writers.Get().(*writer)
	defer writers.Put(w)
	w.Reset()
	if err := w.encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimSuffix(w.Bytes(), []byte("\n"))), nil
}

// writer is an encoder and what it writes to. It may be used again after an
// error too, since nothing fails in a buffer.
type writer struct {
	bytes.Buffer
	encoder *json.Encoder
}

// writers are lent to those who encode.
var writers = sync.Pool{New: func() any {
	w := &writer{}
	w.encoder = json.NewEncoder(&w.Buffer)
	w.encoder.SetEscapeHTML(false)
	return w
}}

// Decode implements Encoding.
func (JSON) Decode(data []byte, into any) error {
	return JSON{}.decoderOf(reflect.TypeOf(into).Elem(), false)(data, into)
}

// DecodeStrict implements StrictEncoding.
func (JSON) DecodeStrict(data []byte, into any) error {
	return JSON{}.decoderOf(reflect.TypeOf(into).Elem(), true)(data, into)
}

// decodeFunc fills what into points to.
type decodeFunc func(data []byte, into any) error

// decoderOf returns how values of a type are decoded. It is asked once for
// each entry of a codec, so that no record pays for looking at the type.
func (JSON) decoderOf(t reflect.Type, strict bool) decodeFunc {
	if unmarshaler := reflect.TypeFor[json.Unmarshaler](); t.Implements(unmarshaler) || reflect.PointerTo(t).Implements(unmarshaler) {
		return func(data []byte, into any) error {
			data, err := document(bytes.TrimSpace(data))
			if err != nil {
				return err
			}
			return into.(json.Unmarshaler).UnmarshalJSON(data)
		}
	}
	numbers := holdsInterface(t, nil)
	if !numbers && !strict {
		return func(data []byte, into any) error {
			data, err := document(data)
			if err != nil {
				return err
			}
			return json.Unmarshal(data, into)
		}
	}
	return func(data []byte, into any) error {
		data, err := document(data)
		if err != nil {
			return err
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.UseNumber()
		if strict {
			decoder.DisallowUnknownFields()
		}
		if err := decoder.Decode(into); err != nil {
			if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
				return fmt.Errorf("%w %s", ErrUnknownField, field)
			}
			return err
		}
		if _, err := decoder.Token(); err != io.EOF {
			return errors.New("json: there is something behind the document")
		}
		return nil
	}
}

// document returns data as a document of JSON that stands for an event.
func document(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return []byte("{}"), nil
	}
	if data[0] != '{' && string(bytes.TrimSpace(data)) == "null" {
		return nil, errors.New("json: the document is null")
	}
	return data, nil
}

// holdsInterface reports whether encoding/json may have to choose a Go type
// for a number in a value of type t.
func holdsInterface(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	if seen == nil {
		seen = map[reflect.Type]bool{}
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holdsInterface(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if field := t.Field(i); field.IsExported() || field.Anonymous {
				if holdsInterface(field.Type, seen) {
					return true
				}
			}
		}
	}
	return false
}

// decoderOf returns how values of a type are decoded by an encoding; nil where
// that cannot be strict and must be.
func decoderOf(encoding Encoding, t reflect.Type, strict bool) decodeFunc {
	switch e := encoding.(type) {
	case JSON:
		return e.decoderOf(t, strict)
	case StrictEncoding:
		if strict {
			return e.DecodeStrict
		}
	}
	if strict {
		return nil
	}
	return encoding.Decode
}

// mediaType returns a content type without its parameters.
func mediaType(contentType string) string {
	if contentType == "" {
		return daybook.ContentTypeJSON
	}
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}
