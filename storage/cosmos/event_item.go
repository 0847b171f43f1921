package cosmos

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
)

// eventItem is an event as Finaps's library lays it out; what Daybook knows
// besides is in one more property, which that library passes over.
type eventItem struct {
	ID            string     `json:"id"`
	PartitionID   string     `json:"PartitionId"`
	AggregateID   string     `json:"AggregateId"`
	AggregateType string     `json:"AggregateType"`
	Kind          any        `json:"Kind"` // 1, or "Event": readers take either
	Type          string     `json:"Type"`
	Index         int64      `json:"Index"`
	Timestamp     string     `json:"Timestamp"`
	Daybook       *eventBody `json:"Daybook,omitempty"`
}

// kindEvent is the Kind of an event.
const kindEvent = 1

// baseMembers are the members of an event that are not its data: those of
// Finaps's Event, and those that the service adds.
var baseMembers = []string{
	"id", "PartitionId", "AggregateId", "AggregateType", "Kind", "Type", "Index", "Timestamp", "Daybook",
	"_rid", "_self", "_etag", "_attachments", "_ts",
}

// eventBody is what Daybook knows of an event.
type eventBody struct {
	Item       string                  `json:"Item"` // "event"
	Partition  string                  `json:"Partition,omitempty"`
	Stream     string                  `json:"Stream"`
	Number     daybook.ChangesetNumber `json:"Number"`
	First      daybook.Version         `json:"First"`
	Count      int                     `json:"Count"`
	Append     daybook.ID              `json:"Append"`
	Event      daybook.ID              `json:"Event"`
	Content    string                  `json:"ContentType,omitempty"` // "" is JSON
	Text       *string                 `json:"Text,omitempty"`        // the data, where they are text
	Bytes      []byte                  `json:"Bytes,omitempty"`       // the data, where they are not
	Members    bool                    `json:"Members,omitempty"`     // the data are the members of the item
	Tags       []string                `json:"Tags,omitempty"`
	OccurredAt *time.Time              `json:"OccurredAt,omitempty"`
	Context    *contextBody            `json:"Context,omitempty"`
	Changeset  *changesetBody          `json:"Changeset,omitempty"` // of the first event
	More       bool                    `json:"More,omitempty"`      // the first event has a Changeset

	// Where it stands: in the default partition in the log, else in its
	// partition, and an entry says where that is in the log.
	Position   daybook.Position `json:"Position,omitempty"`
	Ordinal    daybook.Ordinal  `json:"Ordinal,omitempty"`
	RecordedAt *time.Time       `json:"RecordedAt,omitempty"`
	Commit     int64            `json:"Commit,omitempty"`
	Place      int64            `json:"Place,omitempty"`
	Turn       int64            `json:"Turn,omitempty"`
}

type contextBody struct {
	Who         string     `json:"Who,omitempty"`
	Why         *causeBody `json:"Why,omitempty"`
	Correlation string     `json:"Correlation,omitempty"`
	Source      string     `json:"Source,omitempty"`
	Commentary  string     `json:"Commentary,omitempty"`
	Schema      string     `json:"Schema,omitempty"`
	Metadata    []byte     `json:"Metadata,omitempty"`
}

type causeBody struct {
	ID   string     `json:"Id,omitempty"`
	What string     `json:"What,omitempty"`
	When *time.Time `json:"When,omitempty"`
	Who  string     `json:"Who,omitempty"`
}

type changesetBody struct {
	Metadata   []byte             `json:"Metadata,omitempty"`
	Claims     []daybook.Claim    `json:"Claims,omitempty"`
	Releases   []daybook.Claim    `json:"Releases,omitempty"`
	References []daybook.StreamID `json:"References,omitempty"`
}

// setEvent puts the event itself into the body.
func (b *eventBody) setEvent(e *daybook.Event) {
	b.Event, b.Tags = e.ID, e.Tags
	if e.ContentType != daybook.ContentTypeJSON {
		b.Content = e.ContentType
	}
	if !e.OccurredAt.IsZero() {
		b.OccurredAt = &e.OccurredAt
	}
	if text, ok := shortText(e.Data); ok {
		b.Text = &text
	} else {
		b.Bytes = e.Data
	}
	c := &e.Context
	about := contextBody{
		Who: c.Who, Correlation: c.Correlation, Source: c.Source, Commentary: c.Commentary, Schema: c.Schema, Metadata: c.Metadata,
	}
	if c.Why != nil {
		about.Why = &causeBody{ID: c.Why.ID, What: c.Why.What, Who: c.Why.Who}
		if !c.Why.When.IsZero() {
			about.Why.When = &c.Why.When
		}
	}
	if about.Who != "" || about.Why != nil || about.Correlation != "" || about.Source != "" || about.Commentary != "" || about.Schema != "" || len(about.Metadata) > 0 {
		b.Context = &about
	}
}

