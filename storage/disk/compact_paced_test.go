package disk_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// manyMegabytes writes streams of 64 KiB events into segments of 1 MiB, and
// deletes some of them.
func manyMegabytes(t *testing.T, fsys disk.FS) (dir string, d *disk.Driver) {
	t.Helper()
	dir = t.TempDir()
	d = open(t, dir, &disk.Options{SegmentBytes: 1 << 20, FS: fsys})
	fillMegabytes(t, d, 8)
	for n := range 2 {
		remove(t, d, fmt.Sprint("big-", n))
	}
	return dir, d
}

func fillMegabytes(t *testing.T, d *disk.Driver, megabytes int) {
	t.Helper()
	for n := range megabytes * 16 {
		some := event(n)
		some.Data = make([]byte, 64<<10)
		if _, err := addAt(t.Context(), d, fmt.Sprint("big-", n%4), daybook.DurabilityOS, some); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t *testing.T, d *disk.Driver, stream string) {
	t.Helper()
	if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream(stream)}); err != nil {
		t.Fatal(err)
	}
}

// Whoever paces a compaction may take any time: neither appends nor reads wait for
// it, however much is appended.
func TestAppendsAndReadsGoOnWhileACompactionWaits(t *testing.T) {
	dir, d := manyMegabytes(t, lazy)
	waits, goOn := make(chan int64, 1), make(chan struct{})
	ended := make(chan error, 1)
	var report disk.CompactReport
	go func() {
		var err error
		report, err = d.Compact(t.Context(), &disk.CompactOptions{Pace: func(ctx context.Context, bytes int64) error {
			select {
			case waits <- bytes:
			default:
			}
			select {
			case <-goOn:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}})
		ended <- err
	}()
	if bytes := <-waits; bytes < 1<<20 || bytes > 3<<20 {
		t.Errorf("it waits after %d bytes", bytes)
	}
	// More than may be sealed and in no index file.
	before := endOf(t, d)
	fillMegabytes(t, d, 24)
	if got, err := readLog(t, d, daybook.LogRead{After: before}); err != nil || len(got) != 24*16 {
		t.Errorf("%d records were appended meanwhile, %v", len(got), err)
	}
	remove(t, d, "big-2")
	select {
	case err := <-ended:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	close(goOn)
	if err := <-ended; err != nil || report.Segments < 8 || report.LastDeletion != 2 {
		t.Errorf("the compaction ended with %+v, %v", report, err)
	}
	if err := disk.SettleIndexes(d); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantNoProblems(t, "compacted", checkStore(t, dir, true))
}

// A compaction that is ended while it waits leaves a store in which nothing has to
// be made anew.
func TestCompactionThatIsEndedWhileItWaitsLeavesAWholeStore(t *testing.T) {
	dir, d := manyMegabytes(t, lazy)
	want := wholeLog(t, d)
	for at := 1; ; at++ {
		ctx, cancel := context.WithCancel(t.Context())
		waited := 0
		_, err := d.Compact(ctx, &disk.CompactOptions{Pace: func(ctx context.Context, _ int64) error {
			if waited++; waited == at {
				cancel()
			}
			return ctx.Err()
		}})
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := disk.SettleIndexes(d); err != nil {
			t.Fatal(err)
		}
		report := checkStore(t, dir, true)
		wantNoProblems(t, fmt.Sprint("ended at ", at), report)
		if len(report.Notes) > 0 {
			t.Errorf("ended at %d: %v", at, report.Notes)
		}
		if err == nil {
			break
		}
	}
	wantRecords(t, "the log", wholeLog(t, d), want)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if r := open(t, dir, &disk.Options{SegmentBytes: 1 << 20, FS: lazy}).Recovery(); !r.Clean || len(r.Reindexed) > 0 {
		t.Errorf("it opens as %+v", r)
	}
}

func TestLaterCompactionLooksOnlyAtWhatWasDeletedSince(t *testing.T) {
	fsys := newTellFS()
	_, d := manyMegabytes(t, fsys)
	store := daybook.New(d, nil)
	compact := func(after daybook.DeletionNumber) (report disk.CompactReport, read int64) {
		t.Helper()
		before := fsys.read.Load()
		report, err := d.Compact(t.Context(), &disk.CompactOptions{After: after})
		if err != nil {
			t.Fatal(err)
		}
		return report, fsys.read.Load() - before
	}
	first, _ := compact(0)
	if first.Segments == 0 || first.LastDeletion != 2 {
		t.Fatalf("the first: %+v", first)
	}
	if idle, read := compact(first.LastDeletion); read > 0 || idle != (disk.CompactReport{LastDeletion: 2}) {
		t.Errorf("after which nothing was deleted, %d bytes are read for %+v", read, idle)
	}
	// Of a stream that was deleted, and of which there is more now.
	add(t, d, "big-0", event(1))
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("big-0")}); err != nil {
		t.Fatal(err)
	}
	later, read := compact(first.LastDeletion)
	if later.Segments != 1 || later.Changesets != 1 || later.LastDeletion != 3 {
		t.Errorf("the later one: %+v", later)
	}
	add(t, d, "big-0", event(2))
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("big-0")}); err != nil {
		t.Fatal(err)
	}
	whole, all := compact(0)
	if whole.Changesets != 1 || read >= all {
		t.Errorf("%d bytes are read for what was deleted since, %d for everything, which is %+v", read, all, whole)
	}
	wantSound(t, d)
}
