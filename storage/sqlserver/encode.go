package sqlserver

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// The arguments of the procedures append and import, which are JSON.

type appendJSON struct {
	N  int    `json:"n"`
	ID string `json:"id"`
}

type streamJSON struct {
	N         int    `json:"n"`
	Partition string `json:"partition"`
	Name      string `json:"name"`
	First     int64  `json:"first,omitempty"` // import
}

type changesetJSON struct {
	N            int    `json:"n"`
	Stream       int    `json:"stream"`
	Count        int    `json:"count"`
	Detailed     bool   `json:"detailed"`
	MetadataAt   *int   `json:"metadata_at,omitempty"`
	MetadataSize *int   `json:"metadata_size,omitempty"`
	Append       int    `json:"append,omitempty"` // these three: append
	Expect       int16  `json:"expect"`
	Place        int64  `json:"place"`
	AppendID     string `json:"append_id,omitempty"` // from here on: import
	Ordinal      int64  `json:"ordinal,omitempty"`
	Number       int64  `json:"number,omitempty"`
	First        int64  `json:"first,omitempty"`
	RecordedAt   string `json:"recorded_at,omitempty"`
}

type eventJSON struct {
	Changeset    int             `json:"changeset"`
	Place        int             `json:"place"`
	Nth          int             `json:"nth"`
	Position     int64           `json:"position,omitempty"` // import
	ID           string          `json:"id"`
	Type         string          `json:"type"`
	ContentType  *string         `json:"content_type,omitempty"`
	JSON         *string         `json:"json,omitempty"`
	DataAt       *int            `json:"data_at,omitempty"`
	DataSize     *int            `json:"data_size,omitempty"`
	OccurredAt   string          `json:"occurred_at,omitempty"`
	Tags         []string        `json:"tags,omitempty"`
	Context      json.RawMessage `json:"context,omitempty"`
	MetadataAt   *int            `json:"metadata_at,omitempty"`
	MetadataSize *int            `json:"metadata_size,omitempty"`
}

// parts are what append and import have in common.
type parts struct {
	streams    []streamJSON
	changesets []changesetJSON
	events     []eventJSON
	bytes      []byte // what is no text
	tagged     bool
	besides    sqlstore.Besides
}

// blob takes in bytes and returns where they stand, counted from 1.
func (p *parts) blob(b []byte) (at, size *int) {
	from, n := len(p.bytes)+1, len(b)
	p.bytes = append(p.bytes, b...)
	return &from, &n
}

// event takes in an event: at a place of a changeset, whose index is counted
// from 1, and the nth of its append.
func (p *parts) event(changeset, place, nth int, position daybook.Position, e *daybook.Event) {
	j := eventJSON{
		Changeset: changeset, Place: place, Nth: nth, Position: int64(position), ID: idText(e.ID), Type: e.Type, Tags: e.Tags,
		Context: json.RawMessage(sqlstore.ContextText(&e.Context)),
	}
	if e.ContentType == daybook.ContentTypeJSON && isText(e.Data) {
		text := string(e.Data)
		j.JSON = &text
	} else {
		j.DataAt, j.DataSize = p.blob(e.Data)
	}
	if e.ContentType != daybook.ContentTypeJSON {
		j.ContentType = &e.ContentType
	}
	if !e.OccurredAt.IsZero() {
		j.OccurredAt = timeText(e.OccurredAt)
	}
	if len(e.Context.Metadata) > 0 {
		j.MetadataAt, j.MetadataSize = p.blob(e.Context.Metadata)
	}
	p.tagged = p.tagged || len(e.Tags) > 0
	p.events = append(p.events, j)
}

// changeset takes in a changeset, and what it has besides events.
func (p *parts) changeset(c changesetJSON, metadata []byte, claims, releases []daybook.Claim, references []daybook.StreamID) {
	c.N = len(p.changesets) + 1
	c.Detailed = p.besides.Details(c.N, metadata, claims, releases, references)
	if len(metadata) > 0 {
		// It goes with the other bytes.
		p.besides.Changesets[len(p.besides.Changesets)-1].Metadata = nil
		c.MetadataAt, c.MetadataSize = p.blob(metadata)
	}
	p.changesets = append(p.changesets, c)
}

// arguments returns what the procedure append is called with.
func (b *batch) arguments(clock any) []any {
	appends := make([]appendJSON, len(b.Entries))
	p := &parts{streams: streamsJSON(b.Together.Streams)}
	for i, e := range b.Entries {
		appends[i] = appendJSON{N: i + 1, ID: idText(e.Append.ID)}
		p.besides.Condition(i+1, e.Append.Condition)
		nth := 0
		for j := range e.Append.Changesets {
			c := &e.Append.Changesets[j]
			expect, place := sqlstore.Expectation(c.Expect)
			p.changeset(changesetJSON{Append: i + 1, Stream: b.Together.Streams[c.Stream] + 1, Expect: expect, Place: place, Count: len(c.Events)},
				c.Metadata, c.Claims, c.Releases, c.References)
			n := len(p.changesets)
			p.besides.Demands(n, c.Claims, c.Releases)
			for k := range c.Events {
				p.event(n, k, nth, 0, &c.Events[k])
				nth++
			}
		}
	}
	return []any{
		clock, sqlstore.JSONText(appends), sqlstore.JSONText(p.streams), sqlstore.JSONText(p.changesets), sqlstore.JSONText(p.events),
		notNil(p.bytes), p.tagged, orNull(p.besides.Text()),
	}
}

// streamsJSON returns streams in the order of their indexes.
func streamsJSON(streams map[daybook.StreamID]int) []streamJSON {
	list := make([]streamJSON, len(streams))
	for id, i := range streams {
		list[i] = streamJSON{N: i + 1, Partition: id.Partition, Name: id.Name}
	}
	return list
}

// isText reports whether data comes back byte for byte from a column of UTF-8:
// it is UTF-8, and has no character that is none, which a conversion of the
// server may not keep.
func isText(data []byte) bool {
	if !utf8.Valid(data) {
		return false
	}
	return strings.IndexFunc(string(data), func(r rune) bool {
		return r == 0 || r >= 0xFDD0 && r <= 0xFDEF || r&0xFFFE == 0xFFFE
	}) < 0
}

// idText writes an id as CONVERT with style 2 reads it.
func idText(id daybook.ID) string { return hex.EncodeToString(id[:]) }

// idsText writes ids as the queries for them read them.
func idsText(ids []daybook.ID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = idText(id)
	}
	return sqlstore.JSONText(texts)
}

// timeLayout writes a time as datetime2(6) reads it.
const timeLayout = "2006-01-02T15:04:05.000000"

func timeText(t time.Time) string { return daybook.Microseconds(t).Format(timeLayout) }

// notNil returns b, empty where it is nil: a nil one would be null.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// orNull returns a text, or a null.
func orNull(text *string) any {
	if text == nil {
		return nil
	}
	return *text
}
