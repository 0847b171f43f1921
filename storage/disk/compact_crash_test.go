package disk_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable/simulated"
	"github.com/daybook-go/daybook/storage/disk"
)

// The machine fails at every single change that a deletion and a compaction make
// to the disk. What is left is the log before the deletion or after it, whole, and
// a second run does the rest.
func TestCrashesAtEveryChangeOfACompactionLeaveTheLogWhole(t *testing.T) {
	random := seeded(t)
	few := 6 // without a torture that was asked for, at every third or so
	if os.Getenv(tortureCrashes) != "" {
		few = 1
	}
	for _, order := range []simulated.Order{0, 1} {
		for at := 1; ; at += 1 + random.IntN(few) {
			if crashedCompaction(t, rand.New(rand.NewPCG(random.Uint64(), uint64(at))), order, at) {
				t.Logf("order %d: %d changes", order, at-1)
				break
			}
			if t.Failed() {
				return
			}
		}
	}
}

// crashedCompaction fails at the nth change. It reports whether there were no more
// so many.
func crashedCompaction(t *testing.T, random *rand.Rand, order simulated.Order, at int) (ended bool) {
	t.Helper()
	machine := simulated.New()
	options := func(faults ...*simulated.Fault) *disk.Options {
		return &disk.Options{FS: machine.Mount(faults...), SegmentBytes: 1 << 10}
	}
	mustOpen := func(options *disk.Options) (*disk.Driver, *daybook.Store) {
		d, err := disk.Open(tortureDir, options)
		if err != nil {
			t.Fatalf("change %d: %v", at, err)
		}
		return d, daybook.New(d, nil)
	}
	d, store := mustOpen(options())
	id := daybook.Stream("user-1")
	fillSecrets(t, store)
	all := wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	deletion := daybook.Deletion{ID: daybook.NewID(), Stream: id, Scrub: true}
	var receipt daybook.DeletionReceipt
	fault := options(&simulated.Fault{Kind: simulated.Change, At: at, PowerOff: true, Part: float64(random.IntN(5)) / 4})
	d, deleted := disk.Open(tortureDir, fault)
	if deleted == nil {
		receipt, deleted = daybook.New(d, nil).DeleteStream(t.Context(), deletion)
		if deleted == nil {
			_, err := d.Compact(t.Context(), nil)
			ended = err == nil
		}
		ended = d.Close() == nil && ended
	}
	machine.Crash(random, order)

	d, store = mustOpen(options())
	if r := d.Recovery(); r.Damage != nil {
		t.Fatalf("change %d: %+v", at, r)
	}
	want := without(all, id)
	if got := wholeLog(t, d); deleted != nil && len(got) == len(all) {
		want = all
	}
	wantRecords(t, fmt.Sprintf("change %d: the log", at), wholeLog(t, d), want)
	wantVerified(t, d)
	again, err := store.DeleteStream(t.Context(), deletion)
	if err != nil || deleted == nil && (!again.Repeated || again.Records != receipt.Records) {
		t.Errorf("change %d: the deletion again: %+v, %v", at, again, err)
	}
	if _, err := d.Compact(t.Context(), nil); err != nil {
		t.Errorf("change %d: compacted again: %v", at, err)
	}
	for n := range 12 {
		c, other := daybook.Changeset{Stream: id, Events: events(n, 1)}, daybook.Changeset{Stream: daybook.Stream(fmt.Sprint("other-", n%3)), Events: events(n, 1+n%3)}
		if r, err := store.AppendAll(t.Context(), daybook.Append{ID: daybook.IDOf(fmt.Sprint(n)), Changesets: []daybook.Changeset{c, other}}); err != nil || !r.Repeated {
			t.Errorf("change %d: append %d again: %+v, %v", at, n, r, err)
		}
	}
	wantRecords(t, fmt.Sprintf("change %d: the log in the end", at), wholeLog(t, d), without(all, id))
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	wantNoSecretsOn(t, machine, at)
	return ended
}

// A claim is released by an append that is only in memory, and the changeset that
// has taken it is compacted. Whatever a crash leaves, both or none of it is true.
func TestCrashGivesBackAClaimWithTheAppendThatReleasedIt(t *testing.T) {
	random := seeded(t)
	user, claim := daybook.Stream("user-1"), daybook.Claim{Kind: "email", Value: "a@example.org"}
	lost := 0
	for range 30 {
		machine := simulated.New()
		d, err := disk.Open(tortureDir, &disk.Options{FS: machine.Mount(), SegmentBytes: 1 << 10})
		if err != nil {
			t.Fatal(err)
		}
		store := daybook.New(d, nil)
		change := func(level daybook.Durability, c daybook.Changeset) {
			t.Helper()
			c.Stream, c.Events = user, events(1, 1)
			if _, err := store.AppendAll(t.Context(), daybook.Append{Durability: level, Changesets: []daybook.Changeset{c}}); err != nil {
				t.Fatal(err)
			}
		}
		change(daybook.DurabilityDisk, daybook.Changeset{Claims: []daybook.Claim{claim}})
		for n := range 20 { // so that others are in the segment that is written
			add(t, d, fmt.Sprint("other-", n%3), event(n))
		}
		change(daybook.DurabilityDisk, daybook.Changeset{})
		if _, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: user, Through: 1}); err != nil {
			t.Fatal(err)
		}
		change(daybook.DurabilityMemory, daybook.Changeset{Releases: []daybook.Claim{claim}})
		if report, err := d.Compact(t.Context(), nil); err != nil || report.Changesets != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
		machine.Crash(random, simulated.NoOrder)
		_ = d.Close() // of a machine that crashed only the goroutines are left to end
		if d, err = disk.Open(tortureDir, &disk.Options{FS: machine.Mount(), SegmentBytes: 1 << 10}); err != nil {
			t.Fatal(err)
		}
		head, err := d.Head(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		if head.Version < 3 {
			lost++
		}
		if _, held, err := d.ClaimHolder(t.Context(), "", claim); err != nil || held != (head.Version < 3) {
			t.Errorf("the stream ends at version %d, and the claim is held: %v, %v", head.Version, held, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("the append was lost %d times", lost)
}

// fillSecrets makes 12 appends, each to a stream of secrets and to another one.
func fillSecrets(t *testing.T, store *daybook.Store) {
	t.Helper()
	for n := range 12 {
		c := daybook.Changeset{Stream: daybook.Stream("user-1"), Events: events(n, 1)}
		c.Events[0].Data, c.Claims = []byte(`"secret-"`), []daybook.Claim{{Kind: "k", Value: fmt.Sprint("secret-", n)}}
		other := daybook.Changeset{Stream: daybook.Stream(fmt.Sprint("other-", n%3)), Events: events(n, 1+n%3)}
		if _, err := store.AppendAll(t.Context(), daybook.Append{ID: daybook.IDOf(fmt.Sprint(n)), Changesets: []daybook.Changeset{c, other}}); err != nil {
			t.Fatal(err)
		}
	}
}

// wantNoSecretsOn searches every file of a simulated disk.
func wantNoSecretsOn(t *testing.T, machine *simulated.Disk, at int) {
	t.Helper()
	for _, name := range machine.List(tortureDir) {
		if data, _ := machine.Read(tortureDir + "/" + name); bytes.Contains(data, []byte("secret-")) {
			t.Errorf("change %d: %s holds what was scrubbed", at, name)
		}
	}
}
