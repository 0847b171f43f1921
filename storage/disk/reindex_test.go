package disk_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

func TestReindexMakesWhatDisagreesAnew(t *testing.T) {
	dir, d := variedStore(t, 30)
	all := wholeLog(t, d)
	_, err := disk.Reindex(t.Context(), dir, nil)
	var locked *disk.LockedError
	if !errors.As(err, &locked) {
		t.Errorf("of a store that is open, a reindex ended with %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	other, o := variedStore(t, 5)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	if err := disk.ForgeIndex(dir, other); err != nil {
		t.Fatal(err)
	}
	if checkStore(t, dir, true).OK() {
		t.Fatal("a forged index was not found")
	}
	segments := filesOf(t, dir).segments()
	var done, total int64
	report, err := disk.Reindex(t.Context(), dir, &disk.ReindexOptions{FS: lazy, Progress: func(d, of int64) { done, total = d, of }})
	if err != nil {
		t.Fatal(err)
	}
	if report.Removed != 1 || report.Segments < len(segments)-1 || report.Records != int64(len(all)) || report.Resumed || done != total {
		t.Errorf("the report is %+v of %d segments, progress ends at %d of %d", report, len(segments), done, total)
	}
	after := checkStore(t, dir, true)
	wantNoProblems(t, "reindexed", after)
	if len(after.Notes) > 0 || after.IndexFiles != report.IndexFiles || after.IndexBytes != report.IndexBytes {
		t.Errorf("reindexed, the store is %+v; the report was %+v", after, report)
	}
	r := open(t, dir, &disk.Options{FS: lazy})
	wantRecords(t, "reindexed", wholeLog(t, r), all)
	wantSound(t, r)
	if len(r.Recovery().Reindexed) > 0 {
		t.Errorf("opening it made anew %v", r.Recovery().Reindexed)
	}
}

func TestReindexThatIsKilledAnywhereGoesOnAndLeavesAStoreThatOpens(t *testing.T) {
	dir, d := variedStore(t, 16)
	all := wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	closed := filesOf(t, dir)
	resumed := false
	endings(t, func(t *testing.T, at int64) bool {
		target := closed.put(t)
		_, err := disk.Reindex(t.Context(), target, &disk.ReindexOptions{FS: &dyingFS{FS: lazy, at: at}})
		if err != nil && !errors.Is(err, errDied) {
			t.Fatalf("killed at call %d: %v", at, err)
		}
		died := err != nil
		left := filesOf(t, target).put(t)
		opened := open(t, left, &disk.Options{FS: lazy})
		wantRecords(t, "opened after a kill", wholeLog(t, opened), all)
		if err := opened.Close(); err != nil {
			t.Fatal(err)
		}
		report, err := disk.Reindex(t.Context(), target, &disk.ReindexOptions{FS: lazy})
		if err != nil {
			t.Fatalf("killed at call %d and repeated: %v", at, err)
		}
		resumed = resumed || report.Resumed
		for _, dir := range []string{left, target} {
			wantNoProblems(t, "after a kill", checkStore(t, dir, true))
			for _, name := range namesOf(t, dir) {
				if strings.HasSuffix(name, ".new") {
					t.Fatalf("killed at call %d, %s is left over", at, name)
				}
			}
		}
		return died
	})
	if !resumed {
		t.Error("no reindex went on where it was interrupted")
	}
}

func TestReindexEndsAtDamageAndAtTheEndOfItsContext(t *testing.T) {
	dir, d := variedStore(t, 16)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	closed := filesOf(t, dir)
	name := closed.segments()[3]
	damaged := closed.with(name, flip(closed[name], 300, 1)).put(t)
	_, err := disk.Reindex(t.Context(), damaged, &disk.ReindexOptions{FS: lazy})
	var corrupt *daybook.CorruptError
	if !errors.As(err, &corrupt) || filepath.Base(corrupt.File) != name {
		t.Errorf("of a damaged store, a reindex ended with %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = disk.Reindex(ctx, dir, &disk.ReindexOptions{FS: lazy, Progress: func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a reindex that was cancelled ended with %v", err)
	}
	if _, err := disk.Reindex(t.Context(), t.TempDir(), nil); err == nil {
		t.Error("a directory without a store was indexed")
	}
}
