package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/verify"
)

func endOf(t *testing.T, d *disk.Driver) daybook.Position {
	t.Helper()
	end, err := d.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return end
}

// wantSound fails unless nothing is wrong with a store.
func wantSound(t *testing.T, d *disk.Driver) {
	t.Helper()
	report, err := verify.Store(t.Context(), daybook.New(d, nil), nil)
	if err != nil || !report.OK() {
		t.Fatalf("verify: %+v, %v", report.Findings, err)
	}
}

// longStore returns a directory with a closed store of several segments, in
// which appends have several changesets, a minute apart, and its records.
func longStore(t *testing.T, appends int) (dir string, all []daybook.Record) {
	t.Helper()
	dir = t.TempDir()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	d := open(t, dir, &disk.Options{FS: lazy, SegmentBytes: 2 << 10, Now: func() time.Time { return now }})
	for n := range appends {
		if _, err := daybook.New(d, nil).AppendAll(t.Context(), severalStreams(n)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
	}
	all = wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, all
}

// wholeAppends returns the records of the appends that a bound leaves whole.
func wholeAppends(all []daybook.Record, within func(*daybook.Record) bool) []daybook.Record {
	for i := range all {
		if within(&all[i]) {
			continue
		}
		for i > 0 && all[i-1].Changeset.AppendID == all[i].Changeset.AppendID {
			i--
		}
		return all[:i]
	}
	return all
}

func TestRestoreToAPositionOrATimeCutsBetweenAppends(t *testing.T) {
	dir, all := longStore(t, 12)
	check := func(what string, options *disk.RestoreOptions, want []daybook.Record) {
		target := filepath.Join(t.TempDir(), "restored")
		options.FS = lazy
		report, err := disk.Restore(t.Context(), dir, target, options)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		d := open(t, target, &disk.Options{FS: lazy})
		defer d.Close()
		wantRecords(t, what, wholeLog(t, d), want)
		wantSound(t, d)
		end := endOf(t, d)
		if !d.Recovery().Clean || report.LastPosition != end {
			t.Errorf("%s: the report is %+v, the store ends at %d and opens as %+v", what, report, end, d.Recovery())
		}
		left := report.LeftOut
		if cut := len(want) < len(all); cut != (left != nil) || cut && (left.From != end+1 || left.Through != all[len(all)-1].Position || left.Bytes <= 0) {
			t.Errorf("%s: %d of %d records restored, left out is %+v", what, len(want), len(all), left)
		}
		// Positions and versions go on where the copy ends.
		if receipt := add(t, d, "s-new", event(1)); receipt.Position() != end+1 {
			t.Errorf("%s: the next append is at %d, the store ended at %d", what, receipt.Position(), end)
		}
	}
	for position := daybook.Position(1); int(position) <= len(all); position++ {
		check(fmt.Sprint("to position ", position), &disk.RestoreOptions{ToPosition: position},
			wholeAppends(all, func(r *daybook.Record) bool { return r.Position <= position }))
	}
	for i := 0; i < len(all); i += 5 {
		for _, at := range []time.Time{all[i].RecordedAt, all[i].RecordedAt.Add(-time.Second)} {
			check(fmt.Sprint("to time ", at), &disk.RestoreOptions{ToTime: at},
				wholeAppends(all, func(r *daybook.Record) bool { return !r.RecordedAt.After(at) }))
		}
	}
	check("to a time in the future", &disk.RestoreOptions{ToTime: all[0].RecordedAt.AddDate(9, 0, 0)}, all)
	var beyond *disk.BeyondEndError
	past := all[len(all)-1].Position + 1
	_, err := disk.Restore(t.Context(), dir, t.TempDir(), &disk.RestoreOptions{ToPosition: past, FS: lazy})
	if !errors.As(err, &beyond) || beyond.End != past-1 {
		t.Errorf("a restore behind the end ended with %v", err)
	}
}

func TestRestoreToAPositionInFrontOfDamage(t *testing.T) {
	dir, all := longStore(t, 12)
	whole := filesOf(t, dir)
	names := whole.segments()
	for i, name := range names {
		last := len(whole[name]) - 10
		damaged := map[string]files{"flipped": whole.with(name, flip(whole[name], last, 1))}
		if i > 0 {
			damaged["missing"] = whole.with(name, nil)
		}
		for how, store := range damaged {
			from := store.put(t)
			_, err := disk.Restore(t.Context(), from, t.TempDir(), &disk.RestoreOptions{FS: lazy})
			var corrupt *daybook.CorruptError
			if !errors.As(err, &corrupt) || filepath.Base(corrupt.File) != name {
				t.Fatalf("segment %d of %d %s: restored with %v", i, len(names), how, err)
			}
			to := corrupt.Position - 1
			target := t.TempDir()
			if to < 1 {
				continue
			}
			if _, err := disk.Restore(t.Context(), from, target, &disk.RestoreOptions{ToPosition: to, FS: lazy}); err != nil {
				t.Fatalf("segment %d of %d %s: restored to position %d with %v", i, len(names), how, to, err)
			}
			d := open(t, target, &disk.Options{FS: lazy})
			wantRecords(t, "in front of damage", wholeLog(t, d), wholeAppends(all, func(r *daybook.Record) bool { return r.Position <= to }))
			wantSound(t, d)
		}
	}
}

// endings runs a copy once for each call of the file system at which its
// process may end, until one ends well.
func endings(t *testing.T, run func(t *testing.T, at int64) (died bool)) {
	t.Helper()
	for at := int64(1); run(t, at); at++ {
		if at > 10_000 {
			t.Fatal("it never ends")
		}
	}
}

func TestBackupThatIsKilledAnywhereLeavesTheEarlierOneAndCanBeRepeated(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{FS: lazy, SegmentBytes: 1 << 10})
	earlier := t.TempDir()
	for n := range 12 {
		if n == 6 {
			if _, err := disk.Backup(t.Context(), dir, earlier, &disk.BackupOptions{FS: lazy}); err != nil {
				t.Fatal(err)
			}
		}
		add(t, d, fmt.Sprint("s-", n%3), events(n, 3)...)
	}
	all := wholeLog(t, d)
	before := filesOf(t, earlier)
	kept := wholeLog(t, open(t, earlier, &disk.Options{ReadOnly: true}))
	for what, start := range map[string]files{"the first": {}, "a later one": before} {
		endings(t, func(t *testing.T, at int64) bool {
			target := start.put(t)
			_, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: &dyingFS{FS: lazy, at: at}})
			if err != nil && !errors.Is(err, errDied) {
				t.Fatalf("%s, killed at call %d: %v", what, at, err)
			}
			if err != nil && len(start) > 0 {
				restored := t.TempDir()
				if _, err := disk.Restore(t.Context(), target, restored, &disk.RestoreOptions{FS: lazy}); err != nil {
					t.Fatalf("killed at call %d, it cannot be restored: %v", at, err)
				}
				r := open(t, restored, &disk.Options{ReadOnly: true})
				got := wholeLog(t, r)
				if len(got) < len(kept) {
					t.Fatalf("killed at call %d, %d records of %d are left", at, len(got), len(kept))
				}
				wantRecords(t, "what is left", got, all[:len(got)])
			}
			if _, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: lazy}); err != nil {
				t.Fatalf("%s, killed at call %d and repeated: %v", what, at, err)
			}
			r := open(t, target, &disk.Options{ReadOnly: true})
			wantRecords(t, "repeated", wholeLog(t, r), all)
			if !r.Recovery().Clean {
				t.Fatalf("the repeated backup opens as %+v", r.Recovery())
			}
			for name := range filesOf(t, target) {
				if strings.HasSuffix(name, ".new") {
					t.Fatalf("%s is left over", name)
				}
			}
			return err != nil
		})
	}
}

