package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

func TestOpeningSaysInTheLogWhatItDroppedAndWhatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	add(t, d, "s-0", event(1))
	before := filesOf(t, dir)
	add(t, d, "s-0", event(2))
	whole := filesOf(t, dir)[firstSegment]
	start := len(before[firstSegment])
	for _, c := range []struct {
		files files
		want  []string
	}{
		{before, []string{"INFO", "clean=false", "records=1"}},
		{before.with(firstSegment, whole[:len(whole)-1]), []string{"WARN", firstSegment, fmt.Sprintf("offset=%d", start), fmt.Sprintf("bytes=%d", len(whole)-1-start), "records=1"}},
		{before.with(firstSegment, flip(whole, start-8, 1)), []string{"ERROR", firstSegment, "offset 72", "position 1"}},
	} {
		var said bytes.Buffer
		d := open(t, c.files.put(t), &disk.Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
		for _, want := range c.want {
			if !strings.Contains(said.String(), want) {
				t.Errorf("the log says %q, without %q", said.String(), want)
			}
		}
		if r := d.Recovery(); r.Segments != 1 || r.Created {
			t.Errorf("recovery %+v", r)
		}
	}
}

// severalStreams is an append of several changesets: more than one frame.
func severalStreams(n int) daybook.Append {
	var a daybook.Append
	for i := range 3 {
		a.Changesets = append(a.Changesets, daybook.Changeset{
			Stream: daybook.Stream(fmt.Sprintf("s-%d", i)), Events: events(n+i, 2), Metadata: []byte(`{"m":true}`),
		})
	}
	return a
}

func TestTornTailIsCutAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	for n := range 4 {
		add(t, d, fmt.Sprintf("s-%d", n%2), event(n))
	}
	earlier := wholeLog(t, d)
	before := filesOf(t, dir)
	if _, err := daybook.New(d, nil).AppendAll(t.Context(), severalStreams(10)); err != nil {
		t.Fatal(err)
	}
	after := filesOf(t, dir)
	start := len(before[firstSegment])
	whole := after[firstSegment]
	// What END said before the append was acknowledged is what a crash leaves;
	// without END, the frames alone must do.
	for _, crashed := range []files{before, before.with("END", nil)} {
		for length := start; length < len(whole); length++ {
			dir := crashed.with(firstSegment, whole[:length]).put(t)
			torn, err := disk.Open(dir, &disk.Options{FS: lazy})
			if err != nil {
				t.Fatalf("cut at %d: %v", length, err)
			}
			wantRecords(t, fmt.Sprintf("cut at %d", length), wholeLog(t, torn), earlier)
			cut := torn.Recovery().Cut
			if length == start && cut != nil || length > start && (cut == nil || cut.Offset != int64(start) || cut.Length != int64(length-start) || filepath.Base(cut.File) != firstSegment) {
				t.Fatalf("cut at %d of %d: reported as %+v", length, start, cut)
			}
			if length%16 == 0 {
				appendAndReopen(t, torn, dir, earlier)
			} else if err := torn.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// appendAndReopen checks that a store goes on after a recovery.
func appendAndReopen(t *testing.T, d *disk.Driver, dir string, earlier []daybook.Record) {
	t.Helper()
	receipt := add(t, d, "s-0", event(99))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, &disk.Options{FS: lazy})
	if r := again.Recovery(); !r.Clean || r.Cut != nil || r.Damage != nil {
		t.Fatalf("after a recovery and a clean close: %+v", r)
	}
	all := wholeLog(t, again)
	wantRecords(t, "after a recovery", all[:len(all)-1], earlier)
	if last := all[len(all)-1]; last.Position != receipt.Position() || !bytes.Equal(last.Data, event(99).Data) {
		t.Fatalf("appended after a recovery: %+v, receipt %+v", last, receipt)
	}
}

func TestZerosBehindTheLogAreCut(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	add(t, d, "s-0", event(1))
	before, earlier := filesOf(t, dir), wholeLog(t, d)
	add(t, d, "s-0", event(2))
	whole := filesOf(t, dir)[firstSegment]
	start := len(before[firstSegment])
	for name, tail := range map[string][]byte{
		"only zeros":                 make([]byte, 5000),
		"zeros in place of a frame":  make([]byte, len(whole)-start),
		"a frame that ends in zeros": append(bytes.Clone(whole[start:len(whole)-40]), make([]byte, 4000)...),
		"rubbish":                    bytes.Repeat([]byte("rubbish"), 300),
	} {
		dir := before.with(firstSegment, append(bytes.Clone(whole[:start]), tail...)).put(t)
		torn := open(t, dir, nil)
		wantRecords(t, name, wholeLog(t, torn), earlier)
		cut := torn.Recovery().Cut
		if blank := len(bytes.Trim(tail, "\x00")) == 0; blank != (cut == nil) {
			// Nothing stood in room that was made ahead: nothing was dropped.
			t.Errorf("%s: reported as %+v", name, cut)
		}
		if cut != nil && (cut.Offset != int64(start) || cut.Length != int64(len(tail))) {
			t.Errorf("%s: reported as %+v", name, cut)
		}
		appendAndReopen(t, torn, dir, earlier)
	}
}

func TestHoleInWhatWasNeverSyncedDropsWhatFollows(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	add(t, d, "s-0", event(1))
	var ends []int
	for n := range 3 {
		if _, err := addAt(t.Context(), d, "s-0", daybook.DurabilityOS, event(2+n)); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, len(filesOf(t, dir)[firstSegment]))
	}
	crashed := filesOf(t, dir)
	all := wholeLog(t, d)
	for at := ends[0]; at < ends[1]; at += 5 {
		hole := crashed.with(firstSegment, flip(crashed[firstSegment], at, 3)).put(t)
		torn := open(t, hole, &disk.Options{FS: lazy})
		wantRecords(t, fmt.Sprintf("hole at %d", at), wholeLog(t, torn), all[:2])
		if cut := torn.Recovery().Cut; cut == nil || cut.Offset != int64(ends[0]) || cut.Length != int64(ends[2]-ends[0]) {
			t.Fatalf("hole at %d: reported as %+v", at, cut)
		}
		if err := torn.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHoleInWhatWasAcknowledgedIsDamage(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	var ends []int
	for n := range 3 {
		add(t, d, "s-0", event(n))
		ends = append(ends, len(filesOf(t, dir)[firstSegment]))
	}
	crashed := filesOf(t, dir)
	all := wholeLog(t, d)
	// The frame behind the hole proves it, with END or without. In the last
	// frame only END does.
	for name, c := range map[string]struct {
		files  files
		at     int
		before int
	}{
		"proven by END":            {crashed, ends[0] + 90, 1},
		"proven by a frame":        {crashed.with("END", nil), ends[0] + 90, 1},
		"in the last, by END":      {crashed, ends[1] + 90, 2},
		"cut short, proven by END": {crashed.with(firstSegment, crashed[firstSegment][:ends[1]]), -1, 2},
	} {
		if c.at >= 0 {
			c.files = c.files.with(firstSegment, flip(crashed[firstSegment], c.at, 0))
		}
		dir := c.files.put(t)
		damaged := open(t, dir, nil)
		corrupt := wantDamage(t, name, damaged, all[:c.before])
		if filepath.Base(corrupt.File) != firstSegment || corrupt.Offset != int64(ends[c.before-1]) || corrupt.Position != daybook.Position(c.before+1) {
			t.Errorf("%s: %v", name, corrupt)
		}
		if r := damaged.Recovery(); r.Cut != nil || r.Damage == nil || r.Clean {
			t.Errorf("%s: %+v", name, r)
		}
		_, err := addAt(t.Context(), damaged, "s-9", daybook.DurabilityDefault, event(9))
		if !errors.Is(err, daybook.ErrCorrupt) || errors.Is(err, daybook.ErrRefused) {
			t.Errorf("%s: an append answers %v", name, err)
		}
		if err := damaged.Close(); err != nil {
			t.Fatal(err)
		}
		if now := filesOf(t, dir); !bytes.Equal(now[firstSegment], c.files[firstSegment]) || !bytes.Equal(now["END"], c.files["END"]) {
			t.Errorf("%s: opening changed the files of a damaged store", name)
		}
	}
	// What can be had before the damage is given without an error.
	damaged := open(t, crashed.with(firstSegment, flip(crashed[firstSegment], ends[1]+90, 0)).put(t), nil)
	got, err := readLog(t, damaged, daybook.LogRead{To: 2})
	if err != nil {
		t.Errorf("reading what lies before the damage: %v", err)
	}
	wantRecords(t, "before the damage", got, all[:2])
}
