package disk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

func TestBackupIsAStoreAndCopiesOnlyWhatIsNew(t *testing.T) {
	dir, target := t.TempDir(), filepath.Join(t.TempDir(), "deep", "backup")
	options := &disk.Options{SegmentBytes: 1}
	d := open(t, dir, options)
	fill := func(n int) {
		for i := range n {
			some := event(i)
			some.Data = make([]byte, 900)
			add(t, d, fmt.Sprintf("s-%d", i%3), some)
		}
	}
	var copied []int64
	for _, n := range []int{20, 0, 10} {
		fill(n)
		var done, total int64
		report, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{Progress: func(d, of int64) { done, total = d, of }})
		if err != nil {
			t.Fatal(err)
		}
		if report.Bytes != total || report.LastPosition != endOf(t, d) || report.LeftOut != nil {
			t.Errorf("the report is %+v, progress tells of %d bytes", report, total)
		}
		if done != total {
			t.Errorf("progress ends at %d of %d", done, total)
		}
		copied = append(copied, total)
		r := open(t, target, &disk.Options{ReadOnly: true})
		wantRecords(t, "the backup", wholeLog(t, r), wholeLog(t, d))
		if !r.Recovery().Clean {
			t.Errorf("the backup opens as %+v", r.Recovery())
		}
	}
	if copied[1] > copied[0]/3 || copied[2] > copied[0] {
		t.Errorf("backups of 20, 0 and 10 appends more copied %d bytes", copied)
	}
	// The backup is a store of its own: it can be written.
	b := open(t, target, options)
	add(t, b, "s-9", event(1))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Backup(t.Context(), dir, target, nil); err == nil {
		t.Error("a backup replaced a copy that has more than the store")
	}
}

func TestBackupWhileWritersAppend(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{SegmentBytes: 16 << 10})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	for w := range 4 {
		go func() {
			for n := 0; ctx.Err() == nil; n++ {
				a := severalStreams(n)
				for i := range a.Changesets {
					a.Changesets[i].Stream.Name += fmt.Sprint("-", w)
				}
				if _, err := daybook.New(d, nil).AppendAll(t.Context(), a); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	target := t.TempDir()
	for range 6 {
		end, err := d.End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := disk.Backup(t.Context(), dir, target, nil); err != nil {
			t.Fatal(err)
		}
		wantNoProblems(t, "a backup under load", checkStore(t, target, true))
		b := open(t, target, nil)
		got := wholeLog(t, b)
		if len(got) > 0 {
			so, err := readLog(t, d, daybook.LogRead{To: got[len(got)-1].Position})
			if err != nil {
				t.Fatal(err)
			}
			wantRecords(t, "a backup under load", got, so)
		}
		if len(got)%6 != 0 || daybook.Position(len(got)) < end {
			t.Fatalf("a backup holds %d records, not a number of whole appends, or less than the %d that were there", len(got), end)
		}
		if !b.Recovery().Clean {
			t.Fatalf("a backup opens as %+v", b.Recovery())
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// compactingFS deletes and compacts after it was read where the log ends.
type compactingFS struct {
	disk.FS
	between func()
}

func (c *compactingFS) Open(name string) (disk.File, error) {
	file, err := c.FS.Open(name)
	if err == nil && filepath.Base(name) == "END" {
		return compactingFile{file, c}, nil
	}
	return file, err
}

type compactingFile struct {
	disk.File
	fs *compactingFS
}

func (c compactingFile) Close() error {
	if between := c.fs.between; between != nil {
		c.fs.between = nil
		between()
	}
	return c.File.Close()
}

func TestBackupThatMeetsACompactionHoldsWhatItWasMadeFor(t *testing.T) {
	dir, target := t.TempDir(), t.TempDir()
	d := open(t, dir, &disk.Options{FS: lazy, SegmentBytes: 1 << 10})
	for n := range 20 {
		add(t, d, fmt.Sprint("s-", n%3), events(n, 2)...)
	}
	compacting := &compactingFS{FS: lazy, between: func() {
		if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("s-1"), Scrub: true}); err != nil {
			t.Error(err)
		}
		if report, err := d.Compact(t.Context(), nil); err != nil || report.Segments < 5 {
			t.Error(report, err)
		}
	}}
	if _, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: compacting}); err != nil {
		t.Fatal(err)
	}
	b := open(t, target, &disk.Options{ReadOnly: true})
	wantRecords(t, "the backup", wholeLog(t, b), wholeLog(t, d))
	wantVerified(t, b)
}

func TestBackupAndRestoreRefuseOtherDirectoriesAndDamage(t *testing.T) {
	closed, all := smallStore(t)
	dir := closed.put(t)
	other, _ := smallStore(t)
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), []byte("dear"), 0o666); err != nil {
		t.Fatal(err)
	}
	for what, target := range map[string]string{
		"a directory with something else": foreign, "another store": other.put(t),
		"segments of another store": other.with("daybook.json", nil).put(t),
	} {
		before := filesOf(t, target)
		var occupied *disk.OccupiedError
		if _, err := disk.Backup(t.Context(), dir, target, nil); !errors.As(err, &occupied) || occupied.Dir != target {
			t.Errorf("a backup into %s ended with %v", what, err)
		}
		if _, err := disk.Restore(t.Context(), dir, target, nil); !errors.As(err, &occupied) || occupied.Dir != target {
			t.Errorf("a restore into %s ended with %v", what, err)
		}
		after := filesOf(t, target)
		if what != "a directory with something else" {
			delete(after, "LOCK")
			delete(before, "LOCK")
		}
		if len(after) != len(before) {
			t.Errorf("%s was changed", what)
		}
	}
	if _, err := disk.Restore(t.Context(), dir, closed.put(t), nil); err == nil {
		t.Error("restored over a store")
	}
	for _, name := range closed.segments() {
		damaged := closed.with(name, flip(closed[name], len(closed[name])-20, 2)).put(t)
		_, err := disk.Backup(t.Context(), damaged, filepath.Join(t.TempDir(), "b"), nil)
		var corrupt *daybook.CorruptError
		if !errors.As(err, &corrupt) || filepath.Base(corrupt.File) != name {
			t.Errorf("a damaged %s is backed up with %v", name, err)
		}
	}
	restored := filepath.Join(t.TempDir(), "restored")
	if _, err := disk.Restore(t.Context(), dir, restored, nil); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, "restored", wholeLog(t, open(t, restored, nil)), all)
}

