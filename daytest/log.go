package daytest

import (
	"context"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// Log is a store that a test has filled, which tells what came after that.
type Log[E any] struct {
	*daybook.Store
	t     T
	codec *codec.Codec[E]
	given daybook.Position
}

// NewLog returns a log on a driver, which it owns from now on; close it when
// the test ends. Values become events by the codec.
func NewLog[E any](t T, driver daybook.Driver, events *codec.Codec[E]) *Log[E] {
	t.Helper()
	switch {
	case driver == nil:
		t.Fatalf("daytest: a Log needs a driver")
	case events == nil:
		t.Fatalf("daytest: a Log needs a codec")
	}
	return &Log[E]{Store: daybook.New(driver, nil), t: t, codec: events}
}

// Given appends what has happened to a stream, as one changeset with what the
// values bring (see codec.Codec.Changeset). All that stands in the log then
// counts as given.
func (l *Log[E]) Given(stream daybook.StreamID, values ...E) *Log[E] {
	l.t.Helper()
	changeset, err := l.codec.Changeset(stream, daybook.ExpectAny(), values...)
	if err == nil {
		_, err = l.AppendAll(l.t.Context(), daybook.Append{Changesets: []daybook.Changeset{changeset}})
	}
	if err == nil {
		l.given, err = l.End(l.t.Context())
	}
	if err != nil {
		l.t.Fatalf("daytest: filling stream %s: %v", stream, err)
	}
	return l
}

// Records returns all records of the log, those given too.
func (l *Log[E]) Records() []daybook.Record {
	l.t.Helper()
	return l.read(daybook.LogRead{})
}

// After returns the records that came after what was given.
func (l *Log[E]) After() []daybook.Record {
	l.t.Helper()
	return l.read(daybook.LogRead{After: l.given})
}

func (l *Log[E]) read(read daybook.LogRead) []daybook.Record {
	l.t.Helper()
	var records []daybook.Record
	for record, err := range l.ReadLog(l.t.Context(), read) {
		if err != nil {
			l.t.Fatalf("daytest: reading the log: %v", err)
		}
		records = append(records, record)
	}
	return records
}

// Then demands that after what was given, these values came to the stream, in
// this order, and nothing else; none where none are given.
func (l *Log[E]) Then(stream daybook.StreamID, want ...E) *Log[E] {
	l.t.Helper()
	var got []E
	for _, record := range l.After() {
		if record.Stream != stream {
			continue
		}
		values, err := l.codec.Decode(&record)
		if err != nil {
			l.t.Fatalf("daytest: %v", err)
		}
		got = append(got, values...)
	}
	if !equalLists(l.t, got, want) {
		l.t.Errorf("daytest: to stream %s came\n    %s\nwant\n    %s", stream, list(got), list(want))
	}
	return l
}

// ThenNothing demands that nothing came after what was given, to any stream.
func (l *Log[E]) ThenNothing() *Log[E] {
	l.t.Helper()
	if after := l.After(); len(after) > 0 {
		l.t.Errorf("daytest: %d records came, the first is %s to stream %s; want none", len(after), after[0].Type, after[0].Stream)
	}
	return l
}

// Happened are values that came to a stream at a time.
type Happened[E any] struct {
	Stream daybook.StreamID
	At     time.Time // when they were recorded
	Values []E
}

// Records returns the records that a store would hold after all that has
// happened, each of which is one changeset. No store is needed. The test fails
// if a store would refuse one of them.
func Records[E any](t T, events *codec.Codec[E], happened ...Happened[E]) []daybook.Record {
	t.Helper()
	if events == nil {
		t.Fatalf("daytest: Records needs a codec")
	}
	heads := map[daybook.StreamID]daybook.Head{}
	var records []daybook.Record
	for i, h := range happened {
		changeset, err := events.Changeset(h.Stream, daybook.ExpectAny(), h.Values...)
		if err == nil {
			// What a store would refuse cannot have happened.
			err = daybook.Limits{}.Check(daybook.Append{Changesets: []daybook.Changeset{changeset}})
		}
		if err != nil {
			t.Fatalf("daytest: what happened at place %d to stream %s: %v", i+1, h.Stream, err)
		}
		head := heads[h.Stream]
		header := &daybook.ChangesetHeader{
			Number: head.Changeset + 1, Ordinal: daybook.Ordinal(i + 1), First: head.Version + 1, Count: len(changeset.Events),
			Claims: changeset.Claims, Releases: changeset.Releases, References: changeset.References,
		}
		for _, event := range changeset.Events {
			head.Version++
			event.ID = daybook.IDOf(fmt.Sprintf("%q %q %d", h.Stream.Partition, h.Stream.Name, head.Version))
			if event.OccurredAt.IsZero() {
				event.OccurredAt = h.At
			}
			records = append(records, daybook.Record{
				Event: event, Stream: h.Stream, Version: head.Version, Position: daybook.Position(len(records) + 1),
				RecordedAt: daybook.Microseconds(h.At), Changeset: header,
			})
		}
		head.Changeset++
		heads[h.Stream] = head
	}
	return records
}

// Contents returns the types and data of all records of a store by stream: an
// outcome that two runs can be compared by.
func Contents(ctx context.Context, store *daybook.Store) (map[string][]string, error) {
	contents := map[string][]string{}
	for record, err := range store.ReadLog(ctx, daybook.LogRead{}) {
		if err != nil {
			return nil, err
		}
		name := record.Stream.String()
		contents[name] = append(contents[name], record.Type+" "+string(record.Data))
	}
	return contents, nil
}
