package httpapi

import (
	"context"
	"sort"

	"github.com/daybook-go/daybook"
)

// tail keeps the newest records of the log in the form in which live readers
// send them, so that a record is read and written out once for all of them.
// Nobody fills it ahead: the first reader that wants more does.
type tail struct {
	turn    chan struct{}    // holds one value while someone works on what is below
	records []tailRecord     // never changed in place; readers hold parts of it
	after   daybook.Position // the records begin above it,
	end     daybook.Position // and are all there are up to here
	bytes   int              // of their frames
}

type tailRecord struct {
	daybook.Record
	frame []byte // the server-sent event
}

// What the tail keeps at most, but for the last record.
const (
	tailRecords = 8192
	tailBytes   = 8 << 20
)

func newTail() *tail { return &tail{turn: make(chan struct{}, 1)} }

// read returns the records above place that the tail holds, after it has been
// filled up to end as far as its bounds allow, and the position up to which
// they are all there are. Where place lies before what the tail keeps, or too
// far from end, ok is false: read the log.
func (t *tail) read(ctx context.Context, store *daybook.Store, place, end daybook.Position) (records []tailRecord, reached daybook.Position, ok bool, err error) {
	if end-place > tailRecords {
		return nil, 0, false, nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() {
			t.evict()
			<-t.turn
		}()
	case <-ctx.Done():
		return nil, 0, false, ctx.Err()
	}
	if place > t.end+tailRecords {
		t.records, t.bytes, t.after, t.end = nil, 0, place, place
	}
	if place < t.after {
		return nil, 0, false, nil
	}
	if t.end < end {
		if err := t.fill(ctx, store, end); err != nil {
			return nil, 0, false, err
		}
	}
	from := sort.Search(len(t.records), func(i int) bool { return t.records[i].Position > place })
	return t.records[from:len(t.records):len(t.records)], max(t.end, place), true, nil
}

// fill adds what the log holds up to end. After an error the tail holds what
// was read before it.
func (t *tail) fill(ctx context.Context, store *daybook.Store, end daybook.Position) error {
	added, before := 0, t.bytes
	for record, err := range store.ReadLog(ctx, daybook.LogRead{After: t.end, To: end}) {
		if err != nil {
			return err
		}
		frame := appendFrame(nil, int64(record.Position), &record)
		t.records = append(t.records, tailRecord{record, frame})
		t.bytes += len(frame)
		t.end = record.Position
		if added++; added == tailRecords || t.bytes-before > tailBytes {
			return nil
		}
	}
	t.end = end
	return nil
}

// evict drops the older half of a tail that has grown too large. What readers
// hold of it stays as it is.
func (t *tail) evict() {
	if len(t.records) <= tailRecords && t.bytes <= tailBytes {
		return
	}
	drop, bytes := 0, t.bytes
	for drop < len(t.records) && (len(t.records)-drop > tailRecords/2 || bytes > tailBytes/2) {
		bytes -= len(t.records[drop].frame)
		drop++
	}
	t.after, t.bytes = t.records[drop-1].Position, bytes
	t.records = append([]tailRecord(nil), t.records[drop:]...)
}
