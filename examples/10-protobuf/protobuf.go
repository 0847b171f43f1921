package main

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// Protobuf is the codec.Encoding of messages in their binary form. The types
// that are registered are pointers to generated messages.
type Protobuf struct{}

// ContentType is what records say that their data is.
func (Protobuf) ContentType() string { return "application/protobuf" }

// Encode writes the same message alike each time, which protobuf promises
// within one program only.
func (Protobuf) Encode(value any) ([]byte, error) {
	message, err := messageOf(value)
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(message)
}

// Decode passes over fields that the message does not have: those of a newer
// program. Protobuf keeps them in the message.
func (Protobuf) Decode(data []byte, into any) error {
	message, err := messageOf(into)
	if err != nil {
		return err
	}
	return proto.Unmarshal(data, message)
}

// DecodeStrict implements codec.StrictEncoding: with it a codec may have
// UnknownFields fail, or put aside.
func (p Protobuf) DecodeStrict(data []byte, into any) error {
	if err := p.Decode(data, into); err != nil {
		return err
	}
	return checkKnown(into.(proto.Message).ProtoReflect())
}

// checkKnown looks for fields that a message, or one inside it, does not have.
func checkKnown(m protoreflect.Message) (err error) {
	if unknown := m.GetUnknown(); len(unknown) > 0 {
		return fmt.Errorf("%w: %d bytes of %s", codec.ErrUnknownField, len(unknown), m.Descriptor().FullName())
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap() && field.MapValue().Message() != nil:
			value.Map().Range(func(_ protoreflect.MapKey, value protoreflect.Value) bool {
				err = checkKnown(value.Message())
				return err == nil
			})
		case field.IsList() && field.Message() != nil:
			for i := 0; i < value.List().Len() && err == nil; i++ {
				err = checkKnown(value.List().Get(i).Message())
			}
		case field.Message() != nil && !field.IsMap():
			err = checkKnown(value.Message())
		}
		return err == nil
	})
	return err
}

// ProtoJSON is the codec.Encoding of messages as JSON, by the rules of protobuf:
// enums by name, times as text. It reads what a program has recorded before it
// changed to Protobuf, and what other programs record.
type ProtoJSON struct{}

// ContentType is what records say that their data is.
func (ProtoJSON) ContentType() string { return daybook.ContentTypeJSON }

// Encode writes a message. Two times it may come out with other spaces.
func (ProtoJSON) Encode(value any) ([]byte, error) {
	message, err := messageOf(value)
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(message)
}

// Decode passes over fields that the message does not have.
func (ProtoJSON) Decode(data []byte, into any) error {
	return decodeJSON(protojson.UnmarshalOptions{DiscardUnknown: true}, data, into)
}

// DecodeStrict implements codec.StrictEncoding.
func (j ProtoJSON) DecodeStrict(data []byte, into any) error {
	err := decodeJSON(protojson.UnmarshalOptions{}, data, into)
	if err != nil && j.Decode(data, into) == nil { // it is only that
		return fmt.Errorf("%w: %v", codec.ErrUnknownField, err)
	}
	return err
}

func decodeJSON(options protojson.UnmarshalOptions, data []byte, into any) error {
	message, err := messageOf(into)
	if err != nil {
		return err
	}
	if len(data) == 0 { // as codec.JSON reads events without a body
		proto.Reset(message)
		return nil
	}
	return options.Unmarshal(data, message)
}

var errNoMessage = errors.New("it is no protobuf message; register a pointer to a generated one")

func messageOf(value any) (proto.Message, error) {
	message, ok := value.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T: %w", value, errNoMessage)
	}
	return message, nil
}
