package azurefunctions

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/daybook-go/daybook"
)

// event is an event of the library, as it stands in the file.
type event struct {
	Type        string    `json:"type"`
	ContentType string    `json:"content_type,omitempty"`
	Data        []byte    `json:"data,omitempty"`
	OccurredAt  time.Time `json:"occurred_at"`
	Number      int64     `json:"number"`            // of the row, or of the event in its blob
	Version     int64     `json:"version,omitempty"` // of the form of the event; 0 where none is told
	Sequence    int64     `json:"sequence"`
	Who         string    `json:"who,omitempty"`
	Source      string    `json:"source,omitempty"`
	Commentary  string    `json:"commentary,omitempty"`
	Correlation string    `json:"correlation,omitempty"`
	Causation   string    `json:"causation,omitempty"`
	Schema      string    `json:"schema,omitempty"`
}

// events are all events of an account: a file with them, as they were read, and
// where each of them stands.
type events struct {
	file     *os.File
	out      *bufio.Writer
	written  int64
	progress func(events int64)

	streams []*stream
	byID    map[daybook.StreamID]*stream
	log     []place // in the order of the log, when all is read
}

// place is where an event stands.
type place struct {
	recorded int64 // in microseconds since 1970
	at       int64 // in the file
	size     int32
	stream   int32
	version  int32
}

// stream is an entity. Its events are read one behind the other.
type stream struct {
	id        daybook.StreamID
	index     int32
	from      string // "table Account00Bank"
	positions []daybook.Position
	last      int64 // the recorded time of the last event
}

func newEvents(file *os.File, progress func(events int64)) *events {
	return &events{file: file, out: bufio.NewWriterSize(file, 1<<18), progress: progress, byID: map[daybook.StreamID]*stream{}}
}

// remove closes and removes the file.
func (e *events) remove() error {
	return errors.Join(e.file.Close(), os.Remove(e.file.Name()))
}

// entity returns the stream of an entity that is about to be read.
func (e *events) entity(domain, kind, key, from string) (*stream, error) {
	id := daybook.StreamID{Partition: domain, Name: kind + "-" + key}
	if err := id.Validate(); err != nil {
		return nil, fmt.Errorf("%s: entity %q of type %q: %w", from, key, kind, err)
	}
	if s := e.byID[id]; s != nil {
		return nil, &daybook.InvalidError{
			Field: "stream", Value: fmt.Sprintf("%q", id.String()),
			Reason: "stands in two places, " + s.from + " and " + from + ": read them apart, with Only=tables or Only=blobs",
		}
	}
	s := &stream{id: id, index: int32(len(e.streams)), from: from}
	e.streams, e.byID[id] = append(e.streams, s), s
	return s, nil
}

// add takes in the next event of a stream.
func (e *events) add(s *stream, event *event) error {
	if event.Type == "" {
		event.Type = "unnamed"
	}
	event.OccurredAt = daybook.Microseconds(event.OccurredAt)
	s.last = max(s.last, event.OccurredAt.UnixMicro())
	text, err := json.Marshal(event)
	if err != nil {
		return err
	}
	if _, err := e.out.Write(text); err != nil {
		return err
	}
	s.positions = append(s.positions, 0)
	e.log = append(e.log, place{recorded: s.last, at: e.written, size: int32(len(text)), stream: s.index, version: int32(len(s.positions))})
	e.written += int64(len(text))
	if n := int64(len(e.log)); n%1000 == 0 {
		e.progress(n)
	}
	return nil
}

// settle gives the log its order.
func (e *events) settle() error {
	if err := e.out.Flush(); err != nil {
		return err
	}
	// Places are compared often: the order of the streams is made a number.
	ordered := slices.Clone(e.streams)
	slices.SortFunc(ordered, compareStreams)
	rank := make([]int, len(ordered))
	for i, s := range ordered {
		rank[s.index] = i
	}
	slices.SortFunc(e.log, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.recorded, b.recorded), cmp.Compare(rank[a.stream], rank[b.stream]), cmp.Compare(a.version, b.version))
	})
	for i := range e.log {
		p := &e.log[i]
		e.streams[p.stream].positions[p.version-1] = daybook.Position(i + 1)
	}
	e.streams = slices.DeleteFunc(ordered, func(s *stream) bool { return len(s.positions) == 0 })
	for i, s := range e.streams {
		for _, position := range s.positions {
			e.log[position-1].stream = int32(i)
		}
		s.index = int32(i)
	}
	return nil
}

func compareStreams(a, b *stream) int {
	return a.id.Compare(b.id)
}

// namespace is that of the ids that follow from names and numbers.
var namespace = uuid.MustParse("6d7b3a0e-3f0c-5c52-9a41-2a0d3f4f8f11")

// record reads the record at a position.
func (e *events) record(position daybook.Position) (daybook.Record, error) {
	p := &e.log[position-1]
	text := make([]byte, p.size)
	if _, err := e.file.ReadAt(text, p.at); err != nil && !errors.Is(err, io.EOF) {
		return daybook.Record{}, err
	}
	var found event
	if err := json.Unmarshal(text, &found); err != nil {
		return daybook.Record{}, fmt.Errorf("the file of the events was changed: %w", err)
	}
	s := e.streams[p.stream]
	version := daybook.Version(p.version)
	name := fmt.Sprintf("%s\x00%s\x00%d", s.id.Partition, s.id.Name, found.Number)
	r := daybook.Record{
		Event: daybook.Event{
			ID: uuid.NewSHA1(namespace, []byte(name)), Type: found.Type, ContentType: found.ContentType, Data: found.Data, OccurredAt: found.OccurredAt.UTC(),
		},
		Stream: s.id, Version: version, Position: position, RecordedAt: time.UnixMicro(p.recorded).UTC(),
		Changeset: &daybook.ChangesetHeader{
			Number: daybook.ChangesetNumber(version), Ordinal: daybook.Ordinal(position), First: version, Count: 1,
			AppendID: uuid.NewSHA1(namespace, []byte("append\x00"+name)),
		},
	}
	if r.ContentType == "" {
		r.ContentType = daybook.ContentTypeJSON
	}
	return r, found.circumstances(&r.Context)
}

// circumstances fills in the context of an event. A text that is longer than
// one may be stands in the metadata.
func (e *event) circumstances(c *daybook.Context) error {
	more := map[string]any{"sequence": e.Sequence}
	if e.Version != 0 {
		more["version"] = e.Version
	}
	cause := ""
	for name, part := range map[string]struct {
		text string
		to   *string
	}{
		"who": {e.Who, &c.Who}, "source": {e.Source, &c.Source}, "commentary": {e.Commentary, &c.Commentary},
		"correlation": {e.Correlation, &c.Correlation}, "schema": {e.Schema, &c.Schema}, "causation": {e.Causation, &cause},
	} {
		if len(part.text) > daybook.MaxTextLen {
			more[name] = part.text
		} else {
			*part.to = part.text
		}
	}
	if cause != "" {
		c.Why = &daybook.Cause{ID: cause}
	}
	var err error
	c.Metadata, err = json.Marshal(more)
	return err
}
