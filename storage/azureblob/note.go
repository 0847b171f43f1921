package azureblob

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
)

// note is what Daybook adds to a document. README.md says what each property
// means; none is ever given another meaning.
type note struct {
	// Of the first frame of a write: how many it has. They count together.
	Frames int `json:"frames,omitempty"`

	// Of the first frame of a changeset.
	Append     daybook.ID  `json:"append,omitzero"`
	Stream     string      `json:"stream,omitempty"`
	Partition  string      `json:"partition,omitempty"`
	Events     int         `json:"events,omitempty"` // how many the changeset has
	RecordedAt time.Time   `json:"recorded_at,omitzero"`
	Metadata   octets      `json:"metadata,omitempty"`
	Claims     [][2]string `json:"claims,omitempty"`     // kind and value
	Releases   [][2]string `json:"releases,omitempty"`   // kind and value
	References [][2]string `json:"references,omitempty"` // partition and name
	// Where they do not follow from what stands before.
	Number  daybook.ChangesetNumber `json:"number,omitempty"`
	Ordinal daybook.Ordinal         `json:"ordinal,omitempty"`
	First   daybook.Version         `json:"first,omitempty"`

	// Of each frame.
	Position      daybook.Position `json:"position,omitempty"` // where it does not follow
	ID            daybook.ID       `json:"id,omitzero"`
	ContentType   string           `json:"content_type,omitempty"`
	Tags          []string         `json:"tags,omitempty"`
	OccurredAt    time.Time        `json:"occurred_at,omitzero"`
	Who           string           `json:"who,omitempty"`
	Why           *cause           `json:"why,omitempty"`
	Correlation   string           `json:"correlation,omitempty"`
	Source        string           `json:"source,omitempty"`
	Commentary    string           `json:"commentary,omitempty"`
	Schema        string           `json:"schema,omitempty"`
	EventMetadata octets           `json:"event_metadata,omitempty"`

	// The data, where that is no JSON object.
	Text   *string `json:"text,omitempty"`
	Base64 []byte  `json:"base64,omitempty"`
	Empty  bool    `json:"empty,omitempty"`
	Tail   string  `json:"tail,omitempty"` // white space behind an object
}

// cause is a daybook.Cause in JSON.
type cause struct {
	ID   string    `json:"id,omitempty"`
	What string    `json:"what,omitempty"`
	When time.Time `json:"when,omitzero"`
	Who  string    `json:"who,omitempty"`
}

// octets are any bytes in JSON: a string where they are text, which people can
// read; else a list that holds them in base64.
type octets []byte

// alwaysText is up to how many bytes a text is written as one, whatever it takes.
const alwaysText = 1 << 10

// isText reports whether data is written as a string of JSON, not in base64: text
// is, unless it is long and has so much to escape that base64 is shorter.
func isText(data []byte) bool {
	if !utf8.Valid(data) {
		return false
	}
	// Two separators of three bytes are escaped with six.
	escaped := 3 * (bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029")))
	for _, c := range data {
		switch {
		case c == '"', c == '\\', c == '\n', c == '\r', c == '\t', c == '\b', c == '\f':
			escaped += 2
		case c < ' ':
			escaped += 6
		default:
			escaped++
		}
	}
	return len(data) <= alwaysText || escaped <= base64.StdEncoding.EncodedLen(len(data))
}

// MarshalJSON implements json.Marshaler.
func (o octets) MarshalJSON() ([]byte, error) {
	if isText(o) {
		return appendJSON(nil, string(o))
	}
	return json.Marshal([][]byte{o})
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *octets) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return err
		}
		*o = octets(s)
		return nil
	}
	var list [][]byte
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	if len(list) != 1 {
		return fmt.Errorf("bytes in %d pieces", len(list))
	}
	*o = list[0]
	return nil
}

// bytes returns them in memory of their own, nil where there are none.
func (o octets) bytes() []byte {
	if len(o) == 0 {
		return nil
	}
	return append([]byte(nil), o...)
}

// describe puts an event into the note, but for its type and data.
func (n *note) describe(e *daybook.Event) {
	n.ID, n.Tags, n.OccurredAt = e.ID, e.Tags, e.OccurredAt
	if e.ContentType != daybook.ContentTypeJSON {
		n.ContentType = e.ContentType
	}
	c := &e.Context
	n.Who, n.Correlation, n.Source, n.Commentary, n.Schema = c.Who, c.Correlation, c.Source, c.Commentary, c.Schema
	n.EventMetadata = c.Metadata
	if c.Why != nil {
		why := cause(*c.Why)
		n.Why = &why
	}
}

// begin puts what a changeset has in common into the note of its first frame.
func (n *note) begin(c *daybook.Changeset, appendID daybook.ID, at time.Time) {
	n.Append, n.RecordedAt, n.Events = appendID, at, len(c.Events)
	n.Partition, n.Stream = c.Stream.Partition, c.Stream.Name
	n.Metadata = c.Metadata
	n.Claims, n.Releases = claimPairs(c.Claims), claimPairs(c.Releases)
	for _, r := range c.References {
		n.References = append(n.References, [2]string{r.Partition, r.Name})
	}
}

func claimPairs(claims []daybook.Claim) (pairs [][2]string) {
	for _, c := range claims {
		pairs = append(pairs, [2]string{c.Kind, c.Value})
	}
	return pairs
}

func claimsOf(pairs [][2]string) (claims []daybook.Claim) {
	for _, p := range pairs {
		claims = append(claims, daybook.Claim{Kind: p[0], Value: p[1]})
	}
	return claims
}

// stream returns the stream that the first frame of a changeset names.
func (n *note) stream() daybook.StreamID {
	return daybook.StreamID{Partition: n.Partition, Name: n.Stream}
}

// header returns what the first frame of a changeset tells of it.
func (n *note) header() daybook.ChangesetHeader {
	h := daybook.ChangesetHeader{
		AppendID: n.Append, Metadata: n.Metadata.bytes(), Claims: claimsOf(n.Claims), Releases: claimsOf(n.Releases),
	}
	for _, r := range n.References {
		h.References = append(h.References, daybook.StreamID{Partition: r[0], Name: r[1]})
	}
	return h
}
