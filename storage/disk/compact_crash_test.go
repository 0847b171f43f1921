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
