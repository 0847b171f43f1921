package disk_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// roomy returns a store whose last segment has room behind its end, and how
// many records it holds.
func roomy(t *testing.T, dir string, options *disk.Options) (*disk.Driver, int) {
	t.Helper()
	d := open(t, dir, options)
	large := event(0)
	large.Data = bytes.Repeat([]byte("x"), 8<<10)
	for n := 1; n < 5000; n++ {
		large.Data[0] = byte(n)
		receipt := add(t, d, "s-0", large)
		if receipt.Position() != daybook.Position(n) {
			t.Fatalf("append %d stands at %d", n, receipt.Position())
		}
		found := filesOf(t, dir)
		names := found.segments()
		last := found[names[len(names)-1]]
		if blank(tail(last)) {
			return d, n
		}
	}
	t.Fatal("no room was made ahead of the log")
	return nil, 0
}

func blank(data []byte) bool { return len(bytes.Trim(data, "\x00")) == 0 }

func TestRoomBehindTheLogIsNeverTakenForIt(t *testing.T) {
	dir := t.TempDir()
	options := &disk.Options{SegmentBytes: 1 << 20}
	d, n := roomy(t, dir, options)
	all := wholeLog(t, d)
	if len(all) != n {
		t.Fatalf("%d records, want %d", len(all), n)
	}
	reader := open(t, dir, &disk.Options{ReadOnly: true})
	wantRecords(t, "read beside the writer", wholeLog(t, reader), all)
	backup := t.TempDir()
	if _, err := disk.Backup(t.Context(), dir, backup, nil); err != nil {
		t.Fatal(err)
	}
	if names := filesOf(t, backup).segments(); blank(tail(filesOf(t, backup)[names[len(names)-1]])) {
		t.Error("the backup holds room behind the log")
	}
	wantRecords(t, "a backup", wholeLog(t, open(t, backup, nil)), all)

	crashed := filesOf(t, dir)
	for name, left := range map[string]files{"as it is": crashed, "without END": crashed.with("END", nil)} {
		for _, readOnly := range []bool{true, false} {
			copied := left.put(t)
			again := open(t, copied, &disk.Options{ReadOnly: readOnly, SegmentBytes: 1 << 20})
			if r := again.Recovery(); r.Cut != nil || r.Damage != nil || r.Clean {
				t.Errorf("%s: %+v", name, r)
			}
			wantRecords(t, "after a crash, "+name, wholeLog(t, again), all)
			if !readOnly {
				appendAndReopen(t, again, copied, all)
			}
		}
	}

	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for name, data := range filesOf(t, dir) {
		if strings.HasSuffix(name, ".segment") && blank(tail(data)) {
			t.Errorf("%s ends in room that was not used, after a close", name)
		}
		if strings.HasSuffix(name, ".new") {
			t.Errorf("%s is left after a close", name)
		}
	}
	closed := open(t, dir, options)
	if r := closed.Recovery(); !r.Clean {
		t.Errorf("after a close: %+v", r)
	}
	wantRecords(t, "after a close", wholeLog(t, closed), all)
}

// tail returns the last bytes of a segment: more than a frame is padded with.
func tail(data []byte) []byte { return data[max(0, len(data)-64):] }

func TestTornAppendInFrontOfRoomIsCut(t *testing.T) {
	dir := t.TempDir()
	d, n := roomy(t, dir, &disk.Options{SegmentBytes: 1 << 20})
	before := filesOf(t, dir)
	add(t, d, "s-1", event(1))
	after := filesOf(t, dir)
	names := after.segments()
	name := names[len(names)-1]
	if len(before.segments()) != len(names) {
		t.Skip("the append began a segment")
	}
	whole := after[name]
	from, to := 0, 0
	for i := range whole {
		if whole[i] != before[name][i] {
			if from == 0 {
				from = i
			}
			to = i + 1
		}
	}
	for _, length := range []int{from + 1, (from + to) / 2, to - 1} {
		torn := bytes.Clone(before[name])
		copy(torn, whole[:length])
		crashed := open(t, before.with(name, torn).put(t), nil)
		if cut := crashed.Recovery().Cut; cut == nil || filepath.Base(cut.File) != name {
			t.Errorf("%d bytes of %d to %d were written: reported as %+v", length, from, to, cut)
		}
		if got := wholeLog(t, crashed); len(got) != n {
			t.Errorf("%d records, want %d", len(got), n)
		}
	}
}

// noRoom is a file system that has no room for more than what is asked for.
type noRoom struct{ disk.FS }

func (f noRoom) Create(name string) (disk.File, error) {
	if strings.Contains(name, "SPARE") {
		return nil, errors.New("no space left")
	}
	return f.FS.Create(name)
}

func TestLogGoesOnWhereNoRoomCanBeMade(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{SegmentBytes: 1 << 20, FS: noRoom{newFaultyFS()}})
	large := event(0)
	large.Data = make([]byte, 64<<10)
	for range 40 {
		add(t, d, "s-0", large)
	}
	all := wholeLog(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, "opened again", wholeLog(t, open(t, dir, nil)), all)
}

func TestRoomThatACrashLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	add(t, open(t, dir, nil), "s-0", event(0))
	crashed := filesOf(t, dir).with("SPARE.new", make([]byte, 5000)).put(t)
	open(t, crashed, nil)
	if _, err := os.Stat(filepath.Join(crashed, "SPARE.new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
}
