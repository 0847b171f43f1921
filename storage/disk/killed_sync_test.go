package disk_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
)

// killAtSync, in the environment beside crashDir, makes the test binary a
// process that kills itself at a sync: "7 before" or "7 after".
const killAtSync = "DAYBOOK_KILL_AT_SYNC"

// killFS is the file system of the machine; at the nth sync of a file or a
// directory the process ends. No other sync is done: what a process has written
// is still there when it is killed.
type killFS struct {
	disk.FS
	at    int64
	after bool
	syncs atomic.Int64
}

func (k *killFS) sync(do func() error) error {
	if k.syncs.Add(1) != k.at {
		return nil
	}
	if k.after {
		if err := do(); err != nil {
			return err
		}
	}
	killMyself()
	return nil
}

// killMyself ends the process as nothing else can: nothing is flushed, nothing
// deferred is run.
func killMyself() {
	me, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = me.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

func (k *killFS) SyncDir(dir string) error {
	return k.sync(func() error { return k.FS.SyncDir(dir) })
}

func (k *killFS) OpenWrite(name string) (disk.File, error) {
	file, err := k.FS.OpenWrite(name)
	return k.file(file, err)
}

func (k *killFS) Create(name string) (disk.File, error) {
	file, err := k.FS.Create(name)
	return k.file(file, err)
}

func (k *killFS) file(file disk.File, err error) (disk.File, error) {
	if err != nil {
		return nil, err
	}
	return killFile{file, k}, nil
}

type killFile struct {
	disk.File
	fs *killFS
}

func (f killFile) Sync() error { return f.fs.sync(f.File.Sync) }

// killedWork is a piece of the work at which a process is killed.
type killedWork struct {
	proposal      // what is appended or deleted, if anything is
	compact  bool // else all that was deleted is removed from the files
	backup   bool // else the store is backed up, to the same place each time
	reopen   bool // else it is closed and opened
}

// killedAt is when all of it happens.
var killedAt = time.UnixMicro(1_700_000_000_000_000).UTC()

// killedWorks is all of it: small segments are begun every few appends, index files
// made and merged, streams deleted and scrubbed, and appended to again.
func killedWorks() (works []killedWork) {
	n := 0
	appends := func(count int) {
		for range count {
			works = append(works, killedWork{proposal: proposal{append: killedAppend(n)}})
			n++
		}
	}
	deletes := func(stream string, through daybook.Version, scrub bool) {
		d := daybook.Deletion{ID: daybook.IDOf(fmt.Sprint("deletion ", len(works))), Stream: daybook.Stream(stream), Through: through, Scrub: scrub}
		works = append(works, killedWork{proposal: proposal{deletion: &d}})
	}
	appends(7)
	deletes("s-1", 2, true)
	works = append(works, killedWork{backup: true}, killedWork{compact: true}, killedWork{reopen: true})
	appends(6)
	deletes("s-2", 0, false)
	deletes("s-3", 0, true)
	appends(3)
	works = append(works, killedWork{compact: true}, killedWork{backup: true}, killedWork{reopen: true})
	return works
}

// killedAppend is the nth append.
func killedAppend(n int) daybook.Append {
	a := daybook.Append{ID: daybook.IDOf(fmt.Sprint("append ", n))}
	for i := range 1 + n%3 {
		c := daybook.Changeset{Stream: daybook.Stream(fmt.Sprintf("s-%d", (n+i)%5)), Events: events(n, 1+n%2)}
		for j := range c.Events {
			c.Events[j].Data = fmt.Appendf(c.Events[j].Data, " %s%011d", markFront, 100*n+10*i+j)
			c.Events[j].ContentType = "text/plain"
		}
		a.Changesets = append(a.Changesets, c)
	}
	if n%4 == 3 {
		a.Durability = daybook.DurabilityOS
	}
	return a
}

// killedStore is the store at which a process works.
type killedStore struct {
	dir string
	fs  disk.FS
	*disk.Driver
}

func (k *killedStore) open() (err error) {
	k.Driver, err = disk.Open(k.dir, &disk.Options{FS: k.fs, SegmentBytes: 1 << 10, Now: func() time.Time { return killedAt }})
	return err
}

// backupDir is where the store is backed up to.
func (k *killedStore) backupDir() string { return k.dir + ".backup" }

func (k *killedStore) do(work killedWork) (err error) {
	ctx := context.Background()
	switch {
	case work.compact:
		_, err = k.Compact(ctx, nil)
	case work.backup:
		_, err = disk.Backup(ctx, k.dir, k.backupDir(), &disk.BackupOptions{FS: k.fs})
	case work.reopen:
		if err = k.Close(); err == nil {
			err = k.open()
		}
	case work.deletion != nil:
		_, err = daybook.New(k.Driver, nil).DeleteStream(ctx, *work.deletion)
	default:
		_, err = daybook.New(k.Driver, nil).AppendAll(ctx, work.append)
	}
	return err
}

// workUntilKilled does the work, and prints a line for each piece that is done.
func workUntilKilled(dir, at string) error {
	killing := &killFS{FS: durable.OS}
	if _, err := fmt.Sscan(at, &killing.at); err != nil {
		return err
	}
	killing.after = strings.HasSuffix(at, "after")
	k := killedStore{dir: dir, fs: killing}
	if err := k.open(); err != nil {
		return err
	}
	for n, work := range killedWorks() {
		if err := k.do(work); err != nil {
			return err
		}
		fmt.Println(n)
	}
	return k.Close()
}

// Without a torture that was asked for, it is killed at every fifth sync or so.
func TestKilledAtEverySyncKeepsWhatWasAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	random := seeded(t)
	every := os.Getenv(tortureCrashes) != ""
	kills := 0
	for at, ended := 1, false; !ended && !t.Failed(); at++ {
		whens := []string{"before", "after"}
		if !every {
			at += random.IntN(9)
			whens = whens[random.IntN(2):][:1]
		}
		for _, when := range whens {
			dir := filepath.Join(t.TempDir(), "store")
			child := exec.CommandContext(t.Context(), program)
			child.Env = append(os.Environ(), crashDir+"="+dir, fmt.Sprintf("%s=%d %s", killAtSync, at, when))
			child.Stderr = os.Stderr
			out, err := child.Output()
			ended = err == nil
			if !ended && (!errors.As(err, new(*exec.ExitError)) || child.ProcessState.Exited() && child.ProcessState.ExitCode() != 1) {
				t.Fatal(err)
			}
			kills++
			t.Run(fmt.Sprintf("%s sync %d", when, at), func(t *testing.T) {
				checkKilledAtSync(t, &killedStore{dir: dir, fs: lazy}, strings.Count(string(out), "\n"), ended)
			})
		}
	}
	t.Logf("killed %d times", kills)
}

