package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/verify"
)

// secretStore writes a store of many small segments, in which one stream holds
// secrets wherever an event can hold something, and another has appends in common
// with it. It is not closed.
func secretStore(t *testing.T) (dir string, d *disk.Driver, appends []daybook.Append) {
	t.Helper()
	dir = t.TempDir()
	d = open(t, dir, &disk.Options{SegmentBytes: 2 << 10, FS: lazy})
	store := daybook.New(d, nil)
	for n := range 60 {
		a := daybook.Append{ID: daybook.IDOf(fmt.Sprint("append ", n))}
		a.Changesets = append(a.Changesets, daybook.Changeset{Stream: daybook.Stream(fmt.Sprintf("other-%d", n%5)), Events: events(n, 1+n%3)})
		if n%3 == 0 {
			secret := fmt.Sprintf("secret-%d-", n)
			e := events(n, 2)
			for i := range e {
				e[i].Data, e[i].Type, e[i].Tags = []byte(`"`+secret+`"`), secret+"type", []string{secret + "tag"}
				e[i].Context = daybook.Context{Who: secret, Commentary: secret, Metadata: []byte(`"` + secret + `"`)}
			}
			c := daybook.Changeset{Stream: daybook.Stream("user-1"), Events: e, Metadata: []byte(`"` + secret + `"`)}
			c.Claims = []daybook.Claim{{Kind: "email", Value: secret + "claim"}}
			if n > 0 {
				c.Releases = []daybook.Claim{{Kind: "email", Value: fmt.Sprintf("secret-%d-claim", n-3)}}
			}
			a.Changesets = append(a.Changesets, c)
		}
		if _, err := store.AppendAll(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		appends = append(appends, a)
	}
	return dir, d, appends
}

// wantNoSecrets searches every file of a store.
func wantNoSecrets(t *testing.T, dir string) {
	t.Helper()
	for name, data := range filesOf(t, dir) {
		if at := bytes.Index(data, []byte("secret-")); at >= 0 {
			t.Errorf("%s holds %q at %d", name, data[at:min(at+20, len(data))], at)
		}
	}
}

// compactedFiles are the segments that a compaction wrote: their names tell the
// generation. The other files of an open store change in the background.
func compactedFiles(t *testing.T, dir string) map[string][]byte {
	files := filesOf(t, dir)
	maps.DeleteFunc(files, func(name string, _ []byte) bool {
		return strings.Count(name, ".") != 2 || !strings.HasSuffix(name, ".segment")
	})
	return files
}

func without(all []daybook.Record, id daybook.StreamID) []daybook.Record {
	return slices.DeleteFunc(slices.Clone(all), func(r daybook.Record) bool { return r.Stream == id })
}

func wantVerified(t *testing.T, d *disk.Driver) {
	t.Helper()
	if report, err := verify.Store(t.Context(), daybook.New(d, nil), nil); err != nil || !report.OK() {
		t.Errorf("verify: %v, %v", report.Findings, err)
	}
}

func TestNoFileHoldsWhatWasScrubbed(t *testing.T) {
	dir, d, appends := secretStore(t)
	id := daybook.Stream("user-1")
	all := wholeLog(t, d)
	store := daybook.New(d, nil)
	deletion := daybook.Deletion{ID: daybook.NewID(), Stream: id, Scrub: true}
	receipt, err := store.DeleteStream(t.Context(), deletion)
	if err != nil || receipt.Scrubbed || receipt.Records != 40 || receipt.Changesets != 20 {
		t.Fatalf("deleted: %+v, %v", receipt, err)
	}
	report, err := d.Compact(t.Context(), nil)
	if err != nil || report.Segments == 0 || report.Bytes <= 0 || report.Changesets != 20 {
		t.Fatalf("compacted: %+v, %v", report, err)
	}
	wantNoSecrets(t, dir)
	if again, err := store.DeleteStream(t.Context(), deletion); err != nil || !again.Repeated || !again.Scrubbed {
		t.Errorf("the deletion again: %+v, %v", again, err)
	}
	before := compactedFiles(t, dir)
	if again, err := d.Compact(t.Context(), nil); err != nil || again != (disk.CompactReport{LastDeletion: 1}) {
		t.Errorf("compacted again: %+v, %v", again, err)
	}
	if after := compactedFiles(t, dir); len(before) == 0 || !maps.EqualFunc(before, after, bytes.Equal) {
		t.Errorf("a second compaction changed %d files to %d", len(before), len(after))
	}
	for _, reopen := range []bool{false, true} {
		if reopen {
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			d = open(t, dir, &disk.Options{SegmentBytes: 2 << 10, FS: lazy})
			store = daybook.New(d, nil)
			if r := d.Recovery(); !r.Clean || len(r.Reindexed) > 0 || r.Damage != nil {
				t.Errorf("recovery %+v", r)
			}
		}
		wantRecords(t, "the log", wholeLog(t, d), without(all, id))
		wantVerified(t, d)
		for _, a := range appends {
			if again, err := store.AppendAll(t.Context(), a); err != nil || !again.Repeated {
				t.Fatalf("append %s again: %+v, %v", a.ID, again, err)
			}
		}
		for made, err := range d.ReadDeletions(t.Context(), daybook.DeletionRead{}) {
			if err != nil || !made.Receipt.Scrubbed {
				t.Errorf("deletion %+v, %v", made, err)
			}
		}
	}
	wantNoSecrets(t, dir)
	if report, err := disk.Check(t.Context(), dir, &disk.CheckOptions{Deep: true}); err != nil || len(report.Problems) > 0 {
		t.Errorf("check: %+v, %v", report.Problems, err)
	}
	// The claims of the stream can be taken, and it goes on above.
	next := daybook.Changeset{Stream: id, Expect: daybook.ExpectVersion(40), Events: events(1, 1), Claims: []daybook.Claim{{Kind: "email", Value: "secret-57-claim"}}}
	if receipt, err := store.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{next}}); err != nil || receipt.Changesets[0].Number != 21 {
		t.Errorf("the next append: %+v, %v", receipt, err)
	}
}

