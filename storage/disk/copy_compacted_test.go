package disk_test

import (
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// TestCopyOfAStoreThatIsCompactedMeanwhileIsWhole begins a copy, and has the
// segment that was the last one filled, and put into another file, before its
// turn comes; a few times, since the copy begins anew.
func TestCopyOfAStoreThatIsCompactedMeanwhileIsWhole(t *testing.T) {
	for what, begin := range map[string]func(from, to string, progress func(done, total int64)) (disk.Copied, error){
		"backup": func(from, to string, progress func(done, total int64)) (disk.Copied, error) {
			return disk.Backup(t.Context(), from, to, &disk.BackupOptions{FS: lazy, Progress: progress})
		},
		"restore": func(from, to string, progress func(done, total int64)) (disk.Copied, error) {
			return disk.Restore(t.Context(), from, to, &disk.RestoreOptions{FS: lazy, Progress: progress})
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir, d, _ := secretStore(t)
			store := daybook.New(d, nil)
			compactions := 0
			target := filepath.Join(t.TempDir(), "copy")
			report, err := begin(dir, target, func(done, _ int64) {
				if done > 0 || compactions == 12 {
					return
				}
				compactions++
				for n := range 30 {
					add(t, d, "short-1", events(n, 2)...)
				}
				if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("short-1"), Scrub: true}); err != nil {
					t.Fatal(err)
				}
				if report, err := d.Compact(t.Context(), nil); err != nil || report.Segments == 0 {
					t.Fatalf("compacted: %+v, %v", report, err)
				}
			})
			if err != nil || compactions != 12 {
				t.Fatalf("beside %d compactions: %+v, %v", compactions, report, err)
			}
			copied := open(t, target, &disk.Options{FS: lazy})
			wantSound(t, copied)
			wantRecords(t, "the copy", wholeLog(t, copied), wholeLog(t, d))
		})
	}
}
