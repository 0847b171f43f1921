package disk_test

import (
	"fmt"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// longStream writes a stream of so many records, one to three an append, among
// others. It returns the first versions of its changesets.
func longStream(t *testing.T, d *disk.Driver, records int) (firsts []daybook.Version) {
	t.Helper()
	store, version := daybook.New(d, nil), 0
	for version < records {
		firsts = append(firsts, daybook.Version(version+1))
		c := daybook.Changeset{Stream: daybook.Stream("long-1")}
		for range min(1+len(firsts)%3, records-version) {
			version++
			c.Events = append(c.Events, daybook.Event{Type: "noted", Data: fmt.Append(nil, version)})
		}
		other := daybook.Changeset{Stream: daybook.Stream(fmt.Sprint("other-", version%7)), Events: []daybook.Event{{Type: "noted"}}}
		_, err := store.AppendAll(t.Context(), daybook.Append{Durability: daybook.DurabilityMemory, Changesets: []daybook.Changeset{c, other}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return firsts
}

// readLong compares what a read of the long stream gives with what it asks for.
func readLong(t *testing.T, d *disk.Driver, read daybook.StreamRead, records int) {
	t.Helper()
	low, high, step := max(1, read.From), daybook.Version(records), daybook.Version(1)
	if read.To > 0 {
		high = min(high, read.To)
	}
	next, left := low, int(high-low)+1
	if read.Backwards {
		next, step = high, -1
	}
	if read.Limit > 0 {
		left = min(left, read.Limit)
	}
	left = max(left, 0)
	for r, err := range d.ReadStream(t.Context(), daybook.Stream("long-1"), read) {
		if err != nil {
			t.Fatalf("%+v: %v", read, err)
		}
		if r.Version != next || string(r.Data) != fmt.Sprint(next) || left == 0 {
			t.Fatalf("%+v: version %d with %s came, want %d, and %d more", read, r.Version, r.Data, next, left)
		}
		next += step
		left--
	}
	if left != 0 {
		t.Fatalf("%+v: %d records did not come", read, left)
	}
}

// The records are more than two of the largest pages that places are looked up
// in, in memory and in index files.
func TestALongStreamIsReadWholeAndInParts(t *testing.T) {
	const records = 24_000
	dir := t.TempDir()
	random := seeded(t)
	read := func(d *disk.Driver) {
		for _, backwards := range []bool{false, true} {
			readLong(t, d, daybook.StreamRead{Backwards: backwards}, records)
			readLong(t, d, daybook.StreamRead{Backwards: backwards, Borrow: true, From: 2, To: records - 1}, records)
			for range 40 {
				from := daybook.Version(random.IntN(records + 2))
				to := from + daybook.Version(random.IntN(300))
				readLong(t, d, daybook.StreamRead{From: from, To: to, Backwards: backwards}, records)
				readLong(t, d, daybook.StreamRead{From: from, Backwards: backwards, Limit: 1 + random.IntN(200)}, records)
				readLong(t, d, daybook.StreamRead{To: to, Backwards: backwards, Limit: 1 + random.IntN(200)}, records)
			}
		}
	}
	for _, segments := range []int64{64 << 20, 1 << 20} {
		dir := fmt.Sprint(dir, segments)
		d := open(t, dir, &disk.Options{FS: lazy, SegmentBytes: segments})
		longStream(t, d, records)
		read(d)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		d = open(t, dir, &disk.Options{FS: lazy, ReadOnly: true})
		read(d)
	}
}

// What is read of the log says how much was looked at: of a stream whose
// records lie apart, no more than what is asked for.
func TestReadingOnFromAVersionLeavesAloneWhatStandsBelow(t *testing.T) {
	const records = 12_000
	dir, fsys := t.TempDir(), newTellFS()
	d := open(t, dir, &disk.Options{FS: fsys, SegmentBytes: 256 << 10})
	firsts := longStream(t, d, records)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, dir, &disk.Options{FS: fsys, ReadOnly: true})
	for _, n := range []int{1, len(firsts) / 2, len(firsts) - 1} {
		before := fsys.read.Load()
		readLong(t, d, daybook.StreamRead{From: firsts[n], To: firsts[n]}, records)
		if got := fsys.read.Load() - before; got > 1<<10 {
			t.Errorf("%d bytes of the log were read for one record at version %d", got, firsts[n])
		}
	}
}
