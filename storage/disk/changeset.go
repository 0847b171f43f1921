package disk

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/daybook-go/daybook"
)

// changeset is the decoded prologue of a frame, and its records before they
// are decoded. It shares memory with the frame.
type changeset struct {
	frameHeader
	stream     daybook.StreamID
	metadata   []byte
	claims     []daybook.Claim
	releases   []daybook.Claim
	references []daybook.StreamID
	positions  []daybook.Position // nil: consecutive
	records    []byte
}

// decodeChangeset takes the body of a frame apart.
func decodeChangeset(h frameHeader, body []byte) (c changeset, ok bool) {
	c.frameHeader = h
	length, n := binary.Uvarint(body)
	if n <= 0 || length > uint64(len(body)-n) {
		return c, false
	}
	d := decoder{rest: string(body[n : n+int(length)])}
	c.records = body[n+int(length):]
	// A record has two lengths and a head at the least.
	if h.count < 1 || h.count > len(c.records)/(2+headFixed) {
		return c, false
	}
	c.stream = daybook.StreamID{Partition: d.text(), Name: d.text()}
	c.metadata = d.bytes()
	c.claims = d.claims()
	c.releases = d.claims()
	if n := d.count(2); n > 0 {
		c.references = make([]daybook.StreamID, n)
		for i := range c.references {
			c.references[i] = daybook.StreamID{Partition: d.text(), Name: d.text()}
		}
	}
	if h.flags&flagGaps != 0 {
		c.positions = make([]daybook.Position, h.count)
		c.positions[0] = h.position
		for i := 1; i < h.count; i++ {
			c.positions[i] = d.position(c.positions[i-1])
		}
	}
	return c, !d.failed && d.rest == ""
}

// header returns what the records of the changeset carry.
func (c *changeset) header() *daybook.ChangesetHeader {
	return &daybook.ChangesetHeader{
		Number: c.number, Ordinal: c.ordinal, First: c.first, Count: c.count, AppendID: c.appendID,
		Metadata: c.metadata, Claims: c.claims, Releases: c.releases, References: c.references,
	}
}

// positionOf returns the position of the ith record.
func (c *changeset) positionOf(i int) daybook.Position {
	if c.positions != nil {
		return c.positions[i]
	}
	return c.position + daybook.Position(i)
}

// lastPosition returns the position of the last record.
func (c *changeset) lastPosition() daybook.Position { return c.positionOf(c.count - 1) }

// piece is a record as it stands in a frame.
type piece struct {
	head string
	data []byte // shares memory with the frame
}

// pieces takes the records apart. It fails unless they fill the frame.
func (c *changeset) pieces() (pieces []piece, ok bool) {
	pieces = make([]piece, c.count)
	rest := c.records
	for i := range pieces {
		var lengths [2]uint64
		for j := range lengths {
			length, n := binary.Uvarint(rest)
			if n <= 0 {
				return nil, false
			}
			lengths[j], rest = length, rest[n:]
		}
		head, data := lengths[0], lengths[1]
		if head < headFixed || head > uint64(len(rest)) || data > uint64(len(rest))-head {
			return nil, false
		}
		pieces[i] = piece{head: string(rest[:head]), data: rest[head : head+data]}
		rest = rest[head+data:]
	}
	return pieces, len(rest) < frameAlign && strings.Trim(string(rest), "\x00") == ""
}

// selectors returns what queries look at: the type and the tags.
func (p *piece) selectors() (eventType string, tags []string, ok bool) {
	d := decoder{rest: p.head}
	d.take(2 + 16)
	eventType = d.text()
	if n := d.count(1); n > 0 {
		tags = make([]string, n)
		for i := range tags {
			tags[i] = d.text()
		}
	}
	return eventType, tags, !d.failed
}

// event decodes the whole record into memory of its own.
func (p *piece) event(recorded int64) (e daybook.Event, ok bool) {
	d := decoder{rest: p.head}
	mask := binary.LittleEndian.Uint16([]byte(d.take(2)))
	copy(e.ID[:], d.take(16))
	e.Type = d.text()
	if n := d.count(1); n > 0 {
		e.Tags = make([]string, n)
		for i := range e.Tags {
			e.Tags[i] = d.text()
		}
	}
	e.ContentType = daybook.ContentTypeJSON
	if mask&headContentType != 0 {
		e.ContentType = d.text()
	}
	e.OccurredAt = fromMicros(recorded)
	if mask&headOccurredAt != 0 {
		e.OccurredAt = fromMicros(d.varint())
	}
	texts := [...]struct {
		bit  uint16
		text *string
	}{
		{headWho, &e.Context.Who}, {headCorrelation, &e.Context.Correlation}, {headSource, &e.Context.Source},
		{headCommentary, &e.Context.Commentary}, {headSchema, &e.Context.Schema},
	}
	for _, t := range texts {
		if mask&t.bit != 0 {
			*t.text = d.text()
		}
	}
	if mask&headMetadata != 0 {
		e.Context.Metadata = d.bytes()
	}
	if mask&headCause != 0 {
		e.Context.Why = &daybook.Cause{ID: d.text(), What: d.text(), Who: d.text()}
		if mask&headCauseWhen != 0 {
			e.Context.Why.When = fromMicros(d.varint())
		}
	}
	if len(p.data) > 0 {
		e.Data = bytes.Clone(p.data)
	}
	return e, !d.failed && d.rest == "" && mask&^headKnown == 0 && (mask&headCauseWhen == 0 || mask&headCause != 0)
}
