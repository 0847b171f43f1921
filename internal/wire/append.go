package wire

import (
	"encoding/json"
	"time"

	"github.com/daybook-go/daybook"
)

// Append is an append as JSON brings it.
type Append struct {
	ID         Text        `json:"append_id"`
	Changesets []Changeset `json:"changesets"`
	Condition  *Condition  `json:"condition"`
	Durability string      `json:"durability"`
}

// Changeset is a changeset of an append as JSON brings it.
type Changeset struct {
	StreamID
	Expect Expect  `json:"expect"`
	Events []Event `json:"events"`
	Metadata
	Claims     []Claim    `json:"claims"`
	Releases   []Claim    `json:"releases"`
	References []StreamID `json:"references"`
}

// Condition is a condition as JSON brings it.
type Condition struct {
	Query Query            `json:"query"`
	After daybook.Position `json:"after"`
}

// Query is a query as JSON brings it.
type Query struct {
	Items []QueryItem `json:"items"`
}

// QueryItem is an item of a query as JSON brings it.
type QueryItem struct {
	Types []Text `json:"types"`
	Tags  []Text `json:"tags"`
}

// Expect is what an append expects of a stream: "any", "none", "exists",
// {"version": 3} or {"changeset": 2}.
type Expect struct{ daybook.Expect }

// UnmarshalJSON implements json.Unmarshaler.
func (e *Expect) UnmarshalJSON(raw []byte) error {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		switch word {
		case "any", "":
			e.Expect = daybook.ExpectAny()
		case "none":
			e.Expect = daybook.ExpectNone()
		case "exists":
			e.Expect = daybook.ExpectExists()
		default:
			return expectError(raw)
		}
		return nil
	}
	var place struct {
		Version   *daybook.Version         `json:"version"`
		Changeset *daybook.ChangesetNumber `json:"changeset"`
	}
	if err := Decode(raw, &place); err != nil || (place.Version == nil) == (place.Changeset == nil) {
		return expectError(raw)
	}
	if place.Version != nil {
		e.Expect = daybook.ExpectVersion(*place.Version)
	} else {
		e.Expect = daybook.ExpectChangeset(*place.Changeset)
	}
	return nil
}

func expectError(raw []byte) error {
	return invalid("expect", Shorten(string(raw)), `must be "any", "none", "exists", {"version": n} or {"changeset": n}`)
}

// DecodeAppend reads the JSON of an append. What it returns may share the
// memory of the body.
func DecodeAppend(body []byte) (daybook.Append, error) {
	if a, ok := quickAppend(body); ok {
		return a, nil
	}
	return slowAppend(body)
}

// slowAppend is DecodeAppend for documents of every kind; it tells what is
// wrong with those that are refused.
func slowAppend(body []byte) (daybook.Append, error) {
	var a Append
	if err := Decode(body, &a); err != nil {
		return daybook.Append{}, err
	}
	return a.append()
}

func (a *Append) append() (daybook.Append, error) {
	durability, err := ParseDurability(a.Durability)
	if err != nil {
		return daybook.Append{}, err
	}
	result := daybook.Append{Durability: durability}
	if a.ID != "" {
		result.ID = daybook.IDOf(string(a.ID))
	}
	if a.Condition != nil {
		result.Condition = &daybook.Condition{Query: a.Condition.Query.Query(), After: a.Condition.After}
	}
	for i := range a.Changesets {
		c, err := a.Changesets[i].changeset()
		if err != nil {
			return daybook.Append{}, inside(err, "changesets[%d]", i)
		}
		result.Changesets = append(result.Changesets, c)
	}
	return result, nil
}

func (c *Changeset) changeset() (daybook.Changeset, error) {
	metadata, err := c.Metadata.bytes("metadata")
	if err != nil {
		return daybook.Changeset{}, err
	}
	result := daybook.Changeset{
		Stream: c.StreamID.ID(), Expect: c.Expect.Expect, Metadata: metadata, Claims: convert(c.Claims, Claim.Claim),
		Releases: convert(c.Releases, Claim.Claim), References: convert(c.References, StreamID.ID),
	}
	for i := range c.Events {
		event, err := c.Events[i].Event()
		if err != nil {
			return daybook.Changeset{}, inside(err, "events[%d]", i)
		}
		result.Events = append(result.Events, event)
	}
	return result, nil
}

// Query returns the query that q stands for.
func (q Query) Query() daybook.Query {
	var query daybook.Query
	for _, item := range q.Items {
		toString := func(t Text) string { return string(t) }
		query.Items = append(query.Items, daybook.QueryItem{Types: convert(item.Types, toString), Tags: convert(item.Tags, toString)})
	}
	return query
}

// ParseDurability reads the word for a durability; "" is the default.
func ParseDurability(word string) (daybook.Durability, error) {
	if word == "" {
		return daybook.DurabilityDefault, nil
	}
	for d := daybook.DurabilityDefault; d <= daybook.DurabilityCloud; d++ {
		if d.String() == word {
			return d, nil
		}
	}
	return 0, invalid("durability", Shorten(word), "must be default, memory, os, disk, replicated or cloud")
}

