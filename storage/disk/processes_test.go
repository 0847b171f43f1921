package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
)

func TestSecondWriterIsToldWhoHoldsTheStore(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	_, err := disk.Open(dir, nil)
	var locked *disk.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("a second writer gets %v", err)
	}
	host, _ := os.Hostname()
	if locked.PID != os.Getpid() || locked.Host != host || locked.Dir != dir || locked.Since.IsZero() {
		t.Errorf("the holder is %+v", locked)
	}
	for _, part := range []string{dir, fmt.Sprint(os.Getpid()), filepath.Base(os.Args[0]), "read-only"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, nil)
}

func TestReaderFollowsAWriter(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, &disk.Options{SegmentBytes: 1})
	r := open(t, dir, &disk.Options{ReadOnly: true})
	for n := range 30 {
		waited := make(chan error, 1)
		end, err := r.End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() { waited <- r.Wait(t.Context(), end) }()
		some := event(n)
		some.Data = make([]byte, 700)
		receipt := add(t, w, fmt.Sprintf("s-%d", n%3), some)
		// What was acknowledged is there, waited for or not.
		head, err := r.Head(t.Context(), receipt.Changesets[0].Stream)
		if err != nil || head.Position != receipt.Position() {
			t.Fatalf("append %d: the reader knows head %+v, %v", n, head, err)
		}
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
	}
	wantRecords(t, "read beside the writer", wholeLog(t, r), wholeLog(t, w))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, nil)
	add(t, again, "s-0", event(31))
	wantRecords(t, "read beside the next writer", wholeLog(t, r), wholeLog(t, again))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Wait(ctx, 31); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for what does not come ends with %v", err)
	}
}

// What a reader has found by a look at all streams is behind the log when it takes
// in index files later: they count changesets, and not those of the longest stream
// that is left.
func TestReaderKnowsTheLongestStreamWhenItTakesInIndexFiles(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, &disk.Options{SegmentBytes: 1 << 10})
	for _, stream := range []string{"long", "long", "long", "short"} {
		add(t, w, stream, event(1))
	}
	if _, err := daybook.New(w, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("long")}); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir, &disk.Options{ReadOnly: true})
	for round, want := range []daybook.ChangesetNumber{1, 21, 41} {
		if err := disk.SettleIndexes(w); err != nil {
			t.Fatal(err)
		}
		for name, d := range map[string]*disk.Driver{"reader": r, "writer": w} {
			if stats, err := d.Stats(t.Context()); err != nil || stats.LongestStream != want {
				t.Errorf("round %d: the %s knows %+v, %v; want changeset %d", round, name, stats, err, want)
			}
		}
		for n := range 20 {
			add(t, w, "short", event(n))
		}
		for n := range 40 {
			add(t, w, fmt.Sprint("other-", round, "-", n), event(n))
		}
	}
}

// A crash may have damaged END. The next writer puts another file in its place, and
// whoever had the old one open goes on with that.
func TestReaderThatFoundADamagedEndMarkFollowsTheNextWriter(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, nil)
	add(t, w, "s-1", event(1))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "END")
	mark, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(name, flip(mark, 40, 3), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, dir, &disk.Options{ReadOnly: true})
	if n := len(wholeLog(t, r)); n != 1 {
		t.Fatalf("%d records beside nobody, want 1", n)
	}
	again := open(t, dir, nil)
	add(t, again, "s-1", event(2))
	wantRecords(t, "read beside the next writer", wholeLog(t, r), wholeLog(t, again))
}

// openingFS does something before a segment is opened for the second time: to read
// its frames.
type openingFS struct {
	disk.FS
	opened int
	before func()
}

func (f *openingFS) Open(name string) (disk.File, error) {
	if strings.HasSuffix(name, ".segment") {
		if f.opened++; f.opened == 2 {
			f.before()
		}
	}
	return f.FS.Open(name)
}

