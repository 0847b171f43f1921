package disk

import (
	"bytes"
	"encoding/hex"
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
	defer d.Close()
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

func FuzzFrame(f *testing.F) {
	log := exampleLog()
	seed := seedOf(log)
	for offset := int64(segmentHeaderSize); offset < int64(len(log)); {
		h, reason := decodeFrameHeader(log[offset:], seed, offset)
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
		c, ok := decodeChangeset(h, body)
		if !ok {
			return
		}
		pieces, ok := c.pieces()
		if !ok {
			return
		}
		again := daybook.Changeset{
			Stream: c.stream, Metadata: c.metadata, Claims: c.claims, Releases: c.releases, References: c.references,
			Events: make([]daybook.Event, len(pieces)),
		}
		for i := range pieces {
			event, ok := pieces[i].event(0)
			eventType, tags, selected := pieces[i].selectors()
			if !ok {
				return
			}
			if !selected || eventType != event.Type || !reflect.DeepEqual(tags, event.Tags) {
				t.Fatalf("selectors %q %q of an event with %q %q", eventType, tags, event.Type, event.Tags)
			}
			again.Events[i] = event
		}
		// What was decoded must survive being written again.
		encoded := appendBody(nil, &again, c.positions)
		second, ok := decodeChangeset(h, encoded)
		if !ok || second.stream != c.stream || !reflect.DeepEqual(second.positions, c.positions) {
			t.Fatalf("a changeset that was written again cannot be read: %+v", again)
		}
		more, ok := second.pieces()
		if !ok || len(more) != len(pieces) {
			t.Fatalf("records that were written again cannot be read: %+v", again)
		}
		for i := range more {
			event, ok := more[i].event(0)
			if !ok || !reflect.DeepEqual(event, again.Events[i]) {
				t.Fatalf("wrote %+v, read %+v", again.Events[i], event)
			}
		}
	})
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
