package postgres

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// epoch is where PostgreSQL counts microseconds from: the year 2000.
const epoch = 946_684_800 * 1_000_000

// rowReader makes records of rows with eventColumns, in the binary format.
// Records of one changeset share their header.
type rowReader struct {
	texts   map[string]string // what stands in many rows is kept once
	header  *daybook.ChangesetHeader
	memory  []byte
	missing []daybook.Ordinal // the changesets that have more than their rows tell
	// unsettled is set where something is promised that has no position yet.
	unsettled bool
}

// row is one row with eventColumns, in the binary format.
type row [][]byte

func (r row) int64(i int) int64 { return int64(binary.BigEndian.Uint64(r[i])) }
func (r row) int32(i int) int   { return int(int32(binary.BigEndian.Uint32(r[i]))) }
func (r row) id(i int) (id daybook.ID) {
	copy(id[:], r[i])
	return id
}
func (r row) time(i int) time.Time { return time.UnixMicro(r.int64(i) + epoch).UTC() }

// read reads the present row.
func (rr *rowReader) read(rows pgx.Rows) (daybook.Record, error) {
	r := row(rows.RawValues())
	rr.unsettled = r[20][0] != 0
	record := daybook.Record{
		Position: daybook.Position(r.int64(0)), Version: daybook.Version(r.int64(1)), RecordedAt: r.time(8),
		Stream: daybook.StreamID{Partition: rr.text(r[11]), Name: rr.text(r[12])},
	}
	record.ID, record.Type, record.ContentType, record.OccurredAt = r.id(7), rr.text(r[13]), daybook.ContentTypeJSON, record.RecordedAt
	if r[9] != nil {
		record.OccurredAt = r.time(9)
	}
	if r[14] != nil {
		record.ContentType = rr.text(r[14])
	}
	if r[15] != nil {
		record.Data = rr.bytes(r[15])
	} else {
		record.Data = rr.bytes(r[16])
	}
	ordinal := daybook.Ordinal(r.int64(2))
	if rr.header == nil || rr.header.Ordinal != ordinal {
		rr.header = &daybook.ChangesetHeader{
			Number: daybook.ChangesetNumber(r.int64(3)), Ordinal: ordinal, First: record.Version - daybook.Version(r.int32(4)),
			Count: r.int32(5), AppendID: r.id(6),
		}
		if r[10][0] != 0 {
			rr.missing = append(rr.missing, ordinal)
		}
	}
	record.Changeset = rr.header
	var err error
	if r[17] != nil {
		if record.Tags, err = rr.array(r[17]); err != nil {
			return record, err
		}
	}
	if r[18] != nil { // a byte for its format, then JSON
		if record.Context, err = sqlstore.ReadContext(r[18][1:]); err != nil {
			return record, fmt.Errorf("postgres: the context of the event at position %d: %w", record.Position, err)
		}
	}
	if r[19] != nil {
		record.Context.Metadata = rr.bytes(r[19])
	}
	return record, nil
}

// keptTexts bounds how many texts are kept once, and keptLen how long they are.
const (
	keptTexts = 4096
	keptLen   = 256
)

// text returns a text that may stand in other rows too.
func (rr *rowReader) text(b []byte) string {
	if t, ok := rr.texts[string(b)]; ok {
		return t
	}
	t := string(b)
	if len(b) > keptLen {
		return t
	}
	if rr.texts == nil || len(rr.texts) >= keptTexts {
		rr.texts = make(map[string]string)
	}
	rr.texts[t] = t
	return t
}

// piece is how much memory is allocated at once for the data of records.
const piece = 16 << 10

// bytes returns a copy of b; nil where it is empty.
func (rr *rowReader) bytes(b []byte) []byte {
	switch {
	case len(b) == 0:
		return nil
	case len(b) > piece/4:
		return append([]byte(nil), b...)
	case len(b) > cap(rr.memory)-len(rr.memory):
		rr.memory = make([]byte, 0, piece)
	}
	n := len(rr.memory)
	rr.memory = append(rr.memory, b...)
	return rr.memory[n:len(rr.memory):len(rr.memory)]
}

// array reads an array of texts: the number of dimensions, whether it holds
// nulls, the type, then length and lower bound, then each with its length.
// Source: array_send in PostgreSQL.
func (rr *rowReader) array(b []byte) ([]string, error) {
	const header, dimension = 12, 8
	if len(b) < header+dimension {
		return nil, nil
	}
	n := int(binary.BigEndian.Uint32(b[header:]))
	b = b[header+dimension:]
	texts := make([]string, 0, min(n, len(b)/4+1))
	for range n {
		if len(b) < 4 {
			return nil, fmt.Errorf("postgres: an array of tags ends too early")
		}
		size := int(int32(binary.BigEndian.Uint32(b)))
		if b = b[4:]; size < 0 || size > len(b) {
			return nil, fmt.Errorf("postgres: an array of tags holds a text of %d bytes, %d are left", size, len(b))
		}
		texts = append(texts, rr.text(b[:size]))
		b = b[size:]
	}
	return texts, nil
}

// details is what a changeset has besides events.
type details struct {
	metadata         []byte
	claims, releases []daybook.Claim
	references       []daybook.StreamID
}

// readDetails reads rows of the table changesets.
func readDetails(rows pgx.Rows) (map[daybook.Ordinal]details, error) {
	defer rows.Close()
	found := map[daybook.Ordinal]details{}
	for rows.Next() {
		var ordinal daybook.Ordinal
		var d details
		var claims, releases []sqlstore.Claim
		var references []sqlstore.Reference
		if err := rows.Scan(&ordinal, &d.metadata, &claims, &releases, &references); err != nil {
			return nil, err
		}
		for _, c := range claims {
			d.claims = append(d.claims, daybook.Claim{Kind: c.Kind, Value: c.Value})
		}
		for _, c := range releases {
			d.releases = append(d.releases, daybook.Claim{Kind: c.Kind, Value: c.Value})
		}
		for _, r := range references {
			d.references = append(d.references, daybook.StreamID{Partition: r.Partition, Name: r.Name})
		}
		found[ordinal] = d
	}
	return found, rows.Err()
}

// complete puts what changesets have besides events into the headers of
// records.
func complete(records []daybook.Record, found map[daybook.Ordinal]details) {
	var last *daybook.ChangesetHeader
	for i := range records {
		h := records[i].Changeset
		if h == last {
			continue
		}
		last = h
		if d, ok := found[h.Ordinal]; ok {
			h.Metadata, h.Claims, h.Releases, h.References = d.metadata, d.claims, d.releases, d.references
		}
	}
}
