package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
)

// event returns an event that tells which it is.
func event(n int) daybook.Event {
	return daybook.Event{
		Type: fmt.Sprintf("type%d", n%3), Tags: []string{fmt.Sprintf("n:%d", n), "all"},
		Data: fmt.Appendf(nil, `{"n":%d,"pad":%q}`, n, strings.Repeat("x", n%50)),
	}
}

func events(n, count int) []daybook.Event {
	some := make([]daybook.Event, count)
	for i := range some {
		some[i] = event(n + i)
	}
	return some
}

// add appends an event to a stream.
func add(t *testing.T, d *disk.Driver, stream string, some ...daybook.Event) daybook.Receipt {
	t.Helper()
	receipt, err := addAt(t.Context(), d, stream, daybook.DurabilityDefault, some...)
	if err != nil {
		t.Fatalf("append to %s: %v", stream, err)
	}
	return receipt
}

func addAt(ctx context.Context, d *disk.Driver, stream string, level daybook.Durability, some ...daybook.Event) (daybook.Receipt, error) {
	return daybook.New(d, nil).AppendAll(ctx, daybook.Append{
		Durability: level, Changesets: []daybook.Changeset{{Stream: daybook.Stream(stream), Events: some}},
	})
}

// gather returns the records of a sequence up to its error.
func gather(records iter.Seq2[daybook.Record, error]) (all []daybook.Record, err error) {
	for r, err := range records {
		if err != nil {
			return all, err
		}
		all = append(all, r)
	}
	return all, nil
}

func readLog(t *testing.T, d *disk.Driver, read daybook.LogRead) ([]daybook.Record, error) {
	t.Helper()
	return gather(d.ReadLog(t.Context(), read))
}

func wholeLog(t *testing.T, d *disk.Driver) []daybook.Record {
	t.Helper()
	all, err := readLog(t, d, daybook.LogRead{})
	if err != nil {
		t.Fatalf("read the log: %v", err)
	}
	return all
}

func wantRecords(t *testing.T, what string, got, want []daybook.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d records, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("%s: record %d is\n%+v, want\n%+v", what, i, got[i], want[i])
		}
	}
}

// files are the files of a store, by name.
type files map[string][]byte

// filesOf reads the files in a directory as they are now; also those of a
// store that is open, as a crash of the process would leave them; but for the
// zeros that fill the last block of a segment: it ends where the log does, or
// with the room behind. The events with which a block ends have no zeros at the
// end.
func filesOf(t *testing.T, dir string) files {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := files{}
	for _, f := range found {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if errors.Is(err, fs.ErrNotExist) && !strings.HasSuffix(f.Name(), ".segment") {
			continue // merged, or used up, meanwhile
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f.Name(), ".segment") && len(data)%durable.BlockBytes == 0 {
			const align = 8
			end := min((len(bytes.TrimRight(data, "\x00"))+align-1)/align*align, len(data))
			if len(data)-end < durable.BlockBytes {
				data = data[:end]
			}
		}
		all[f.Name()] = data
	}
	return all
}

// put writes the files into a new directory.
func (f files) put(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	f.putInto(t, dir)
	return dir
}

func (f files) putInto(t *testing.T, dir string) {
	t.Helper()
	for name, data := range f {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// with returns the files with one of them changed; removed, if data is nil.
func (f files) with(name string, data []byte) files {
	changed := files{}
	for n, d := range f {
		changed[n] = d
	}
	if data == nil {
		delete(changed, name)
	} else {
		changed[name] = data
	}
	return changed
}

func (f files) segments() []string {
	var names []string
	for name := range f {
		if strings.HasSuffix(name, ".segment") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

const firstSegment = "00000000000000000001.segment"

// wantDamage checks that a store reads up to some damage, and no further.
func wantDamage(t *testing.T, what string, d *disk.Driver, before []daybook.Record) *daybook.CorruptError {
	t.Helper()
	got, err := readLog(t, d, daybook.LogRead{})
	var corrupt *daybook.CorruptError
	if !errors.As(err, &corrupt) {
		t.Fatalf("%s: the log ends with %v after %d records, want a *CorruptError", what, err, len(got))
	}
	if len(got) > len(before) {
		t.Fatalf("%s: %d records, want at most %d", what, len(got), len(before))
	}
	wantRecords(t, what, got, before[:len(got)])
	if back, err := readLog(t, d, daybook.LogRead{Backwards: true}); !errors.Is(err, daybook.ErrCorrupt) || len(back) > 0 {
		t.Fatalf("%s: read backwards, %d records come before %v", what, len(back), err)
	}
	if _, err := d.End(t.Context()); !errors.Is(err, daybook.ErrCorrupt) {
		t.Fatalf("%s: End answers %v", what, err)
	}
	for _, r := range before {
		stream, err := gather(d.ReadStream(t.Context(), r.Stream, daybook.StreamRead{}))
		if !errors.Is(err, daybook.ErrCorrupt) {
			t.Fatalf("%s: stream %s ends with %v after %d records", what, r.Stream, err, len(stream))
		}
	}
	return corrupt
}

// flip returns data with one bit of one byte turned.
func flip(data []byte, at, bit int) []byte {
	flipped := bytes.Clone(data)
	flipped[at] ^= 1 << bit
	return flipped
}
