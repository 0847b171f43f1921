package dynamodb

import (
	"encoding/base64"
	bin "encoding/binary"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// rowBytes is how large the row of a changeset may be; 400 KB is the service's
// limit, as it counts.
const rowBytes = 395_000

// timestampForm is how EES writes a time.
const timestampForm = "2006-01-02T15:04:05.000000Z"

// How the data of an event stands in the text of EES's attribute.
const (
	dataNone   = iota // null
	dataJSON          // as it is
	dataText          // a string
	dataBase64        // a string
)

// span is where the data of an event stands in EES's text: so many bytes behind
// the one before it.
type span struct{ kind, gap, length int }

// changesetRows returns the row of a changeset that is new, and the items of
// what has no room in it.
func changesetRows(c *globalorder.PlacedChangeset, page int64) (row, []row) {
	events, spans := eventsText(c.Records)
	at := checkpointOf(c.Ordinal)
	r := keyOf(streamKey(c.Stream), int64(c.Number))
	r[attrFirstEvent], r[attrLastEvent] = number(c.First), number(c.Last())
	r[attrPage], r[attrPageItem] = number(at.page), number(at.item)
	r[attrTimestamp] = text(c.RecordedAt.UTC().Format(timestampForm))
	d := details{
		stamp: page, streamFirst: c.StreamFirst, position: c.Head().Position, recordedAt: c.RecordedAt, metadataBeside: isJSON(c.Metadata),
	}
	r[attrMetadata] = text(metadataText(c.Metadata))
	r[attrEvents] = text(events)
	d.rest = encodeRecords(c, spans, d.metadataBeside)
	r[attrDaybook] = binary(d.encode())
	if r.size() <= rowBytes {
		return r, nil
	}
	// EES's readers find as many events as there are, but not what they say.
	r[attrEvents] = text("[" + strings.Repeat("null,", c.Count-1) + "null]")
	if d.metadataBeside = len(c.Metadata) < rowBytes/10 && d.metadataBeside; !d.metadataBeside {
		r[attrMetadata] = text("{}")
		d.rest = encodeRecords(c, spans, false)
	}
	d.eventsApart = true
	parts := d.apart(c.Stream, c.Number, events)
	r[attrDaybook] = binary(d.encode())
	return r, parts
}

// adoptedUpdate returns what a changeset that EES has written gets besides what
// it has: attributes to set, and items of what has no room.
func adoptedUpdate(c *globalorder.PlacedChangeset, page int64, events string) (row, []row, error) {
	spans, err := spansOf(events)
	if err != nil || len(spans) != c.Count {
		return nil, nil, corrupt("changeset %d of stream %q has other events than when it was read", c.Number, c.Stream)
	}
	at := checkpointOf(c.Ordinal)
	d := details{
		stamp: page, streamFirst: c.StreamFirst, position: c.Head().Position, recordedAt: c.RecordedAt, metadataBeside: len(c.Metadata) > 0,
	}
	d.rest = encodeRecords(c, spans, d.metadataBeside)
	var parts []row
	if len(d.rest)+len(events)+len(c.Metadata) > rowBytes-2000 {
		parts = d.apart(c.Stream, c.Number, "")
	}
	return row{attrPage: number(at.page), attrPageItem: number(at.item), attrDaybook: binary(d.encode())}, parts, nil
}

// eventsText returns EES's text for the events, and where their data is in it.
func eventsText(records []daybook.Record) (string, []span) {
	var b strings.Builder
	spans := make([]span, len(records))
	b.WriteByte('[')
	for i := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		kind, shown := shownData(records[i].Data)
		spans[i] = span{kind, 1, len(shown)}
		b.WriteString(shown)
	}
	b.WriteByte(']')
	return b.String(), spans
}

func isJSON(data []byte) bool { return len(data) > 0 && utf8.Valid(data) && json.Valid(data) }

// shownData returns data as JSON: as it is, or as a string, whichever of two is
// shorter.
func shownData(data []byte) (kind int, shown string) {
	if len(data) == 0 {
		return dataNone, "null"
	}
	if isJSON(data) {
		return dataJSON, string(data)
	}
	if utf8.Valid(data) {
		if quoted, err := json.Marshal(string(data)); err == nil && len(quoted) <= len(data)*4/3+2 {
			return dataText, string(quoted)
		}
	}
	return dataBase64, `"` + base64.StdEncoding.EncodeToString(data) + `"`
}

// dataOf returns the data that is shown.
func dataOf(kind int, shown string) ([]byte, error) {
	switch kind {
	case dataNone:
		return nil, nil
	case dataJSON:
		return []byte(shown), nil
	}
	var s string
	if err := json.Unmarshal([]byte(shown), &s); err != nil {
		return nil, err
	}
	if kind == dataText {
		return []byte(s), nil
	}
	return base64.StdEncoding.DecodeString(s)
}

