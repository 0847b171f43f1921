package livestate_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/livestate"
)

func TestSnapshotsSaveReadingAndDamagedOnesAreSkipped(t *testing.T) {
	for _, damage := range []int{0, 1, 2} {
		store, f, dir := newStore(t), newFolds(), t.TempDir()
		o := &options{Snapshots: livestate.Files(dir, 2)}
		s := start(t, store, livestate.OfStream(text), f, o)
		for _, word := range []string{"a", "b", "c"} {
			say(t, store, word)
			current(t, s)
			if err := s.Save(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		names, _ := filepath.Glob(filepath.Join(dir, "*", "*.state"))
		if len(names) != 4 {
			t.Fatalf("there are %v, want two of each fold", names)
		}
		slices.Sort(names)
		for i := range damage { // of counts, the newest first
			file, err := os.ReadFile(names[1-i])
			if err != nil {
				t.Fatal(err)
			}
			file[len(file)/2] ^= 1
			if err := os.WriteFile(names[1-i], file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		say(t, store, "d")
		var passed []string
		o.Hooks.OnError = func(err error) { passed = append(passed, err.Error()) }
		s = start(t, store, livestate.OfStream(text), f, o)
		state, _ := s.Local()
		if len(f.counts.Of(state)) != 4 || f.length.Of(state) != 4 || state.Version() != 4 {
			t.Errorf("with %d damaged it is %v, %d", damage, f.counts.Of(state), f.length.Of(state))
		}
		if got, want := s.Progress().Records, []int64{1, 2, 4}[damage]; got != want || len(passed) != damage {
			t.Errorf("with %d damaged %d records were folded, want %d; passed over: %q", damage, got, want, passed)
		}
	}
}

func TestSnapshotsOfAnotherSourceAndOfTheFutureArePassedOver(t *testing.T) {
	f, o := newFolds(), &options{Snapshots: livestate.Memory(1), SaveEvery: 2}
	store := newStore(t)
	say(t, store, "a", "b", "c")
	start(t, store, livestate.OfStream(text), f, o).Close()
	saved := 0
	for range o.Snapshots.Load(t.Context(), "counts-1") {
		saved++
	}
	if saved != 1 {
		t.Fatal("nothing was saved on the way")
	}
	younger := newStore(t)
	say(t, younger, "z")
	if state := current(t, start(t, younger, livestate.OfStream(text), f, o)); f.counts.Of(state)["z"] != 1 || len(f.counts.Of(state)) != 1 {
		t.Errorf("from the future: %v", f.counts.Of(state))
	}
	other := daybook.Stream("text-2")
	if state := current(t, start(t, store, livestate.OfStream(other), f, o)); len(f.counts.Of(state)) != 0 {
		t.Errorf("of another stream: %v", f.counts.Of(state))
	}
}
