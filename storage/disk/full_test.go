package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable/simulated"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/verify"
)

// fill appends until there is no room, and returns what was refused.
func fill(t *testing.T, d *disk.Driver) daybook.Append {
	t.Helper()
	for n := range 10_000 {
		e := event(n)
		e.Data = bytes.Repeat([]byte("x"), 3000)
		a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream(fmt.Sprintf("s-%d", n%3)), Events: []daybook.Event{e}}}}
		_, err := daybook.New(d, nil).AppendAll(t.Context(), a)
		if err == nil {
			continue
		}
		if !errors.Is(err, daybook.ErrFull) || !errors.Is(err, daybook.ErrRefused) || errors.Is(err, daybook.ErrFailed) || !errors.As(err, new(*disk.FullError)) {
			t.Fatalf("append %d to a disk without room: %v", n, err)
		}
		return a
	}
	t.Fatal("the disk is never full")
	return daybook.Append{}
}

func TestFullDiskRefusesAppendsIsReadAndTakesThemAgainWhenThereIsRoom(t *testing.T) {
	for _, segmentBytes := range []int64{4 << 10, 512 << 10, 64 << 20} {
		synctest.Test(t, func(t *testing.T) {
			simulation := simulated.New()
			mount := simulation.Mount()
			d, err := disk.Open(tortureDir, &disk.Options{FS: mount, SegmentBytes: segmentBytes})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			store := daybook.New(d, nil)
			first := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-9"), Events: events(1, 2)}}}
			if _, err := store.AppendAll(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			simulation.SetCapacity(300 << 10)
			refused := fill(t, d)
			all := wholeLog(t, d)
			for range 3 {
				time.Sleep(time.Second) // each time it is looked for room
				if _, err := store.AppendAll(t.Context(), refused); !errors.Is(err, daybook.ErrFull) {
					t.Fatalf("while there is no room: %v", err)
				}
			}
			if receipt, err := store.AppendAll(t.Context(), first); err != nil || !receipt.Repeated {
				t.Errorf("a repeat, while there is no room: %+v, %v", receipt, err)
			}
			conflict := refused
			conflict.ID, conflict.Changesets = daybook.NewID(), []daybook.Changeset{{Stream: daybook.Stream("s-9"), Events: events(1, 1), Expect: daybook.ExpectNone()}}
			if _, err := store.AppendAll(t.Context(), conflict); !errors.Is(err, daybook.ErrConflict) {
				t.Errorf("a conflict, while there is no room: %v", err)
			}
			if slices := simulation.List(tortureDir); strings.Contains(strings.Join(slices, " "), "SPARE") {
				t.Errorf("what was made ahead is kept while there is no room: %v", slices)
			}
			wantRecords(t, "while there is no room", wholeLog(t, d), all)
			simulation.SetCapacity(0)
			time.Sleep(time.Second)
			receipt, err := store.AppendAll(t.Context(), refused)
			if err != nil || receipt.Repeated || receipt.Changesets[0].FirstPosition != all[len(all)-1].Position+1 {
				t.Fatalf("when there is room again: %+v, %v", receipt, err)
			}
			all = wholeLog(t, d)
			simulation.Crash(rand.New(rand.NewPCG(1, 0)), simulated.Journal)
			again, _, err := openOn(t, simulation)
			if err != nil {
				t.Fatal(err)
			}
			wantRecords(t, "after a crash", wholeLog(t, again), all)
		})
	}
}

func TestCallThatFindsNoRoomLeavesNothingOfWhatIsRefused(t *testing.T) {
	segment := func(name string) bool { return strings.Contains(name, ".segment") }
	calls := map[string]simulated.Fault{
		"a write of the log":             {Kind: simulated.Write, Files: ofLog},
		"half a write of the log":        {Kind: simulated.Write, Files: ofLog, Part: 0.5},
		"a whole write of the log":       {Kind: simulated.Write, Files: ofLog, Part: 1},
		"making the file of a segment":   {Kind: simulated.Create, Files: segment},
		"renaming the file of a segment": {Kind: simulated.Rename, Files: segment},
		"writing an index file":          {Kind: simulated.Write, Files: ofIndex},
		"making an index file":           {Kind: simulated.Create, Files: ofIndex},
		"making room":                    {Kind: simulated.Create, Files: ofRoom},
		"writing room":                   {Kind: simulated.Write, Files: ofRoom, Part: 0.5},
	}
	for what, fault := range calls {
		t.Run(what, func(t *testing.T) {
			for at := 1; at < 150; at += 29 {
				fault := fault
				fault.At, fault.Err = at, fullErrors[at%len(fullErrors)]
				synctest.Test(t, func(t *testing.T) { appendBesideFault(t, &fault) })
			}
		})
	}
}

// appendBesideFault appends to a store while a call finds no room, and compares
// what was answered with what a crash leaves.
func appendBesideFault(t *testing.T, fault *simulated.Fault) {
	t.Helper()
	simulation := simulated.New()
	open := func(faults ...*simulated.Fault) (*disk.Driver, error) {
		return disk.Open(tortureDir, &disk.Options{FS: simulation.Mount(faults...), SegmentBytes: 300 << 10})
	}
	d, err := open(fault)
	if errors.Is(err, fault.Err) {
		return // it struck while the store was made
	}
	if err != nil {
		t.Fatal(err)
	}
	stored := map[daybook.ID]bool{}
	refused := 0
	for n := range 80 {
		e := event(n)
		e.Data = bytes.Repeat([]byte("x"), 1<<13)
		a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("s-1"), Events: []daybook.Event{e}}}}
		_, err := daybook.New(d, nil).AppendAll(t.Context(), a)
		switch {
		case errors.Is(err, daybook.ErrFull):
			refused++
			time.Sleep(time.Second)
		case err != nil:
			t.Fatalf("append %d, at call %d: %v", n, fault.At, err)
		}
		stored[a.ID] = err == nil
	}
	if refused > 1 {
		t.Errorf("%d appends were refused because of one call", refused)
	}
	check := func(d *disk.Driver) {
		n := 0
		for _, r := range wholeLog(t, d) {
			if !stored[r.Changeset.AppendID] {
				t.Fatalf("what was refused is there: position %d", r.Position)
			}
			n++
		}
		if n+refused != len(stored) {
			t.Fatalf("%d records are there, of %d, and %d were refused", n, len(stored), refused)
		}
		if report, err := verify.Store(t.Context(), daybook.New(d, nil), nil); err != nil || !report.OK() {
			t.Fatalf("verify: %v, %v", report.Findings, err)
		}
	}
	check(d)
	simulation.Crash(rand.New(rand.NewPCG(uint64(fault.At), 0)), simulated.NoOrder)
	_ = d.Close() // of a machine that crashed only the goroutines are left to end
	if d, err = open(); err != nil {
		t.Fatal(err)
	}
	check(d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAppendsThatWaitTogetherForAFullDiskAreAllAnsweredRightly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		simulation := simulated.New()
		d, err := disk.Open(tortureDir, &disk.Options{FS: simulation.Mount(), SegmentBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		simulation.SetCapacity(400 << 10)
		var mu sync.Mutex
		stored, shown, refused := map[daybook.ID]bool{}, map[daybook.ID]bool{}, map[daybook.ID]bool{}
		var group sync.WaitGroup
		for writer := range 8 {
			group.Go(func() {
				level := []daybook.Durability{daybook.DurabilityDisk, daybook.DurabilityMemory, daybook.DurabilityOS, daybook.DurabilityDisk}[writer%4]
				for n := range 60 {
					a := daybook.Append{ID: daybook.NewID(), Durability: level, Changesets: []daybook.Changeset{{Stream: daybook.Stream(fmt.Sprintf("s-%d", writer)), Events: []daybook.Event{event(n)}}}}
					a.Changesets[0].Events[0].Data = bytes.Repeat([]byte("x"), 2000)
					receipt, err := daybook.New(d, nil).AppendAll(t.Context(), a)
					mu.Lock()
					switch {
					case err == nil && receipt.Durability == daybook.DurabilityMemory:
						shown[a.ID] = true
					case err == nil:
						stored[a.ID] = true
					case errors.Is(err, daybook.ErrFull):
						refused[a.ID] = true
					default:
						t.Errorf("writer %d: %v", writer, err)
					}
					mu.Unlock()
				}
			})
		}
		group.Wait()
		if len(refused) == 0 || len(stored) == 0 {
			t.Fatalf("%d appends are stored, and %d refused", len(stored), len(refused))
		}
		if found := appendsOf(t, d); len(found) != len(stored)+len(shown) {
			t.Errorf("%d appends are there, want %d and %d", len(found), len(stored), len(shown))
		}
		switch err := d.Close(); {
		case err == nil: // then all of it was written
			maps.Copy(stored, shown)
		case !errors.Is(err, syscall.ENOSPC):
			t.Fatal(err)
		}
		simulation.SetCapacity(0)
		again, _, err := openOn(t, simulation)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		found := appendsOf(t, again)
		for id := range refused {
			if found[id] {
				t.Errorf("append %s was refused and is there", id)
			}
		}
		for id := range stored {
			if !found[id] {
				t.Errorf("append %s is lost", id)
			}
		}
	})
}

