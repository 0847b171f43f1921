package disk_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable/simulated"
	"github.com/daybook-go/daybook/storage/disk"
)

// What a process that only reads sees of a store that another process compacts.

// readerReads are ways to read secretStore. They yield nothing of what is deleted
// if they begin afterwards.
var readerReads = map[string]func(ctx context.Context, d *disk.Driver) ([]daybook.Record, error){
	"the log": func(ctx context.Context, d *disk.Driver) ([]daybook.Record, error) {
		return gather(d.ReadLog(ctx, daybook.LogRead{}))
	},
	"the log backwards": func(ctx context.Context, d *disk.Driver) ([]daybook.Record, error) {
		return gather(d.ReadLog(ctx, daybook.LogRead{Backwards: true}))
	},
	"a query": func(ctx context.Context, d *disk.Driver) ([]daybook.Record, error) {
		return gather(d.ReadLog(ctx, daybook.LogRead{Filter: daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"type1"}}}}}}))
	},
	"a query backwards": func(ctx context.Context, d *disk.Driver) ([]daybook.Record, error) {
		query := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"type1"}}}}
		return gather(d.ReadLog(ctx, daybook.LogRead{Filter: daybook.Filter{Query: query}, Backwards: true, Limit: 17}))
	},
	"a stream": func(ctx context.Context, d *disk.Driver) ([]daybook.Record, error) {
		return gather(d.ReadStream(ctx, daybook.Stream("other-0"), daybook.StreamRead{}))
	},
	"a stream backwards": func(ctx context.Context, d *disk.Driver) ([]daybook.Record, error) {
		return gather(d.ReadStream(ctx, daybook.Stream("other-3"), daybook.StreamRead{Backwards: true, Limit: 9}))
	},
	"the deleted stream": func(ctx context.Context, d *disk.Driver) ([]daybook.Record, error) {
		return gather(d.ReadStream(ctx, daybook.Stream("user-1"), daybook.StreamRead{}))
	},
}

func TestReaderGoesOnWhenAnotherProcessCompacts(t *testing.T) {
	for what, read := range readerReads {
		dir, w, _ := secretStore(t)
		if err := disk.SettleIndexes(w); err != nil {
			t.Fatal(err)
		}
		// Opened, it has read the index files and the last segment.
		r := open(t, dir, &disk.Options{ReadOnly: true})
		idle := open(t, dir, &disk.Options{ReadOnly: true})
		knowing := open(t, dir, &disk.Options{ReadOnly: true}) // has all files open
		wholeLog(t, knowing)
		for n := range 12 { // some of them in the segment that it knows as the last
			add(t, w, "user-1", event(n))
			add(t, w, "other-2", event(n))
		}
		scrub(t, w)
		for range 2 {
			for name, d := range map[string]*disk.Driver{"that was opened before": r, "that did nothing meanwhile": idle, "that had read it all": knowing} {
				got, err := read(t.Context(), d)
				if err != nil {
					t.Fatalf("%s, by a reader %s: %v", what, name, err)
				}
				want, err := read(t.Context(), w)
				if err != nil {
					t.Fatal(err)
				}
				wantRecords(t, what+", by a reader "+name, got, want)
				if name == "that was opened before" {
					wantSound(t, d)
				}
			}
			add(t, w, "other-0", events(1, 2)...)
			if _, err := daybook.New(w, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("other-1"), Through: 9}); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Compact(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A read that runs goes on in the segments that came in place of those that it
// has not reached: it yields every record that is left, each once, in order.
func TestRunningReadOfAnotherProcessGoesOnInWhatWasCompacted(t *testing.T) {
	for _, backwards := range []bool{false, true} {
		for _, kind := range []string{"log", "query", "stream"} {
			dir, w, _ := secretStore(t)
			all := wholeLog(t, w)
			r := open(t, dir, &disk.Options{ReadOnly: true})
			some := r.ReadLog(t.Context(), daybook.LogRead{Backwards: backwards})
			within := func(daybook.Record) bool { return true }
			switch kind {
			case "query":
				query := daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"all"}}}}
				some = r.ReadLog(t.Context(), daybook.LogRead{Filter: daybook.Filter{Query: query}, Backwards: backwards})
				within = func(r daybook.Record) bool { return slices.Contains(r.Tags, "all") }
			case "stream":
				some = r.ReadStream(t.Context(), daybook.Stream("other-0"), daybook.StreamRead{Backwards: backwards})
				within = func(r daybook.Record) bool { return r.Stream.Name == "other-0" }
			}
			var got []daybook.Record
			for record, err := range some {
				if err != nil {
					t.Fatalf("%s, backwards %t: after %d records: %v", kind, backwards, len(got), err)
				}
				if got = append(got, record); len(got) == 3 {
					scrub(t, w)
				}
			}
			seen := map[daybook.Position]bool{}
			for _, record := range got {
				seen[record.Position] = true
			}
			want := slices.DeleteFunc(slices.Clone(all), func(r daybook.Record) bool {
				return !within(r) || r.Stream.Name == "user-1" && !seen[r.Position]
			})
			if backwards {
				slices.Reverse(want)
			}
			wantRecords(t, fmt.Sprintf("%s, backwards %t", kind, backwards), got, want)
		}
	}
}

