package disk

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// The store of the worked example in docs/format.md: two streams in one append,
// and an import that leaves a gap.
func exampleLog() []byte {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
	header := segmentHeader{store: daybook.ID{15: 1}, first: 1, ordinal: 1}
	log := header.encode()
	seed := seedOf(log)
	put := func(h frameHeader, c *daybook.Changeset, positions []daybook.Position) {
		d := &draft{}
		d.add(h.appendID, c, positions)
		h.bodyBytes, h.bodySum = d.frames[0].header.bodyBytes, d.frames[0].header.bodySum
		h.flags |= d.frames[0].header.flags
		h.count, h.recorded = len(c.Events), at.UnixMicro()
		offset := int64(len(log))
		log = append(log, d.buf...)
		h.put(log[offset:], seed, offset)
	}
	put(frameHeader{flags: flagMore, durable: 72, position: 1, ordinal: 1, number: 1, first: 1, appendID: daybook.ID{15: 0xa}},
		&daybook.Changeset{
			Stream: daybook.StreamID{Name: "a-1"}, Claims: []daybook.Claim{{Kind: "email", Value: "a@b"}},
			Events: []daybook.Event{{ID: daybook.ID{15: 0xe1}, Type: "opened", ContentType: daybook.ContentTypeJSON, Tags: []string{"vip"}, Data: []byte(`{}`)}},
		}, nil)
	put(frameHeader{durable: 72, position: 2, ordinal: 2, number: 1, first: 1, appendID: daybook.ID{15: 0xa}},
		&daybook.Changeset{
			Stream: daybook.StreamID{Partition: "p", Name: "a-2"}, Metadata: []byte(`{"m":1}`), References: []daybook.StreamID{{Name: "a-1"}},
			Events: []daybook.Event{{
				ID: daybook.ID{15: 0xe2}, Type: "noted", ContentType: "text/plain", OccurredAt: at.Add(-time.Second), Data: []byte("hi"),
				Context: daybook.Context{Who: "ann", Why: &daybook.Cause{What: "click"}},
			}},
		}, nil)
	put(frameHeader{durable: 392, position: 7, ordinal: 3, number: 2, first: 2, appendID: daybook.ID{15: 0xb}},
		&daybook.Changeset{
			Stream: daybook.StreamID{Name: "a-1"}, Releases: []daybook.Claim{{Kind: "email", Value: "a@b"}},
			Events: []daybook.Event{
				{ID: daybook.ID{15: 0xe3}, Type: "moved", ContentType: daybook.ContentTypeJSON},
				{ID: daybook.ID{15: 0xe4}, Type: "moved", ContentType: daybook.ContentTypeJSON},
			},
		}, []daybook.Position{7, 9})
	return log
}

// dump writes bytes as the worked example shows them: sixteen a line, with
// their offset.
func dump(b []byte) string {
	var text strings.Builder
	for i := 0; i < len(b); i += 16 {
		line := b[i:min(i+16, len(b))]
		fmt.Fprintf(&text, "%04x  % x\n", i, line)
	}
	return text.String()
}

