package codec

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/daybook-go/daybook"
)

var (
	// ErrNil is matched when a nil value was to be encoded.
	ErrNil = errors.New("the value is nil")
	// ErrUnregistered is matched when a value was to be encoded whose type has
	// no entry in the codec.
	ErrUnregistered = errors.New("the type has no entry in the codec")
	// ErrUnknownField is matched when data holds a field that its type does not
	// have, and the codec does not pass over those.
	ErrUnknownField = errors.New("unknown field")
)

// EntryError says what is wrong with an entry of a codec. New returns one for
// each that is, joined: fix the entries and build again.
type EntryError struct {
	Name    string       // the name of the event; empty where the entry has none
	Type    reflect.Type // its Go type; nil where it has none
	Problem string       // "the name stands for Opened already"
}

func (e *EntryError) Error() string {
	switch {
	case e.Name == "" && e.Type == nil:
		return "codec: " + e.Problem
	case e.Type == nil:
		return fmt.Sprintf("codec: event %q: %s", e.Name, e.Problem)
	case e.Name == "":
		return fmt.Sprintf("codec: type %s: %s", e.Type, e.Problem)
	}
	return fmt.Sprintf("codec: event %q of type %s: %s", e.Name, e.Type, e.Problem)
}

// EncodeError says why a value cannot become an event. It matches
// daybook.ErrInvalid, since nothing was stored and sending it again cannot
// help, and ErrNil or ErrUnregistered where that is the reason.
type EncodeError struct {
	Type reflect.Type // of the value; nil for a nil interface
	Err  error
}

func (e *EncodeError) Error() string {
	if e.Type == nil {
		return fmt.Sprintf("codec: encode: %v", e.Err)
	}
	return fmt.Sprintf("codec: encode %s: %v", e.Type, e.Err)
}

func (e *EncodeError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *EncodeError) Is(target error) bool {
	return target == daybook.ErrInvalid || target == daybook.ErrRefused
}

// Reason says what stands between a record and its values.
type Reason uint8

const (
	// UnknownType: no entry reads records of this type and schema.
	UnknownType Reason = iota + 1
	// UnknownContentType: the codec has no encoding for it.
	UnknownContentType
	// UnknownField: the data has a field that the type does not have.
	UnknownField
	// BadData: the data does not decode into its type.
	BadData
	// BadUpcast: a step failed, panicked, or gave a type that no entry has.
	BadUpcast
)

// String returns the words for r: "unknown type".
func (r Reason) String() string {
	words := [...]string{"", "unknown type", "unknown content type", "unknown field", "bad data", "bad upcast"}
	if r == 0 || int(r) >= len(words) {
		return "unknown reason"
	}
	return words[r]
}

// DecodeError says why a record does not decode, and where it stands.
type DecodeError struct {
	Reason      Reason
	Type        string // of the record
	Schema      string
	ContentType string
	Stream      daybook.StreamID
	Version     daybook.Version
	Position    daybook.Position
	Err         error // nil for what is unknown
}

func (e *DecodeError) Error() string {
	text := fmt.Sprintf("codec: record %d, version %d of stream %q: %s: type %q", e.Position, e.Version, e.Stream, e.Reason, e.Type)
	if e.Schema != "" {
		text += fmt.Sprintf(" schema %q", e.Schema)
	}
	if e.Reason == UnknownContentType {
		text += fmt.Sprintf(" content type %q", e.ContentType)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *DecodeError) Unwrap() error { return e.Err }

// failure is a DecodeError about r. It keeps strings only, which a borrowed
// record may lend for ever.
func failure(r *daybook.Record, reason Reason, err error) *DecodeError {
	return &DecodeError{
		Reason: reason, Type: r.Type, Schema: r.Context.Schema, ContentType: r.ContentType,
		Stream: r.Stream, Version: r.Version, Position: r.Position, Err: err,
	}
}
