package daybook

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// The checks of all input, made before a driver sees it. Each returns an error
// whose Field is named from the thing that it checks; whoever holds that thing
// puts its own name in front (see inside), so that names are only built for
// errors.

// Validate returns an *InvalidError or *LimitError if id cannot name a stream.
func (id StreamID) Validate() error {
	if err := checkText("partition", id.Partition, MaxPartitionLen); err != nil {
		return err
	}
	if err := checkName("stream_id", id.Name, MaxNameLen); err != nil {
		return err
	}
	if strings.HasPrefix(id.Name, ReservedPrefix) {
		return &InvalidError{Field: "stream_id", Value: quote(id.Name), Reason: "names that begin with " + ReservedPrefix + " are reserved"}
	}
	return nil
}

// check returns the first thing that is wrong with a.
func (l Limits) check(a *Append) error {
	if len(a.Changesets) == 0 {
		return &InvalidError{Field: "changesets", Value: "empty", Reason: "must hold at least one changeset"}
	}
	if n := int64(len(a.Changesets)); n > l.Changesets {
		return &LimitError{Field: "changesets", Value: n, Limit: l.Changesets, Unit: "changesets"}
	}
	if a.Condition != nil {
		if a.Condition.After < 0 {
			return negative("condition.after", int64(a.Condition.After))
		}
		if err := a.Condition.Query.validate(); err != nil {
			return inside(err, "condition.query")
		}
	}
	var events, size int64
	for i := range a.Changesets {
		c := &a.Changesets[i]
		weight, err := l.checkChangeset(c)
		if err != nil {
			return inside(err, "changesets[%d]", i)
		}
		size += weight
		events += int64(len(c.Events))
	}
	if events > l.Events {
		return &LimitError{Field: "events", Value: events, Limit: l.Events, Unit: "events"}
	}
	if size > l.AppendBytes {
		return &LimitError{Field: "append", Value: size, Limit: l.AppendBytes, Unit: "bytes"}
	}
	return checkDistinct(a.Changesets)
}

// checkDistinct refuses an append that names a stream twice, or takes a claim
// twice.
func checkDistinct(changesets []Changeset) error {
	type held struct {
		partition string
		claim     Claim
	}
	var streams map[StreamID]struct{}
	if len(changesets) > 1 {
		streams = make(map[StreamID]struct{}, len(changesets))
	}
	var claims map[held]struct{}
	for i := range changesets {
		c := &changesets[i]
		if streams != nil {
			if _, twice := streams[c.Stream]; twice {
				return &InvalidError{Field: fmt.Sprintf("changesets[%d].stream_id", i), Value: quote(c.Stream.String()), Reason: "must not stand twice in one append"}
			}
			streams[c.Stream] = struct{}{}
		}
		for j, claim := range c.Claims {
			if claims == nil {
				claims = map[held]struct{}{}
			}
			if _, twice := claims[held{c.Stream.Partition, claim}]; twice {
				return &InvalidError{Field: fmt.Sprintf("changesets[%d].claims[%d]", i, j), Value: quote(claim.Kind + " " + claim.Value), Reason: "must not be taken twice in one append"}
			}
			claims[held{c.Stream.Partition, claim}] = struct{}{}
		}
	}
	return nil
}

// checkChangeset returns how many bytes c carries, or what is wrong with it.
func (l Limits) checkChangeset(c *Changeset) (int64, error) {
	if err := c.Stream.Validate(); err != nil {
		return 0, err
	}
	if c.Expect.at < 0 {
		return 0, negative("expect", c.Expect.at)
	}
	if len(c.Events) == 0 {
		return 0, &InvalidError{Field: "events", Value: "empty", Reason: "must hold at least one event"}
	}
	size := int64(len(c.Metadata))
	for i := range c.Events {
		weight, err := l.checkEvent(&c.Events[i])
		if err != nil {
			return 0, inside(err, "events[%d]", i)
		}
		size += weight
	}
	if err := checkEventIDs(c.Events); err != nil {
		return 0, err
	}
	for i, reference := range c.References {
		if err := reference.Validate(); err != nil {
			return 0, inside(err, "references[%d]", i)
		}
		size += int64(len(reference.Partition) + len(reference.Name))
	}
	for i, claim := range c.Claims {
		if err := claim.validate(); err != nil {
			return 0, inside(err, "claims[%d]", i)
		}
		size += int64(len(claim.Kind) + len(claim.Value))
	}
	for i, claim := range c.Releases {
		if err := claim.validate(); err != nil {
			return 0, inside(err, "releases[%d]", i)
		}
		size += int64(len(claim.Kind) + len(claim.Value))
	}
	return size, nil
}

