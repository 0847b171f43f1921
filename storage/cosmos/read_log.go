package cosmos

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
)

// ReadLog implements daybook.Driver.
func (d *Driver) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		if err := d.begin(); err != nil {
			yield(daybook.Record{}, err)
			return
		}
		d.calls.Done()
		d.readLog(ctx, read, yield)
	}
}

func (d *Driver) readLog(ctx context.Context, read daybook.LogRead, yield func(daybook.Record, error) bool) {
	r := &logReader{driver: d, read: read, after: read.After, to: read.To}
	left := read.Limit
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
			if !read.Holds(&records[i]) {
				continue
			}
			if !yield(records[i], nil) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
		if !more {
			return
		}
	}
}

// logReader reads the log page by page.
type logReader struct {
	driver    *Driver
	read      daybook.LogRead
	after, to daybook.Position // what is still to be read; to 0 is the end
	bounded   bool             // to is no later than the end when the read began
	within    bool             // no entry reaches from below to over it
}

// logItem is an item of the default partition that stands in the log: an event,
// or the entry of a commit of another partition.
type logItem struct {
	event *storedEvent
	entry *entryBody
}

func (i *logItem) last() daybook.Position {
	if i.entry != nil {
		return i.entry.Position
	}
	return i.event.Daybook.Position
}

func (i *logItem) first() daybook.Position {
	if i.entry != nil {
		return i.entry.position(i.entry.Place)
	}
	return i.event.Daybook.Position
}

// page reads the next records. It reports whether there may be more.
func (r *logReader) page(ctx context.Context) (records []daybook.Record, more bool, err error) {
	limit := largestPage
	if r.read.Limit > 0 && len(r.read.Filter.Query.Items)+len(r.read.Filter.StreamTypes) == 0 && r.read.Until.IsZero() {
		limit = min(limit, r.read.Limit)
	}
	items, err := r.fetch(ctx, limit)
	if err != nil {
		return nil, false, err
	}
	more = len(items) == limit
	items, cut := fewer(items)
	more = more || cut
	if len(items) > 0 {
		if last := &items[len(items)-1]; r.read.Backwards {
			r.to, r.within = last.first()-1, true
			more = more && r.to > r.after
		} else {
			r.after = last.last()
			more = more && (r.to == 0 || r.after < r.to)
		}
	}
	if more && !r.bounded && !r.read.Backwards {
		// What is stored from now on is not waited for.
		end, err := r.driver.logEnd(ctx)
		if err != nil {
			return nil, false, err
		}
		if r.bounded = true; r.to == 0 || r.to > end.Position {
			r.to = end.Position
		}
	}
	if to := r.read.To; to > 0 {
		items = slices.DeleteFunc(items, func(i logItem) bool { return i.first() > to })
	}
	records, err = r.records(ctx, items)
	return records, more, err
}

// fewer cuts items where they stand for more records than one page has. It
// reports whether it did.
func fewer(items []logItem) ([]logItem, bool) {
	count := int64(0)
	for i := range items {
		if items[i].entry != nil {
			count += items[i].entry.Count
		} else {
			count++
		}
		if count > largestPage && i > 0 {
			return items[:i], true
		}
	}
	return items, false
}

// fetch reads so many items at most.
func (r *logReader) fetch(ctx context.Context, limit int) (items []logItem, err error) {
	q := question{page: int32(limit), values: map[string]any{"@after": r.after}}
	where := []string{"c.Daybook.Position > @after"}
	if r.to > 0 {
		where = append(where, "c.Daybook.Position <= @to")
		if q.values["@to"] = r.to; !r.within {
			q.values["@to"] = r.to + maxOperations // an entry tells the position of its last record
		}
	}
	if names := r.read.Filter.Partitions; len(names) > 0 && len(names) <= mostIDs {
		where = append(where, partitionsAre(names, q.values))
	}
	order := "ORDER BY c.Daybook.Position"
	if r.read.Backwards {
		order += " DESC"
	}
	q.text = fmt.Sprintf("SELECT TOP %d * FROM c WHERE c.Daybook.Item IN ('event', 'entry') AND %s %s", limit, strings.Join(where, " AND "), order)
	err = r.driver.query(ctx, q, func(raw []byte) (bool, error) {
		var kind item[struct{ Item string }]
		if err := json.Unmarshal(raw, &kind); err != nil {
			return false, err
		}
		var i logItem
		var err error
		if kind.Daybook.Item == "entry" {
			i.entry, err = bodyOf[entryBody](raw)
		} else {
			i.event, err = readEvent(raw)
		}
		items = append(items, i)
		return true, err
	})
	return items, err
}