// What was deleted and compacted since the earlier backup is there with all of it,
// or not at all: in between the directory is no store.
func TestBackupOfACompactedStoreThatIsKilledAnywhereIsTheEarlierOneOrTheNewOne(t *testing.T) {
	dir, earlier := t.TempDir(), t.TempDir()
	d := open(t, dir, &disk.Options{FS: lazy, SegmentBytes: 1 << 10})
	for n := range 12 {
		add(t, d, fmt.Sprint("s-", n%3), events(n, 3)...)
	}
	if _, err := disk.Backup(t.Context(), dir, earlier, &disk.BackupOptions{FS: lazy}); err != nil {
		t.Fatal(err)
	}
	before, all := filesOf(t, earlier), wholeLog(t, d)
	for n := range 6 {
		add(t, d, fmt.Sprint("s-", n%3), events(n, 3)...)
	}
	if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("s-1"), Scrub: true}); err != nil {
		t.Fatal(err)
	}
	add(t, d, "s-1", event(1))
	if report, err := d.Compact(t.Context(), nil); err != nil || report.Segments < 3 {
		t.Fatal(report, err)
	}
	now := wholeLog(t, d)
	endings(t, func(t *testing.T, at int64) bool {
		target := before.put(t)
		_, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: &dyingFS{FS: lazy, at: at}})
		if err != nil && !errors.Is(err, errDied) {
			t.Fatalf("killed at call %d: %v", at, err)
		}
		died := err != nil
		r, err := disk.Open(target, &disk.Options{ReadOnly: true, FS: lazy})
		switch {
		case errors.Is(err, fs.ErrNotExist) && died: // it is no store
		case err != nil:
			t.Fatalf("killed at call %d: %v", at, err)
		default:
			want := now
			if got := wholeLog(t, r); died && len(got) == len(all) {
				want = all
			}
			wantRecords(t, fmt.Sprintf("killed at call %d: what is left", at), wholeLog(t, r), want)
			wantVerified(t, r)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: lazy}); err != nil {
			t.Fatalf("killed at call %d and repeated: %v", at, err)
		}
		r = open(t, target, &disk.Options{ReadOnly: true, FS: lazy})
		wantRecords(t, "repeated", wholeLog(t, r), now)
		wantVerified(t, r)
		if got, want := filesOf(t, target).segments(), filesOf(t, dir).segments(); !slices.Equal(got, want) {
			t.Fatalf("killed at call %d and repeated, the segments are %v, want %v", at, got, want)
		}
		return died
	})
}

