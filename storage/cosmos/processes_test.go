package cosmos_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/cosmos"
)

// What tells this program that it is one of several processes of a test: the
// store, and its name.
const (
	processURL  = "DAYBOOK_TEST_PROCESS_URL"
	processName = "DAYBOOK_TEST_PROCESS_NAME"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(processURL); address != "" {
		if err := work(context.Background(), address, os.Getenv(processName)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// ofEach is how many appends a process makes.
const ofEach = 20

// work appends to streams of three partitions, some of them shared with other
// processes, some under a condition, and says which appends were acknowledged.
func work(ctx context.Context, address, name string) error {
	driver, err := cosmos.Open(ctx, address, &cosmos.Options{Grace: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	store := daybook.New(driver, nil)
	defer store.Close()
	for i := range ofEach {
		partition := []string{"", "north", "south"}[i%3]
		id := named(partition, fmt.Sprintf("%s-%d", name, i%2))
		if i%4 == 0 {
			id.Name = "shared-1"
		}
		a := oneEvent(id, daybook.ExpectAny())
		if i%5 == 4 {
			a.Condition = &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"never"}}}}}
		}
		for {
			_, err := store.AppendAll(ctx, a)
			if err == nil {
				break
			}
			if errors.Is(err, daybook.ErrInvalid) {
				return err
			}
		}
		fmt.Println(a.ID)
	}
	return nil
}

// start starts a process, and passes on what it says.
func start(t *testing.T, address, name string, say func(line string)) (*exec.Cmd, *sync.WaitGroup) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), processURL+"="+address, processName+"="+name)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := &sync.WaitGroup{}
	said.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			say(lines.Text())
		}
		_, _ = io.Copy(io.Discard, out)
	})
	return c, said
}

// TestFourProcessesOfWhichOneIsKilledInEachPhaseAgreeOnOneLog kills a process
// when a batch of it has come to the service: before it is carried out, or
// after, so that what follows it never comes.
func TestFourProcessesOfWhichOneIsKilledInEachPhaseAgreeOnOneLog(t *testing.T) {
	for _, phase := range []struct {
		name string
		// meets reports whether a batch of the victim is the one at which it dies.
		meets func(body []byte, partition string) bool
		after bool // when it is carried out
		kept  bool // the append at which it dies is stored
	}{
		{"before the commit", func(b []byte, p string) bool { return p == "~north" }, false, false},
		{"after the commit, before it is in the log", func(b []byte, p string) bool { return p == "~north" }, true, true},
		{"after it is in the log", func(b []byte, p string) bool { return bytes.Contains(b, []byte("Daybook|Entry|~north")) }, true, true},
		{"after a commit to the default partition", func(b []byte, p string) bool { return strings.HasPrefix(p, "00000000") }, true, true},
		{"while it holds the log", func(b []byte, p string) bool { return bytes.Contains(b, []byte(`"Hold":{"Partition"`)) }, true, false},
	} {
		t.Run(phase.name, func(t *testing.T) {
			d := newDouble(t)
			var mu sync.Mutex // guards all below
			var victim *exec.Cmd
			var begun, killed bool
			said := map[string]bool{}
			d.meet(func(s *sighting) *fault {
				mu.Lock()
				defer mu.Unlock()
				if killed || victim == nil || s.kind != "batch" || !bytes.Contains(s.body, []byte("Create")) && !bytes.Contains(s.body, []byte("Hold")) {
					return nil
				}
				// The victim runs alone until it dies.
				begun = true
				if !phase.meets(s.body, s.partition) {
					return nil
				}
				killed = true
				_ = victim.Process.Kill()
				return &fault{cut: true, after: phase.after}
			})
			say := func(line string) {
				mu.Lock()
				defer mu.Unlock()
				said[line] = true
			}
			mu.Lock()
			c, heard := start(t, d.url("events"), "victim", say)
			victim = c
			mu.Unlock()
			heard.Wait()
			if err := c.Wait(); err == nil || !begun || !killed {
				t.Fatalf("the victim was not killed: %v", err)
			}
			before := len(said)
			var all []func() error
			for i := range 3 {
				c, heard := start(t, d.url("events"), fmt.Sprint("survivor", i), say)
				all = append(all, func() error { heard.Wait(); return c.Wait() })
			}
			for _, wait := range all {
				if err := wait(); err != nil {
					t.Fatal(err)
				}
			}
			checkLog(t, d, said, before, phase.kept)
		})
	}
}

