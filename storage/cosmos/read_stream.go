package cosmos

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/daybook-go/daybook"
)

// storedEvent is an item of an event, as it was read.
type storedEvent struct {
	eventItem
	raw json.RawMessage
}

// largestPage is how many events one page of a read has at most. The service
// cuts answers at 4 MB besides.
const largestPage = 1000

// ReadStream implements daybook.Driver.
func (d *Driver) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		r := &streamReader{driver: d, id: id, read: read, left: read.Limit, aggregate: aggregateOf(id.Name).id, from: max(read.From, 1), to: read.To}
		for {
			records, more, err := r.page(ctx)
			if err != nil {
				yield(daybook.Record{}, err)
				return
			}
			for i := range records {
				if err := ctx.Err(); err != nil {
					yield(daybook.Record{}, err)
					return
				}
				if !read.Holds(records[i].Version, records[i].RecordedAt) {
					continue
				}
				if !yield(records[i], nil) {
					return
				}
				if r.left--; r.left == 0 {
					return
				}
			}
			if !more {
				return
			}
		}
	}
}

// streamReader reads a stream page by page.
type streamReader struct {
	driver    *Driver
	id        daybook.StreamID
	read      daybook.StreamRead
	left      int // records still wanted; 0 and below is all
	aggregate string
	resolved  bool            // the aggregate was looked up
	from, to  daybook.Version // what is still to be read; to 0 is the end
	bounded   bool            // to is no later than the end when the read began
	tookIn    bool
}

// page reads the next page. It reports whether there may be another.
func (r *streamReader) page(ctx context.Context) (records []daybook.Record, more bool, err error) {
	if err := r.driver.begin(); err != nil {
		return nil, false, err
	}
	defer r.driver.calls.Done()
	if err := r.driver.touch(ctx, r.id.Partition); err != nil {
		return nil, false, err
	}
	limit := largestPage
	if r.left > 0 && r.read.Until.IsZero() {
		limit = min(limit, r.left)
	}
	events, err := r.fetch(ctx, limit)
	if err != nil {
		return nil, false, err
	}
	more = len(events) == limit && (r.left <= 0 || limit < r.left || !r.read.Until.IsZero())
	if len(events) > 0 {
		last := daybook.Version(events[len(events)-1].Index + 1)
		if r.read.Backwards {
			if r.to = last - 1; r.to < r.from {
				more = false
			}
		} else if r.from = last + 1; r.to > 0 && r.from > r.to {
			more = false
		}
	}
	if more && !r.bounded && !r.read.Backwards {
		// What is stored from now on is not waited for.
		head, err := r.driver.head(ctx, r.id)
		if err != nil {
			return nil, false, err
		}
		if r.bounded = true; r.to == 0 || r.to > head.Version {
			r.to = head.Version
		}
	}
	records, err = r.driver.placedRecordsOf(ctx, r.id.Partition, events)
	return records, more, err
}

// fetch reads so many events at most. Events of Finaps's library that are not
// in the log yet are put there first.
func (r *streamReader) fetch(ctx context.Context, limit int) ([]*storedEvent, error) {
	q := question{partition: r.id.Partition, page: int32(limit), values: map[string]any{"@aggregate": r.aggregate, "@from": r.from - 1}}
	q.text = fmt.Sprintf("SELECT TOP %d * FROM c WHERE c.AggregateId = @aggregate AND STARTSWITH(c.id, 'Event|') AND c.Index >= @from", limit)
	if r.to > 0 {
		q.text += " AND c.Index <= @to"
		q.values["@to"] = r.to - 1
	}
	q.text += " ORDER BY c.Index"
	if r.read.Backwards {
		q.text += " DESC"
	}
	var events []*storedEvent
	foreign, other := false, false
	err := r.driver.query(ctx, q, func(raw []byte) (bool, error) {
		e, err := readEvent(raw)
		if err != nil {
			return false, err
		}
		switch {
		case e.Daybook == nil:
			foreign = foreign || streamName(aggregate{e.AggregateType, e.AggregateID}) == r.id.Name && e.Type != reservation
			return true, nil
		case e.Daybook.Stream != r.id.Name:
			other = true
			return true, nil
		}
		events = append(events, e)
		return true, nil
	})
	switch {
	case err != nil:
		return nil, err
	case foreign && !r.tookIn && !r.driver.options.NoAdoption:
		r.tookIn = true
		if err := r.driver.queue(r.id.Partition).do(ctx, &job{adopt: true}); err != nil {
			return nil, err
		}
		return r.fetch(ctx, limit)
	case other && !r.resolved:
		// The GUID of the name is that of another stream.
		r.resolved = true
		r.aggregate = derivedAggregate(r.id.Name).id
		return r.fetch(ctx, limit)
	}
	return events, nil
}

