package disk

import (
	"encoding/binary"
	"sort"
	"time"

	"github.com/daybook-go/daybook"
)

// changeset is a frame whose body is taken apart as far as was asked for. It
// shares memory with the frame.
type changeset struct {
	frameHeader
	partition  []byte // of the stream, as name
	name       []byte
	rest       decoder // of the prologue, behind the stream
	plain      bool    // there is nothing behind the stream
	stream     daybook.StreamID
	metadata   []byte
	claims     []daybook.Claim
	releases   []daybook.Claim
	references []daybook.StreamID
	positions  []daybook.Position // with flagGaps; else they are consecutive
	records    []byte
}

// decodeChangeset takes the prologue of a frame apart. Strings have memory of
// their own.
func decodeChangeset(h frameHeader, body []byte) (c changeset, ok bool) {
	ok = c.begin(&h, body) && c.decode(nil)
	return c, ok
}

// begin finds the stream in the body of a frame.
func (c *changeset) begin(h *frameHeader, body []byte) bool {
	c.frameHeader = *h
	d := decoder{rest: body}
	prologue := d.text()
	c.records = d.rest
	// A record has two lengths and a head at the least.
	if d.failed || h.count < 1 || h.count > len(c.records)/(2+headFixed) {
		return false
	}
	c.rest = decoder{rest: prologue}
	c.partition, c.name = c.rest.text(), c.rest.text()
	return !c.rest.failed
}

// decode decodes the prologue that was begun. Strings lie in m.
func (c *changeset) decode(m *recordMemory) bool {
	d := c.rest
	c.stream = daybook.StreamID{Partition: m.text(c.partition), Name: m.text(c.name)}
	c.metadata, c.claims, c.releases, c.references = nil, nil, nil, nil
	c.plain = c.flags&flagGaps == 0 && string(d.rest) == "\x00\x00\x00\x00"
	if c.plain {
		return true
	}
	c.metadata = d.text()
	c.claims, c.releases, c.references = d.claims(m), d.claims(m), d.streams(m)
	if c.flags&flagGaps != 0 {
		c.positions = append(c.positions[:0], c.position)
		for i := 1; i < c.count && !d.failed; i++ {
			c.positions = append(c.positions, d.position(c.positions[i-1]))
		}
	}
	return !d.failed && len(d.rest) == 0
}

// header returns what the records of the changeset carry.
func (c *changeset) header(m *recordMemory) *daybook.ChangesetHeader {
	h := m.header()
	h.Number, h.Ordinal, h.First, h.Count, h.AppendID = c.number, c.ordinal, c.first, c.count, c.appendID
	if !c.plain || m.lent { // else there is nothing, and nothing was there
		h.Metadata, h.Claims, h.Releases, h.References = m.keep(c.metadata), c.claims, c.releases, c.references
	}
	return h
}

// positionOf returns the position of the ith record.
func (c *changeset) positionOf(i int) daybook.Position {
	if c.flags&flagGaps != 0 {
		return c.positions[i]
	}
	return c.position + daybook.Position(i)
}

// lastPosition returns the position of the last record.
func (c *changeset) lastPosition() daybook.Position { return c.positionOf(c.count - 1) }

// atOrBelow returns how many of the records stand at the position or below it.
func (c *changeset) atOrBelow(position daybook.Position) int {
	if c.flags&flagGaps != 0 {
		return sort.Search(c.count, func(i int) bool { return c.positions[i] > position })
	}
	return int(min(max(position-c.position+1, 0), daybook.Position(c.count)))
}

// piece is a record as it stands in a frame. It shares memory with the frame.
type piece struct {
	head []byte
	data []byte
}

// span says where a piece lies in the records of a changeset.
type span struct{ head, data, end uint32 }

func (c *changeset) piece(s span) piece {
	return piece{head: c.records[s.head:s.data:s.data], data: c.records[s.data:s.end:s.end]}
}

// cut finds the records. It fails unless they fill the frame. The spans are
// put into room.
func (c *changeset) cut(room []span) (spans []span, ok bool) {
	spans = room[:0]
	d := decoder{rest: c.records}
	for range c.count {
		head, data := d.uvarint(), d.uvarint()
		if size := uint64(len(d.rest)); head < headFixed || head > size || data > size-head {
			return spans, false
		}
		at := uint64(len(c.records) - len(d.rest))
		spans = append(spans, span{uint32(at), uint32(at + head), uint32(at + head + data)})
		d.rest = d.rest[head+data:]
	}
	return spans, !d.failed && isPadding(d.rest)
}

