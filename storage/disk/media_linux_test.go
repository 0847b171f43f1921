package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/verify"
)

// mounted returns a directory on a file system of its own, in memory, that has
// so many bytes.
func mounted(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		t.Skipf("A REAL FULL DISK IS NOT TESTED: this user may not mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestRealDiskThatIsFullLosesNothingAndGoesOnWhenThereIsRoom(t *testing.T) {
	dir := mounted(t, 6<<20)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	d := open(t, filepath.Join(dir, "store"), &disk.Options{SegmentBytes: 1 << 20})
	var mu sync.Mutex
	stored := map[daybook.ID]bool{}
	write := func(writer int) error {
		for n := 0; ; n++ {
			a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream(fmt.Sprintf("s-%d", writer)), Events: []daybook.Event{event(n)}}}}
			a.Changesets[0].Events[0].Data = bytes.Repeat([]byte("x"), 5000)
			if _, err := daybook.New(d, nil).AppendAll(t.Context(), a); err != nil {
				return err
			}
			mu.Lock()
			stored[a.ID] = true
			mu.Unlock()
		}
	}
	var group sync.WaitGroup
	for writer := range 4 {
		group.Go(func() {
			if err := write(writer); !errors.Is(err, daybook.ErrFull) {
				t.Errorf("the disk is full: %v", err)
			}
		})
	}
	group.Wait()
	all := wholeLog(t, d)
	if len(all) != len(stored) || len(all) < 200 {
		t.Fatalf("%d records are there, %d were acknowledged", len(all), len(stored))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		_, err := addAt(t.Context(), d, "s-9", daybook.DurabilityDefault, event(1))
		if err == nil {
			break
		}
		if !errors.Is(err, daybook.ErrFull) || time.Since(began) > time.Minute {
			t.Fatalf("there is room again: %v", err)
		}
	}
	all = wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, filepath.Join(dir, "store"), &disk.Options{SegmentBytes: 1 << 20})
	if r := d.Recovery(); !r.Clean {
		t.Errorf("opened again: %+v", r)
	}
	wantRecords(t, "opened again", wholeLog(t, d), all)
	if report, err := verify.Store(t.Context(), daybook.New(d, nil), nil); err != nil || !report.OK() {
		t.Errorf("verify: %v, %v", report.Findings, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRealDiskThatIsFullRefusesDeletionsAndCompactionsAndTakesThemWhenThereIsRoom(t *testing.T) {
	dir := mounted(t, 6<<20)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	d := open(t, filepath.Join(dir, "store"), &disk.Options{SegmentBytes: 256 << 10})
	store := daybook.New(d, nil)
	fillSecrets(t, store)
	user := daybook.Stream("user-1")
	if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: user, Scrub: true}); err != nil {
		t.Fatal(err)
	}
	fill(t, d)
	all := wholeLog(t, d)
	deletion := daybook.Deletion{ID: daybook.NewID(), Stream: daybook.Stream("s-1"), Scrub: true}
	if _, err := store.DeleteStream(t.Context(), deletion); !errors.Is(err, daybook.ErrFull) {
		t.Errorf("a deletion, without room: %v", err)
	}
	if _, err := d.Compact(t.Context(), nil); !errors.Is(err, daybook.ErrFull) {
		t.Errorf("a compaction, without room: %v", err)
	}
	wantRecords(t, "without room", wholeLog(t, d), all)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		_, err := store.DeleteStream(t.Context(), deletion)
		if err == nil {
			break
		}
		if !errors.Is(err, daybook.ErrFull) || time.Since(began) > time.Minute {
			t.Fatalf("a deletion, when there is room again: %v", err)
		}
	}
	report, err := d.Compact(t.Context(), nil)
	if err != nil || report.Segments < 5 || report.Bytes < 500<<10 {
		t.Errorf("a compaction, when there is room again: %+v, %v", report, err)
	}
	all = without(all, deletion.Stream)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantNoSecrets(t, filepath.Join(dir, "store"))
	d = open(t, filepath.Join(dir, "store"), nil)
	wantRecords(t, "opened again", wholeLog(t, d), all)
	wantVerified(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStoreOnReadOnlyMediaIsReadAndSaysThatItCannotBeWritten(t *testing.T) {
	for _, clean := range []bool{true, false} {
		dir := mounted(t, 8<<20)
		store := filepath.Join(dir, "store")
		d := open(t, store, &disk.Options{SegmentBytes: 4 << 10})
		for n := range 30 {
			add(t, d, "s-1", event(n))
		}
		all := wholeLog(t, d)
		left := filesOf(t, store)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if !clean { // as a kill leaves it, without index files
			for name := range filesOf(t, store) {
				if strings.HasSuffix(name, ".index") {
					if err := os.Remove(filepath.Join(store, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			left.withoutIndexes().putInto(t, store)
		}
		if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		_, err := disk.Open(store, nil)
		var unwritable *disk.UnwritableError
		if !errors.As(err, &unwritable) || unwritable.Dir != store || !errors.Is(err, daybook.ErrReadOnly) || !errors.Is(err, syscall.EROFS) {
			t.Errorf("opened for writing: %v", err)
		}
		if _, err = disk.Open(filepath.Join(dir, "other"), nil); !errors.As(err, &unwritable) {
			t.Errorf("made: %v", err)
		}
		reader := open(t, store, &disk.Options{ReadOnly: true})
		wantRecords(t, "on read-only media", wholeLog(t, reader), all)
		if _, err := addAt(t.Context(), reader, "s-1", daybook.DurabilityDefault, event(1)); !errors.Is(err, daybook.ErrReadOnly) {
			t.Errorf("append: %v", err)
		}
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	}
}
