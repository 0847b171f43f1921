package logindex

import (
	"bytes"
	"testing"

	"github.com/daybook-go/daybook"
)

func TestFlippedBytesAreNeverAnAnswer(t *testing.T) {
	g := newGenerator(t)
	g.segment(12)
	file, m := g.build(t, 0, 1), g.model(0, 1)
	check(t, g, m, openRun(t, file), false)
	for at := 0; at < len(file); at += 1 + at%37 {
		flipped := bytes.Clone(file)
		flipped[at] ^= 1 << (at % 8)
		r, err := Open(bytes.NewReader(flipped), int64(len(flipped)), testStore)
		if err == nil {
			err = compare(g, m, r, false)
		}
		if err != nil && !isDamaged(err) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}

func TestCutAndForeignFilesAreDamaged(t *testing.T) {
	g := newGenerator(t)
	g.segment(30)
	file := g.build(t, 0, 1)
	for size := range len(file) {
		if _, err := Open(bytes.NewReader(file[:size]), int64(size), testStore); !isDamaged(err) {
			t.Fatalf("cut to %d of %d bytes, it opens with %v", size, len(file), err)
		}
	}
	if _, err := Open(bytes.NewReader(file), int64(len(file)), daybook.ID{1}); !isDamaged(err) {
		t.Errorf("as that of another store, it opens with %v", err)
	}
}

func TestDamageIsNotMerged(t *testing.T) {
	g := newGenerator(t)
	g.segment(60)
	g.segment(60)
	first, second := g.build(t, 0, 1), g.build(t, 1, 2)
	first[HeaderBytes+100] ^= 1
	var file bytes.Buffer
	if _, err := Merge(&file, true, openRun(t, first), openRun(t, second)); !isDamaged(err) {
		t.Errorf("merging a damaged index answers %v", err)
	}
}

// What has a checksum that matches is decoded: nothing in it may bring the
// decoders down or make them take memory that the bytes cannot be worth.
func FuzzDecoders(f *testing.F) {
	g := newGenerator(f)
	g.segment(20)
	file := g.build(f, 0, 1)
	f.Add(file[HeaderBytes : HeaderBytes+2000])
	f.Add(file[len(file)-400 : len(file)-trailerBytes-4])
	f.Fuzz(func(t *testing.T, b []byte) {
		e := entries{rest: b}
		for e.next() {
			var c chunk
			if err := c.decode(e.key, e.value); err == nil {
				for i := range c.numbers[1:] {
					if c.numbers[i+1] <= c.numbers[i] {
						t.Fatalf("a chunk that does not rise: %v", c.numbers)
					}
				}
			}
			if _, err := cutStream(e.key); err == nil && len(e.key) < 4 {
				t.Fatalf("a stream in %q", e.key)
			}
		}
		if h, err := decodeHead(b); err == nil && !h.Exists() {
			t.Fatalf("head %+v", h)
		}
		var ids idChunk
		if err := ids.parse(append([]byte{keyAppend}, make([]byte, 16)...), b); err == nil {
			ids.find(ids.id(ids.len() - 1))
			_ = ids.place(ids.len() - 1)
		}
		if m, err := decodeMarks(b); err == nil && m.Len() > len(b) {
			t.Fatalf("%d marks", m.Len())
		}
		if c, err := decodeContents(b); err == nil && len(c.segments) > len(b) {
			t.Fatalf("%d segments", len(c.segments))
		}
		if table, err := openTable(bytes.NewReader(nil), 0, 0, b); err == nil && table.pages() > len(b) {
			t.Fatalf("%d pages", table.pages())
		}
	})
}
