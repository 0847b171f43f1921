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
	kept   sqlstore.Kept
	header *daybook.ChangesetHeader
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

// read reads the present row. It reports whether that begins a changeset which
// has more than its rows tell.
func (rr *rowReader) read(rows pgx.Rows) (record daybook.Record, missing bool, err error) {
	r := row(rows.RawValues())
	rr.unsettled = r[20][0] != 0
	record = daybook.Record{
		Position: daybook.Position(r.int64(0)), Version: daybook.Version(r.int64(1)), RecordedAt: r.time(8),
		Stream: daybook.StreamID{Partition: rr.kept.Text(r[11]), Name: rr.kept.Text(r[12])},
	}
	record.ID, record.Type, record.ContentType, record.OccurredAt = r.id(7), rr.kept.Text(r[13]), daybook.ContentTypeJSON, record.RecordedAt
	if r[9] != nil {
		record.OccurredAt = r.time(9)
	}
	if r[14] != nil {
		record.ContentType = rr.kept.Text(r[14])
	}
	if r[15] != nil {
		record.Data = rr.kept.Bytes(r[15])
	} else {
		record.Data = rr.kept.Bytes(r[16])
	}
	ordinal := daybook.Ordinal(r.int64(2))
	if rr.header == nil || rr.header.Ordinal != ordinal {
		rr.header = &daybook.ChangesetHeader{
			Number: daybook.ChangesetNumber(r.int64(3)), Ordinal: ordinal, First: record.Version - daybook.Version(r.int32(4)),
			Count: r.int32(5), AppendID: r.id(6),
		}
		missing = r[10][0] != 0
	}
	record.Changeset = rr.header
	if r[17] != nil {
		if record.Tags, err = rr.array(r[17]); err != nil {
			return record, missing, err
		}
	}
	if r[18] != nil { // a byte for its format, then JSON
		if record.Context, err = sqlstore.ReadContext(r[18][1:]); err != nil {
			return record, missing, fmt.Errorf("postgres: the context of the event at position %d: %w", record.Position, err)
		}
	}
	if r[19] != nil {
		record.Context.Metadata = rr.kept.Bytes(r[19])
	}
	return record, missing, nil
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
		texts = append(texts, rr.kept.Text(b[:size]))
		b = b[size:]
	}
	return texts, nil
}
