package disk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook/storage/disk"
)

func measure(t *testing.T, dir string) disk.Usage {
	t.Helper()
	u, err := disk.Measure(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestMeasureAddsUpToWhatIsOnTheDisk(t *testing.T) {
	dir, d := variedStore(t, 20)
	busy := measure(t, dir)
	if busy.Open == nil || busy.Open.PID != os.Getpid() || busy.Clean {
		t.Errorf("of a store that is open: %+v", busy)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Reindex(t.Context(), dir, nil); err != nil {
		t.Fatal(err)
	}
	all := filesOf(t, dir)
	size := int64(0)
	for _, data := range all {
		size += int64(len(data))
	}
	u := measure(t, dir)
	if u.Files != len(all) || u.Bytes != size || u.SealedBytes+u.LastBytes+u.RoomBytes+u.IndexBytes+u.OtherBytes != size {
		t.Errorf("%d files of %d bytes are measured as %+v", len(all), size, u)
	}
	if u.SealedSegments != len(all.segments())-1 || u.Unindexed != 0 || u.Open != nil || !u.Clean || u.Free <= 0 || len(u.Foreign) > 0 {
		t.Errorf("of a closed store: %+v", u)
	}
	for name := range all {
		if strings.HasSuffix(name, ".index") {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("dear"), 0o666); err != nil {
		t.Fatal(err)
	}
	bare := measure(t, dir)
	if bare.Unindexed != u.SealedSegments || bare.UnindexedBytes != u.SealedBytes || bare.IndexFiles != 0 || !slices.Equal(bare.Foreign, []string{"letter.txt"}) {
		t.Errorf("without index files: %+v", bare)
	}
	if _, err := disk.Measure(t.Context(), t.TempDir(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of an empty directory: %v", err)
	}
}

func TestWhatOpeningRecoveredIsLoggedAndKept(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, nil)
	add(t, d, "s-0", event(0))
	if measure(t, dir).LastRecovery != nil {
		t.Error("a store that was just made tells of a recovery")
	}
	add(t, d, "s-0", event(1))
	torn := filesOf(t, dir)[firstSegment]
	crashed := filesOf(t, dir).with(firstSegment, torn[:len(torn)-3]).with("END", nil).put(t)
	now := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	var logged bytes.Buffer
	again := open(t, crashed, &disk.Options{
		Now: func() time.Time { now = now.Add(time.Second); return now }, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
	})
	r := again.Recovery()
	if r.Cut == nil || r.Took <= 0 || !strings.Contains(logged.String(), "took=") || !strings.Contains(logged.String(), "was dropped") {
		t.Errorf("the recovery is %+v, logged as %s", r, logged.String())
	}
	kept := measure(t, crashed).LastRecovery
	if kept == nil || kept.Cut == nil || *kept.Cut != *r.Cut || !kept.At.Equal(r.At) || kept.Took != r.Took {
		t.Errorf("kept of it is %+v", kept)
	}
	// Opening what was closed leaves it.
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, crashed, nil).Close(); err != nil {
		t.Fatal(err)
	}
	if kept := measure(t, crashed).LastRecovery; kept == nil || !kept.At.Equal(r.At) {
		t.Errorf("kept of it after a clean opening is %+v", kept)
	}
}