// The index files can be made anew of the compacted segments.
func TestCompactedSegmentsAreIndexedAgain(t *testing.T) {
	dir, d, appends := secretStore(t)
	id := daybook.Stream("user-1")
	all := wholeLog(t, d)
	if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: id, Through: 30, Scrub: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Compact(t.Context(), &disk.CompactOptions{ScrubsOnly: true}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	d = open(t, filesOf(t, dir).withoutIndexes().put(t), &disk.Options{SegmentBytes: 2 << 10, FS: lazy})
	want := slices.DeleteFunc(slices.Clone(all), func(r daybook.Record) bool { return r.Stream == id && r.Version <= 30 })
	wantRecords(t, "the log", wholeLog(t, d), want)
	wantVerified(t, d)
	for _, a := range appends {
		if again, err := daybook.New(d, nil).AppendAll(t.Context(), a); err != nil || !again.Repeated {
			t.Fatalf("append %s again: %+v, %v", a.ID, again, err)
		}
	}
	holder, held, err := d.ClaimHolder(t.Context(), "", daybook.Claim{Kind: "email", Value: "secret-57-claim"})
	if err != nil || !held || holder != id {
		t.Errorf("the claim is held by %v, %t, %v", holder, held, err)
	}
}

func TestInterruptedCompactionsGoOn(t *testing.T) {
	dir, d, _ := secretStore(t)
	id := daybook.Stream("user-1")
	want := without(wholeLog(t, d), id)
	if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: id, Scrub: true}); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		_, err := d.Compact(ctx, &disk.CompactOptions{Progress: func(int, int) {
			if seen++; seen == n {
				cancel()
			}
		}})
		cancel()
		wantRecords(t, "the log", wholeLog(t, d), want)
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	wantNoSecrets(t, dir)
	wantVerified(t, d)
}

func TestRunningReadsGoOnInSegmentsThatAreCompacted(t *testing.T) {
	_, d, _ := secretStore(t)
	id := daybook.Stream("user-1")
	all := wholeLog(t, d)
	other := slices.DeleteFunc(slices.Clone(all), func(r daybook.Record) bool { return r.Stream != daybook.Stream("other-0") })
	compacted := false
	var log, stream, selected []daybook.Record
	compact := func() {
		if compacted {
			return
		}
		compacted = true
		if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: id, Scrub: true}); err != nil {
			t.Fatal(err)
		}
		if report, err := d.Compact(t.Context(), nil); err != nil || report.Segments < 3 {
			t.Fatal(report, err)
		}
	}
	take := func(to *[]daybook.Record, r daybook.Record, err error, after int) bool {
		if err != nil {
			t.Fatal(err)
		}
		if *to = append(*to, r); len(*to) == after {
			compact()
		}
		return true
	}
	for r, err := range d.ReadStream(t.Context(), daybook.Stream("other-0"), daybook.StreamRead{}) {
		take(&stream, r, err, 1<<30)
		if len(stream) == 1 {
			for r, err := range d.ReadLog(t.Context(), daybook.LogRead{}) {
				take(&log, r, err, 1<<30)
				if len(log) == 1 {
					query := daybook.Query{Items: []daybook.QueryItem{{Tags: []string{"all"}}}}
					for r, err := range d.ReadLog(t.Context(), daybook.LogRead{Filter: daybook.Filter{Query: query}, Backwards: true}) {
						take(&selected, r, err, 1)
					}
				}
			}
		}
	}
	wantRecords(t, "the stream", stream, other)
	wantRecords(t, "the log", log, append(slices.Clone(log[:0]), withoutBehind(all, id, log)...))
	if len(selected) < 10 || !strings.HasPrefix(selected[0].Stream.Name, "other-") {
		t.Errorf("%d records were selected", len(selected))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// withoutBehind returns what of a log is left, with those of the stream that were
// read before it was deleted.
func withoutBehind(all []daybook.Record, id daybook.StreamID, read []daybook.Record) []daybook.Record {
	seen := map[daybook.Position]bool{}
	for _, r := range read {
		seen[r.Position] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(r daybook.Record) bool { return r.Stream == id && !seen[r.Position] })
}

// A segment is sealed, and can be compacted, before anything of the next one is
// shown.
func TestSegmentIsCompactedWhileTheNextIsBegun(t *testing.T) {
	dir, fsys := t.TempDir(), newFaultyFS()
	d := open(t, dir, &disk.Options{SegmentBytes: 1 << 10, FS: fsys})
	add(t, d, "user-1", event(1))
	if _, err := daybook.New(d, nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("user-1")}); err != nil {
		t.Fatal(err)
	}
	g := newGate()
	fsys.onWrite(g.pass)
	large := event(2)
	large.Data = bytes.Repeat([]byte("x"), 900)
	done := beside(func() (daybook.Receipt, error) {
		return addAt(t.Context(), d, "other-1", daybook.DurabilityDisk, large)
	})
	<-g.arrived
	if err := disk.SettleIndexes(d); err != nil {
		t.Fatal(err)
	}
	report, err := d.Compact(t.Context(), nil)
	g.open()
	if err != nil || report.Segments != 1 {
		t.Errorf("compacted: %+v, %v", report, err)
	}
	if r := <-done; r.err != nil {
		t.Fatal(r.err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantNoProblems(t, "compacted", checkStore(t, dir, true))
	if all := wholeLog(t, open(t, dir, nil)); len(all) != 1 {
		t.Errorf("%d records are left", len(all))
	}
}
