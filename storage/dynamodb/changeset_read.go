package dynamodb

import (
	"context"
	bin "encoding/binary"
	"iter"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// Records implements globalorder.Storage. The changeset in which a version lies
// is found by EES's local indexes.
func (t *table) Records(ctx context.Context, id daybook.StreamID, from, to daybook.Version, backwards bool) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		q := query{index: indexLastEvent, partition: text(streamKey(id)), by: [2]string{attrStream, attrLastEvent}, from: int64(from)}
		if backwards {
			q = query{index: indexFirstEvent, partition: text(streamKey(id)), by: [2]string{attrStream, attrFirstEvent}, from: 1, to: int64(to), backwards: true}
		}
		for r, err := range t.rows(ctx, q) {
			if err != nil {
				yield(daybook.Record{}, err)
				return
			}
			if !r.has(attrDaybook) {
				continue // of EES, and not in the log yet
			}
			first, last := daybook.Version(r.number(attrFirstEvent)), daybook.Version(r.number(attrLastEvent))
			if first > to || last < from {
				return
			}
			records, err := t.records(ctx, id, r)
			if err != nil {
				yield(daybook.Record{}, err)
				return
			}
			for i := range records {
				record := &records[i]
				if backwards {
					record = &records[len(records)-1-i]
				}
				if record.Version >= from && record.Version <= to && !yield(*record, nil) {
					return
				}
			}
		}
	}
}

// records returns the records of the row of a changeset.
func (t *table) records(ctx context.Context, id daybook.StreamID, r row) ([]daybook.Record, error) {
	d, err := decodeDetails(r)
	if err != nil {
		return nil, err
	}
	events := r.text(attrEvents)
	if d.parts > 0 {
		content, err := t.parts(ctx, id, daybook.ChangesetNumber(r.number(attrChangeset)), d.parts)
		if err != nil {
			return nil, err
		}
		if len(content) < d.partLength {
			return nil, corrupt("the parts of changeset %d of stream %q are too short", r.number(attrChangeset), id)
		}
		d.rest = content[:d.partLength]
		if d.eventsApart {
			events = string(content[d.partLength:])
		}
	}
	records, ok := decodeRecords(d.rest, events)
	if !ok {
		return nil, corrupt("changeset %d of stream %q does not fit together", r.number(attrChangeset), id)
	}
	header := records[0].Changeset
	if d.metadataBeside {
		header.Metadata = []byte(r.text(attrMetadata))
	}
	for i := range records {
		record := &records[i]
		record.Stream, record.Version, record.RecordedAt, record.Changeset = id, header.First+daybook.Version(i), d.recordedAt, header
		if record.OccurredAt.IsZero() {
			record.OccurredAt = d.recordedAt
		}
	}
	return records, nil
}

// parts returns what has no room in the row of a changeset.
func (t *table) parts(ctx context.Context, id daybook.StreamID, changeset daybook.ChangesetNumber, count int) ([]byte, error) {
	var content []byte
	found := 0
	for part, err := range t.rows(ctx, query{partition: text(partKey(id, changeset)), from: 0}) {
		if err != nil {
			return nil, err
		}
		content = append(content, part.binary(attrBytes)...)
		found++
	}
	if found != count {
		return nil, corrupt("changeset %d of stream %q has %d parts of %d", changeset, id, found, count)
	}
	return content, nil
}

// decodeRecords reads what encodeRecords wrote; false where it does not fit.
func decodeRecords(b []byte, events string) ([]daybook.Record, bool) {
	broken := false
	next := func() int {
		n, size := bin.Uvarint(b)
		if size <= 0 || n > 1<<30 {
			broken = true
			return 0
		}
		b = b[size:]
		return int(n)
	}
	count := next()
	if broken || count < 1 || count > len(b) {
		return nil, false
	}
	records := make([]daybook.Record, count)
	at := 0
	for i := range records {
		length := next()
		if broken || length > len(b) {
			return nil, false
		}
		record, err := globalorder.DecodeDetails(b[:length])
		if err != nil {
			return nil, false
		}
		b = b[length:]
		s := span{next(), next(), next()}
		if broken || at+s.gap+s.length > len(events) {
			return nil, false
		}
		at += s.gap
		if record.Data, err = dataOf(s.kind, events[at:at+s.length]); err != nil {
			return nil, false
		}
		at += s.length
		records[i] = record
	}
	return records, true
}

// Head implements globalorder.Storage: what the last changeset in the log says.
func (t *table) Head(ctx context.Context, id daybook.StreamID) (globalorder.SettledHead, error) {
	head := globalorder.SettledHead{StreamHead: daybook.StreamHead{Stream: id}}
	for r, err := range t.rows(ctx, query{partition: text(streamKey(id)), from: 0, backwards: true, most: 1}) {
		if err != nil {
			return head, err
		}
		if !r.has(attrDaybook) {
			continue // of EES, and not in the log yet
		}
		d, err := decodeDetails(r)
		if err != nil {
			return head, err
		}
		head.Stamp = d.stamp
		head.Head = daybook.Head{
			Version: daybook.Version(r.number(attrLastEvent)), Changeset: daybook.ChangesetNumber(r.number(attrChangeset)),
			First: d.streamFirst, Position: d.position, RecordedAt: d.recordedAt,
		}
		break
	}
	return head, nil
}

// AppendPage implements globalorder.Storage.
func (t *table) AppendPage(ctx context.Context, id daybook.ID) (int64, error) {
	r, err := t.get(ctx, keyOf(appendKey(id), 0), "")
	return r.number(attrAt), err
}

// Claim implements globalorder.Storage.
func (t *table) Claim(ctx context.Context, key globalorder.ClaimKey) (globalorder.SettledClaim, error) {
	claim := globalorder.SettledClaim{Key: key}
	r, err := t.get(ctx, keyOf(claimKey(key), 0), "")
	if err != nil || r == nil {
		return claim, err
	}
	claim.Stamp = r.number(attrStamp)
	if holder := r.text(attrHolder); holder != "" {
		var known bool
		if claim.Holder, known = streamOf(holder); !known {
			return claim, corrupt("claim %s %q is held by %q, which is no stream", key.Claim.Kind, key.Claim.Value, holder)
		}
	}
	return claim, nil
}
