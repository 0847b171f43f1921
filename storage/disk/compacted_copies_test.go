package disk_test

import (
	"bytes"
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

// What is copied, measured and indexed of a store that was compacted.

// scrub deletes the secrets of secretStore and removes their content.
func scrub(t *testing.T, d *disk.Driver) {
	t.Helper()
	if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("user-1"), Scrub: true}); err != nil {
		t.Fatal(err)
	}
	if report, err := d.Compact(t.Context(), nil); err != nil || report.Segments == 0 {
		t.Fatalf("compacted: %+v, %v", report, err)
	}
}

// fewSecrets is secretStore in few segments.
func fewSecrets(t *testing.T) (dir string, d *disk.Driver) {
	t.Helper()
	dir = t.TempDir()
	d = open(t, dir, &disk.Options{SegmentBytes: 1 << 10, FS: lazy})
	fillSecrets(t, daybook.New(d, nil))
	return dir, d
}

func backUp(t *testing.T, dir, target string) disk.Copied {
	t.Helper()
	report, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: lazy})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// wantSame fails unless a store holds the records and deletions of another one, is
// sound, and no file of it holds a secret.
func wantSame(t *testing.T, dir string, of *disk.Driver) {
	t.Helper()
	wantNoSecrets(t, dir)
	wantNoProblems(t, dir, checkStore(t, dir, true))
	d := open(t, dir, &disk.Options{ReadOnly: true, FS: lazy})
	defer d.Close()
	wantRecords(t, "the copy", wholeLog(t, d), wholeLog(t, of))
	wantSound(t, d)
	var numbers [2]int
	for i, one := range []*disk.Driver{d, of} {
		for made, err := range one.ReadDeletions(t.Context(), daybook.DeletionRead{}) {
			if err != nil || !made.Receipt.Scrubbed {
				t.Errorf("deletion %+v, %v", made, err)
			}
			numbers[i]++
		}
	}
	if numbers[0] != numbers[1] || numbers[0] == 0 {
		t.Errorf("%d deletions, and %d in the copy", numbers[1], numbers[0])
	}
}

func generations(names []string) (compacted int) {
	for _, name := range names {
		compacted += strings.Count(name, ".") - 1
	}
	return compacted
}

func TestBackupOfACompactedStoreReplacesWhatWasCompacted(t *testing.T) {
	dir, d, _ := secretStore(t)
	plain, indexed := t.TempDir(), t.TempDir()
	for _, target := range []string{plain, indexed} {
		backUp(t, dir, target)
	}
	// Index files hold what can be asked for: types, tags, claims.
	if _, err := disk.Reindex(t.Context(), indexed, &disk.ReindexOptions{FS: lazy}); err != nil {
		t.Fatal(err)
	}
	scrub(t, d)
	for _, target := range []string{plain, indexed} {
		second := backUp(t, dir, target)
		wantSame(t, target, d)
		names := filesOf(t, target).segments()
		if second.Segments+second.KeptSegments != len(names) {
			t.Errorf("%d segments were copied, %d kept: there are %v", second.Segments, second.KeptSegments, names)
		}
		if n := generations(names); n == 0 || second.Replaced < n {
			t.Errorf("%d segments were replaced, %d are compacted", second.Replaced, n)
		}
		if third := backUp(t, dir, target); third.Bytes != 0 || third.KeptSegments != len(names) {
			t.Errorf("a third backup copied %+v", third)
		}
	}
	full := filepath.Join(t.TempDir(), "full")
	if report := backUp(t, dir, full); report.LastPosition != endOf(t, d) {
		t.Errorf("a full backup ends at %d, the store at %d", report.LastPosition, endOf(t, d))
	}
	wantSame(t, full, d)
}

func TestBackupOfACompactedStoreThatIsKilledAnywhereLeavesOneOrTheOther(t *testing.T) {
	dir, d := fewSecrets(t)
	earlier := t.TempDir()
	backUp(t, dir, earlier)
	if _, err := disk.Reindex(t.Context(), earlier, &disk.ReindexOptions{FS: lazy}); err != nil {
		t.Fatal(err)
	}
	before, all := filesOf(t, earlier), wholeLog(t, d)
	scrub(t, d)
	left := wholeLog(t, d)
	endings(t, func(t *testing.T, at int64) bool {
		target := before.put(t)
		_, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: &dyingFS{FS: lazy, at: at}})
		if err != nil && !errors.Is(err, errDied) {
			t.Fatalf("killed at call %d: %v", at, err)
		}
		died := err != nil
		// While the files change places it is no store.
		if _, is := filesOf(t, target)["daybook.json"]; is {
			wantNoProblems(t, "what a kill left", checkStore(t, target, true))
			copied := open(t, target, &disk.Options{ReadOnly: true, FS: lazy})
			got, want := wholeLog(t, copied), all
			if len(got) == len(left) {
				want = left
			}
			wantRecords(t, "what a kill left", got, want)
			wantSound(t, copied)
			if err := copied.Close(); err != nil {
				t.Fatal(err)
			}
		}
		backUp(t, dir, target)
		wantSame(t, target, d)
		return died
	})
}