// listingFS does something before the first list of a directory.
type listingFS struct {
	disk.FS
	before func()
}

func (f *listingFS) List(dir string) ([]string, error) {
	if do := f.before; do != nil {
		f.before = nil
		do()
	}
	return f.FS.List(dir)
}

// Between the look at END and the one at the segments there may be a deletion, and
// a compaction that carries it out.
func TestReaderDoesNotMissWhatWasDeletedAndCompactedWhileItLooked(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, &disk.Options{SegmentBytes: 1 << 10, FS: lazy})
	fsys := &listingFS{FS: lazy}
	large := event(1)
	large.Data = bytes.Repeat([]byte("x"), 2<<10)
	add(t, w, "other-9", large) // so that the next segment is begun
	r := open(t, dir, &disk.Options{ReadOnly: true, FS: fsys})
	fillSecrets(t, daybook.New(w, nil))
	fsys.before = func() { scrub(t, w) }
	head, err := r.Head(t.Context(), daybook.Stream("user-1"))
	if err != nil || fsys.before != nil {
		t.Fatal(err)
	}
	if want, err := w.Head(t.Context(), daybook.Stream("user-1")); err != nil || head != want || head.Exists() {
		t.Errorf("the reader knows head %+v, the writer %+v, %v", head, want, err)
	}
	wantRecords(t, "the log", wholeLog(t, r), wholeLog(t, w))
	wantSound(t, r)
}

// So there may be while a backup looks.
func TestBackupHasTheDeletionOfWhatWasCompactedWhileItLooked(t *testing.T) {
	dir, target := t.TempDir(), t.TempDir()
	w := open(t, dir, &disk.Options{SegmentBytes: 1 << 10, FS: lazy})
	fillSecrets(t, daybook.New(w, nil))
	if _, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: &listingFS{FS: lazy, before: func() { scrub(t, w) }}}); err != nil {
		t.Fatal(err)
	}
	wantSame(t, target, w)
}