// checkLog compares the log with what was said.
func checkLog(t *testing.T, d *double, said map[string]bool, before int, kept bool) {
	t.Helper()
	store := daybook.New(open(t, d.url("events"), quick()), nil)
	log := sound(t, store)
	times := map[string]int{}
	for i, r := range log {
		times[r.Changeset.AppendID.String()]++
		if r.Position != daybook.Position(i+1) || r.Changeset.Ordinal != daybook.Ordinal(i+1) {
			t.Errorf("record %d stands at %d, ordinal %d", i+1, r.Position, r.Changeset.Ordinal)
		}
	}
	for id := range said {
		if times[id] != 1 {
			t.Errorf("append %s was acknowledged, and has %d records", id, times[id])
		}
	}
	want := 3*ofEach + before
	if kept {
		want++
	}
	if len(log) != want {
		t.Errorf("the log has %d records, want %d", len(log), want)
	}
	again := sound(t, daybook.New(open(t, d.url("events"), quick()), nil))
	for i := range log {
		if again[i].ID != log[i].ID || again[i].Position != log[i].Position {
			t.Errorf("read again, position %d has another record", log[i].Position)
		}
	}
}

// TestCommitThatWasLeftBehindComesIntoTheLogByWhoeverFollowsIt: nobody touches
// the partition any more.
func TestCommitThatWasLeftBehindComesIntoTheLogByWhoeverFollowsIt(t *testing.T) {
	d := newDouble(t)
	leaveBehind(t, d)
	store := daybook.New(open(t, d.url("events"), quick()), nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for record, err := range store.Follow(ctx, daybook.LogRead{Limit: 1}) {
		if err != nil || record.Stream != named("north", "account-1") {
			t.Errorf("followed to %+v, %v", record.Stream, err)
		}
	}
}

// TestCommitThatWasLeftBehindComesIntoTheLogByWhoeverMeetsIt: by a read of the
// stream, its head, a list, an append, or a repeat.
func TestCommitThatWasLeftBehindComesIntoTheLogByWhoeverMeetsIt(t *testing.T) {
	for name, meet := range map[string]func(ctx context.Context, store *daybook.Store, a daybook.Append) error{
		"a read": func(ctx context.Context, store *daybook.Store, a daybook.Append) (err error) {
			for _, err = range store.ReadStream(ctx, a.Changesets[0].Stream, daybook.StreamRead{}) {
			}
			return err
		},
		"a head": func(ctx context.Context, store *daybook.Store, a daybook.Append) error {
			_, err := store.Head(ctx, a.Changesets[0].Stream)
			return err
		},
		"an append": func(ctx context.Context, store *daybook.Store, a daybook.Append) error {
			_, err := store.AppendAll(ctx, oneEvent(named("north", "account-2"), daybook.ExpectAny()))
			return err
		},
		"a repeat": func(ctx context.Context, store *daybook.Store, a daybook.Append) error {
			receipt, err := store.AppendAll(ctx, a)
			if err == nil && (!receipt.Repeated || receipt.Position() != 1) {
				err = fmt.Errorf("the receipt is %+v", receipt)
			}
			return err
		},
	} {
		d := newDouble(t)
		a := leaveBehind(t, d)
		store := daybook.New(open(t, d.url("events"), quick()), nil)
		if err := meet(t.Context(), store, a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if log := sound(t, store); len(log) == 0 || log[0].Changeset.AppendID != a.ID {
			t.Errorf("after %s the log begins with %v", name, log)
		}
	}
}

// leaveBehind lets a driver store an append, and not put it into the log.
func leaveBehind(t *testing.T, d *double) daybook.Append {
	t.Helper()
	d.meet(func(s *sighting) *fault {
		if bytes.Contains(s.body, []byte("Daybook|Entry|")) {
			return &fault{status: 503}
		}
		return nil
	})
	options := quick()
	options.Patience = 20 * time.Millisecond
	store := daybook.New(open(t, d.url("events"), options), nil)
	a := oneEvent(named("north", "account-1"), daybook.ExpectNone())
	if _, err := store.AppendAll(t.Context(), a); err == nil || errors.Is(err, daybook.ErrRefused) {
		t.Fatalf("an append that is not in the log was answered with %v, want an unknown outcome", err)
	}
	d.meet(nil)
	return a
}
