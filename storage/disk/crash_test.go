package disk_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// crashDir, in the environment, makes the test binary the process that is
// killed: it writes to the store in that directory until then.
const crashDir = "DAYBOOK_CRASH_DIR"

const crashWriters = 16

// The nth append of a writer: to its own stream, and to one that it shares.
func crashAppend(writer int, n int64) daybook.Append {
	own := daybook.Event{Type: "own", Data: fmt.Appendf(nil, `{"writer":%d,"n":%d}`, writer, n)}
	shared := own
	shared.Type = "shared"
	return daybook.Append{
		ID: daybook.IDOf(fmt.Sprintf("writer %d append %d", writer, n)),
		Changesets: []daybook.Changeset{
			{Stream: daybook.Stream(fmt.Sprintf("own-%d", writer)), Expect: daybook.ExpectVersion(daybook.Version(n - 1)), Events: []daybook.Event{own}},
			{Stream: daybook.Stream(fmt.Sprintf("shared-%d", writer%4)), Events: []daybook.Event{shared, shared}},
		},
	}
}

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		work := writeUntilKilled
		if at := os.Getenv(killAtSync); at != "" {
			work = func(dir string) error { return workUntilKilled(dir, at) }
		}
		if err := work(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if dir := os.Getenv(readDir); dir != "" {
		if err := readUntilClosed(dir, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// writeUntilKilled prints a line for each append that is acknowledged.
func writeUntilKilled(dir string) error {
	d, err := disk.Open(dir, &disk.Options{SegmentBytes: 32 << 10})
	if err != nil {
		return err
	}
	store := daybook.New(d, nil)
	ctx := context.Background()
	failed := make(chan error)
	for writer := range crashWriters {
		go func() {
			head, err := store.Head(ctx, daybook.Stream(fmt.Sprintf("own-%d", writer)))
			// Its last append may or may not have been acknowledged: it sends it
			// again, as a caller would.
			for n := max(int64(head.Version), 1); err == nil; n++ {
				var receipt daybook.Receipt
				if receipt, err = store.AppendAll(ctx, crashAppend(writer, n)); err == nil {
					_, err = fmt.Printf("%d %d %d\n", writer, n, receipt.Position())
				}
			}
			failed <- err
		}()
	}
	return <-failed
}

func TestKilledUnderSixteenWritersKeepsWhatWasAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	dir := t.TempDir()
	acknowledged := map[[2]int64]daybook.Position{}
	for round := range 10 {
		killed(t, dir, 150+round*37, acknowledged)
		d := open(t, dir, nil)
		if r := d.Recovery(); r.Clean || r.Damage != nil {
			t.Fatalf("round %d: %+v", round, r)
		}
		checkCrashed(t, d, acknowledged)
		if round%2 == 0 {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		// Every other time this process crashes too, as far as files can tell.
		left := filesOf(t, dir)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		left.putInto(t, dir)
	}
	t.Logf("%d appends were acknowledged", len(acknowledged))
}

// killed runs the process that writes, kills it after so many appends were
// acknowledged, and notes all that it said.
func killed(t *testing.T, dir string, after int, acknowledged map[[2]int64]daybook.Position) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), program)
	child.Env = append(os.Environ(), crashDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	var kill sync.Once
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line that is not whole says nothing
		}
		var writer, number int64
		var position daybook.Position
		if _, err := fmt.Sscan(line, &writer, &number, &position); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		key := [2]int64{writer, number}
		if before, known := acknowledged[key]; known && before != position {
			t.Fatalf("append %d of writer %d was acknowledged at %d, and at %d when it was repeated", number, writer, before, position)
		}
		acknowledged[key] = position
		if n >= after {
			kill.Do(func() {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the process was not killed")
	}
}

// checkCrashed checks that everything acknowledged is there, once, and every
// append whole.
func checkCrashed(t *testing.T, d *disk.Driver, acknowledged map[[2]int64]daybook.Position) {
	t.Helper()
	appends := map[daybook.ID][]daybook.Record{}
	ends := map[daybook.StreamID]daybook.Version{}
	for _, r := range wholeLog(t, d) {
		if r.Version != ends[r.Stream]+1 {
			t.Fatalf("version %d of %s follows %d", r.Version, r.Stream, ends[r.Stream])
		}
		ends[r.Stream] = r.Version
		appends[r.Changeset.AppendID] = append(appends[r.Changeset.AppendID], r)
	}
	for id, records := range appends {
		if len(records) != 3 || records[0].Type != "own" || records[1].Type != "shared" || records[2].Position != records[0].Position+2 {
			t.Fatalf("append %s is not whole, or there twice: %+v", id, records)
		}
	}
	for key, position := range acknowledged {
		id := crashAppend(int(key[0]), key[1]).ID
		if records := appends[id]; len(records) != 3 || records[2].Position != position {
			t.Fatalf("append %d of writer %d was acknowledged at position %d and is %+v", key[1], key[0], position, records)
		}
	}
}