// What looks at files beside a writer finds them whole, while it compacts.
func TestWhatLooksAtFilesBesideACompactionFindsThemWhole(t *testing.T) {
	dir, w, _ := secretStore(t)
	store := daybook.New(w, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	// Each look is given some compactions beside it: without a bound they would
	// outrun those who look, who then take longer and longer.
	turns := make(chan struct{}, 4)
	beside := func() {
		for len(turns) < cap(turns) {
			turns <- struct{}{} // nobody else sends
		}
	}
	go func() {
		for n := 1; ; n++ {
			select {
			case <-turns:
			case <-ctx.Done():
				ended <- nil
				return
			}
			id := daybook.Stream(fmt.Sprint("other-", n%5))
			_, err := store.Append(t.Context(), id, daybook.ExpectAny(), events(n, 3)...)
			if err == nil {
				_, err = store.DeleteStream(t.Context(), daybook.Deletion{Stream: id, Through: daybook.Version(n), Scrub: true})
			}
			if err == nil {
				_, err = w.Compact(ctx, nil)
			}
			if err != nil && !errors.Is(err, context.Canceled) {
				ended <- err
				return
			}
		}
	}()
	target := t.TempDir()
	for range 6 {
		beside()
		r, err := disk.Open(dir, &disk.Options{ReadOnly: true})
		if err != nil {
			t.Fatal("open:", err)
		}
		wantSound(t, r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		beside()
		if _, err := disk.Measure(t.Context(), dir, nil); err != nil {
			t.Fatal(err)
		}
		beside()
		if _, err := disk.Backup(t.Context(), dir, target, &disk.BackupOptions{FS: lazy}); err != nil {
			t.Fatal(err)
		}
		wantNoProblems(t, "a backup", checkStore(t, target, true))
		for _, deep := range []bool{false, true} {
			beside()
			report, err := disk.Check(t.Context(), dir, &disk.CheckOptions{Deep: deep})
			if err != nil || !report.OK() {
				t.Fatalf("check: %v, %v", report.Problems, err)
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A crash may take END back to what was synced of it. Until the next writer has
// recovered the log, readers see no more than that tells: what was compacted must be
// deleted there.
func TestReaderBesideARecoveryKnowsWhatWasDeletedBeforeItWasCompacted(t *testing.T) {
	for seed := range uint64(20) {
		machine := simulated.New()
		mount := machine.Mount()
		d, err := disk.Open(tortureDir, &disk.Options{FS: mount, SegmentBytes: 1 << 10})
		if err != nil {
			t.Fatal(err)
		}
		fillSecrets(t, daybook.New(d, nil))
		scrub(t, d)
		all := wholeLog(t, d)
		machine.Crash(rand.New(rand.NewPCG(seed, 0)), simulated.Journal)
		_ = d.Close() // of a machine that crashed only the goroutines are left to end
		if _, err := machine.Mount().Lock(tortureDir + "/LOCK"); err != nil {
			t.Fatal(err)
		}
		r, err := disk.Open(tortureDir, &disk.Options{FS: machine.MountBeside(), ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		wantRecords(t, fmt.Sprintf("crash %d: read beside who recovers", seed), wholeLog(t, r), all)
		wantVerified(t, r)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// readDir, in the environment, makes the test binary a process that reads a store
// for each line that it is sent, and answers with what it found.
const readDir = "DAYBOOK_READ_DIR"

// readUntilClosed is what that process does.
func readUntilClosed(dir string, from io.Reader, to io.Writer) error {
	d, err := disk.Open(dir, &disk.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(from); lines.Scan(); {
		all, err := gather(d.ReadLog(context.Background(), daybook.LogRead{}))
		if err != nil {
			return err
		}
		stats, err := d.Stats(context.Background())
		if err != nil {
			return err
		}
		fmt.Fprintln(to, len(all), stats.Records, stats.LastPosition)
	}
	return d.Close()
}

func TestProcessThatReadsGoesOnWhenAnotherCompacts(t *testing.T) {
	dir, w, _ := secretStore(t)
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	command.Env = append(os.Environ(), readDir+"="+dir)
	var failed strings.Builder
	command.Stderr = &failed
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(out)
	for n := range 8 {
		stats, err := w.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint(stats.Records, " ", stats.Records, " ", stats.LastPosition)
		if _, err := fmt.Fprintln(in, "read"); err != nil {
			t.Fatal(err, failed.String())
		}
		if !answers.Scan() || answers.Text() != want {
			t.Fatalf("read %d: the process answers %q, want %q: %s", n, answers.Text(), want, failed.String())
		}
		id := daybook.Stream(fmt.Sprint("other-", n%5))
		if n == 0 {
			id = daybook.Stream("user-1")
		}
		if _, err := daybook.New(w, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: id, Through: daybook.Version(6 + n), Scrub: n%2 == 0}); err != nil {
			t.Fatal(err)
		}
		if report, err := w.Compact(t.Context(), nil); err != nil || report.Segments == 0 {
			t.Fatal(report, err)
		}
	}
	if err := errors.Join(in.Close(), command.Wait()); err != nil && !errors.Is(err, fs.ErrClosed) {
		t.Error(err, failed.String())
	}
}
