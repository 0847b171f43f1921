package main

import (
	"errors"

	"github.com/daybook-go/daybook/aggregate"
	"github.com/daybook-go/daybook/codec"
)

// What happens to an organization.
type (
	Event      interface{ organizationEvent() }
	Registered struct{ Name string }
	Renamed    struct{ Name string }
)

func (Registered) organizationEvent() {}
func (Renamed) organizationEvent()    {}

var events = codec.Must(codec.New[Event](codec.Event[Registered]("registered"), codec.Event[Renamed]("renamed")))

// Organization is an object that changes itself by events: its methods emit
// them, Apply changes its fields.
type Organization struct {
	aggregate.Root[Event]
	Name string
}

var errNotRegistered = errors.New("the organization is not registered")

// Register registers the organization. Doing it again changes nothing.
func (o *Organization) Register(name string) error {
	if o.Name == "" {
		o.Emit(Registered{Name: name})
	}
	return nil
}

// Rename gives it another name. The one that it has changes nothing.
func (o *Organization) Rename(name string) error {
	switch o.Name {
	case "":
		return errNotRegistered
	case name:
		return nil
	}
	o.Emit(Renamed{Name: name})
	return nil
}

// Apply runs when an event is emitted and when the object is loaded.
func (o *Organization) Apply(event Event) {
	switch e := event.(type) {
	case Registered:
		o.Name = e.Name
	case Renamed:
		o.Name = e.Name
	}
}

// Clone copies the object, so that it need not be read again on a conflict.
func (o *Organization) Clone() *Organization { own := *o; return &own }