func TestReaderOpensAStoreWhoseTornTailIsCutMeanwhile(t *testing.T) {
	for _, left := range []int64{64, 64 << 10} {
		dir := t.TempDir()
		w := open(t, dir, nil)
		add(t, w, "s-1", event(1))
		all := wholeLog(t, w)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(filepath.Join(dir, firstSegment), os.O_WRONLY|os.O_APPEND, 0)
		if err == nil {
			_, err = file.Write(bytes.Repeat([]byte{1}, int(left)))
		}
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		fsys := &openingFS{FS: durable.OS, before: func() {
			next, err := disk.Open(dir, nil)
			if err == nil {
				err = next.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}}
		r := open(t, dir, &disk.Options{FS: fsys, ReadOnly: true})
		wantRecords(t, "read", wholeLog(t, r), all)
		if found := r.Recovery(); found.Cut != nil || found.Damage != nil {
			t.Errorf("the reader tells of what is not there any more: %+v", found)
		}
	}
}

func TestReaderSeesNothingThatIsNotSynced(t *testing.T) {
	fsys := newFaultyFS()
	dir := t.TempDir()
	w := open(t, dir, &disk.Options{FS: fsys})
	add(t, w, "s-0", event(0))
	early := open(t, dir, &disk.Options{ReadOnly: true})
	g := newGate()
	fsys.onSync(g.pass)
	done := beside(func() (daybook.Receipt, error) { return addAt(t.Context(), w, "s-0", daybook.DurabilityDisk, event(1)) })
	<-g.arrived
	late := open(t, dir, &disk.Options{ReadOnly: true})
	for name, r := range map[string]*disk.Driver{"opened before": early, "opened while it is written": late} {
		if got := wholeLog(t, r); len(got) != 1 || r.Recovery().Cut != nil {
			t.Errorf("a reader %s sees %d records, recovery %+v", name, len(got), r.Recovery())
		}
	}
	g.open()
	if r := <-done; r.err != nil {
		t.Fatal(r.err)
	}
	for name, r := range map[string]*disk.Driver{"opened before": early, "opened while it was written": late} {
		wantRecords(t, name, wholeLog(t, r), wholeLog(t, w))
	}
}

func TestReaderChangesNothing(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	add(t, d, "s-0", event(0))
	before, want := filesOf(t, dir), wholeLog(t, d)
	add(t, d, "s-0", event(1))
	torn := filesOf(t, dir)[firstSegment]
	crashed := before.with(firstSegment, torn[:len(torn)-3])
	copied := crashed.put(t)
	r := open(t, copied, &disk.Options{ReadOnly: true})
	wantRecords(t, "read after a crash", wholeLog(t, r), want)
	if cut := r.Recovery().Cut; cut == nil || cut.Offset != int64(len(before[firstSegment])) {
		t.Errorf("the torn tail is reported as %+v", cut)
	}
	if _, err := addAt(t.Context(), r, "s-0", daybook.DurabilityDefault, event(9)); !errors.Is(err, daybook.ErrReadOnly) {
		t.Errorf("an append answers %v", err)
	}
	if err := r.Import(t.Context(), nil); !errors.Is(err, daybook.ErrReadOnly) {
		t.Errorf("an import answers %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if now := filesOf(t, copied); !reflect.DeepEqual(maps.Clone(now), maps.Clone(crashed)) {
		t.Error("the files have changed")
	}
	// A writer that comes later cuts the tail and goes on, and the reader sees it.
	r = open(t, copied, &disk.Options{ReadOnly: true})
	add(t, open(t, copied, nil), "s-0", event(5))
	if got := wholeLog(t, r); len(got) != 2 || got[1].Tags[0] != "n:5" {
		t.Errorf("behind a torn tail that a writer cut: %+v", got)
	}
	nowhere := filepath.Join(t.TempDir(), "none")
	if _, err := disk.Open(nowhere, &disk.Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading where there is no store: %v", err)
	}
	if _, err := os.Stat(nowhere); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a reader made a directory")
	}
}
