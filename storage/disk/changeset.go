package disk

import (
	"encoding/binary"
	"sort"

	"github.com/daybook-go/daybook"
)

// changeset is a frame whose body is taken apart as far as was asked for. It
// shares memory with the frame.
type changeset struct {
	*frame
	names   int // where the partition of the stream begins in body, and behind it the name
	records int // where the records begin

	stream     daybook.StreamID // by decodeChangeset only
	plain      bool             // by decode, as all below: the prologue tells of nothing but the stream
	metadata   []byte
	claims     []daybook.Claim
	releases   []daybook.Claim
	references []daybook.StreamID
	positions  []daybook.Position // with flagGaps; else they are consecutive
}

// decodeChangeset takes the prologue of a frame apart. Strings have memory of
// their own.
func decodeChangeset(f *frame) (c changeset, ok bool) {
	if c.begin(f) {
		c.stream, ok = c.decode(nil)
	}
	return c, ok
}

// begin finds the prologue and the records in the body of a frame.
func (c *changeset) begin(f *frame) bool {
	length, at := uvarintAt(f.body, 0)
	if at == 0 || length > uint64(len(f.body)-at) || f.count < 1 {
		return false
	}
	// A record has two lengths and a head at the least.
	if f.kind != kindBones && f.count > (len(f.body)-at-int(length))/(2+headFixed) {
		return false
	}
	if c.frame != f { // else there is nothing to tell the garbage collector
		c.frame = f
	}
	c.names, c.records = at, at+int(length)
	return true
}

// prologue returns what stands before the records.
func (c *changeset) prologue() []byte { return c.body[c.names:c.records] }

// stored returns the partition and the name of the stream, which share memory
// with the frame.
func (c *changeset) stored() (partition, name []byte, ok bool) {
	d := decoder{bytes: c.prologue()}
	partition, name = d.text(), d.text()
	return partition, name, !d.failed
}

// decode decodes the prologue that was begun, and returns the stream. Strings
// lie in m.
func (c *changeset) decode(m *recordMemory) (stream daybook.StreamID, ok bool) {
	if m == nil || c.flags&flagGaps != 0 {
		return c.decodePrologue(m)
	}
	known := m.prologues.find(c.prologue())
	if known == nil {
		return c.decodePrologue(m)
	}
	if !c.plain {
		c.plain, c.metadata, c.claims, c.releases, c.references = true, nil, nil, nil, nil
	}
	return *known, true
}

// nothingMore ends a prologue that tells of nothing but the stream: no metadata,
// claims, releases and references.
const nothingMore = "\x00\x00\x00\x00"

func (c *changeset) decodePrologue(m *recordMemory) (stream daybook.StreamID, ok bool) {
	d := decoder{bytes: c.prologue()}
	partition, name := d.text(), d.text()
	c.plain = c.flags&flagGaps == 0 && string(d.bytes[d.at:]) == nothingMore
	if m != nil && c.plain && len(d.bytes) <= longestText {
		encoded := m.texts.put(d.bytes)
		stream = daybook.StreamID{Partition: m.text(partition), Name: encoded[d.at-len(name) : d.at]}
		pair := m.prologues.at(d.bytes)
		pair[0], pair[1] = plainPrologue{encoded, stream}, pair[0]
	} else {
		stream = daybook.StreamID{Partition: m.text(partition), Name: m.text(name)}
	}
	c.metadata = d.text()
	c.claims, c.releases, c.references = d.claims(m), d.claims(m), d.streams(m)
	if c.flags&flagGaps != 0 {
		c.positions = append(c.positions[:0], c.position)
		for i := 1; i < c.count && !d.failed; i++ {
			c.positions = append(c.positions, d.position(c.positions[i-1]))
		}
	}
	return stream, !d.failed && d.left() == 0
}

// header returns what the records of the changeset carry.
func (c *changeset) header(m *recordMemory) *daybook.ChangesetHeader {
	h := m.header()
	h.Number, h.Ordinal, h.First, h.Count, h.AppendID = c.number, c.ordinal, c.first, c.count, c.appendID
	if !c.plain || h.Metadata != nil || h.Claims != nil || h.Releases != nil || h.References != nil {
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

// span says where a piece lies in the body of a frame.
type span struct{ head, data, end uint32 }

func (c *changeset) piece(s span) piece {
	return piece{head: c.body[s.head:s.data:s.data], data: c.body[s.data:s.end:s.end]}
}

// cut finds the records. It fails unless they fill the frame. The spans are
// put into room, if there is enough.
func (c *changeset) cut(room []span) (spans []span, ok bool) {
	if spans = room; len(room) < c.count {
		spans = make([]span, c.count)
	}
	body, at := c.body, c.records
	for i := range c.count {
		head, next := uvarintAt(body, at)
		data, from := uvarintAt(body, next)
		if next == 0 || from == 0 {
			return spans, false
		}
		if size := uint64(len(body) - from); head < headFixed || head > size || data > size-head {
			return spans, false
		}
		at = from + int(head+data)
		s := &spans[i]
		s.head, s.data, s.end = uint32(from), uint32(from+int(head)), uint32(at)
	}
	return spans, c.isPadding(at)
}

// isPadding reports whether what stands behind the last record, from a place on,
// may stand there. The length of a body is a multiple of frameAlign.
func (c *changeset) isPadding(from int) bool {
	n := len(c.body) - from
	if n >= frameAlign || len(c.body) < frameAlign {
		return n == 0
	}
	tail := binary.LittleEndian.Uint64(c.body[len(c.body)-frameAlign:])
	return tail>>(8*(frameAlign-n)) == 0
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
	d := decoder{bytes: p.head, at: headFront}
	eventType = string(d.text())
	if n := d.count(1); n > 0 {
		tags = make([]string, n)
	}
	for i := range tags {
		tags[i] = string(d.text())
	}
	return eventType, tags, !d.failed
}

// matchesHead reports whether a query that has items selects the record with a
// head. The tags are put into room, which is returned.
func matchesHead(head []byte, query *daybook.Query, room []string) (matches bool, _ []string, ok bool) {
	d := decoder{bytes: head, at: headFront}
	eventType := view(d.text())
	room = room[:0]
	for range d.count(1) {
		room = append(room, view(d.text()))
	}
	return !d.failed && query.Matches(eventType, room), room, !d.failed
}

// selectorsOf decodes the type and the tags in a head, and tells where they end;
// nil if they do not fit.
func (m *recordMemory) selectorsOf(head []byte) (texts *selectorTexts, end int) {
	encoded := head[headFront:]
	size := selectorsSize(encoded)
	if size == 0 {
		return nil, 0
	}
	known, found := m.selectors.find(encoded[:size])
	if !found {
		*known = m.newSelectors(encoded[:size])
	}
	return known, headFront + size
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
	d := decoder{bytes: b}
	d.text()
	for range d.count(1) {
		d.text()
	}
	if d.failed {
		return 0
	}
	return d.at
}

// skipShort returns where the text ends that begins at a place, if its length
// takes one byte; else more than the length of b.
func skipShort(b []byte, at int) int {
	if at < len(b) && b[at] < 0x80 {
		return at + 1 + int(b[at])
	}
	return len(b) + 1
}

// optional decodes the parts of a head that the mask tells of. It fails unless
// they fill b.
func (m *recordMemory) optional(b []byte, mask uint16, e *daybook.Event) bool {
	if mask&^headKnown != 0 || mask&headCauseWhen != 0 && mask&headCause == 0 {
		return false
	}
	d := decoder{bytes: b}
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
	return !d.failed && d.left() == 0
}