func TestInterruptedBackupIsNoStoreAndCanBeRepeated(t *testing.T) {
	closed, all := smallStore(t)
	dir, target := closed.put(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := disk.Backup(ctx, dir, target, &disk.BackupOptions{Progress: func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a backup that was cancelled half way ends with %v", err)
	}
	if _, err := disk.Open(target, &disk.Options{ReadOnly: true}); err == nil {
		t.Error("half a backup opens")
	}
	if _, err := disk.Backup(t.Context(), dir, target, nil); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, "the repeated backup", wholeLog(t, open(t, target, nil)), all)
}

func TestBackupOfACrashedStoreEndsBeforeTheTornTail(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	add(t, d, "s-0", event(0))
	before, want := filesOf(t, dir), wholeLog(t, d)
	add(t, d, "s-0", event(1))
	torn := filesOf(t, dir)[firstSegment]
	crashed := before.with(firstSegment, torn[:len(torn)-3]).put(t)
	target := t.TempDir()
	if _, err := disk.Backup(t.Context(), crashed, target, nil); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, "the backup", wholeLog(t, open(t, target, nil)), want)
}

// A backup that was made while nobody wrote holds what the next writer recovers.
// That has the lock a moment before it says so.
func TestBackupWhileAWriterRecovers(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{SegmentBytes: 1 << 10, FS: lazy})
	add(t, d, "s-0", events(0, 2)...)
	early := filesOf(t, dir)["END"]
	for n := range 4 {
		add(t, d, "s-1", events(n, 3)...)
		killed := filesOf(t, dir).with("END", early)
		crashed, target := killed.put(t), t.TempDir()
		if _, err := disk.Backup(t.Context(), crashed, target, &disk.BackupOptions{FS: lazy}); err != nil {
			t.Fatal(err)
		}
		lock, err := lazy.Lock(filepath.Join(crashed, "LOCK"))
		if err != nil {
			t.Fatal(err)
		}
		report, err := disk.Backup(t.Context(), crashed, target, &disk.BackupOptions{FS: lazy})
		if err != nil || report.Bytes > 0 {
			t.Errorf("%d appends behind what END says: %+v, %v", n+1, report, err)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
		wantRecords(t, "the backup", wholeLog(t, open(t, target, &disk.Options{ReadOnly: true})), wholeLog(t, d))
	}
}
