package postgres

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
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
	if isText(e) {
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
	if t := sqlstore.ContextText(&e.Context); t != "" {
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

// isText reports whether the data of an event stand in the column json: else in
// data.
func isText(e *daybook.Event) bool {
	return e.ContentType == daybook.ContentTypeJSON && utf8.Valid(e.Data) && bytes.IndexByte(e.Data, 0) < 0
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
