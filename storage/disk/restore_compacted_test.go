package disk_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// TestRestoreToAPositionInACompactedSegmentLeavesAStoreThatGoesOn restores a
// store whose segments were compacted to every place, so that the last one of
// the copy is one of them, and appends to it, deletes and compacts.
func TestRestoreToAPositionInACompactedSegmentLeavesAStoreThatGoesOn(t *testing.T) {
	options := disk.Options{SegmentBytes: 2 << 10, FS: lazy}
	dir, d, _ := secretStore(t)
	for _, deletion := range []daybook.Deletion{{Stream: daybook.Stream("user-1"), Scrub: true}, {Stream: daybook.Stream("other-1"), Through: 9}} {
		if _, err := daybook.New(d, nil).DeleteStream(t.Context(), deletion); err != nil {
			t.Fatal(err)
		}
	}
	if report, err := d.Compact(t.Context(), nil); err != nil || report.Segments < 5 {
		t.Fatalf("compacted: %+v, %v", report, err)
	}
	end := endOf(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for position := daybook.Position(1); position <= end; position += 4 {
		target := filepath.Join(t.TempDir(), "restored")
		if _, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: position, FS: lazy}); err != nil {
			t.Fatalf("to position %d: %v", position, err)
		}
		for round := range 3 {
			d := open(t, target, &options)
			if damage := d.Recovery().Damage; damage != nil {
				t.Fatalf("to position %d, opened %d times: %v", position, round+1, damage)
			}
			wantSound(t, d)
			for n := range 12 {
				add(t, d, fmt.Sprintf("new-%d", n%2), events(n, 2)...)
			}
			if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream(fmt.Sprintf("other-%d", 2+round))}); err != nil {
				t.Fatal(err)
			}
			if _, err := d.Compact(t.Context(), nil); err != nil {
				t.Fatalf("to position %d, compacted: %v", position, err)
			}
			wantSound(t, d)
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if report, err := disk.Check(t.Context(), target, &disk.CheckOptions{Deep: true}); err != nil || len(report.Problems) > 0 {
			t.Fatalf("to position %d: check: %+v, %v", position, report.Problems, err)
		}
	}
}

// TestRestoredSegmentMayGrowToTheSizeThatItHadBeforeItWasCompacted lets the last
// segment of a copy, a compacted one that was cut, grow to every size near that
// which its beginning told of before.
func TestRestoredSegmentMayGrowToTheSizeThatItHadBeforeItWasCompacted(t *testing.T) {
	dir := t.TempDir()
	options := disk.Options{SegmentBytes: 4 << 10, FS: lazy}
	d := open(t, dir, &options)
	add(t, d, "s-1", event(40), event(41), event(42))
	keep := add(t, d, "s-2", event(1)).Position()
	for n := 0; len(filesOf(t, dir).segments()) == 1; n++ {
		add(t, d, "s-2", event(n))
	}
	original := len(filesOf(t, dir)[filesOf(t, dir).segments()[0]])
	if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("s-1")}); err != nil {
		t.Fatal(err)
	}
	if report, err := d.Compact(t.Context(), nil); err != nil || report.Segments != 1 {
		t.Fatalf("compacted: %+v, %v", report, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	grown := map[int]bool{}
	for pad := original - 2000; !grown[original+8]; pad += 8 {
		target := filepath.Join(t.TempDir(), "restored")
		report, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: keep, FS: lazy})
		if err != nil || report.Deletions != 1 {
			t.Fatalf("restored: %+v, %v", report, err)
		}
		d := open(t, target, &options)
		large := event(1)
		large.Data, large.ContentType = bytes.Repeat([]byte("x"), pad), "text/plain"
		add(t, d, "s-2", large)
		large.Data = bytes.Repeat([]byte("x"), 4<<10)
		add(t, d, "s-2", large) // into the next one
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		files := filesOf(t, target)
		grown[len(files[files.segments()[0]])] = true
		again := open(t, target, &options)
		if damage := again.Recovery().Damage; damage != nil {
			t.Fatalf("the segment had %d bytes, the copy of it has %d: %v", original, len(files[files.segments()[0]]), damage)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !grown[original] {
		t.Errorf("no copy grew to the %d bytes that the segment had", original)
	}
}
