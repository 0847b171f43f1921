package wire

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// AppendRecord appends the JSON of a record, on one line.
func AppendRecord(out []byte, r *daybook.Record) []byte {
	w := &writer{out: out}
	w.record(r)
	return w.out
}

func (w *writer) record(r *daybook.Record) {
	w.out = append(w.out, '{')
	w.number("position", int64(r.Position))
	w.stream(r.Stream)
	w.number("version", int64(r.Version))
	w.time("recorded_at", r.RecordedAt)
	w.event(&r.Event)
	w.key("changeset")
	w.header(r.Changeset)
	w.close('}')
}

// AppendImport appends the JSON of a record, on one line, as it is sent to a
// server that is to store it.
func AppendImport(out []byte, r *daybook.Record) []byte {
	w := &writer{out: out, forServer: true}
	w.record(r)
	return w.out
}

// appendObject appends the JSON of a part of a record to a writer's array.
func appendObject(w *writer, r *daybook.Record) { w.out = AppendRecord(w.out, r) }

func (w *writer) stream(id daybook.StreamID) {
	w.text("stream_id", id.Name)
	w.optional("partition", id.Partition)
}

// event writes the fields of an event into the open object.
func (w *writer) event(e *daybook.Event) {
	w.text("id", e.ID.String())
	w.text("type", e.Type)
	if e.ContentType != daybook.ContentTypeJSON {
		w.optional("content_type", e.ContentType)
	}
	if len(e.Tags) > 0 {
		list(w, "tags", e.Tags, func(w *writer, tag *string) { w.out = AppendString(w.out, *tag) })
	}
	if !e.OccurredAt.IsZero() {
		w.time("occurred_at", e.OccurredAt)
	}
	w.context(&e.Context)
	w.content("data", e.ContentType, e.Data)
}

func (w *writer) context(c *daybook.Context) {
	if c.Who == "" && c.Why == nil && c.Correlation == "" && c.Source == "" && c.Commentary == "" && c.Schema == "" && len(c.Metadata) == 0 {
		return
	}
	w.key("context")
	w.open('{')
	w.optional("who", c.Who)
	if c.Why != nil {
		w.key("why")
		w.open('{')
		w.optional("id", c.Why.ID)
		w.optional("what", c.Why.What)
		if !c.Why.When.IsZero() {
			w.time("when", c.Why.When)
		}
		w.optional("who", c.Why.Who)
		w.close('}')
	}
	w.optional("correlation", c.Correlation)
	w.optional("source", c.Source)
	w.optional("commentary", c.Commentary)
	w.optional("schema", c.Schema)
	w.content("metadata", daybook.ContentTypeJSON, c.Metadata)
	w.close('}')
}

// header writes what the records of a changeset have in common, as an object.
func (w *writer) header(h *daybook.ChangesetHeader) {
	w.open('{')
	w.number("number", int64(h.Number))
	if h.Ordinal > 0 {
		w.number("ordinal", int64(h.Ordinal))
	}
	w.number("first", int64(h.First))
	w.number("count", int64(h.Count))
	w.text("append_id", h.AppendID.String())
	w.content("metadata", daybook.ContentTypeJSON, h.Metadata)
	w.claims("claims", h.Claims)
	w.claims("releases", h.Releases)
	w.references(h.References)
	w.close('}')
}

func (w *writer) claims(name string, claims []daybook.Claim) {
	if len(claims) > 0 {
		list(w, name, claims, func(w *writer, c *daybook.Claim) { w.claim(*c) })
	}
}

func (w *writer) claim(c daybook.Claim) {
	w.open('{')
	w.text("kind", c.Kind)
	w.text("value", c.Value)
	w.close('}')
}

func (w *writer) references(ids []daybook.StreamID) {
	if len(ids) > 0 {
		list(w, "references", ids, func(w *writer, id *daybook.StreamID) {
			w.open('{')
			w.stream(*id)
			w.close('}')
		})
	}
}

// Event is an event as JSON brings it.
type Event struct {
	ID          *daybook.ID     `json:"id"`
	Type        Text            `json:"type"`
	ContentType Text            `json:"content_type"`
	Tags        []Text          `json:"tags"`
	OccurredAt  time.Time       `json:"occurred_at"`
	Context     Context         `json:"context"`
	Data        json.RawMessage `json:"data"`
	DataText    *Text           `json:"data_text"`
	DataBase64  *string         `json:"data_base64"`
}

// Context is the context of an event as JSON brings it.
type Context struct {
	Who         Text   `json:"who"`
	Why         *Cause `json:"why"`
	Correlation Text   `json:"correlation"`
	Source      Text   `json:"source"`
	Commentary  Text   `json:"commentary"`
	Schema      Text   `json:"schema"`
	Metadata
}

// Metadata is metadata of any kind as JSON brings it: a part of what it
// belongs to.
type Metadata struct {
	JSON   json.RawMessage `json:"metadata"`
	Text   *Text           `json:"metadata_text"`
	Base64 *string         `json:"metadata_base64"`
}

// bytes returns the metadata, which errors call by the name of the field.
func (m *Metadata) bytes(field string) ([]byte, error) {
	return content(field, m.JSON, m.Text, m.Base64)
}