// cutShort is a store of which a compaction has removed the beginning of a stream,
// while other deletions stand in front of it and behind it.
type cutShort struct {
	dir     string
	options *disk.Options
	id      daybook.StreamID
	all     []daybook.Record // before anything was deleted
	late    []daybook.Record // in the end
	gone    daybook.Version  // the content of the stream through it
}

func cutShortStore(t *testing.T) *cutShort {
	t.Helper()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	c := &cutShort{dir: t.TempDir(), id: daybook.Stream("user-1"), gone: 7}
	c.options = &disk.Options{SegmentBytes: 1 << 10, FS: lazy, Now: func() time.Time { now = now.Add(time.Minute); return now }}
	d := open(t, c.dir, c.options)
	store := daybook.New(d, nil)
	fillSecrets(t, store)
	c.all = wholeLog(t, d)
	for _, through := range []daybook.Version{3, c.gone, 12} {
		if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: c.id, Through: through, Scrub: through == c.gone}); err != nil {
			t.Fatal(err)
		}
		if through == c.gone {
			if _, err := d.Compact(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
		add(t, d, fmt.Sprint("mark-", through), event(1))
	}
	c.late = wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return c
}

// restored restores it to a bound, and checks what comes of it.
func (c *cutShort) restored(t *testing.T, what string, bound *disk.RestoreOptions, in func(*daybook.Record) bool) {
	t.Helper()
	target := t.TempDir()
	bound.FS = lazy
	report, err := disk.Restore(t.Context(), c.dir, target, bound)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	wantNoProblems(t, what, checkStore(t, target, true))
	d := open(t, target, c.options)
	defer d.Close()
	want := slices.DeleteFunc(slices.Clone(wholeAppends(c.all, in)), func(r daybook.Record) bool { return r.Stream == c.id && r.Version <= c.gone })
	wantRecords(t, what, wholeLog(t, d), want)
	wantSound(t, d)
	head, err := d.Head(t.Context(), c.id)
	if err != nil || head.Version > 0 && (head.First < min(c.gone+1, head.Version+1) || report.Deletions != 1) {
		t.Errorf("%s: the stream is %+v, the report %+v, %v", what, head, report, err)
	}
	c.wantWrittenOn(t, what, target, d)
}

// wantWrittenOn goes on with a restored store, compacts it again and opens it.
func (c *cutShort) wantWrittenOn(t *testing.T, what, dir string, d *disk.Driver) {
	t.Helper()
	for n := range 12 {
		add(t, d, c.id.Name, events(n, 2)...)
	}
	all := wholeLog(t, d)
	receipt, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: c.id, Through: 9, Scrub: true})
	if err != nil || receipt.Records == 0 {
		t.Fatal(receipt, err)
	}
	if _, err := d.Compact(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantNoProblems(t, what+", written on", checkStore(t, dir, true))
	d = open(t, dir, c.options)
	defer d.Close()
	left := slices.DeleteFunc(all, func(r daybook.Record) bool { return r.Stream == c.id && r.Version <= receipt.Through })
	wantRecords(t, what+", written on", wholeLog(t, d), left)
	wantSound(t, d)
}

// Content that a compaction removed cannot come back, whatever point a store is
// restored to. It must not be missed without a trace either.
func TestRestoreOfACompactedStoreToAnyPointIsAStore(t *testing.T) {
	c := cutShortStore(t)
	for i, r := range c.all {
		if i%2 == 1 {
			continue
		}
		c.restored(t, fmt.Sprint("to position ", r.Position), &disk.RestoreOptions{ToPosition: r.Position},
			func(one *daybook.Record) bool { return one.Position <= r.Position })
		c.restored(t, fmt.Sprint("to time ", r.RecordedAt), &disk.RestoreOptions{ToTime: r.RecordedAt},
			func(one *daybook.Record) bool { return !one.RecordedAt.After(r.RecordedAt) })
	}
	whole := t.TempDir()
	if report, err := disk.Restore(t.Context(), c.dir, whole, &disk.RestoreOptions{FS: lazy}); err != nil || report.Deletions != 0 {
		t.Fatalf("restored whole: %+v, %v", report, err)
	}
	d := open(t, whole, c.options)
	wantRecords(t, "restored whole", wholeLog(t, d), c.late)
	wantSound(t, d)
}

