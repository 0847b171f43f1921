package codec

import (
	"slices"

	"github.com/daybook-go/daybook"
)

// EncodeAll is Encode for several values, in their order.
func (c *Codec[E]) EncodeAll(values ...E) ([]daybook.Event, error) {
	events := make([]daybook.Event, 0, len(values))
	for _, value := range values {
		event, err := c.Encode(value)
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

// Changeset returns the changeset that adds the values to a stream: their
// events, and the claims, releases and references that they bring, each once.
//
// What is claimed and released by values of one changeset ends as the last of
// them says. Where one value does both, the release comes first.
func (c *Codec[E]) Changeset(stream daybook.StreamID, expect daybook.Expect, values ...E) (daybook.Changeset, error) {
	changeset := daybook.Changeset{Stream: stream, Expect: expect, Events: make([]daybook.Event, 0, len(values))}
	for _, value := range values {
		v := any(value)
		e, err := c.entry(v)
		if err != nil {
			return daybook.Changeset{}, err
		}
		event, err := c.encode(e, v)
		if err != nil {
			return daybook.Changeset{}, err
		}
		changeset.Events = append(changeset.Events, event)
		e.bring(&changeset, v)
	}
	return changeset, nil
}

// bring adds to a changeset what a value brings to it as a whole.
func (e *event) bring(to *daybook.Changeset, v any) {
	if e.releases != nil {
		for _, claim := range e.releases(v) {
			to.Claims, to.Releases = without(to.Claims, claim), with(to.Releases, claim)
		}
	}
	if e.claims != nil {
		for _, claim := range e.claims(v) {
			to.Claims, to.Releases = with(to.Claims, claim), without(to.Releases, claim)
		}
	}
	if e.references != nil {
		for _, reference := range e.references(v) {
			to.References = with(to.References, reference)
		}
	}
}

func with[T comparable](set []T, value T) []T {
	if slices.Contains(set, value) {
		return set
	}
	return append(set, value)
}

func without[T comparable](set []T, value T) []T {
	return slices.DeleteFunc(set, func(v T) bool { return v == value })
}
