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
	texts   map[string]string // what stands in many rows is kept once
	header  *daybook.ChangesetHeader
	memory  []byte
	missing []daybook.Ordinal // the changesets that have more than their rows tell
	bytes   int               // of the rows that were read
}

// read reads the present row.
func (rr *rowReader) read(rows *sql.Rows) (daybook.Record, error) {
	var r daybook.Record
	var ordinal daybook.Ordinal
	var number daybook.ChangesetNumber
	var place, count int
	var occurredAt sql.NullTime
	var detailed bool
	var appendID, id, partition, stream, kind, contentType, text, data, tags, about, metadata sql.RawBytes
	err := rows.Scan(&r.Position, &r.Version, &ordinal, &number, &place, &count, &appendID, &id, &r.RecordedAt, &occurredAt, &detailed,
		&partition, &stream, &kind, &contentType, &text, &data, &tags, &about, &metadata)
	if err != nil {
		return r, err
	}
	rr.bytes += 100 + len(stream) + len(text) + len(data) + len(tags) + len(about) + len(metadata)
	if len(id) != len(r.ID) || len(appendID) != len(r.ID) {
		return r, fmt.Errorf("sqlserver: the event at position %d has an id of %d bytes, its append one of %d", r.Position, len(id), len(appendID))
	}
	r.RecordedAt = r.RecordedAt.UTC()
	r.Stream = daybook.StreamID{Partition: rr.text(partition), Name: rr.text(stream)}
	r.ID, r.Type, r.ContentType, r.OccurredAt = daybook.ID(id), rr.text(kind), daybook.ContentTypeJSON, r.RecordedAt
	if occurredAt.Valid {
		r.OccurredAt = occurredAt.Time.UTC()
	}
	if contentType != nil {
		r.ContentType = rr.text(contentType)
	}
	if text != nil {
		r.Data = rr.copied(text)
	} else {
		r.Data = rr.copied(data)
	}
	if rr.header == nil || rr.header.Ordinal != ordinal {
		rr.header = &daybook.ChangesetHeader{
			Number: number, Ordinal: ordinal, First: r.Version - daybook.Version(place), Count: count, AppendID: daybook.ID(appendID),
		}
		if detailed {
			rr.missing = append(rr.missing, ordinal)
		}
	}
	r.Changeset = rr.header
	return r, rr.circumstances(&r, tags, about, metadata)
}

// circumstances reads the tags and the context of a record.
func (rr *rowReader) circumstances(r *daybook.Record, tags, about, metadata []byte) (err error) {
	if tags != nil {
		if err := json.Unmarshal(tags, &r.Tags); err != nil {
			return fmt.Errorf("sqlserver: the tags of the event at position %d: %w", r.Position, err)
		}
		for i, tag := range r.Tags {
			r.Tags[i] = rr.text([]byte(tag))
		}
	}
	if about != nil {
		if r.Context, err = sqlstore.ReadContext(about); err != nil {
			return fmt.Errorf("sqlserver: the context of the event at position %d: %w", r.Position, err)
		}
	}
	if metadata != nil {
		r.Context.Metadata = rr.copied(metadata)
	}
	return nil
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

// copied returns a copy of b; nil where it is empty.
func (rr *rowReader) copied(b []byte) []byte {
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

// details is what a changeset has besides events.
type details struct {
	metadata         []byte
	claims, releases []daybook.Claim
	references       []daybook.StreamID
}

// readDetails reads rows of the table changesets.
func readDetails(rows *sql.Rows) (map[daybook.Ordinal]details, error) {
	defer rows.Close()
	found := map[daybook.Ordinal]details{}
	for rows.Next() {
		var ordinal daybook.Ordinal
		var metadata, claims, releases, references []byte
		if err := rows.Scan(&ordinal, &metadata, &claims, &releases, &references); err != nil {
			return nil, err
		}
		d, err := detailsOf(metadata, claims, releases, references)
		if err != nil {
			return nil, fmt.Errorf("sqlserver: the changeset with ordinal %d: %w", ordinal, err)
		}
		found[ordinal] = d
	}
	return found, rows.Err()
}

func detailsOf(metadata, claims, releases, references []byte) (d details, err error) {
	var takes, gives []sqlstore.Claim
	var refersTo []sqlstore.Reference
	for _, part := range []struct {
		text []byte
		into any
	}{{claims, &takes}, {releases, &gives}, {references, &refersTo}} {
		if part.text == nil {
			continue
		}
		if err := json.Unmarshal(part.text, part.into); err != nil {
			return d, err
		}
	}
	if len(metadata) > 0 {
		d.metadata = metadata
	}
	for _, c := range takes {
		d.claims = append(d.claims, daybook.Claim{Kind: c.Kind, Value: c.Value})
	}
	for _, c := range gives {
		d.releases = append(d.releases, daybook.Claim{Kind: c.Kind, Value: c.Value})
	}
	for _, r := range refersTo {
		d.references = append(d.references, daybook.StreamID{Partition: r.Partition, Name: r.Name})
	}
	return d, nil
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

// receiptRow is a row of the query for receipts.
type receiptRow struct {
	id, partition, stream []byte
	changeset             daybook.ChangesetReceipt
	count                 int64
	recordedAt            time.Time
}

func (r *receiptRow) scan(rows *sql.Rows) error {
	c := &r.changeset
	err := rows.Scan(&r.id, &c.Ordinal, &r.partition, &r.stream, &c.Number, &c.First, &r.count, &c.FirstPosition, &c.LastPosition, &r.recordedAt)
	if err != nil {
		return err
	}
	if len(r.id) != len(daybook.ID{}) {
		return fmt.Errorf("sqlserver: the append of position %d has an id of %d bytes", c.FirstPosition, len(r.id))
	}
	c.Stream = daybook.StreamID{Partition: string(r.partition), Name: string(r.stream)}
	c.Last = c.First + daybook.Version(r.count) - 1
	return nil
}