// checkEventIDs refuses an id that stands on two of the events: it names one.
func checkEventIDs(events []Event) error {
	if len(events) < 2 {
		return nil
	}
	var ids map[ID]struct{}
	for i := range events {
		id := events[i].ID
		if id == (ID{}) {
			continue
		}
		if ids == nil {
			ids = make(map[ID]struct{}, len(events)-i)
		}
		if _, twice := ids[id]; twice {
			return &InvalidError{Field: fmt.Sprintf("events[%d].id", i), Value: id.String(), Reason: "must not stand twice in one changeset"}
		}
		ids[id] = struct{}{}
	}
	return nil
}

// checkEvent returns how many bytes e carries, or what is wrong with it.
func (l Limits) checkEvent(e *Event) (int64, error) {
	if err := checkName("type", e.Type, MaxTypeLen); err != nil {
		return 0, err
	}
	if err := checkText("content_type", e.ContentType, MaxTextLen); err != nil {
		return 0, err
	}
	size := int64(len(e.Data) + len(e.Context.Metadata))
	if size > l.EventBytes {
		return 0, &LimitError{Field: "data", Value: size, Limit: l.EventBytes, Unit: "bytes"}
	}
	if err := checkYear("occurred_at", e.OccurredAt); err != nil {
		return 0, err
	}
	tags, err := checkTags(e.Tags)
	if err != nil {
		return 0, err
	}
	texts, err := checkContext(&e.Context)
	if err != nil {
		return 0, inside(err, "context")
	}
	return size + tags + texts + int64(len(e.Type)+len(e.ContentType)), nil
}

// checkTags returns how many bytes the tags have, or what is wrong with them.
func checkTags(tags []string) (int64, error) {
	if len(tags) > MaxTags {
		return 0, &LimitError{Field: "tags", Value: int64(len(tags)), Limit: MaxTags, Unit: "tags"}
	}
	var size int64
	for i, tag := range tags {
		if err := checkName("", tag, MaxTagLen); err != nil {
			return 0, called(err, "tags[%d]", i)
		}
		for _, before := range tags[:i] {
			if tag == before {
				return 0, &InvalidError{Field: fmt.Sprintf("tags[%d]", i), Value: quote(tag), Reason: "must not stand twice"}
			}
		}
		size += int64(len(tag))
	}
	return size, nil
}

// checkContext returns how many bytes the texts of c have, or what is wrong
// with them.
func checkContext(c *Context) (int64, error) {
	size := int64(len(c.Who) + len(c.Correlation) + len(c.Source) + len(c.Commentary) + len(c.Schema))
	if size == 0 && c.Why == nil { // as most often
		return 0, nil
	}
	texts := [...]struct{ field, text string }{
		{"who", c.Who}, {"correlation", c.Correlation}, {"source", c.Source},
		{"commentary", c.Commentary}, {"schema", c.Schema},
	}
	for _, t := range texts {
		if err := checkText(t.field, t.text, MaxTextLen); err != nil {
			return 0, err
		}
	}
	if c.Why == nil {
		return size, nil
	}
	for _, t := range [...]struct{ field, text string }{{"id", c.Why.ID}, {"what", c.Why.What}, {"who", c.Why.Who}} {
		if err := checkText(t.field, t.text, MaxTextLen); err != nil {
			return 0, inside(err, "why")
		}
		size += int64(len(t.text))
	}
	return size, inside(checkYear("when", c.Why.When), "why")
}

