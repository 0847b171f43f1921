package azureblob

import (
	"errors"
	"os"

	"github.com/daybook-go/daybook"
)

// scan reads records from the copy of the log. One goroutine uses it.
type scan struct {
	copy       byteCopy
	name       string
	records    []record
	changesets []changeset
	size       int64 // of the log

	window []byte // bytes of the log
	start  int64  // where they begin
	from   int64  // the frame that was read last
	to     int64

	header *daybook.ChangesetHeader // of one changeset
	of     uint32                   // which one
}

// windowSize is how much is read at once where frames are read one after the
// other.
const windowSize = 128 << 10

// newScan returns a scan of the log as it is known. The caller holds log.mu.
func newScan(d *Driver) *scan {
	l := &d.log
	return &scan{copy: l.copy, name: d.origin.name(l.tail.part), records: l.state.records, changesets: l.state.changesets, size: l.size, from: -1, to: -1}
}

func (s *scan) changesetOf(place uint32) *changeset {
	return &s.changesets[s.records[place].changeset]
}

// record reads a record.
func (s *scan) record(place uint32) (daybook.Record, error) {
	number := s.records[place].changeset
	c := &s.changesets[number]
	doc, key, err := s.document(place)
	if err != nil {
		return daybook.Record{}, err
	}
	var event daybook.Event
	if doc.note != nil {
		event = doc.event()
	} else {
		event = foreignEvent(&doc, key)
	}
	if s.header == nil || s.of != number {
		if err := s.readHeader(place, number, &doc, key); err != nil { // the document is gone then
			return daybook.Record{}, err
		}
	}
	r := daybook.Record{
		Event: event, Stream: c.stream.id, Version: c.first + daybook.Version(place-c.record), Position: s.records[place].position,
		RecordedAt: c.at, Changeset: s.header,
	}
	if r.OccurredAt.IsZero() {
		r.OccurredAt = c.at
	}
	return r, nil
}

// foreignEvent returns the event of a document that another program wrote: its
// data are the whole document.
func foreignEvent(doc *document, key uint32) daybook.Event {
	e := daybook.Event{ID: foreignID("event", key), Type: foreignType(doc.eventType), ContentType: daybook.ContentTypeJSON, Data: doc.data()}
	if doc.eventType == "" && (len(doc.whole) == 0 || doc.whole[0] != '{') {
		e.ContentType = "application/octet-stream"
	}
	return e
}

// readHeader reads the header of a changeset, of which a record was read.
func (s *scan) readHeader(place, number uint32, doc *document, key uint32) error {
	c := &s.changesets[number]
	var h daybook.ChangesetHeader
	switch {
	case c.foreign:
		h.AppendID = foreignID("append", key)
	case place == c.record:
		h = doc.note.header()
	default:
		first, _, err := s.document(c.record)
		if err != nil {
			return err
		}
		h = first.note.header()
	}
	h.Number, h.Ordinal, h.First, h.Count = c.number, c.ordinal, c.first, int(c.count)
	s.header, s.of = &h, number
	return nil
}

// document reads the document of a record. It is good until the next one.
func (s *scan) document(place uint32) (document, uint32, error) {
	r := &s.records[place]
	data, err := s.bytes(r.offset, r.frameSize())
	if err != nil {
		return document{}, 0, err
	}
	f, err := cutFrame(data)
	if err == nil && f.size == len(data) {
		doc, err := parseDocument(f.payload)
		if err == nil {
			return doc, f.key, nil
		}
	}
	reason := "the copy of the log does not hold what was read"
	if err != nil {
		reason = err.Error()
	}
	return document{}, 0, &daybook.CorruptError{File: s.name, Offset: r.offset, Position: r.position, Reason: reason}
}

// bytes reads bytes of the log: with their neighbours, where the last ones were
// neighbours too.
func (s *scan) bytes(offset int64, size int) ([]byte, error) {
	end := offset + int64(size)
	if offset < s.start || end > s.start+int64(len(s.window)) {
		from, to := offset, end
		switch {
		case offset == s.to || s.to < 0:
			to = min(max(end, offset+windowSize), s.size)
		case end == s.from:
			from = max(min(offset, end-windowSize), 0)
		}
		if n := int(to - from); cap(s.window) < n {
			s.window = make([]byte, n)
		} else {
			s.window = s.window[:n]
		}
		if _, err := s.copy.ReadAt(s.window, from); err != nil {
			s.window = s.window[:0]
			if errors.Is(err, os.ErrClosed) {
				err = daybook.ErrClosed
			} else {
				err = &fileError{err}
			}
			return nil, err
		}
		s.start = from
	}
	s.from, s.to = offset, end
	return s.window[offset-s.start:][:size], nil
}