// A restored segment that was compacted ends the log, and is written on. It may
// come to the very size that it had before it was compacted, which the segment
// behind it expected then.
func TestRestoredCompactedSegmentMayGrowToItsOldSize(t *testing.T) {
	sized := func(size int) daybook.Event { return daybook.Event{Type: "t", Data: bytes.Repeat([]byte("x"), size)} }
	dir := t.TempDir()
	options := &disk.Options{SegmentBytes: 8 << 10, FS: lazy}
	d := open(t, dir, options)
	add(t, d, "user-1", sized(4<<10))
	bound := add(t, d, "other-1", sized(1000)).Position()
	add(t, d, "other-1", sized(900))
	add(t, d, "other-2", sized(4<<10)) // in the next segment
	old := int64(len(filesOf(t, dir)[firstSegment]))
	scrub(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	if _, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: bound, FS: lazy}); err != nil {
		t.Fatal(err)
	}
	const compacted = "00000000000000000001.1.segment"
	size := func(dir string) int64 { return int64(len(filesOf(t, dir)[compacted])) }
	trial := open(t, filesOf(t, target).put(t), options)
	before := size(target)
	add(t, trial, "other-1", sized(200))
	if err := trial.Close(); err != nil {
		t.Fatal(err)
	}
	r := open(t, target, options)
	add(t, r, "other-1", sized(200))
	grown := size(target) - before
	add(t, r, "other-1", sized(200+int(old-before-2*grown)))
	if now := size(target); now != old {
		t.Fatalf("the segment has %d bytes, this needs one of %d", now, old)
	}
	add(t, r, "other-2", sized(4<<10))
	all := wholeLog(t, r)
	for _, compact := range []bool{false, true} {
		if compact {
			if _, err := daybook.New(r, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("other-1"), Scrub: true}); err != nil {
				t.Fatal(err)
			}
			if report, err := r.Compact(t.Context(), nil); err != nil || report.Segments == 0 {
				t.Fatal(report, err)
			}
			all = without(all, daybook.Stream("other-1"))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		wantNoProblems(t, "grown to its old size", checkStore(t, target, true))
		r = open(t, target, options)
		wantRecords(t, "grown to its old size", wholeLog(t, r), all)
	}
}

func TestRestoreOfACompactedStoreThatIsKilledAnywhereGoesOn(t *testing.T) {
	dir, d := fewSecrets(t)
	all := wholeLog(t, d)
	scrub(t, d)
	bound := all[len(all)/2].Position
	want := without(wholeAppends(all, func(r *daybook.Record) bool { return r.Position <= bound }), daybook.Stream("user-1"))
	endings(t, func(t *testing.T, at int64) bool {
		target := t.TempDir()
		_, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: bound, FS: &dyingFS{FS: lazy, at: at}})
		if err != nil && !errors.Is(err, errDied) {
			t.Fatalf("killed at call %d: %v", at, err)
		}
		died := err != nil
		report, err := disk.Restore(t.Context(), dir, target, &disk.RestoreOptions{ToPosition: bound, FS: lazy})
		if occupied := new(disk.OccupiedError); err != nil && (died || !errors.As(err, &occupied)) {
			t.Fatalf("killed at call %d and repeated: %v", at, err)
		} else if died && report.Deletions != 1 {
			t.Fatalf("killed at call %d and repeated: %+v", at, report)
		}
		wantNoSecrets(t, target)
		r := open(t, target, &disk.Options{ReadOnly: true, FS: lazy})
		wantRecords(t, "restored", wholeLog(t, r), want)
		wantSound(t, r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		return died
	})
}