// isPadding reports whether b is what may stand behind the last record.
func isPadding(b []byte) bool {
	var zeros [frameAlign]byte
	return len(b) < frameAlign && string(b) == string(zeros[:len(b)])
}

// pieces takes the records apart. It fails unless they fill the frame.
func (c *changeset) pieces() (pieces []piece, ok bool) {
	spans, ok := c.cut(nil)
	for _, s := range spans {
		pieces = append(pieces, c.piece(s))
	}
	return pieces, ok
}

// selectors returns what queries look at: the type and the tags.
func (p *piece) selectors() (eventType string, tags []string, ok bool) {
	d := decoder{rest: p.head[2+16:]}
	eventType, tags = d.selectors(nil)
	return eventType, tags, !d.failed
}

// matches reports whether a query that has items selects the record. The tags
// are put into room, which is returned.
func (p *piece) matches(query *daybook.Query, room []string) (matches bool, _ []string, ok bool) {
	d := decoder{rest: p.head[2+16:]}
	eventType := view(d.text())
	room = room[:0]
	for range d.count(1) {
		room = append(room, view(d.text()))
	}
	return !d.failed && query.Matches(eventType, room), room, !d.failed
}

// selectors decodes a type and tags.
func (d *decoder) selectors(m *recordMemory) (eventType string, tags []string) {
	if m == nil {
		eventType = string(d.text())
		if n := d.count(1); n > 0 {
			tags = make([]string, n)
		}
		for i := range tags {
			tags[i] = string(d.text())
		}
		return eventType, tags
	}
	size := selectorsSize(d.rest)
	if size == 0 {
		d.fail()
		return "", nil
	}
	encoded := d.rest[:size]
	d.rest = d.rest[size:]
	known := m.selectors.find(encoded)
	if known.encoded != string(encoded) {
		*known = m.newSelectors(encoded)
	}
	return known.eventType, known.tags
}

// selectorsSize returns how many bytes the type and the tags take at the front
// of b; 0 if they do not fit.
func selectorsSize(b []byte) int {
	if at := skipShort(b, 0); at < len(b) && b[at] < 0x80 { // most are short
		tags := int(b[at])
		at++
		for range tags {
			at = skipShort(b, at)
		}
		if at <= len(b) {
			return at
		}
	}
	d := decoder{rest: b}
	d.text()
	for range d.count(1) {
		d.text()
	}
	if d.failed {
		return 0
	}
	return len(b) - len(d.rest)
}

// skipShort returns where the text ends that begins at a place, if its length
// takes one byte; else more than the length of b.
func skipShort(b []byte, at int) int {
	if at < len(b) && b[at] < 0x80 {
		return at + 1 + int(b[at])
	}
	return len(b) + 1
}

// event decodes the whole record into e, whose Context must be zero. It reports
// besides whether it put anything there.
func (p *piece) event(m *recordMemory, recordedAt time.Time, e *daybook.Event) (context, ok bool) {
	mask := binary.LittleEndian.Uint16(p.head)
	copy(e.ID[:], p.head[2:2+16])
	d := decoder{rest: p.head[2+16:]}
	e.Type, e.Tags = d.selectors(m)
	e.ContentType = daybook.ContentTypeJSON
	e.OccurredAt = recordedAt
	e.Data = m.keep(p.data)
	if mask != 0 {
		d.optional(mask, m, e)
	}
	return mask&^(headContentType|headOccurredAt) != 0, !d.failed && len(d.rest) == 0
}

// optional decodes the parts of a head that the mask tells of.
func (d *decoder) optional(mask uint16, m *recordMemory, e *daybook.Event) {
	if mask&^headKnown != 0 || mask&headCauseWhen != 0 && mask&headCause == 0 {
		d.fail()
		return
	}
	if mask&headContentType != 0 {
		e.ContentType = m.text(d.text())
	}
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
			*t.text = m.text(d.text())
		}
	}
	if mask&headMetadata != 0 {
		e.Context.Metadata = m.keep(d.text())
	}
	if mask&headCause != 0 {
		e.Context.Why = &daybook.Cause{ID: m.text(d.text()), What: m.text(d.text()), Who: m.text(d.text())}
		if mask&headCauseWhen != 0 {
			e.Context.Why.When = fromMicros(d.varint())
		}
	}
}