func TestTheWorkedExampleIsWhatIsWritten(t *testing.T) {
	doc, err := os.ReadFile(filepath.FromSlash("../../docs/format.md"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "```\n" + dump(exampleLog()) + "```\n"; !strings.Contains(string(doc), want) {
		t.Errorf("docs/format.md does not hold the example as it is written now:\n%s", want)
	}
}

// The file stands for every store that was ever written in this format: it
// must open for ever, and never be made anew.
func TestTheFirstFormatIsStillRead(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "format-1.hex"))
	if err != nil {
		t.Fatal(err)
	}
	segment, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(segment, exampleLog()) {
		t.Error("what is written today differs from the file of the first format")
	}
	d := openExample(t, segment)
	if r := d.Recovery(); r.Cut != nil || r.Damage != nil {
		t.Fatalf("the example does not open: %+v", r)
	}
	var got []string
	for r, err := range d.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %s@%d %s %s %q", r.Position, r.Stream, r.Version, r.Type, r.ContentType, r.Data))
	}
	want := []string{
		`1 a-1@1 opened application/json "{}"`, `2 p/a-2@1 noted text/plain "hi"`,
		`7 a-1@2 moved application/json ""`, `9 a-1@3 moved application/json ""`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// openExample opens a store whose log is one segment, after a crash.
func openExample(t *testing.T, segment []byte) *Driver {
	t.Helper()
	dir := t.TempDir()
	id := identity{Format: formatVersion, ID: daybook.ID{15: 1}, Created: time.Unix(0, 0).UTC()}
	data, err := id.encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{segmentName(1): segment, identityName: data} {
		if err := durable.WriteFile(durable.OS, filepath.Join(dir, name), data); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Frames whose checksums match, and that cannot follow each other: no crash
// writes them.
func TestFramesThatDoNotFollowAreDamage(t *testing.T) {
	for what, forge := range map[string]func(h *frameHeader){
		"a version is left out":         func(h *frameHeader) { h.first++ },
		"a changeset is left out":       func(h *frameHeader) { h.number++ },
		"a version stands twice":        func(h *frameHeader) { h.first-- },
		"the position does not rise":    func(h *frameHeader) { h.position = 2 },
		"the ordinal does not rise":     func(h *frameHeader) { h.ordinal = 2 },
		"the recorded time falls":       func(h *frameHeader) { h.recorded-- },
		"there are records too few":     func(h *frameHeader) { h.count++ },
		"there are records too many":    func(h *frameHeader) { h.count-- },
		"durable lies behind the frame": func(h *frameHeader) { h.durable = 1 << 20 },
		"the flags are unknown":         func(h *frameHeader) { h.flags |= 32 },
	} {
		log := exampleLog()
		const third = 392
		h, _, reason := decodeFrameHeader(log[third:], seedOf(log), third)
		if reason != "" {
			t.Fatal(reason)
		}
		forge(&h)
		h.put(log[third:], seedOf(log), third)
		d := openExample(t, log)
		n := 0
		var last error
		for _, err := range d.ReadLog(t.Context(), daybook.LogRead{}) {
			if last = err; err == nil {
				n++
			}
		}
		if r := d.Recovery(); r.Damage == nil || !errors.Is(last, daybook.ErrCorrupt) {
			t.Errorf("%s: opened with %+v, reading ends with %v", what, r, last)
		}
		if n != 2 {
			t.Errorf("%s: %d records can be read", what, n)
		}
	}
}

// What a frame says was synced is a promise: it must hold, and it must not be
// too modest, or damage passes for a torn tail.
func TestFramesSayHowMuchWasSynced(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(dir, &Options{SegmentBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	store := daybook.New(d, nil)
	synced := int64(segmentHeaderSize)
	segment := d.writer.segment
	for n := range 40 {
		level := daybook.DurabilityOS
		if n%3 == 0 {
			level = daybook.DurabilityDisk
		}
		_, err := store.AppendAll(t.Context(), daybook.Append{Durability: level, Changesets: []daybook.Changeset{{
			Stream: daybook.Stream("s-0"), Events: []daybook.Event{{Type: "t", Data: make([]byte, 200)}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if d.writer.segment != segment {
			segment, synced = d.writer.segment, segmentHeaderSize
		}
		_, _, places, err := d.log.stream(daybook.Stream("s-0"), daybook.StreamRead{Backwards: true, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		frames, err := places.next()
		if err != nil || len(frames) == 0 {
			t.Fatalf("%d frames, error %v", len(frames), err)
		}
		at := frames[len(frames)-1].place.offset()
		f, err := d.log.reader(segment, segment.end, 512).at(at)
		if err != nil {
			t.Fatal(err)
		}
		if f.durable != synced {
			t.Errorf("frame %d says that %d bytes are synced, of %d", n, f.durable, synced)
		}
		if level == daybook.DurabilityDisk {
			synced = at + f.size()
		}
	}
	if d.writer.segment.number < 5 {
		t.Errorf("only %d segments", d.writer.segment.number)
	}
}

func TestRoundsThatFollowOneThatIsBeingSyncedCountOnIt(t *testing.T) {
	w := &writer{log: newLog("", durable.OS), segmentBytes: 1 << 20, room: newRoom(durable.OS, "", nil), next: 100, synced: 80, segment: &segment{}}
	first := w.roundFor(50)
	first.buf, first.level = make([]byte, 48), daybook.DurabilityDisk
	w.next, first.full = 148, true
	second := w.roundFor(50)
	second.buf, second.level, second.full = make([]byte, 48), daybook.DurabilityOS, true
	w.next = 196
	third := w.roundFor(50)
	if first.durable != 80 || second.durable != 148 || third.durable != 148 {
		t.Errorf("the rounds count on %d, %d, %d synced bytes", first.durable, second.durable, third.durable)
	}
}

func FuzzFrame(f *testing.F) {
	log := exampleLog()
	seed := seedOf(log)
	for offset := int64(segmentHeaderSize); offset < int64(len(log)); {
		h, _, reason := decodeFrameHeader(log[offset:], seed, offset)
		if reason != "" {
			f.Fatal(reason)
		}
		f.Add(log[offset+frameHeaderSize:offset+h.size()], uint32(h.count), h.flags)
		offset += h.size()
	}
	f.Add([]byte{}, uint32(1), byte(0))
	f.Add([]byte("\x010"), uint32(0), byte(flagGaps))
	f.Fuzz(func(t *testing.T, body []byte, count uint32, flags byte) {
		// A body with a right checksum around it, so that the decoder is reached.
		for len(body)%frameAlign != 0 {
			body = append(body, 0)
		}
		h := frameHeader{count: int(count), flags: flags & flagGaps, position: 1, ordinal: 1, number: 1, first: 1}
		c, ok := decodeChangeset(&frame{frameHeader: h, body: body})
		if !ok {
			return
		}
		pieces, ok := c.pieces()
		if !ok {
			return
		}
		again := daybook.Changeset{
			Stream: c.stream, Metadata: c.metadata, Claims: c.claims, Releases: c.releases, References: c.references,
		}
		if again.Events, ok = decodeEvents(t, &c); !ok {
			return
		}
		for i, event := range again.Events {
			eventType, tags, selected := pieces[i].selectors()
			if !selected || eventType != event.Type || !reflect.DeepEqual(tags, event.Tags) {
				t.Fatalf("selectors %q %q of an event with %q %q", eventType, tags, event.Type, event.Tags)
			}
		}
		// What was decoded must survive being written again.
		encoded := appendBody(nil, &again, c.positions)
		second, ok := decodeChangeset(&frame{frameHeader: h, body: encoded})
		if !ok || second.stream != c.stream || !reflect.DeepEqual(second.positions, c.positions) {
			t.Fatalf("a changeset that was written again cannot be read: %+v", again)
		}
		events, ok := decodeEvents(t, &second)
		if !ok || !reflect.DeepEqual(events, again.Events) {
			t.Fatalf("wrote %+v, read %+v", again.Events, events)
		}
	})
}

// decodeEvents decodes the records of a changeset as reads do.
func decodeEvents(t *testing.T, c *changeset) (events []daybook.Event, ok bool) {
	ok = true
	r := newRecordReader(t.Context(), func(record daybook.Record, err error) bool {
		ok = ok && err == nil
		events = append(events, record.Event)
		return true
	}, 0, false, false)
	defer r.release()
	r.log, r.extent, r.at = &log{}, &extent{segments: []*segment{{}}}, 0
	r.frame.position, r.parts = c.position, *c
	r.records(0, c.count, &everything)
	return events, ok
}

func FuzzFrameHeader(f *testing.F) {
	log := exampleLog()
	f.Add(log[segmentHeaderSize:], int64(segmentHeaderSize))
	f.Fuzz(func(t *testing.T, b []byte, offset int64) {
		r := &frameReader{source: bytes.NewReader(b), seed: seedOf(log), limit: int64(len(b)), chunk: 64}
		for at := int64(0); at < int64(len(b)); at += frameAlign {
			// However large a frame says it is, no more is held than there is.
			if _, err := r.at(at); err == nil && int64(cap(r.window)) > int64(len(b)) {
				t.Fatalf("a window of %d bytes for %d", cap(r.window), len(b))
			}
		}
	})
}
