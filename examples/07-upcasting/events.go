package main

import (
	"fmt"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// customerEvent is what happens to a customer.
type customerEvent interface{ accept(customerEvents) }

// customerEvents are all of them. What folds the events implements it, and
// the codec is not built while one of them has no name.
type customerEvents interface {
	registered(registered)
	moved(moved)
}

// registered has its third shape: countries came.
type registered struct {
	First, Last string
	Home        address
}

type address struct{ City, Country string }

// moved is new in the third release.
type moved struct{ To address }

func (e registered) accept(to customerEvents) { to.registered(e) }
func (e moved) accept(to customerEvents)      { to.moved(e) }

// What the first two releases recorded. These types are as they were then, and
// nothing but the steps below uses them.
type (
	registeredV1 struct{ Name, City string }
	registeredV2 struct{ First, Last, City string }
	changedV1    struct{ Field, Value string } // any field, as text
)

// splitName is the step of the second release.
func splitName(old registeredV1) registeredV2 {
	first, last, _ := strings.Cut(old.Name, " ")
	return registeredV2{First: first, Last: last, City: old.City}
}

// addCountry is the step of the third release: until then all lived in one.
func addCountry(old registeredV2) registered {
	return registered{First: old.First, Last: old.Last, Home: address{old.City, "DE"}}
}

// sortChanges makes of the changes of old what they meant. Those of fields that
// are no more mean nothing.
func sortChanges(old changedV1, _ *daybook.Record) ([]customerEvent, error) {
	switch old.Field {
	case "city":
		return []customerEvent{moved{address{old.Value, "DE"}}}, nil
	case "fax", "newsletter":
		return nil, nil
	}
	return nil, fmt.Errorf("nobody knows the field %q", old.Field)
}

// customerCodec reads what all releases have recorded, and writes the third
// shape. The second release named its shape, the first did not yet.
func customerCodec() (*codec.Codec[customerEvent], error) {
	return codec.New[customerEvent](
		codec.Event[registered]("registered", codec.Schema("3")),
		codec.Event[moved]("moved"),

		codec.Upcast("registered", "", splitName),
		codec.Upcast("registered", "2", addCountry),
		codec.UpcastMany("changed", codec.AnySchema, sortChanges),
		codec.Drop("viewed", codec.AnySchema), // of the first release; statistics do that now
	)
}
