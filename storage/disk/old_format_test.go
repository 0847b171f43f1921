package disk_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/verify"
)

// Stores that were written by each format version stay in testdata for ever,
// and must open. A new version gets a directory of its own, made by
//
//	DAYBOOK_WRITE_FORMAT=testdata/format-2 go test -run '^TestWriteStoreOfThisFormat$' ./storage/disk
//
// and the old ones are never written again.
const writeFormat = "DAYBOOK_WRITE_FORMAT"

// formatClock is the time at which the nth append of the kept stores was made.
func formatClock(n int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, n, 123456000, time.UTC)
}

// formatAppends has all that an append can have.
func formatAppends() (all []daybook.Append) {
	for n := range 43 {
		stream := daybook.StreamID{Name: fmt.Sprintf("account-%d", n%5)}
		if n%4 == 3 {
			stream.Partition = "tenant"
		}
		c := daybook.Changeset{Stream: stream}
		for i := range 1 + n%3 {
			e := event(n)
			e.ID = daybook.IDOf(fmt.Sprintf("event %d of %d", i, n))
			switch n % 7 {
			case 1:
				e.ContentType, e.Data = "application/octet-stream", []byte{0, 1, 2, 255}
			case 2:
				e.OccurredAt = formatClock(n - 100)
				e.Context = daybook.Context{
					Who: "ann", Correlation: "c-1", Source: "shop", Commentary: "corrected by hand", Schema: "v2", Metadata: []byte(`{"m":1}`),
					Why: &daybook.Cause{ID: "42", What: "click", Who: "bob", When: formatClock(n - 200)},
				}
			case 3:
				e.Type, e.Tags, e.Data = "Übertragen", nil, nil
			}
			c.Events = append(c.Events, e)
		}
		switch n % 6 {
		case 0:
			c.Claims = []daybook.Claim{{Kind: "email", Value: fmt.Sprintf("%d@example.org", n)}}
		case 1:
			c.Metadata = []byte(`{"changeset":true}`)
		case 2:
			c.References = []daybook.StreamID{daybook.Stream("account-0")}
		}
		a := daybook.Append{ID: daybook.IDOf(fmt.Sprint("append ", n)), Changesets: []daybook.Changeset{c}}
		if n%5 == 0 {
			a.Changesets = append(a.Changesets, daybook.Changeset{Stream: daybook.Stream(fmt.Sprintf("other-%d", n)), Events: events(n, 2)})
		}
		all = append(all, a)
	}
	last := daybook.Changeset{Stream: daybook.Stream("account-0"), Events: events(1, 1), Releases: []daybook.Claim{{Kind: "email", Value: "0@example.org"}}}
	return append(all, daybook.Append{ID: daybook.IDOf("the last"), Changesets: []daybook.Changeset{last}})
}

// formatImport leaves gaps between positions, and begins above version 1.
func formatImport(end daybook.Position) []daybook.RecordedChangeset {
	c := daybook.RecordedChangeset{Stream: daybook.Stream("imported-1"), RecordedAt: formatClock(100)}
	c.AppendID, c.Number, c.First, c.Count = daybook.IDOf("import"), 7, 20, 2
	for i := range 2 {
		e := event(i)
		e.ID = daybook.IDOf(fmt.Sprint("imported ", i))
		c.Records = append(c.Records, daybook.Record{Event: e, Stream: c.Stream, Version: c.First + daybook.Version(i), Position: end + daybook.Position(10*(i+1))})
	}
	return []daybook.RecordedChangeset{c}
}

// writeFormatStore makes the changes on a store.
func writeFormatStore(store *daybook.Store, clock *time.Time) error {
	ctx := context.Background()
	all := formatAppends()
	for n, a := range all {
		*clock = formatClock(n)
		if n == 20 {
			end, err := store.End(ctx)
			if err == nil {
				*clock = formatClock(100)
				err = store.Import(ctx, formatImport(end))
			}
			if err != nil {
				return err
			}
		}
		if _, err := store.AppendAll(ctx, a); err != nil {
			return fmt.Errorf("append %d: %w", n, err)
		}
	}
	return nil
}

func TestWriteStoreOfThisFormat(t *testing.T) {
	dir := os.Getenv(writeFormat)
	if dir == "" {
		dir = t.TempDir() // it must go on being possible
	}
	clock := formatClock(0)
	d, err := disk.Open(dir, &disk.Options{SegmentBytes: 2 << 10, Now: func() time.Time { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	if !d.Recovery().Created {
		t.Fatal("there is a store already; what is kept is never written again")
	}
	if err := writeFormatStore(daybook.New(d, nil), &clock); err != nil {
		t.Fatal(err)
	}
	log, err := json.Marshal(wholeLog(t, d))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log.json"), append(log, '\n'), 0o666); err != nil {
		t.Fatal(err)
	}
	// It tells the machine and the process.
	if err := os.Remove(filepath.Join(dir, "LOCK")); err != nil {
		t.Fatal(err)
	}
}

func TestStoresOfEveryFormatAreReadAndAppendedTo(t *testing.T) {
	kept, err := filepath.Glob("testdata/format-*/daybook.json")
	if err != nil || len(kept) == 0 {
		t.Fatalf("no store is kept: %v", err)
	}
	for _, dir := range kept {
		dir = filepath.Dir(dir)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			found := filesOf(t, dir)
			var want []daybook.Record
			if err := json.Unmarshal(found["log.json"], &want); err != nil {
				t.Fatal(err)
			}
			reader := open(t, dir, &disk.Options{ReadOnly: true})
			wantFormatStore(t, reader, want)
			if err := reader.Close(); err != nil {
				t.Fatal(err)
			}
			if now := filesOf(t, dir); !reflect.DeepEqual(now, found) {
				t.Error("reading has changed the files")
			}
			copied := found.with("log.json", nil).put(t)
			d := open(t, copied, &disk.Options{SegmentBytes: 2 << 10})
			if r := d.Recovery(); !r.Clean || r.Damage != nil || r.Cut != nil {
				t.Errorf("opened for writing: %+v", r)
			}
			wantFormatStore(t, d, want)
			appendAndReopen(t, d, copied, wholeLog(t, d))
			// Without anything but the segments it is the same.
			bare := found.with("log.json", nil).withoutIndexes().with("END", nil)
			wantFormatStore(t, open(t, bare.put(t), nil), want)
		})
	}
}