// AppendAppend appends the JSON of an append, as it is sent to a server.
func AppendAppend(out []byte, a *daybook.Append) []byte {
	w := &writer{out: out, forServer: true}
	w.out = append(w.out, '{')
	w.text("append_id", a.ID.String())
	list(w, "changesets", a.Changesets, func(w *writer, c *daybook.Changeset) { w.changeset(c) })
	if a.Condition != nil {
		w.key("condition")
		w.condition(a.Condition)
	}
	if a.Durability != daybook.DurabilityDefault {
		w.text("durability", a.Durability.String())
	}
	w.close('}')
	return w.out
}

func (w *writer) changeset(c *daybook.Changeset) {
	w.open('{')
	w.stream(c.Stream)
	w.key("expect")
	w.expect(c.Expect)
	list(w, "events", c.Events, func(w *writer, e *daybook.Event) {
		w.open('{')
		w.event(e)
		w.close('}')
	})
	w.content("metadata", daybook.ContentTypeJSON, c.Metadata)
	w.claims("claims", c.Claims)
	w.claims("releases", c.Releases)
	w.references(c.References)
	w.close('}')
}

// expect writes an expectation as a value.
func (w *writer) expect(e daybook.Expect) {
	if version, ok := e.Version(); ok {
		w.open('{')
		w.number("version", int64(version))
		w.close('}')
		return
	}
	if number, ok := e.Changeset(); ok {
		w.open('{')
		w.number("changeset", int64(number))
		w.close('}')
		return
	}
	w.out = AppendString(w.out, e.String())
}

func (w *writer) condition(c *daybook.Condition) {
	w.open('{')
	w.key("query")
	w.query(c.Query)
	w.number("after", int64(c.After))
	w.close('}')
}

func (w *writer) query(q daybook.Query) {
	w.open('{')
	list(w, "items", q.Items, func(w *writer, item *daybook.QueryItem) {
		text := func(w *writer, s *string) { w.out = AppendString(w.out, *s) }
		w.open('{')
		list(w, "types", item.Types, text)
		list(w, "tags", item.Tags, text)
		w.close('}')
	})
	w.close('}')
}

// AppendQuery appends the JSON of a query.
func AppendQuery(out []byte, q daybook.Query) []byte {
	w := &writer{}
	w.query(q)
	return append(out, w.out...)
}

// DecodeQuery reads the JSON of a query.
func DecodeQuery(raw []byte) (daybook.Query, error) {
	var q Query
	if err := Decode(raw, &q); err != nil {
		return daybook.Query{}, err
	}
	return q.Query(), nil
}

// AppendReceipt appends the JSON of a receipt.
func AppendReceipt(out []byte, r *daybook.Receipt) []byte {
	w := &writer{out: out}
	w.out = append(w.out, '{')
	w.text("append_id", r.AppendID.String())
	w.time("recorded_at", r.RecordedAt)
	w.text("durability", r.Durability.String())
	w.boolean("repeated", r.Repeated)
	w.number("position", int64(r.Position()))
	list(w, "changesets", r.Changesets, func(w *writer, c *daybook.ChangesetReceipt) {
		w.open('{')
		w.stream(c.Stream)
		w.number("changeset_id", int64(c.Number))
		if c.Ordinal > 0 {
			w.number("ordinal", int64(c.Ordinal))
		}
		w.number("first_version", int64(c.First))
		w.number("last_version", int64(c.Last))
		w.number("first_position", int64(c.FirstPosition))
		w.number("last_position", int64(c.LastPosition))
		w.close('}')
	})
	w.close('}')
	return w.out
}

// receipt is a receipt as JSON brings it.
type receipt struct {
	AppendID   daybook.ID       `json:"append_id"`
	RecordedAt time.Time        `json:"recorded_at"`
	Durability string           `json:"durability"`
	Repeated   bool             `json:"repeated"`
	Position   daybook.Position `json:"position"`
	Changesets []struct {
		StreamID
		Number        daybook.ChangesetNumber `json:"changeset_id"`
		Ordinal       daybook.Ordinal         `json:"ordinal"`
		First         daybook.Version         `json:"first_version"`
		Last          daybook.Version         `json:"last_version"`
		FirstPosition daybook.Position        `json:"first_position"`
		LastPosition  daybook.Position        `json:"last_position"`
	} `json:"changesets"`
}

// DecodeReceipt reads the JSON of a receipt.
func DecodeReceipt(body []byte) (daybook.Receipt, error) {
	var r receipt
	if err := decodeReply(body, &r); err != nil {
		return daybook.Receipt{}, err
	}
	durability, err := ParseDurability(r.Durability)
	if err != nil {
		return daybook.Receipt{}, err
	}
	result := daybook.Receipt{AppendID: r.AppendID, RecordedAt: daybook.Microseconds(r.RecordedAt), Durability: durability, Repeated: r.Repeated}
	for _, c := range r.Changesets {
		result.Changesets = append(result.Changesets, daybook.ChangesetReceipt{
			Stream: c.StreamID.ID(), Number: c.Number, Ordinal: c.Ordinal, First: c.First, Last: c.Last,
			FirstPosition: c.FirstPosition, LastPosition: c.LastPosition,
		})
	}
	return result, nil
}
