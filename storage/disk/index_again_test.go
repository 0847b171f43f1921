package disk_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// keptIndexesFS keeps each index file as it was made last, also those that were
// merged into others since.
type keptIndexesFS struct {
	disk.FS
	mu   sync.Mutex
	made map[string][]byte
}

func newKeptIndexesFS() *keptIndexesFS { return &keptIndexesFS{FS: lazy, made: map[string][]byte{}} }

func (f *keptIndexesFS) Rename(from, to string) error {
	if strings.HasSuffix(to, ".index") {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		f.mu.Lock()
		f.made[filepath.Base(to)] = data
		f.mu.Unlock()
	}
	return f.FS.Rename(from, to)
}

// changefulStore writes a store of many small segments: appends to several
// streams, with claims that come and go, deletions of all sorts, streams that go
// on behind one, and now and then a compaction. The last segment is large.
func changefulStore(t *testing.T, random *rand.Rand, fsys disk.FS) (dir string) {
	t.Helper()
	dir = t.TempDir()
	d := open(t, dir, &disk.Options{FS: fsys, SegmentBytes: 2 << 10})
	store := daybook.New(d, nil)
	held := map[string]daybook.StreamID{}
	for n := range 120 {
		var a daybook.Append
		for i := range 1 + random.IntN(3) {
			id := daybook.StreamID{Partition: fmt.Sprint("tenant-", i%2), Name: fmt.Sprintf("kind%d-%d", i, random.IntN(5))}
			c := daybook.Changeset{Stream: id, Events: events(n, 1+random.IntN(3))}
			value := fmt.Sprint(random.IntN(9), " of ", id.Partition)
			switch holder, taken := held[value]; {
			case !taken:
				c.Claims, held[value] = []daybook.Claim{{Kind: "k", Value: value}}, id
			case holder == id:
				c.Releases = []daybook.Claim{{Kind: "k", Value: value}}
				delete(held, value)
			}
			a.Changesets = append(a.Changesets, c)
		}
		if _, err := store.AppendAll(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if random.IntN(6) == 0 {
			id := a.Changesets[0].Stream
			d := daybook.Deletion{Stream: id, Scrub: random.IntN(2) == 0, Who: "Ann", Through: daybook.Version(random.IntN(3) * random.IntN(9))}
			receipt, err := store.DeleteStream(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			if head, err := store.Head(t.Context(), id); err == nil && receipt.Records > 0 && !head.Exists() {
				maps.DeleteFunc(held, func(_ string, holder daybook.StreamID) bool { return holder == id })
			}
		}
		if random.IntN(40) == 0 || n == 100 {
			if _, err := d.Compact(t.Context(), &disk.CompactOptions{ScrubsOnly: random.IntN(2) == 0}); err != nil {
				t.Fatal(err)
			}
		}
	}
	large := event(1)
	large.Data = make([]byte, 1200<<10)
	add(t, d, "large-1", large)
	if err := disk.SettleIndexes(d); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// What the writer knows of a segment as it writes it, what a scan of the log
// learns, and what is read of one segment alone, must be the same to the last bit.
func TestIndexFilesAreTheSameWhicheverWayTheyAreMade(t *testing.T) {
	random := seeded(t)
	written, again := newKeptIndexesFS(), newKeptIndexesFS()
	dir := changefulStore(t, random, written)
	closed := filesOf(t, dir)
	compacted := 0
	for _, name := range closed.segments() {
		compacted += strings.Count(name, ".") - 1
	}
	if compacted == 0 || len(closed.indexes()) < 2 {
		t.Fatalf("no good example: %d compacted segments, index files %v", compacted, closed.indexes())
	}
	if _, err := disk.Reindex(t.Context(), dir, &disk.ReindexOptions{FS: again}); err != nil {
		t.Fatal(err)
	}
	reindexed := filesOf(t, dir)
	if got, want := fmt.Sprint(reindexed.indexes()), fmt.Sprint(closed.indexes()); got != want {
		t.Errorf("reindexed, the files are %s, not %s", got, want)
	}
	alone, err := disk.IndexesAnew(dir)
	if err != nil {
		t.Fatal(err)
	}
	same := func(what string, got map[string][]byte) {
		t.Helper()
		for name, data := range got {
			if want, there := written.made[name]; !there || !bytes.Equal(data, want) {
				t.Errorf("%s, %s has %d bytes that are not the %d that the writer made", what, name, len(data), len(want))
			}
		}
	}
	same("reindexed", again.made)
	same("read alone", alone)
	if len(alone) != len(closed.segments())-1 {
		t.Errorf("%d of %d segments were read alone", len(alone), len(closed.segments()))
	}
	wantNoProblems(t, "written", checkStore(t, closed.put(t), true))
	wantNoProblems(t, "reindexed", checkStore(t, dir, true))
}