func TestMeasureOfACompactedStoreAddsUp(t *testing.T) {
	dir, d, _ := secretStore(t)
	before := measure(t, dir)
	old := filesOf(t, dir)
	if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("user-1"), Scrub: true}); err != nil {
		t.Fatal(err)
	}
	report, err := d.Compact(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	compacted := filesOf(t, dir)
	names := compacted.segments()
	var less int64
	for _, name := range names {
		if first, _, ok := strings.Cut(name, ".1."); ok {
			less += int64(len(old[first+".segment"]) - len(compacted[name]))
		}
	}
	wantSum := func(what string, u disk.Usage) {
		t.Helper()
		if sum := u.SealedBytes + u.LastBytes + u.RoomBytes + u.IndexBytes + u.OtherBytes; sum != u.Bytes || len(u.Foreign) > 0 {
			t.Errorf("%s, the parts add up to %d: %+v", what, sum, u)
		}
	}
	after := measure(t, dir)
	wantSum("compacted", after)
	if report.Bytes != less || less <= 0 || after.SealedBytes >= before.SealedBytes || after.SealedSegments != len(names)-1 || after.Unindexed > 0 {
		t.Errorf("compaction says that the log is %d bytes smaller, it is %d: %+v", report.Bytes, less, after)
	}
	// What a crash leaves: the segment and the one that it replaces.
	left := old.segments()[1]
	if err := os.WriteFile(filepath.Join(dir, left), old[left], 0o666); err != nil {
		t.Fatal(err)
	}
	crashed := measure(t, dir)
	wantSum("after a crash", crashed)
	if crashed.SealedBytes != after.SealedBytes || crashed.OtherBytes != after.OtherBytes+int64(len(old[left])) {
		t.Errorf("after a crash: %+v, before it %+v", crashed, after)
	}
}

// A deletion has the position of what comes next: at the end of a segment, that
// with which the next one begins.
func TestLaterBackupGoesOnBehindADeletion(t *testing.T) {
	dir, target := t.TempDir(), t.TempDir()
	d := open(t, dir, &disk.Options{SegmentBytes: 4 << 10, FS: lazy})
	store := daybook.New(d, nil)
	large := event(1)
	large.Data = bytes.Repeat([]byte("x"), 3<<10)
	for n := range 4 {
		add(t, d, "other-1", large)
		backUp(t, dir, target)
		if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("other-1"), Through: daybook.Version(n), Scrub: n == 2}); err != nil {
			t.Fatal(err)
		}
		backUp(t, dir, target)
		if n == 2 {
			if _, err := d.Compact(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			backUp(t, dir, target)
		}
	}
	backUp(t, dir, target)
	wantNoProblems(t, "the backup", checkStore(t, target, true))
	wantRecords(t, "the backup", wholeLog(t, open(t, target, &disk.Options{ReadOnly: true})), wholeLog(t, d))
}

// Two stores that went different ways may both end with a note that scrubs are
// done: what stands in front of it counts.
func TestBackupOfACompactedStoreThatWentAnotherWayIsRefused(t *testing.T) {
	dir, target := t.TempDir(), t.TempDir()
	options := &disk.Options{FS: lazy}
	d := open(t, dir, options)
	add(t, d, "user-1", event(1))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	other := filesOf(t, dir).put(t)
	for _, one := range []string{dir, other} {
		d := open(t, one, options)
		add(t, d, "other-1", event(2))
		scrub(t, d)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	backUp(t, dir, target)
	var occupied *disk.OccupiedError
	if _, err := disk.Backup(t.Context(), other, target, &disk.BackupOptions{FS: lazy}); !errors.As(err, &occupied) {
		t.Errorf("the backup of a store that went another way ended with %v", err)
	}
}

// A deletion has no position. One that follows the position to which a store is
// restored is kept, whichever segment it stands in; a time tells exactly.
func TestRestoreToAPositionKeepsTheDeletionThatFollows(t *testing.T) {
	for _, segmentBytes := range []int64{1 << 10, 1 << 20} {
		now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		dir := t.TempDir()
		d := open(t, dir, &disk.Options{SegmentBytes: segmentBytes, FS: lazy, Now: func() time.Time { now = now.Add(time.Minute); return now }})
		large := event(1)
		large.Data = bytes.Repeat([]byte("x"), 1<<10)
		add(t, d, "user-1", event(1))
		last := add(t, d, "other-1", large) // so that the next segment is begun, if they are small
		all := wholeLog(t, d)
		if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("user-1")}); err != nil {
			t.Fatal(err)
		}
		left := wholeLog(t, d)
		add(t, d, "other-1", large)
		for what, restore := range map[string]struct {
			bound *disk.RestoreOptions
			want  []daybook.Record
		}{
			"to a position":                  {&disk.RestoreOptions{ToPosition: last.Position()}, left},
			"to the time of the last record": {&disk.RestoreOptions{ToTime: last.RecordedAt}, all},
			"to the time of the deletion":    {&disk.RestoreOptions{ToTime: last.RecordedAt.Add(time.Minute)}, left},
		} {
			target := t.TempDir()
			restore.bound.FS = lazy
			if _, err := disk.Restore(t.Context(), dir, target, restore.bound); err != nil {
				t.Fatal(err)
			}
			r := open(t, target, &disk.Options{FS: lazy})
			wantRecords(t, fmt.Sprintf("%s, segments of %d bytes", what, segmentBytes), wholeLog(t, r), restore.want)
			wantSound(t, r)
		}
	}
}
