package sqlserver

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// rowReader makes records of rows with eventColumns. Records of one changeset
// share their header.
type rowReader struct {
	kept   sqlstore.Kept
	header *daybook.ChangesetHeader
	bytes  int // of the row that was read
}

// read reads the present row. It reports whether that begins a changeset which
// has more than its rows tell.
func (rr *rowReader) read(rows *sql.Rows) (r daybook.Record, missing bool, err error) {
	var ordinal daybook.Ordinal
	var number daybook.ChangesetNumber
	var place, count int
	var occurredAt sql.NullTime
	var detailed bool
	var appendID, id, partition, stream, kind, contentType, text, data, tags, about, metadata sql.RawBytes
	err = rows.Scan(&r.Position, &r.Version, &ordinal, &number, &place, &count, &appendID, &id, &r.RecordedAt, &occurredAt, &detailed,
		&partition, &stream, &kind, &contentType, &text, &data, &tags, &about, &metadata)
	if err != nil {
		return r, false, err
	}
	rr.bytes = 100 + len(stream) + len(text) + len(data) + len(tags) + len(about) + len(metadata)
	if len(id) != len(r.ID) || len(appendID) != len(r.ID) {
		return r, false, fmt.Errorf("sqlserver: the event at position %d has an id of %d bytes, its append one of %d", r.Position, len(id), len(appendID))
	}
	r.RecordedAt = r.RecordedAt.UTC()
	r.Stream = daybook.StreamID{Partition: rr.kept.Text(partition), Name: rr.kept.Text(stream)}
	r.ID, r.Type, r.ContentType, r.OccurredAt = daybook.ID(id), rr.kept.Text(kind), daybook.ContentTypeJSON, r.RecordedAt
	if occurredAt.Valid {
		r.OccurredAt = occurredAt.Time.UTC()
	}
	if contentType != nil {
		r.ContentType = rr.kept.Text(contentType)
	}
	if text != nil {
		r.Data = rr.kept.Bytes(text)
	} else {
		r.Data = rr.kept.Bytes(data)
	}
	if rr.header == nil || rr.header.Ordinal != ordinal {
		rr.header = &daybook.ChangesetHeader{
			Number: number, Ordinal: ordinal, First: r.Version - daybook.Version(place), Count: count, AppendID: daybook.ID(appendID),
		}
		missing = detailed
	}
	r.Changeset = rr.header
	return r, missing, rr.circumstances(&r, tags, about, metadata)
}

// circumstances reads the tags and the context of a record.
func (rr *rowReader) circumstances(r *daybook.Record, tags, about, metadata []byte) (err error) {
	if tags != nil {
		if err := json.Unmarshal(tags, &r.Tags); err != nil {
			return fmt.Errorf("sqlserver: the tags of the event at position %d: %w", r.Position, err)
		}
		for i, tag := range r.Tags {
			r.Tags[i] = rr.kept.Text([]byte(tag))
		}
	}
	if about != nil {
		if r.Context, err = sqlstore.ReadContext(about); err != nil {
			return fmt.Errorf("sqlserver: the context of the event at position %d: %w", r.Position, err)
		}
	}
	if metadata != nil {
		r.Context.Metadata = rr.kept.Bytes(metadata)
	}
	return nil
}

// readReceipt reads a row of the query for receipts.
func readReceipt(rows *sql.Rows, receipts sqlstore.Receipts) error {
	var id, partition, stream []byte
	var c daybook.ChangesetReceipt
	var records int64
	var recordedAt time.Time
	err := rows.Scan(&id, &c.Ordinal, &partition, &stream, &c.Number, &c.First, &records, &c.FirstPosition, &c.LastPosition, &recordedAt)
	if err != nil {
		return err
	}
	if len(id) != len(daybook.ID{}) {
		return fmt.Errorf("sqlserver: the append of position %d has an id of %d bytes", c.FirstPosition, len(id))
	}
	c.Stream = daybook.StreamID{Partition: string(partition), Name: string(stream)}
	receipts.Add(daybook.ID(id), recordedAt, c, records)
	return nil
}
