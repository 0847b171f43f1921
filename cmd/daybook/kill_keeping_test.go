package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// TestCommandsThatKeepAStoreSurviveBeingKilled kills backup, restore and
// reindex at random moments, runs them again, and looks at what they left.
func TestCommandsThatKeepAStoreSurviveBeingKilled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("DAYBOOK_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	end := fillSegments(t, filepath.Join(dir, "daybook-data"))
	killed := 0
	for round := range 8 {
		backup, restored := fmt.Sprint("backup-", round), fmt.Sprint("restored-", round)
		for _, step := range []struct {
			args   []string
			target string // is grown by the command
			store  string // that must be sound when it has ended
		}{
			{[]string{"backup", "--to", backup}, backup, backup},
			{[]string{"restore", "--from", backup, "--to", restored}, restored, restored},
			{[]string{"reindex", "--store", "file:" + restored}, restored, restored},
		} {
			if killAfter(t, dir, step.args, filepath.Join(dir, step.target), random.Int64N(6<<20)) {
				killed++
			}
			if step.args[0] != "restore" || !isRestored(filepath.Join(dir, restored)) {
				run(t, dir, step.args...)
			}
			report, err := disk.Check(t.Context(), filepath.Join(dir, step.store), &disk.CheckOptions{Deep: true})
			if err != nil || !report.OK() || report.End != end {
				t.Fatalf("%v, killed and run again: %+v, %v", step.args, report, err)
			}
		}
		for _, name := range []string{backup, restored} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d of 24 commands were killed before they ended", killed)
}

// fillSegments makes a store of several segments, and returns where its log
// ends.
func fillSegments(t *testing.T, dir string) daybook.Position {
	t.Helper()
	driver, err := disk.Open(dir, &disk.Options{SegmentBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	store := daybook.New(driver, nil)
	var end daybook.Position
	for n := range 80 {
		events := make([]daybook.Event, 64)
		for i := range events {
			events[i] = daybook.Event{Type: "filled", Tags: []string{fmt.Sprint("n:", i)}, Data: make([]byte, 1000)}
			events[i].ContentType = "application/octet-stream"
		}
		receipt, err := store.AppendAll(t.Context(), daybook.Append{
			Durability: daybook.DurabilityMemory, Changesets: []daybook.Changeset{{Stream: daybook.Stream(fmt.Sprint("s-", n%7)), Events: events}},
		})
		if err != nil {
			t.Fatal(err)
		}
		end = receipt.Position()
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return end
}

// killAfter runs a command and kills it once its target has changed by so many
// bytes. It reports whether the command was still running then.
func killAfter(t *testing.T, dir string, args []string, target string, bytes int64) bool {
	t.Helper()
	command := exec.Command("daybook", args...)
	command.Dir = dir
	before := sizeOfAll(target)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%v: %v", args, err)
			}
			return false
		default:
		}
		if now := sizeOfAll(target); max(now-before, before-now) >= bytes {
			_ = command.Process.Kill() // it may have ended
			return <-ended != nil
		}
	}
}

// isRestored reports whether a restore has ended: it does nothing over a store
// that is there.
func isRestored(dir string) bool {
	_, there := os.Stat(filepath.Join(dir, "daybook.json"))
	_, note := os.Stat(filepath.Join(dir, "RESTORE.new"))
	return there == nil && note != nil
}

// sizeOfAll returns how many bytes there are in a directory.
func sizeOfAll(dir string) (size int64) {
	entries, _ := os.ReadDir(dir) // what is not there has no bytes
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil {
			size += info.Size()
		}
	}
	return size
}

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	command := exec.Command("daybook", args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
}
