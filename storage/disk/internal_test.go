package disk

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

func TestOnlySoManyFilesAreOpen(t *testing.T) {
	d, err := Open(t.TempDir(), &Options{SegmentBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	store := daybook.New(d, nil)
	for n := range maxOpenFiles + 30 {
		if _, err := store.AppendAll(t.Context(), daybook.Append{Durability: daybook.DurabilityMemory, Changesets: []daybook.Changeset{{
			Stream: daybook.Stream(fmt.Sprintf("s-%d", n%2)), Events: []daybook.Event{{Type: "t", Data: make([]byte, 1000)}},
		}}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Append(t.Context(), daybook.Stream("s-0"), daybook.ExpectAny(), daybook.Event{Type: "t"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n := 0
		for _, err := range d.ReadLog(t.Context(), daybook.LogRead{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != maxOpenFiles+31 {
			t.Fatalf("%d records", n)
		}
	}
	if n := len(d.log.files.open); n > maxOpenFiles {
		t.Errorf("%d files are open", n)
	}
}

// A machine that crashed may have kept what END said and lost what was only
// visible. Until the writer that comes next has looked, that is no damage.
func TestReaderBesideAWriterThatRecoversSeesNoDamage(t *testing.T) {
	log := exampleLog()
	dir := filepath.Dir(openExample(t, log).log.path("x"))
	for name, c := range map[string]struct {
		synced  int64
		damaged bool
	}{"visible was lost": {392, false}, "synced was lost": {600, true}} {
		mark := endMark{store: daybook.ID{15: 1}, segment: 1, visible: 600, synced: c.synced}
		if err := durable.WriteFile(durable.OS, filepath.Join(dir, endName), mark.encode()); err != nil {
			t.Fatal(err)
		}
		// The driver of the example still holds the lock: a live writer.
		r, err := Open(dir, &Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		if damage := r.Recovery().Damage; (damage != nil) != c.damaged {
			t.Errorf("%s: damage %v", name, damage)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
