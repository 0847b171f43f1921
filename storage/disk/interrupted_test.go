package disk_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable/simulated"
	"github.com/daybook-go/daybook/storage/disk"
)

// What happens to a store when a program and the machine under it end one
// after the other, on a disk that is simulated.

// openOn opens the store on a simulated disk, in a program of its own.
func openOn(t *testing.T, simulation *simulated.Disk, faults ...*simulated.Fault) (*disk.Driver, *simulated.Mount, error) {
	t.Helper()
	mount := simulation.Mount(faults...)
	d, err := disk.Open(tortureDir, &disk.Options{FS: mount})
	if err == nil {
		// Of a program that has ended, only the goroutines are left to end.
		t.Cleanup(func() { _ = d.Close() })
	}
	return d, mount, err
}

func TestWhatAFailedSyncLeftInMemoryIsOnTheDiskWhenItIsAcknowledged(t *testing.T) {
	simulation := simulated.New()
	fault := &simulated.Fault{Kind: simulated.Sync, Files: ofLog, At: 4, Err: syscall.EIO}
	d, mount, err := openOn(t, simulation, fault)
	if err != nil {
		t.Fatal(err)
	}
	second := daybook.Append{ID: daybook.IDOf("second"), Changesets: []daybook.Changeset{{Stream: daybook.Stream("s"), Events: events(1, 1)}}}
	for n := 0; err == nil; n++ {
		second.ID = daybook.IDOf(strings.Repeat("x", n+1))
		_, err = daybook.New(d, nil).AppendAll(t.Context(), second)
	}
	if !errors.Is(err, daybook.ErrFailed) || !mount.Struck() {
		t.Fatalf("a sync that fails: %v", err)
	}
	if said := err.Error(); !strings.Contains(said, "restart") || !strings.Contains(said, "stays readable") {
		t.Errorf("a sync that fails does not say what to do: %v", err)
	}
	mount.Kill()
	// The memory of the machine still holds the append, as if it were written.
	d, _, err = openOn(t, simulation)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := daybook.New(d, nil).AppendAll(t.Context(), second)
	if err != nil || receipt.Durability != daybook.DurabilityDisk {
		t.Fatalf("repeated: %+v, %v", receipt, err)
	}
	all := wholeLog(t, d)
	for seed := range uint64(50) {
		simulation.Crash(rand.New(rand.NewPCG(seed, 0)), simulated.Journal)
		if d, _, err = openOn(t, simulation); err != nil {
			t.Fatal(err)
		}
		wantRecords(t, "after the crash", wholeLog(t, d), all)
	}
}

func TestStoreThatWasMadeByAKilledProgramSurvivesACrash(t *testing.T) {
	for n := 1; ; n++ {
		kill := &simulated.Fault{Kind: simulated.Change, At: n, Kill: true}
		simulation := simulated.New()
		_, mount, err := openOn(t, simulation, kill)
		if err == nil && !mount.Struck() {
			return
		}
		d, _, err := openOn(t, simulation)
		if err != nil {
			t.Fatalf("killed at change %d: %v", n, err)
		}
		add(t, d, "s", event(1))
		all := wholeLog(t, d)
		for seed := range uint64(20) {
			simulation.Crash(rand.New(rand.NewPCG(seed, 0)), simulated.NoOrder)
			if d, _, err = openOn(t, simulation); err != nil {
				t.Fatalf("killed at change %d, crash %d: %v", n, seed, err)
			}
			wantRecords(t, "after the crash", wholeLog(t, d), all)
		}
	}
}

func TestCloseSaysThatWhatWasAcknowledgedWithLessIsNotOnTheDisk(t *testing.T) {
	for _, level := range []daybook.Durability{daybook.DurabilityMemory, daybook.DurabilityOS, daybook.DurabilityDisk} {
		fault := &simulated.Fault{Kind: simulated.Sync, Files: ofLog, At: 3, Err: syscall.EIO, Lasting: true}
		d, _, err := openOn(t, simulated.New(), fault)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; err == nil; n++ {
			if _, err := addAt(t.Context(), d, "s", level, event(n)); err != nil && level != daybook.DurabilityDisk {
				t.Fatalf("at %s: %v", level, err)
			}
			_, err = addAt(t.Context(), d, "s", daybook.DurabilityDisk, event(n))
		}
		if !errors.Is(err, daybook.ErrFailed) {
			t.Fatal(err)
		}
		// Of an append that was answered with the error, nothing was promised.
		if err := d.Close(); errors.Is(err, daybook.ErrFailed) != (level != daybook.DurabilityDisk) {
			t.Errorf("at %s, Close answers %v", level, err)
		}
	}
}