func TestRestoreThatIsKilledAnywhereGoesOn(t *testing.T) {
	dir, all := longStore(t, 8)
	for _, to := range []daybook.Position{0, all[len(all)/2].Position} {
		want := wholeAppends(all, func(r *daybook.Record) bool { return to == 0 || r.Position <= to })
		endings(t, func(t *testing.T, at int64) bool {
			target := t.TempDir()
			_, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: to, FS: &dyingFS{FS: lazy, at: at}})
			if err != nil && !errors.Is(err, errDied) {
				t.Fatalf("killed at call %d: %v", at, err)
			}
			died := err != nil
			if names := namesOf(t, target); died && slices.Contains(names, "daybook.json") {
				// All but its note is done: only the same restore may end it.
				var occupied *disk.OccupiedError
				if _, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: 1, FS: lazy}); !errors.As(err, &occupied) {
					t.Fatalf("killed at call %d, another restore ended with %v", at, err)
				}
				if _, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: to, FS: lazy}); err != nil {
					t.Fatalf("killed at call %d and repeated: %v", at, err)
				}
			} else if died {
				if len(names) > 1 {
					if _, err := disk.Open(target, &disk.Options{FS: lazy}); err == nil && slices.Contains(names, "RESTORE.new") {
						t.Fatalf("killed at call %d, a new store was made of what it left: %v", at, names)
					}
				}
				// First to another place, then to where it was going.
				if _, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: 1, FS: &dyingFS{FS: lazy, at: 9}}); err == nil {
					t.Fatal("a restore of this size takes more calls")
				}
				if _, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: to, FS: lazy}); err != nil {
					t.Fatalf("killed at call %d and repeated: %v", at, err)
				}
			}
			d := open(t, target, &disk.Options{FS: lazy})
			defer d.Close()
			wantRecords(t, "restored", wholeLog(t, d), want)
			wantSound(t, d)
			return died
		})
	}
}