// readEvent reads the item of an event.
func readEvent(raw []byte) (*storedEvent, error) {
	e := &storedEvent{raw: raw}
	if err := json.Unmarshal(raw, &e.eventItem); err != nil {
		return nil, fmt.Errorf("cosmos: an event cannot be read: %w", err)
	}
	return e, nil
}

// placedRecordsOf makes records of events of one partition, and puts those into
// the log that are not there.
func (d *Driver) placedRecordsOf(ctx context.Context, partition string, events []*storedEvent) ([]daybook.Record, error) {
	var entries map[int64]*entryBody
	if partition != "" {
		var commits []int64
		for _, e := range events {
			commits = append(commits, e.Daybook.Commit)
		}
		var err error
		if entries, err = d.entriesOf(ctx, partition, commits); err != nil {
			return nil, err
		}
	}
	return d.recordsOf(ctx, partition, events, entries)
}

// recordsOf makes records of events of one partition, whose commits stand in the
// log by some entries.
func (d *Driver) recordsOf(ctx context.Context, partition string, events []*storedEvent, entries map[int64]*entryBody) ([]daybook.Record, error) {
	headers, err := d.headersOf(ctx, partition, events, entries)
	if err != nil {
		return nil, err
	}
	records := make([]daybook.Record, len(events))
	for i, e := range events {
		event, err := e.event(e.raw)
		if err != nil {
			return nil, fmt.Errorf("cosmos: event %s cannot be read: %w", e.ID, err)
		}
		b := e.Daybook
		r := daybook.Record{
			Event: event, Stream: daybook.StreamID{Partition: partition, Name: b.Stream}, Version: daybook.Version(e.Index + 1),
			Position: b.Position, RecordedAt: utc(b.RecordedAt), Changeset: headers[changesetKey{b.Stream, b.Number}],
		}
		if entry := entries[b.Commit]; entry != nil {
			r.Position, r.RecordedAt = entry.position(b.Place), entry.RecordedAt.UTC()
		}
		if r.OccurredAt.IsZero() {
			r.OccurredAt = r.RecordedAt
		}
		records[i] = r
	}
	return records, nil
}

// changesetKey names a changeset in its partition.
type changesetKey struct {
	stream string
	number daybook.ChangesetNumber
}

// headersOf returns the header of each changeset of some events. What few
// changesets carry is on their first event, which is read where it is missing.
func (d *Driver) headersOf(ctx context.Context, partition string, events []*storedEvent, entries map[int64]*entryBody) (map[changesetKey]*daybook.ChangesetHeader, error) {
	headers := map[changesetKey]*daybook.ChangesetHeader{}
	lacking := map[string]changesetKey{} // the id of the first event
	for _, e := range events {
		b := e.Daybook
		key := changesetKey{b.Stream, b.Number}
		if headers[key] == nil || b.Changeset != nil {
			h := b.header()
			if entry := entries[b.Commit]; entry != nil {
				h.Ordinal = entry.ordinal(b.Turn)
			}
			headers[key] = h
		}
		if first := eventID(e.AggregateID, b.First); b.Changeset != nil {
			delete(lacking, first)
		} else if b.More && lackingOf(headers[key]) {
			lacking[first] = key
		}
	}
	ids := make([]string, 0, len(lacking))
	for id := range lacking {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	err := d.readMany(ctx, partition, ids, func(id string, raw json.RawMessage) error {
		e, err := readEvent(raw)
		if err != nil || e.Daybook == nil || e.Daybook.Changeset == nil {
			return err
		}
		h, full := headers[lacking[id]], e.Daybook.header()
		h.Metadata, h.Claims, h.Releases, h.References = full.Metadata, full.Claims, full.Releases, full.References
		return nil
	})
	return headers, err
}

// lackingOf reports whether a header has none of what few carry.
func lackingOf(h *daybook.ChangesetHeader) bool {
	return len(h.Metadata)+len(h.Claims)+len(h.Releases)+len(h.References) == 0
}