// metadataText is the metadata of a changeset as EES has it.
func metadataText(metadata []byte) string {
	if len(metadata) == 0 {
		return "{}"
	}
	_, shown := shownData(metadata)
	return shown
}

// spansOf returns where the events stand in a text that EES has written.
func spansOf(events string) ([]span, error) {
	decoder := json.NewDecoder(strings.NewReader(events))
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return nil, corrupt("events that are no list")
	}
	var spans []span
	for end := 0; decoder.More(); {
		var event json.RawMessage
		if err := decoder.Decode(&event); err != nil {
			return nil, corrupt("events that are no JSON: %v", err)
		}
		start := int(decoder.InputOffset()) - len(event)
		spans = append(spans, span{dataJSON, start - end, len(event)})
		end = start + len(event)
	}
	return spans, nil
}

// encodeRecords returns all of the records that is not in EES's attributes. The
// first one carries the header of the changeset, the others none.
func encodeRecords(c *globalorder.PlacedChangeset, spans []span, metadataBeside bool) []byte {
	header := c.ChangesetHeader
	if metadataBeside {
		header.Metadata = nil
	}
	b := bin.AppendUvarint(nil, uint64(len(c.Records)))
	for i := range c.Records {
		record := daybook.Record{Event: c.Records[i].Event, Position: c.Records[i].Position, Changeset: &header}
		if i > 0 {
			record.Changeset = &daybook.ChangesetHeader{}
		}
		if record.OccurredAt.Equal(c.RecordedAt) {
			record.OccurredAt = time.Time{}
		}
		encoded := globalorder.EncodeDetails(&record)
		b = bin.AppendUvarint(b, uint64(len(encoded)))
		b = append(b, encoded...)
		for _, n := range [...]int{spans[i].kind, spans[i].gap, spans[i].length} {
			b = bin.AppendUvarint(b, uint64(n))
		}
	}
	return b
}

// detailsFormat is the first byte of details.
const detailsFormat = 1

// details are the attribute of ours that the row of a changeset has.
type details struct {
	stamp          int64 // the page of the log
	streamFirst    daybook.Version
	position       daybook.Position // of the last record
	recordedAt     time.Time
	metadataBeside bool // EES's attribute is the metadata, byte for byte
	eventsApart    bool // the events stand behind rest in the parts
	parts          int  // items that hold rest; 0 is none
	partLength     int  // of rest, in the parts
	rest           []byte
}

const (
	flagMetadataBeside = 1 << iota
	flagEventsApart
	flagDeflated
)

func (d *details) encode() []byte {
	flags := byte(0)
	if d.metadataBeside {
		flags |= flagMetadataBeside
	}
	if d.eventsApart {
		flags |= flagEventsApart
	}
	var rest []byte
	if d.parts == 0 {
		var deflated bool
		if rest, deflated = shorter(d.rest); deflated {
			flags |= flagDeflated
		}
	}
	b := []byte{detailsFormat, flags}
	for _, n := range [...]int64{
		d.stamp, int64(d.streamFirst), int64(d.position), d.recordedAt.UnixMicro(), int64(d.parts), int64(d.partLength),
	} {
		b = bin.AppendVarint(b, n)
	}
	return append(b, rest...)
}

// apart puts rest into items of its own, with something behind it.
func (d *details) apart(stream daybook.StreamID, changeset daybook.ChangesetNumber, behind string) []row {
	content := append(append([]byte{}, d.rest...), behind...)
	d.partLength = len(d.rest)
	var parts []row
	for len(content) > 0 {
		n := min(len(content), itemBytes)
		part := keyOf(partKey(stream, changeset), int64(len(parts)))
		part[attrBytes] = binary(content[:n])
		parts, content = append(parts, part), content[n:]
	}
	d.parts = len(parts)
	return parts
}

// decodeDetails reads the attribute of ours of a row.
func decodeDetails(r row) (details, error) {
	b := r.binary(attrDaybook)
	if len(b) < 2 || b[0] != detailsFormat {
		return details{}, corrupt("changeset %d of %q was written in another format: use a newer release", r.number(attrChangeset), r.text(attrStream))
	}
	flags := b[1]
	b = b[2:]
	var values [6]int64
	for i := range values {
		value, n := bin.Varint(b)
		if n <= 0 {
			return details{}, corrupt("changeset %d of %q", r.number(attrChangeset), r.text(attrStream))
		}
		values[i], b = value, b[n:]
	}
	d := details{
		stamp: values[0], streamFirst: daybook.Version(values[1]), position: daybook.Position(values[2]),
		recordedAt: time.UnixMicro(values[3]).UTC(), parts: int(values[4]), partLength: int(values[5]),
		metadataBeside: flags&flagMetadataBeside != 0, eventsApart: flags&flagEventsApart != 0, rest: b,
	}
	var err error
	if flags&flagDeflated != 0 {
		d.rest, err = longer(b)
	}
	return d, err
}