func namesOf(t *testing.T, dir string) []string {
	t.Helper()
	names, err := lazy.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestBackupCopiesWhatIsNotTheSameAsBefore(t *testing.T) {
	dir, all := longStore(t, 12)
	target := t.TempDir()
	copyTo := func() disk.Copied {
		t.Helper()
		report, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: lazy})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	first := copyTo()
	again := copyTo()
	if again.Segments != 0 || again.KeptSegments != first.Segments || again.KeptBytes != first.Bytes || again.LastPosition != first.LastPosition {
		t.Errorf("the first backup is %+v, one of the same %+v", first, again)
	}
	whole := filesOf(t, target)
	names := whole.segments()
	if len(names) < 4 {
		t.Fatalf("%d segments", len(names))
	}
	// A segment that is missing, one whose end differs, one that is cut.
	whole.with(names[0], flip(whole[names[0]], len(whole[names[0]])-1, 1)).with(names[1], whole[names[1]][:100]).putInto(t, target)
	if err := lazy.Remove(filepath.Join(target, names[2])); err != nil {
		t.Fatal(err)
	}
	if repaired := copyTo(); repaired.Segments != 3 || repaired.Replaced != 2 {
		t.Errorf("a damaged backup was repaired with %+v", repaired)
	}
	wantRecords(t, "the backup", wholeLog(t, open(t, target, nil)), all)
}

func TestBackupOfAStoreThatWentAnotherWayIsRefused(t *testing.T) {
	dir, all := longStore(t, 6)
	target := t.TempDir()
	if _, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: lazy}); err != nil {
		t.Fatal(err)
	}
	// Restored to an earlier position, it takes other records.
	forked := t.TempDir()
	if _, err := disk.Restore(t.Context(), target, forked, &disk.RestoreOptions{ToPosition: all[len(all)/2].Position, FS: lazy}); err != nil {
		t.Fatal(err)
	}
	d := open(t, forked, &disk.Options{FS: lazy, SegmentBytes: 2 << 10})
	for n := range 30 {
		add(t, d, "other-1", events(n, 4)...)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	before := filesOf(t, target)
	var occupied *disk.OccupiedError
	if _, err := disk.Backup(t.Context(), forked, target, &disk.BackupOptions{FS: lazy}); !errors.As(err, &occupied) ||
		!strings.Contains(occupied.Reason, "was restored and written since") {
		t.Errorf("a backup of another history ended with %v", err)
	}
	for name, data := range filesOf(t, target) {
		if name != "LOCK" && string(before[name]) != string(data) {
			t.Errorf("%s was changed", name)
		}
	}
}

// onlyReading lets a directory be read only, and others be written.
type onlyReading struct {
	disk.FS
	protected disk.FS
	dir       string
}

func (o onlyReading) of(name string) disk.FS {
	if strings.HasPrefix(name, o.dir) {
		return o.protected
	}
	return o.FS
}

func (o onlyReading) Create(name string) (disk.File, error)    { return o.of(name).Create(name) }
func (o onlyReading) OpenWrite(name string) (disk.File, error) { return o.of(name).OpenWrite(name) }
func (o onlyReading) Lock(name string) (disk.File, error)      { return o.of(name).Lock(name) }
func (o onlyReading) Rename(from, to string) error             { return o.of(to).Rename(from, to) }
func (o onlyReading) Remove(name string) error                 { return o.of(name).Remove(name) }

func TestBackupOfAStoreOnAMediumThatCannotBeWritten(t *testing.T) {
	dir, all := longStore(t, 6)
	target := t.TempDir()
	fsys := onlyReading{lazy, readOnlyFS(lazy), dir}
	if _, err := disk.Backup(context.Background(), dir, target, &disk.BackupOptions{FS: fsys}); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, "the backup", wholeLog(t, open(t, target, nil)), all)
}