// wantFormatStore compares a store with what was written into it, as a store in
// memory has it.
func wantFormatStore(t *testing.T, d *disk.Driver, want []daybook.Record) {
	t.Helper()
	got := wholeLog(t, d)
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if !sameRecord(&got[i], &want[i]) {
			t.Fatalf("record %d is\n%s, want\n%s", i, show(&got[i]), show(&want[i]))
		}
	}
	clock := formatClock(0)
	model := daybook.New(memory.New(&memory.Options{Now: func() time.Time { return clock }}), nil)
	if err := writeFormatStore(model, &clock); err != nil {
		t.Fatal(err)
	}
	ctx, store := t.Context(), daybook.New(d, nil)
	different := func(a, b *daybook.StreamHead) bool { return *a != *b }
	if err := sameSequence("the streams", store.ListStreams(ctx, daybook.StreamList{}), model.ListStreams(ctx, daybook.StreamList{}), different); err != nil {
		t.Error(err)
	}
	for n := range 40 {
		claim := daybook.Claim{Kind: "email", Value: fmt.Sprintf("%d@example.org", n)}
		for _, partition := range []string{"", "tenant"} {
			holder, held, err := store.ClaimHolder(ctx, partition, claim)
			wantHolder, wantHeld, _ := model.ClaimHolder(ctx, partition, claim)
			if err != nil || holder != wantHolder || held != wantHeld {
				t.Errorf("claim %v is held by %s (%v), %v, want %s (%v)", claim, holder, held, err, wantHolder, wantHeld)
			}
		}
	}
	read := daybook.LogRead{Filter: daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"type1"}, Tags: []string{"all"}}}}}, Backwards: true}
	sameIgnoringIDs := func(a, b *daybook.Record) bool { return a.Position != b.Position || a.Version != b.Version }
	if err := sameSequence("a query", store.ReadLog(ctx, read), model.ReadLog(ctx, read), sameIgnoringIDs); err != nil {
		t.Error(err)
	}
	if report, err := verify.Store(ctx, store, nil); err != nil || !report.OK() {
		t.Errorf("verify: %v, %v", report.Findings, err)
	}
	for n, a := range formatAppends() {
		receipt, err := store.AppendAll(ctx, a)
		if errors.Is(err, daybook.ErrReadOnly) {
			break
		}
		if err != nil || !receipt.Repeated {
			t.Errorf("append %d, repeated: %+v, %v", n, receipt, err)
		}
	}
}

// fromTheFuture returns a file as a newer program would write it.
func fromTheFuture(data []byte, header int, version uint32) []byte {
	changed := append([]byte(nil), data...)
	binary.LittleEndian.PutUint32(changed[8:], version)
	binary.LittleEndian.PutUint32(changed[12:], 0)
	binary.LittleEndian.PutUint32(changed[12:], crc32.Checksum(changed[:header], crc32.MakeTable(crc32.Castagnoli)))
	return changed
}

func TestStoreFromTheFutureIsRefusedWithItsVersionAndNotTouched(t *testing.T) {
	kept := filesOf(t, "testdata/format-1").with("log.json", nil)
	newer := map[string]files{"daybook.json": kept.with("daybook.json", []byte(`{"format": 9}`)), "END": kept.with("END", fromTheFuture(kept["END"], 64, 9))}
	for _, name := range kept.segments() {
		newer[name] = kept.with(name, fromTheFuture(kept[name], 72, 9))
	}
	for name, data := range kept {
		if strings.HasSuffix(name, ".index") {
			newer[name] = kept.with(name, fromTheFuture(data, 40, 9))
		}
	}
	if len(newer) < 6 {
		t.Fatalf("only %d files tell a version", len(newer))
	}
	for name, found := range newer {
		for _, readOnly := range []bool{true, false} {
			dir := found.put(t)
			_, err := disk.Open(dir, &disk.Options{ReadOnly: readOnly})
			var format *disk.FormatError
			if !errors.As(err, &format) || format.Version != 9 || format.File != name || !strings.Contains(err.Error(), "version 9") {
				t.Errorf("%s from the future, read only %v: %v", name, readOnly, err)
			}
			now := filesOf(t, dir).with("LOCK", nil) // that a writer looked is no change
			if !reflect.DeepEqual(now, found) {
				t.Errorf("%s from the future, read only %v: the files were changed", name, readOnly)
			}
		}
	}
}
