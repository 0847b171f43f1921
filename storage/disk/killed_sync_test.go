package disk_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/verify"
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

const killAppends = 14

// killAppend is the nth append of the workload: small segments are begun every
// few of them, and index files made and merged.
func killAppend(n int) daybook.Append {
	a := daybook.Append{ID: daybook.IDOf(fmt.Sprint("append ", n))}
	for i := range 1 + n%3 {
		a.Changesets = append(a.Changesets, daybook.Changeset{Stream: daybook.Stream(fmt.Sprintf("s-%d", (n+i)%5)), Events: events(n, 1+n%2)})
	}
	if n%4 == 3 {
		a.Durability = daybook.DurabilityOS
	}
	return a
}

// workUntilKilled appends, closes the store in the middle and at the end, and
// prints what was acknowledged.
func workUntilKilled(dir, at string) error {
	k := &killFS{FS: durable.OS}
	if _, err := fmt.Sscan(at, &k.at); err != nil {
		return err
	}
	k.after = strings.HasSuffix(at, "after")
	for from := 0; from < killAppends; from += killAppends / 2 {
		d, err := disk.Open(dir, &disk.Options{FS: k, SegmentBytes: 1 << 10})
		if err != nil {
			return err
		}
		for n := from; n < from+killAppends/2; n++ {
			if _, err := daybook.New(d, nil).AppendAll(context.Background(), killAppend(n)); err != nil {
				return err
			}
			fmt.Println(n)
		}
		if err := d.Close(); err != nil {
			return err
		}
	}
	return nil
}

func TestKilledAtEverySyncKeepsWhatWasAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	syncs := 0
	for ended := false; !ended; {
		syncs++
		for _, when := range []string{"before", "after"} {
			dir := filepath.Join(t.TempDir(), "store")
			child := exec.CommandContext(t.Context(), program)
			child.Env = append(os.Environ(), crashDir+"="+dir, killAtSync+"="+strconv.Itoa(syncs)+" "+when)
			child.Stderr = os.Stderr
			out, err := child.Output()
			ended = err == nil
			if !ended && (!errors.As(err, new(*exec.ExitError)) || child.ProcessState.Exited() && child.ProcessState.ExitCode() != 1) {
				t.Fatal(err)
			}
			checkKilledAtSync(t, fmt.Sprintf("killed %s sync %d", when, syncs), dir, strings.Count(string(out), "\n"), ended)
		}
	}
	t.Logf("killed before and after each of %d syncs", syncs-1)
}

// checkKilledAtSync opens what the process left: it holds the first appends,
// whole, and at least those that were acknowledged.
func checkKilledAtSync(t *testing.T, what, dir string, acknowledged int, ended bool) {
	t.Helper()
	d, err := disk.Open(dir, &disk.Options{FS: lazy, SegmentBytes: 1 << 10})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer d.Close()
	store := daybook.New(d, nil)
	if r := d.Recovery(); r.Damage != nil || ended && !r.Clean {
		t.Fatalf("%s: %+v", what, r)
	}
	var ids []daybook.ID
	records := 0
	for _, r := range wholeLog(t, d) {
		if n := len(ids); n == 0 || ids[n-1] != r.Changeset.AppendID {
			ids = append(ids, r.Changeset.AppendID)
		}
		records++
	}
	want := 0
	for n, id := range ids {
		a := killAppend(n)
		if id != a.ID {
			t.Fatalf("%s: append %d is %s", what, n, id)
		}
		for _, c := range a.Changesets {
			want += len(c.Events)
		}
		if receipt, err := store.AppendAll(t.Context(), a); err != nil || !receipt.Repeated {
			t.Fatalf("%s: append %d repeated: %+v, %v", what, n, receipt, err)
		}
	}
	if len(ids) < acknowledged || records != want {
		t.Fatalf("%s: %d appends with %d records, want %d, and %d were acknowledged", what, len(ids), records, want, acknowledged)
	}
	if report, err := verify.Store(t.Context(), store, nil); err != nil || !report.OK() {
		t.Fatalf("%s: verify: %v, %v", what, report.Findings, err)
	}
	if _, err := store.AppendAll(t.Context(), killAppend(len(ids))); err != nil {
		t.Fatalf("%s: the next append: %v", what, err)
	}
}