// partitionsAre returns the condition of a query for the records of partitions.
func partitionsAre(names []string, values map[string]any) string {
	var parts, of []string
	for i, name := range names {
		if name == "" {
			parts = append(parts, "c.Daybook.Item = 'event'")
			continue
		}
		parameter := fmt.Sprintf("@of%d", i)
		of, values[parameter] = append(of, parameter), name
	}
	if len(of) > 0 {
		parts = append(parts, "c.Daybook.Of IN ("+strings.Join(of, ", ")+")")
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// records makes records of items, in their order. Of each other partition the
// commits that stand in them follow one another, so that one query has their
// events.
func (r *logReader) records(ctx context.Context, items []logItem) ([]daybook.Record, error) {
	var own []*storedEvent
	entries := map[string][]*entryBody{}
	for i := range items {
		if e := items[i].entry; e != nil {
			r.driver.entries.put(e)
			entries[e.Of] = append(entries[e.Of], e)
		} else {
			own = append(own, items[i].event)
		}
	}
	ownRecords, err := r.driver.recordsOf(ctx, "", own, nil)
	if err != nil {
		return nil, err
	}
	others := map[entryKey]daybook.Record{}
	for partition, list := range entries {
		if err := r.readPlaces(ctx, partition, list, others); err != nil {
			return nil, err
		}
	}
	var records []daybook.Record
	for i := range items {
		e := items[i].entry
		if e == nil {
			records, ownRecords = append(records, ownRecords[0]), ownRecords[1:]
			continue
		}
		from := len(records)
		for place := e.Place; place < e.Place+e.Count; place++ {
			record, there := others[entryKey{e.Of, place}]
			if !there {
				return nil, &daybook.CorruptError{
					File: entryID(e.Of, e.Place), Position: e.position(place), Reason: "the event that the entry stands for is not there",
				}
			}
			records = append(records, record)
		}
		if r.read.Backwards {
			slices.Reverse(records[from:])
		}
	}
	return records, nil
}

// readPlaces reads the events of a partition that some entries stand for.
func (r *logReader) readPlaces(ctx context.Context, partition string, entries []*entryBody, into map[entryKey]daybook.Record) error {
	first, last := entries[0].Place, entries[0].Place
	byPlace := map[int64]*entryBody{}
	for _, e := range entries {
		byPlace[e.Place] = e
		first, last = min(first, e.Place), max(last, e.Place+e.Count-1)
	}
	q := question{
		partition: partition, page: largestPage, values: map[string]any{"@first": first, "@last": last},
		text: "SELECT * FROM c WHERE c.Daybook.Place >= @first AND c.Daybook.Place <= @last AND c.Daybook.Item = 'event' ORDER BY c.Daybook.Place",
	}
	events, err := r.driver.eventsOf(ctx, q)
	if err == nil && int64(len(events)) <= last-first {
		// The entries were read from a copy that is ahead of that of the events.
		var head item[headBody]
		if _, err = r.driver.readFresh(ctx, partition, headID, &head); err == nil {
			events, err = r.driver.eventsOf(ctx, q)
		}
	}
	if err != nil {
		return err
	}
	// What stands between them is of entries that the read leaves out.
	events = slices.DeleteFunc(events, func(e *storedEvent) bool { return byPlace[e.Daybook.Commit] == nil })
	records, err := r.driver.recordsOf(ctx, partition, events, byPlace)
	if err != nil {
		return err
	}
	for i := range records {
		into[entryKey{partition, events[i].Daybook.Place}] = records[i]
	}
	return nil
}

// eventsOf reads the events that a query selects.
func (d *Driver) eventsOf(ctx context.Context, q question) (events []*storedEvent, err error) {
	err = d.query(ctx, q, func(raw []byte) (bool, error) {
		e, err := readEvent(raw)
		events = append(events, e)
		return true, err
	})
	return events, err
}

// lastMatch returns the position of the last record that breaks a condition, up
// to a position; 0 if there is none.
func (d *Driver) lastMatch(ctx context.Context, condition *daybook.Condition, upTo daybook.Position) (found daybook.Position, err error) {
	if condition.After >= upTo {
		return 0, nil
	}
	read := daybook.LogRead{After: condition.After, To: upTo, Backwards: true, Limit: 1, Filter: daybook.Filter{Query: condition.Query}}
	d.readLog(ctx, read, func(record daybook.Record, e error) bool {
		found, err = record.Position, e
		return false
	})
	return found, err
}
