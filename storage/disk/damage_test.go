package disk_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// smallStore writes a store of several segments, and closes it.
func smallStore(t *testing.T) (files, []daybook.Record) {
	t.Helper()
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{SegmentBytes: 1})
	for n := range 8 {
		some := events(n, 1)
		some[0].Data = make([]byte, 60)
		add(t, d, fmt.Sprintf("s-%d", n%3), some...)
	}
	if _, err := daybook.New(d, nil).AppendAll(t.Context(), severalStreams(10)); err != nil {
		t.Fatal(err)
	}
	all := wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	found := filesOf(t, dir)
	if len(found.segments()) < 3 {
		t.Fatalf("%d segments, want more", len(found.segments()))
	}
	return found, all
}

// withoutIndexes returns the files without those that can be made anew.
func (f files) withoutIndexes() files {
	rest := f
	for name := range f {
		if strings.HasSuffix(name, ".index") {
			rest = rest.with(name, nil)
		}
	}
	return rest
}

// A store without index files is read when it is opened, so that all damage is
// known from then on.
func TestEveryFlippedBitOfAClosedStoreIsFound(t *testing.T) {
	closed, all := smallStore(t)
	closed = closed.withoutIndexes()
	dir := closed.put(t)
	for name, data := range closed {
		for at := range data {
			if name == "LOCK" {
				break
			}
			if err := os.WriteFile(filepath.Join(dir, name), flip(data, at, at%8), 0o666); err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%s, byte %d", name, at)
			d, err := disk.Open(dir, &disk.Options{ReadOnly: true})
			if err != nil {
				var format *disk.FormatError
				if name != "daybook.json" || !errors.Is(err, daybook.ErrCorrupt) && !errors.As(err, &format) {
					t.Fatalf("%s: %v", what, err)
				}
				continue
			}
			switch name {
			case "daybook.json":
				t.Fatalf("%s: opened", what)
			case "END":
				// It holds nothing that the log has not.
				wantRecords(t, what, wholeLog(t, d), all)
				if d.Recovery().Clean {
					t.Fatalf("%s: taken for a clean close", what)
				}
			default:
				corrupt := wantDamageHere(t, what, d, all, at%50 == 0)
				if filepath.Base(corrupt.File) != name || corrupt.Offset > int64(at) {
					t.Fatalf("%s: reported as %v", what, corrupt)
				}
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// With index files, opening does not read what they cover: then damage is found
// by reading, and no read passes over it. Damage to an index file is never seen.
func TestEveryFlippedBitBelowIndexFilesIsFoundByReading(t *testing.T) {
	closed, all := smallStore(t)
	dir := closed.put(t)
	segments := closed.segments()
	sealed, indexes := segments[:len(segments)-1], 0
	for name, data := range closed {
		index := strings.HasSuffix(name, ".index")
		if !index && !slices.Contains(sealed, name) {
			continue
		}
		step := 1
		if index {
			indexes++
			step = 7
		}
		for at := 0; at < len(data); at += step {
			if err := os.WriteFile(filepath.Join(dir, name), flip(data, at, at%8), 0o666); err != nil {
				t.Fatal(err)
			}
			what := fmt.Sprintf("%s, byte %d", name, at)
			d, err := disk.Open(dir, &disk.Options{ReadOnly: true})
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if index {
				wantStreams(t, what, d, all, false)
				wantRecords(t, what, wholeLog(t, d), all)
			} else {
				corrupt := wantDamageHere(t, what, d, all, false)
				if filepath.Base(corrupt.File) != name || corrupt.Offset > int64(at) {
					t.Fatalf("%s: reported as %v", what, corrupt)
				}
				wantStreams(t, what, d, all, true)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if indexes == 0 {
		t.Error("the store has no index files")
	}
}

// wantStreams checks that each stream is read whole, or, where it may be
// damaged, up to an error that says so; and that at least one is damaged then.
func wantStreams(t *testing.T, what string, d *disk.Driver, all []daybook.Record, damaged bool) {
	t.Helper()
	found := false
	for n := range 3 {
		id := daybook.Stream(fmt.Sprintf("s-%d", n))
		var want []daybook.Record
		for _, r := range all {
			if r.Stream == id {
				want = append(want, r)
			}
		}
		got, err := gather(d.ReadStream(t.Context(), id, daybook.StreamRead{}))
		if err == nil {
			wantRecords(t, what, got, want)
			continue
		}
		if !damaged || !errors.Is(err, daybook.ErrCorrupt) || len(got) >= len(want) {
			t.Fatalf("%s: %s ends with %v after %d of %d records", what, id, err, len(got), len(want))
		}
		wantRecords(t, what, got, want[:len(got)])
		found = true
	}
	if damaged && !found {
		t.Fatalf("%s: all streams can be read", what)
	}
}

// wantDamageHere is wantDamage; if it is not thorough, of the log alone.
func wantDamageHere(t *testing.T, what string, d *disk.Driver, all []daybook.Record, thorough bool) *daybook.CorruptError {
	t.Helper()
	if thorough {
		return wantDamage(t, what, d, all)
	}
	got, err := readLog(t, d, daybook.LogRead{})
	var corrupt *daybook.CorruptError
	if !errors.As(err, &corrupt) || len(got) >= len(all) {
		t.Fatalf("%s: the log ends with %v after %d records, want a *CorruptError", what, err, len(got))
	}
	wantRecords(t, what, got, all[:len(got)])
	return corrupt
}

func TestDamageThatComesWhileTheStoreIsOpenIsFoundByReading(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	ends := []int{72}
	for n := range 3 {
		add(t, d, "s-0", event(n))
		ends = append(ends, len(filesOf(t, dir)[firstSegment]))
	}
	all := wholeLog(t, d)
	whole := filesOf(t, dir)[firstSegment]
	name := filepath.Join(dir, firstSegment)
	for at := ends[1]; at < ends[2]; at++ {
		if err := os.WriteFile(name, flip(whole, at, at%8), 0o666); err != nil {
			t.Fatal(err)
		}
		check := func(how string, got []daybook.Record, err error, want []daybook.Record) {
			t.Helper()
			var corrupt *daybook.CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("byte %d, %s: %v", at, how, err)
			}
			if corrupt.File != name || corrupt.Offset != int64(ends[1]) || corrupt.Position != 2 {
				t.Fatalf("byte %d, %s: reported as %v", at, how, corrupt)
			}
			wantRecords(t, how, got, want)
		}
		got, err := readLog(t, d, daybook.LogRead{})
		check("log", got, err, all[:1])
		got, err = gather(d.ReadStream(t.Context(), daybook.Stream("s-0"), daybook.StreamRead{}))
		check("stream", got, err, all[:1])
		got, err = gather(d.ReadStream(t.Context(), daybook.Stream("s-0"), daybook.StreamRead{Backwards: true}))
		check("stream backwards", got, err, all[2:])
		if got, err = readLog(t, d, daybook.LogRead{Backwards: true}); !errors.Is(err, daybook.ErrCorrupt) {
			t.Fatalf("byte %d, log backwards: %d records and %v", at, len(got), err)
		}
	}
	if err := os.WriteFile(name, whole, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestMissingAndCutSegmentsAreDamage(t *testing.T) {
	closed, all := smallStore(t)
	names := closed.segments()
	for _, c := range []struct {
		what, file string
		files      files
	}{
		{"the first is missing", names[0], closed.with(names[0], nil)},
		{"one is missing", names[1], closed.with(names[1], nil)},
		{"the last is missing", names[len(names)-1], closed.with(names[len(names)-1], nil)},
		{"a sealed one is cut", names[0], closed.with(names[0], closed[names[0]][:len(closed[names[0]])-1])},
		{"a sealed one is empty", names[1], closed.with(names[1], []byte{})},
		{"a sealed one is cut behind its header", names[1], closed.with(names[1], closed[names[1]][:72])},
		{"a sealed one has grown", names[0], closed.with(names[0], append(append([]byte{}, closed[names[0]]...), 0))},
		{"the last is cut", names[len(names)-1], closed.with(names[len(names)-1], closed[names[len(names)-1]][:72])},
	} {
		for _, readOnly := range []bool{false, true} {
			d := open(t, c.files.put(t), &disk.Options{ReadOnly: readOnly})
			corrupt := wantDamage(t, c.what, d, all)
			if filepath.Base(corrupt.File) != c.file {
				t.Errorf("%s: reported as %v", c.what, corrupt)
			}
		}
	}
}

func TestSegmentOfAnotherStoreIsDamage(t *testing.T) {
	closed, all := smallStore(t)
	other, _ := smallStore(t)
	names, others := closed.segments(), other.segments()
	d := open(t, closed.with(names[1], other[others[1]]).put(t), nil)
	wantDamage(t, "a segment of another store", d, all)
}

func TestNewerFormatIsRefusedByItsVersion(t *testing.T) {
	closed, _ := smallStore(t)
	newer := closed.with("daybook.json", []byte(`{"format": 7, "what": "nobody knows"}`)).put(t)
	for _, readOnly := range []bool{false, true} {
		_, err := disk.Open(newer, &disk.Options{ReadOnly: readOnly})
		var format *disk.FormatError
		if !errors.As(err, &format) || format.Version != 7 {
			t.Errorf("a store of format 7 opens with %v", err)
		}
	}
}

func TestStoreThatLostItsIdentityIsNotMadeAnew(t *testing.T) {
	closed, _ := smallStore(t)
	dir := closed.with("daybook.json", nil).put(t)
	if _, err := disk.Open(dir, nil); !errors.Is(err, daybook.ErrCorrupt) {
		t.Errorf("segments without an identity open with %v", err)
	}
	if now := filesOf(t, dir); len(now.segments()) != len(closed.segments()) {
		t.Errorf("%d segments are left of %d", len(now.segments()), len(closed.segments()))
	}
}

func TestStoreThatWasBeingMadeIsMade(t *testing.T) {
	closed, _ := smallStore(t)
	unborn := files{firstSegment: closed[firstSegment][:72], "END": closed["END"], "daybook.json.new": []byte("{")}
	d := open(t, unborn.put(t), nil)
	add(t, d, "s-0", event(1))
	if got := wholeLog(t, d); len(got) != 1 {
		t.Errorf("%d records", len(got))
	}
}

func TestWhatLiesBeforeDamageIsReadWithoutAnError(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	d := open(t, dir, &disk.Options{Now: func() time.Time { now = now.Add(time.Minute); return now }})
	for n := range 4 {
		add(t, d, "s-0", event(n))
	}
	all := wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	closed := filesOf(t, dir)
	data := closed[firstSegment]
	d = open(t, closed.with(firstSegment, flip(data, len(data)-1, 0)).put(t), nil)
	until := all[1].RecordedAt
	for what, read := range map[string]daybook.LogRead{
		"to a position": {To: 2}, "until a time": {Until: until}, "so many": {Limit: 2}, "backwards to a position": {To: 2, Backwards: true},
	} {
		if got, err := readLog(t, d, read); err != nil || len(got) != 2 {
			t.Errorf("the log %s: %d records, %v", what, len(got), err)
		}
	}
	for what, read := range map[string]daybook.StreamRead{
		"to a version": {To: 2}, "until a time": {Until: until}, "so many": {Limit: 2}, "backwards to a version": {To: 2, Backwards: true},
	} {
		if got, err := gather(d.ReadStream(t.Context(), daybook.Stream("s-0"), read)); err != nil || len(got) != 2 {
			t.Errorf("the stream %s: %d records, %v", what, len(got), err)
		}
	}
}