// appendsOf returns the ids of the appends in a store.
func appendsOf(t *testing.T, d *disk.Driver) map[daybook.ID]bool {
	t.Helper()
	found := map[daybook.ID]bool{}
	for _, r := range wholeLog(t, d) {
		found[r.Changeset.AppendID] = true
	}
	return found
}

func TestWhatWasShownBeforeTheDiskWasFullIsWrittenWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		simulation := simulated.New()
		d, err := disk.Open(tortureDir, &disk.Options{FS: simulation.Mount()})
		if err != nil {
			t.Fatal(err)
		}
		add(t, d, "s-1", event(1))
		simulation.SetCapacity(simulation.Used())
		large := event(2)
		large.Data = bytes.Repeat([]byte("x"), 10_000)
		receipt, err := addAt(t.Context(), d, "s-1", daybook.DurabilityMemory, large)
		if err != nil || receipt.Durability != daybook.DurabilityMemory {
			t.Fatalf("%+v, %v", receipt, err)
		}
		time.Sleep(50 * time.Millisecond) // until it was tried to write it
		synctest.Wait()
		if _, err := addAt(t.Context(), d, "s-1", daybook.DurabilityMemory, event(3)); !errors.Is(err, daybook.ErrFull) {
			t.Fatalf("without room: %v", err)
		}
		all := wholeLog(t, d)
		if len(all) != 2 {
			t.Fatalf("%d records are shown, want 2", len(all))
		}
		simulation.SetCapacity(0)
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		again, _, err := openOn(t, simulation)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		wantRecords(t, "after closing", wholeLog(t, again), all)
	})
}

func TestStoreIsOpenedOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		simulation := simulated.New()
		d, _, err := openOn(t, simulation)
		if err != nil {
			t.Fatal(err)
		}
		add(t, d, "s-1", event(1))
		simulation.SetCapacity(1)
		simulation.Crash(rand.New(rand.NewPCG(1, 0)), simulated.Journal)
		_ = d.Close()
		again, _, err := openOn(t, simulation)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		defer again.Close()
		large := event(2)
		large.Data = bytes.Repeat([]byte("x"), 10_000)
		if _, err := addAt(t.Context(), again, "s-1", daybook.DurabilityDefault, large); !errors.Is(err, daybook.ErrFull) {
			t.Errorf("append: %v", err)
		}
		if all := wholeLog(t, again); len(all) != 1 {
			t.Errorf("%d records, want 1", len(all))
		}
	})
}

// Where END finds no room it tells of less than the log. A compaction sees to it first:
// else a reader would miss what was removed, and not know of the deletion.
func TestReaderKnowsWhatIsDeletedWhenItIsCompactedAfterEndFoundNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		machine := simulated.New()
		mount := machine.Mount()
		d, err := disk.Open(tortureDir, &disk.Options{FS: mount, SegmentBytes: 1 << 10})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		store := daybook.New(d, nil)
		fillSecrets(t, store)
		synctest.Wait()
		mount.Add(&simulated.Fault{Kind: simulated.Write, Files: func(name string) bool { return name == "END" }, At: 1, Err: syscall.ENOSPC})
		if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("user-1")}); err != nil || !mount.Struck() {
			t.Fatal(err, mount.Struck())
		}
		if report, err := d.Compact(t.Context(), nil); err != nil || report.Segments == 0 {
			t.Fatal(report, err)
		}
		r, err := disk.Open(tortureDir, &disk.Options{FS: machine.MountBeside(), ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		wantRecords(t, "read beside the writer", wholeLog(t, r), wholeLog(t, d))
		wantVerified(t, r)
	})
}
