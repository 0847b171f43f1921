package disk_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

func checkStore(t *testing.T, dir string, deep bool) disk.CheckReport {
	t.Helper()
	var done, total int64
	report, err := disk.Check(t.Context(), dir, &disk.CheckOptions{
		Deep: deep, FS: readOnlyFS(lazy), Progress: func(d, of int64) { done, total = d, of },
	})
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	if report.OK() && done != total {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	return report
}

func wantNoProblems(t *testing.T, what string, report disk.CheckReport) {
	t.Helper()
	if !report.OK() || len(report.Skipped) > 0 {
		t.Fatalf("%s: %d problems, %v, skipped %v", what, report.Found, report.Problems, report.Skipped)
	}
}

// variedStore writes a store that has something in every list of its index
// files, some of which were merged, and returns its directory.
func variedStore(t *testing.T, appends int) (dir string, d *disk.Driver) {
	t.Helper()
	dir = t.TempDir()
	d = open(t, dir, &disk.Options{FS: lazy, SegmentBytes: 2 << 10})
	for n := range appends {
		a := severalStreams(n)
		a.Changesets[1].Stream.Partition = fmt.Sprint("tenant-", n%2)
		a.Changesets[0].Stream.Name = fmt.Sprintf("kind%d-%d", n%3, n%5)
		claim := daybook.Claim{Kind: "email", Value: fmt.Sprint(n % 7)}
		if a.Changesets[1].Claims = []daybook.Claim{claim}; n%2 == 1 {
			a.Changesets[1].Claims, a.Changesets[1].Releases = nil, []daybook.Claim{{Kind: "email", Value: fmt.Sprint((n - 1) % 7)}}
			a.Changesets[1].Stream.Partition = "tenant-0"
		}
		if _, err := daybook.New(d, nil).AppendAll(t.Context(), a); err != nil {
			a.Changesets[1].Claims, a.Changesets[1].Releases = nil, nil
			if _, err := daybook.New(d, nil).AppendAll(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, d
}

func TestCheckFindsNothingInWhatIsSound(t *testing.T) {
	dir, d := variedStore(t, 30)
	all := wholeLog(t, d)
	for _, deep := range []bool{false, true} {
		open := checkStore(t, dir, deep)
		wantNoProblems(t, "open elsewhere", open)
		if !open.Live || open.End != all[len(all)-1].Position {
			t.Errorf("of a store that is open, the report is %+v", open)
		}
	}
	backup := t.TempDir()
	if _, err := disk.Backup(t.Context(), dir, backup, &disk.BackupOptions{FS: lazy}); err != nil {
		t.Fatal(err)
	}
	copied := checkStore(t, backup, true)
	wantNoProblems(t, "a backup", copied)
	if len(copied.Notes) != 1 || !strings.Contains(copied.Notes[0], "in no index file") {
		t.Errorf("of a backup, which has no index files, the notes are %v", copied.Notes)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	closed := checkStore(t, dir, true)
	wantNoProblems(t, "closed", closed)
	if closed.Live || closed.Records != int64(len(all)) || closed.IndexFiles == 0 || len(closed.Notes) > 0 {
		t.Errorf("of a closed store, the report is %+v", closed)
	}
	if quick := checkStore(t, dir, false); quick.Records != 0 || quick.Segments != closed.Segments || quick.SegmentBytes != closed.SegmentBytes {
		t.Errorf("quick, the report is %+v; deep, %+v", quick, closed)
	}
}

func TestCheckFindsEveryFlippedBit(t *testing.T) {
	dir, d := variedStore(t, 14)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	whole := filesOf(t, dir)
	for name, data := range whole {
		segment, index := strings.HasSuffix(name, ".segment"), strings.HasSuffix(name, ".index")
		if !segment && !index && name != "daybook.json" {
			continue
		}
		step := 97
		for at := 0; at < len(data); at += step {
			damaged := whole.with(name, flip(data, at, at%8)).put(t)
			found := 0
			for _, deep := range []bool{false, true} {
				if segment && !deep && at >= 72 {
					continue
				}
				for _, p := range checkStore(t, damaged, deep).Problems {
					if filepath.Base(p.File) == name && p.Offset <= int64(at) {
						found++
						break
					}
				}
			}
			if want := 2; found < want && !(segment && at >= 72 && found == 1) {
				t.Fatalf("a bit at %d of the %d bytes of %s was found by %d of the checks: %v", at, len(data), name, found, checkStore(t, damaged, true).Problems)
			}
		}
	}
}

func TestCheckTellsOfEveryDamageNotOnlyTheFirst(t *testing.T) {
	dir, d := variedStore(t, 14)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	whole := filesOf(t, dir)
	names := whole.segments()
	damaged := whole
	for _, name := range names[1:4] {
		damaged = damaged.with(name, flip(whole[name], 500, 2))
	}
	damaged = damaged.with(names[5], nil)
	report := checkStore(t, damaged.put(t), true)
	told := map[string]disk.Problem{}
	for _, p := range report.Problems {
		told[filepath.Base(p.File)] = p
	}
	for _, name := range names[1:4] {
		if p := told[name]; p.Kind != disk.BrokenFrame || p.Position == 0 || p.Offset == 0 || p.Offset > 500 || !strings.Contains(p.Reason, "are lost") {
			t.Errorf("of %s it is told: %+v", name, p)
		}
	}
	if p := told[names[5]]; p.Kind != disk.BrokenChain || p.Reason != "the file is missing" {
		t.Errorf("of a missing segment it is told: %+v", p)
	}
	if len(report.Skipped) != 1 {
		t.Errorf("skipped: %v", report.Skipped)
	}
}

// An index file whose checksums are right and that says something else: that of
// another history of the same segments.
func TestCheckFindsAnIndexThatDisagreesWithItsSegments(t *testing.T) {
	for what, change := range map[string]func(*daybook.Append){
		"a type":        func(a *daybook.Append) { a.Changesets[0].Events[0].Type = "typo0" },
		"a tag":         func(a *daybook.Append) { a.Changesets[0].Events[0].Tags = []string{"n:x", "all"} },
		"a stream":      func(a *daybook.Append) { a.Changesets[0].Stream.Name = "s-9" },
		"a stream type": func(a *daybook.Append) { a.Changesets[0].Stream.Name = "z-0" },
		"a partition":   func(a *daybook.Append) { a.Changesets[1].Stream.Partition = "b" },
		"a claim":       func(a *daybook.Append) { a.Changesets[1].Claims[0].Value = "c" },
		"an append id":  func(a *daybook.Append) { a.ID = daybook.IDOf("7") },
	} {
		write := func(bend func(*daybook.Append)) string {
			dir := t.TempDir()
			d := open(t, dir, &disk.Options{FS: lazy, SegmentBytes: 2 << 10, Now: func() time.Time { return time.Unix(1e9, 0) }})
			for n := range 7 {
				a := severalStreams(n)
				a.ID = daybook.IDOf(fmt.Sprint(n, " of all"))
				a.Changesets[1].Stream.Partition = "a"
				a.Changesets[1].Claims = []daybook.Claim{{Kind: "k", Value: fmt.Sprint(n)}}
				if n == 1 {
					bend(&a)
				}
				if _, err := daybook.New(d, nil).AppendAll(t.Context(), a); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			return dir
		}
		right := write(func(*daybook.Append) {})
		if err := disk.ForgeIndex(right, write(change)); err != nil {
			t.Fatal(err)
		}
		report := checkStore(t, right, true)
		if report.OK() {
			t.Errorf("%s: nothing was found", what)
		}
		// Opening may meet what follows from it, too.
		if p := report.Problems[len(report.Problems)-1]; p.Kind != disk.BrokenAnswers || !strings.HasSuffix(p.File, "-00000000000000000001.index") {
			t.Errorf("%s: %v", what, report.Problems)
		}
	}
}

func TestCheckBesideAWriterFindsNothing(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{FS: lazy, SegmentBytes: 4 << 10})
	for n := range 16 {
		before := endOf(t, d)
		ended := make(chan error)
		for w := range 2 {
			go func() {
				var err error
				for i := 0; i < 40 && err == nil; i++ {
					_, err = addAt(t.Context(), d, fmt.Sprint("s-", w, i%10), daybook.DurabilityDefault, events(i, 3)...)
				}
				ended <- err
			}()
		}
		report, err := disk.Check(t.Context(), dir, &disk.CheckOptions{Deep: n%2 == 0, FS: lazy})
		if err != nil {
			t.Error(err)
		} else if !report.OK() || report.End < before || n%2 == 0 && int64(report.End) != report.Records {
			t.Errorf("the log ended at %d, the report is %+v", before, report)
		}
		if u := measure(t, dir); u.Open == nil || u.LastBytes <= 0 {
			t.Errorf("beside a writer: %+v", u)
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
	}
}