// Cause is the cause of an event as JSON brings it.
type Cause struct {
	ID   Text      `json:"id"`
	What Text      `json:"what"`
	When time.Time `json:"when"`
	Who  Text      `json:"who"`
}

// Claim is a claim as JSON brings it.
type Claim struct {
	Kind  Text `json:"kind"`
	Value Text `json:"value"`
}

// StreamID is the id of a stream as JSON brings it.
type StreamID struct {
	Stream    Text `json:"stream_id"`
	Partition Text `json:"partition"`
}

// Header is a changeset's header as JSON brings it.
type Header struct {
	Number   daybook.ChangesetNumber `json:"number"`
	Ordinal  daybook.Ordinal         `json:"ordinal"`
	First    daybook.Version         `json:"first"`
	Count    int                     `json:"count"`
	AppendID daybook.ID              `json:"append_id"`
	Metadata
	Claims     []Claim    `json:"claims"`
	Releases   []Claim    `json:"releases"`
	References []StreamID `json:"references"`
}

// Record is a record as JSON brings it.
type Record struct {
	Position daybook.Position `json:"position"`
	StreamID
	Version    daybook.Version `json:"version"`
	RecordedAt time.Time       `json:"recorded_at"`
	Event
	Changeset *Header `json:"changeset"`
}

// DecodeReplyRecord reads the JSON of a record that a server sent.
func DecodeReplyRecord(line []byte) (daybook.Record, error) {
	var r Record
	if err := decodeReply(line, &r); err != nil {
		return daybook.Record{}, err
	}
	record, err := r.Record()
	if err != nil {
		return daybook.Record{}, fmt.Errorf("a record that cannot be read: %v", err)
	}
	return record, nil
}

// DecodeRecord reads the JSON of a record that is to be stored, and refuses
// what it does not know, since that would be lost.
func DecodeRecord(line []byte) (daybook.Record, error) {
	var r Record
	if err := Decode(line, &r); err != nil {
		return daybook.Record{}, err
	}
	return r.Record()
}

// Record returns the record that r stands for.
func (r *Record) Record() (daybook.Record, error) {
	if r.Changeset == nil {
		return daybook.Record{}, invalid("changeset", "nothing", "a record must tell its changeset")
	}
	event, err := r.Event.Event()
	if err != nil {
		return daybook.Record{}, err
	}
	header, err := r.Changeset.header()
	if err != nil {
		return daybook.Record{}, err
	}
	if event.ContentType == "" {
		event.ContentType = daybook.ContentTypeJSON
	}
	at := daybook.Microseconds(r.RecordedAt)
	if event.OccurredAt.IsZero() {
		event.OccurredAt = at
	}
	return daybook.Record{
		Event: event, Stream: r.StreamID.ID(), Version: r.Version, Position: r.Position,
		RecordedAt: at, Changeset: header,
	}, nil
}

// Event returns the event that e stands for.
func (e *Event) Event() (daybook.Event, error) {
	data, err := content("data", e.Data, e.DataText, e.DataBase64)
	if err != nil {
		return daybook.Event{}, err
	}
	c := &e.Context
	metadata, err := c.Metadata.bytes("context.metadata")
	if err != nil {
		return daybook.Event{}, err
	}
	event := daybook.Event{
		Type: string(e.Type), ContentType: string(e.ContentType), Data: data, OccurredAt: daybook.Microseconds(e.OccurredAt),
		Context: daybook.Context{
			Who: string(c.Who), Correlation: string(c.Correlation), Source: string(c.Source),
			Commentary: string(c.Commentary), Schema: string(c.Schema), Metadata: metadata,
		},
	}
	if e.ID != nil {
		event.ID = *e.ID
	}
	for _, tag := range e.Tags {
		event.Tags = append(event.Tags, string(tag))
	}
	if why := c.Why; why != nil {
		event.Context.Why = &daybook.Cause{ID: string(why.ID), What: string(why.What), When: daybook.Microseconds(why.When), Who: string(why.Who)}
	}
	return event, nil
}

// ID returns the id that s stands for.
func (s StreamID) ID() daybook.StreamID {
	return daybook.StreamID{Partition: string(s.Partition), Name: string(s.Stream)}
}

// Claim returns the claim that c stands for.
func (c Claim) Claim() daybook.Claim {
	return daybook.Claim{Kind: string(c.Kind), Value: string(c.Value)}
}

func (h *Header) header() (*daybook.ChangesetHeader, error) {
	metadata, err := h.Metadata.bytes("changeset.metadata")
	if err != nil {
		return nil, err
	}
	return &daybook.ChangesetHeader{
		Number: h.Number, Ordinal: h.Ordinal, First: h.First, Count: h.Count, AppendID: h.AppendID, Metadata: metadata,
		Claims: convert(h.Claims, Claim.Claim), Releases: convert(h.Releases, Claim.Claim), References: convert(h.References, StreamID.ID),
	}, nil
}

// convert maps a list; nil stays nil.
func convert[From, To any](values []From, to func(From) To) []To {
	var converted []To
	for _, value := range values {
		converted = append(converted, to(value))
	}
	return converted
}
