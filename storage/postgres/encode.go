package postgres

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
)

// events are the columns of events as arrays, an element an event: what the
// functions append and import take.
type events struct {
	changeset, place, nth []int32
	id                    [][16]byte
	kind                  []string
	contentType, json     []*string
	data                  [][]byte
	occurredAt            []*time.Time
	tags, context         []*string
	metadata              [][]byte
	tagged                bool
}

func newEvents(n int) *events {
	return &events{
		changeset: make([]int32, 0, n), place: make([]int32, 0, n), nth: make([]int32, 0, n), id: make([][16]byte, 0, n),
		kind: make([]string, 0, n), contentType: make([]*string, 0, n), json: make([]*string, 0, n), data: make([][]byte, 0, n),
		occurredAt: make([]*time.Time, 0, n), tags: make([]*string, 0, n), context: make([]*string, 0, n), metadata: make([][]byte, 0, n),
	}
}

// add adds an event: at a place of a changeset, whose index is counted from 1,
// and the nth of its append.
func (s *events) add(changeset, place, nth int, e *daybook.Event) {
	s.changeset, s.place, s.nth = append(s.changeset, int32(changeset)), append(s.place, int32(place)), append(s.nth, int32(nth))
	s.id, s.kind = append(s.id, e.ID), append(s.kind, e.Type)
	var contentType, text, tags, about *string
	var data []byte
	var occurredAt *time.Time
	if e.ContentType != daybook.ContentTypeJSON {
		contentType = &e.ContentType
	}
	if isText := contentType == nil && utf8.Valid(e.Data) && bytes.IndexByte(e.Data, 0) < 0; isText {
		t := string(e.Data)
		text = &t
	} else {
		data = notNil(e.Data)
	}
	if !e.OccurredAt.IsZero() {
		occurredAt = &e.OccurredAt
	}
	if len(e.Tags) > 0 {
		t := arrayText(e.Tags)
		tags, s.tagged = &t, true
	}
	if t := contextText(&e.Context); t != "" {
		about = &t
	}
	s.contentType, s.json, s.data = append(s.contentType, contentType), append(s.json, text), append(s.data, data)
	s.occurredAt, s.tags, s.context = append(s.occurredAt, occurredAt), append(s.tags, tags), append(s.context, about)
	var metadata []byte
	if len(e.Context.Metadata) > 0 {
		metadata = e.Context.Metadata
	}
	s.metadata = append(s.metadata, metadata)
}

// notNil returns b, empty where it is nil: a nil one would be null.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// arrayText writes texts as PostgreSQL reads an array of them.
func arrayText(texts []string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, text := range texts {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		for j := range len(text) {
			if text[j] == '"' || text[j] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(text[j])
		}
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String()
}

// contextJSON is a Context in the column context, but for its metadata.
type contextJSON struct {
	Who         string     `json:"who,omitempty"`
	Why         *causeJSON `json:"why,omitempty"`
	Correlation string     `json:"correlation,omitempty"`
	Source      string     `json:"source,omitempty"`
	Commentary  string     `json:"commentary,omitempty"`
	Schema      string     `json:"schema,omitempty"`
}

type causeJSON struct {
	ID   string     `json:"id,omitempty"`
	What string     `json:"what,omitempty"`
	When *time.Time `json:"when,omitempty"`
	Who  string     `json:"who,omitempty"`
}

// contextText returns what the column context holds; "" for null.
func contextText(c *daybook.Context) string {
	about := contextJSON{Who: c.Who, Correlation: c.Correlation, Source: c.Source, Commentary: c.Commentary, Schema: c.Schema}
	if c.Why != nil {
		about.Why = &causeJSON{ID: c.Why.ID, What: c.Why.What, Who: c.Why.Who}
		if !c.Why.When.IsZero() {
			about.Why.When = &c.Why.When
		}
	}
	if about == (contextJSON{}) {
		return ""
	}
	return jsonText(about)
}

// jsonText writes a value that always can be written.
func jsonText(value any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // strings, numbers and times only
	}
	return b.String()
}

// The JSON of what few changesets have: the argument besides of append.
type besides struct {
	Conditions []conditionJSON `json:"conditions,omitempty"`
	References []referenceJSON `json:"references,omitempty"`
	Releases   []claimJSON     `json:"releases,omitempty"`
	Claims     []claimJSON     `json:"claims,omitempty"`
	Hands      []claimJSON     `json:"hands,omitempty"` // of import: releases and claims in their order
	Changesets []detailsJSON   `json:"changesets,omitempty"`
}

type conditionJSON struct {
	Append int              `json:"append"`
	After  daybook.Position `json:"after"`
	Items  []itemJSON       `json:"items"`
}

type itemJSON struct {
	Types []string `json:"types,omitempty"`
	Tags  []string `json:"tags,omitempty"`
}

type referenceJSON struct {
	Changeset int    `json:"changeset,omitempty"`
	Partition string `json:"partition"`
	Name      string `json:"name"`
}

type claimJSON struct {
	Changeset int    `json:"changeset,omitempty"`
	Kind      string `json:"kind"`
	Value     string `json:"value"`
	Release   bool   `json:"release,omitempty"`
}

type detailsJSON struct {
	Changeset int             `json:"changeset"`
	Metadata  []byte          `json:"metadata,omitempty"` // base64
	Claims    []claimJSON     `json:"claims,omitempty"`
	Releases  []claimJSON     `json:"releases,omitempty"`
	RefersTo  []referenceJSON `json:"refers_to,omitempty"`
}

// text returns b as JSON; nil where there is nothing.
func (b *besides) text() *string {
	if len(b.Conditions)+len(b.References)+len(b.Releases)+len(b.Claims)+len(b.Hands)+len(b.Changesets) == 0 {
		return nil
	}
	t := jsonText(b)
	return &t
}

// condition adds the condition of an append, whose index is counted from 1.
func (b *besides) condition(n int, c *daybook.Condition) {
	if c == nil {
		return
	}
	added := conditionJSON{Append: n, After: c.After, Items: []itemJSON{}}
	for _, item := range c.Query.Items {
		added.Items = append(added.Items, itemJSON(item))
	}
	b.Conditions = append(b.Conditions, added)
}

// details adds what a changeset, whose index is counted from 1, has besides
// events. It reports whether there is anything.
func (b *besides) details(n int, metadata []byte, claims, releases []daybook.Claim, references []daybook.StreamID) bool {
	if len(metadata)+len(claims)+len(releases)+len(references) == 0 {
		return false
	}
	d := detailsJSON{Changeset: n, Metadata: metadata}
	for _, c := range claims {
		d.Claims = append(d.Claims, claimJSON{Kind: c.Kind, Value: c.Value})
	}
	for _, c := range releases {
		d.Releases = append(d.Releases, claimJSON{Kind: c.Kind, Value: c.Value})
	}
	for _, r := range references {
		d.RefersTo = append(d.RefersTo, referenceJSON{Partition: r.Partition, Name: r.Name})
		b.References = append(b.References, referenceJSON{n, r.Partition, r.Name})
	}
	b.Changesets = append(b.Changesets, d)
	return true
}