// checkYear refuses times that the text form of a time cannot write.
func checkYear(field string, t time.Time) error {
	if t.IsZero() {
		return nil
	}
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return &InvalidError{Field: field, Value: fmt.Sprint("year ", year), Reason: "the year must lie between 1 and 9999"}
	}
	return nil
}

func (c Claim) validate() error {
	if err := checkName("kind", c.Kind, MaxTextLen); err != nil {
		return err
	}
	return checkName("value", c.Value, MaxTextLen)
}

func (q Query) validate() error {
	if len(q.Items) > MaxQueryItems {
		return &LimitError{Field: "items", Value: int64(len(q.Items)), Limit: MaxQueryItems, Unit: "items"}
	}
	for i, item := range q.Items {
		for j, eventType := range item.Types {
			if err := checkName("", eventType, MaxTypeLen); err != nil {
				return called(err, "items[%d].types[%d]", i, j)
			}
		}
		for j, tag := range item.Tags {
			if err := checkName("", tag, MaxTagLen); err != nil {
				return called(err, "items[%d].tags[%d]", i, j)
			}
		}
	}
	return nil
}

func (r StreamRead) validate() error {
	switch {
	case r.From < 0:
		return negative("from", int64(r.From))
	case r.To < 0:
		return negative("to", int64(r.To))
	case r.Limit < 0:
		return negative("limit", int64(r.Limit))
	}
	return nil
}

func (r LogRead) validate() error {
	switch {
	case r.After < 0:
		return negative("after", int64(r.After))
	case r.To < 0:
		return negative("to", int64(r.To))
	case r.Limit < 0:
		return negative("limit", int64(r.Limit))
	}
	return inside(r.Filter.Query.validate(), "query")
}

// checkName is checkText for a text that must not be empty.
func checkName(field, text string, limit int) error {
	if text == "" {
		return &InvalidError{Field: field, Value: `""`, Reason: "must not be empty"}
	}
	return checkText(field, text, limit)
}

// checkText refuses what some storage could not give back: text that is not
// UTF-8, holds U+0000, or is too long.
func checkText(field, text string, limit int) error {
	if text == "" {
		return nil
	}
	if len(text) > limit {
		return &LimitError{Field: field, Value: int64(len(text)), Limit: int64(limit), Unit: "bytes"}
	}
	if !utf8.ValidString(text) {
		return &InvalidError{Field: field, Value: quote(text), Reason: "must be valid UTF-8"}
	}
	if strings.IndexByte(text, 0) >= 0 {
		return &InvalidError{Field: field, Value: quote(text), Reason: "must not hold the character U+0000"}
	}
	return nil
}

func negative(field string, value int64) error {
	return &InvalidError{Field: field, Value: fmt.Sprint(value), Reason: "must not be negative"}
}

// inside puts the name of what holds it in front of the field that err names.
// A nil err stays nil.
func inside(err error, format string, args ...any) error {
	switch e := err.(type) {
	case *InvalidError:
		e.Field = path(fmt.Sprintf(format, args...), e.Field)
	case *LimitError:
		e.Field = path(fmt.Sprintf(format, args...), e.Field)
	}
	return err
}

// path is the name of a field within what holds it; "" is the holder itself.
func path(holder, field string) string {
	if field == "" {
		return holder
	}
	return holder + "." + field
}

// called gives the field that err names another name: where the thing that was
// checked is known by its place. A nil err stays nil.
func called(err error, format string, args ...any) error {
	switch e := err.(type) {
	case *InvalidError:
		e.Field = fmt.Sprintf(format, args...)
	case *LimitError:
		e.Field = fmt.Sprintf(format, args...)
	}
	return err
}

// quote returns text for an error: quoted, and shortened where it is long.
func quote(text string) string {
	const longest = 80
	if len(text) > longest {
		return fmt.Sprintf("%q and %d bytes more", text[:longest], len(text)-longest)
	}
	return fmt.Sprintf("%q", text)
}