// shortText returns data as text, unless they are no text, or as text longer
// than in base64.
func shortText(data []byte) (string, bool) {
	if !utf8.Valid(data) {
		return "", false
	}
	escapes := 0
	for _, c := range data {
		switch {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			escapes++
		case c < ' ' || c == 0x7f:
			escapes += 5
		}
	}
	return string(data), escapes <= base64.StdEncoding.EncodedLen(len(data))-len(data)+64
}

// event returns the event of an item, and the times in it in UTC.
func (i *eventItem) event(raw []byte) (daybook.Event, error) {
	b := i.Daybook
	e := daybook.Event{ID: b.Event, Type: i.Type, ContentType: b.Content, Tags: b.Tags, Data: b.Bytes}
	if e.ContentType == "" {
		e.ContentType = daybook.ContentTypeJSON
	}
	switch {
	case b.Members:
		data, err := membersOf(raw)
		if err != nil {
			return e, err
		}
		e.Data = data
	case b.Text != nil:
		e.Data = []byte(*b.Text)
	}
	if b.OccurredAt != nil {
		e.OccurredAt = daybook.Microseconds(*b.OccurredAt)
	}
	if c := b.Context; c != nil {
		e.Context = daybook.Context{
			Who: c.Who, Correlation: c.Correlation, Source: c.Source, Commentary: c.Commentary, Schema: c.Schema, Metadata: c.Metadata,
		}
		if c.Why != nil {
			e.Context.Why = &daybook.Cause{ID: c.Why.ID, What: c.Why.What, Who: c.Why.Who}
			if c.Why.When != nil {
				e.Context.Why.When = c.Why.When.UTC()
			}
		}
	}
	return e, nil
}

// header returns the header of the event's changeset, without the ordinal
// where that is to be found elsewhere.
func (b *eventBody) header() *daybook.ChangesetHeader {
	h := &daybook.ChangesetHeader{Number: b.Number, Ordinal: b.Ordinal, First: b.First, Count: b.Count, AppendID: b.Append}
	if c := b.Changeset; c != nil {
		h.Metadata, h.Claims, h.Releases, h.References = c.Metadata, c.Claims, c.Releases, c.References
	}
	return h
}

// encode writes an event. Members of its data are put beside it where members
// is set, so that Finaps's library finds them.
func (i *eventItem) encode(data []byte, members bool) []byte {
	raw := jsonOf(i)
	if !members {
		return raw
	}
	fields, err := objectMembers(data)
	if err != nil {
		return raw
	}
	var b bytes.Buffer
	b.Write(raw[:len(raw)-1])
	seen := map[string]bool{}
	for _, f := range fields {
		if slices.Contains(baseMembers, f.name) || seen[f.name] || !isPlain(f.value) {
			continue
		}
		seen[f.name] = true
		b.WriteByte(',')
		b.Write(jsonOf(f.name))
		b.WriteByte(':')
		b.Write(f.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// isPlain reports whether a service that reads JSON strictly takes a value.
func isPlain(value json.RawMessage) bool { return utf8.Valid(value) && json.Valid(value) }

// member is a member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// objectMembers returns the members of a JSON object, in order.
func objectMembers(data []byte) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	first, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if first != json.Delim('{') {
		return nil, fmt.Errorf("not an object")
	}
	var members []member
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		members = append(members, member{name.(string), value})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if decoder.More() {
		return nil, fmt.Errorf("more than an object")
	}
	return members, nil
}

// membersOf returns the data of an event that Finaps's library has written:
// the members of the item that are not those of every event, by name.
func membersOf(raw []byte) ([]byte, error) {
	members, err := objectMembers(raw)
	if err != nil {
		return nil, err
	}
	members = slices.DeleteFunc(members, func(m member) bool { return slices.Contains(baseMembers, m.name) })
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(jsonOf(m.name))
		b.WriteByte(':')
		if err := json.Compact(&b, m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// timestampOf returns a time as .NET reads it.
func timestampOf(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z") }