// checkKilledAtSync opens what the process has left: it holds the first appends and
// deletions, whole, and at least those that were acknowledged; and the rest of the
// work can be done.
func checkKilledAtSync(t *testing.T, k *killedStore, acknowledged int, ended bool) {
	t.Helper()
	works := killedWorks()
	if err := k.open(); err != nil {
		t.Fatal(err)
	}
	if r := k.Recovery(); r.Damage != nil || ended && !r.Clean {
		t.Fatalf("%+v", r)
	}
	told, err := k.Told()
	if err != nil {
		t.Fatal(err)
	}
	h, done := newHistory(), 0
	for ; done < len(works) && (done < acknowledged || len(h.deeds) < len(told)); done++ {
		if work := works[done]; work.isDeed() {
			if len(h.deeds) == len(told) {
				t.Fatalf("%d pieces of work are acknowledged, and %s is not there", acknowledged, work.proposal)
			}
			if _, err := h.take(work.proposal, killedAt); err != nil {
				t.Fatal(err)
			}
			if err := h.deeds[len(h.deeds)-1].is(&told[len(h.deeds)-1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, work := range works[:acknowledged] {
		switch {
		case work.compact:
			wantMarksGone(t, k.dir, works[:i])
		case work.backup && !slices.ContainsFunc(works[i+1:acknowledged], func(w killedWork) bool { return w.backup }):
			wantBackup(t, k.backupDir(), works[:i], acknowledged < len(works) && works[acknowledged].backup)
		}
	}
	k.wantHistory(t, h)
	for _, work := range works[:done] {
		if work.isDeed() {
			if a, err := (&torture{store: daybook.New(k.Driver, nil)}).give(work.proposal); err != nil || !a.receipt.Repeated && !a.deleted.Repeated {
				t.Fatalf("%s again: %s, %v", work.proposal, a, err)
			}
		}
	}
	k.finish(t, h, works, done, acknowledged)
}

// finish does what is left of the work, and looks at the store in the end.
func (k *killedStore) finish(t *testing.T, h *history, works []killedWork, done, acknowledged int) {
	t.Helper()
	for i, work := range works {
		// What is no deed may have been done in part.
		if i < done && (work.isDeed() || i < acknowledged) {
			continue
		}
		if work.isDeed() {
			if _, err := h.take(work.proposal, killedAt); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.do(work); err != nil {
			t.Fatalf("piece %d of the work: %v", i, err)
		}
	}
	k.wantHistory(t, h)
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	wantMarksGone(t, k.dir, works)
	wantBackup(t, k.backupDir(), works, false)
	report, err := disk.Check(t.Context(), k.dir, &disk.CheckOptions{Deep: true})
	if err != nil || !report.OK() {
		t.Errorf("the check finds %v, %v", report.Problems, err)
	}
}

func (k *killedStore) wantHistory(t *testing.T, h *history) {
	t.Helper()
	if err := h.mustShow(wholeLog(t, k.Driver)); err != nil {
		t.Fatal(err)
	}
	m := newModel()
	m.history = h
	if err := m.mustBeDeletions(daybook.New(k.Driver, nil)); err != nil {
		t.Fatal(err)
	}
	wantVerified(t, k.Driver)
}

func (w *killedWork) isDeed() bool { return !w.compact && !w.backup && !w.reopen }

// historyOf returns what a store is after some work.
func historyOf(t *testing.T, works []killedWork) *history {
	t.Helper()
	h := newHistory()
	for _, work := range works {
		if work.isDeed() {
			if _, err := h.take(work.proposal, killedAt); err != nil {
				t.Fatal(err)
			}
		}
	}
	return h
}

// wantMarksGone searches all files of a store for what a compaction behind some
// work has removed.
func wantMarksGone(t *testing.T, dir string, works []killedWork) {
	t.Helper()
	gone := historyOf(t, works).due(false, 0)
	if len(gone) == 0 {
		t.Fatal("nothing was to be removed")
	}
	for name, data := range filesOf(t, dir) {
		for _, mark := range marksIn(nil, data) {
			if gone[mark] {
				t.Errorf("%s holds %q, which was removed", name, mark)
			}
		}
	}
}

// wantBackup opens a backup that was made behind some work: it holds that; more, if
// a later one was perhaps begun, or nothing, while that is put in its place.
func wantBackup(t *testing.T, dir string, works []killedWork, more bool) {
	t.Helper()
	d, err := disk.Open(dir, &disk.Options{ReadOnly: true})
	if _, before := os.Stat(filepath.Join(dir, "daybook.json.new")); more && before == nil && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatalf("the backup: %v", err)
	}
	defer d.Close()
	h := historyOf(t, works)
	told, err := d.Told()
	if err != nil || len(told) < len(h.deeds) || !more && len(told) > len(h.deeds) {
		t.Fatalf("the backup holds %d deeds, want %d: %v", len(told), len(h.deeds), err)
	}
	for i := range h.deeds {
		if err := h.deeds[i].is(&told[i]); err != nil {
			t.Fatalf("the backup: %v", err)
		}
	}
	if len(told) == len(h.deeds) {
		if err := h.mustShow(wholeLog(t, d)); err != nil {
			t.Errorf("the backup: %v", err)
		}
	}
	wantVerified(t, d)
}
