package logindex

import (
	"bytes"
	"testing"
)

func faultsOf(t *testing.T, file []byte) (faults []Fault, tally Tally) {
	t.Helper()
	r, err := Open(bytes.NewReader(file), int64(len(file)), testStore)
	if err != nil {
		if !isDamaged(err) {
			t.Fatal(err)
		}
		return []Fault{{Reason: err.Error()}}, tally
	}
	tally, err = r.Check(t.Context(), func(f Fault) { faults = append(faults, f) })
	if err != nil {
		t.Fatal(err)
	}
	return faults, tally
}

func TestCheckTellsOfEveryFlippedByteAndOfNothingElse(t *testing.T) {
	g := newGenerator(t)
	g.segment(150)
	g.segment(40)
	one, two := g.build(t, 0, 1), g.build(t, 1, 2)
	file := mergeRuns(t, true, openRun(t, one), openRun(t, two))
	faults, tally := faultsOf(t, file)
	if len(faults) > 0 {
		t.Fatalf("of a file that is sound it tells %v", faults)
	}
	m := g.model(0, 2)
	changesets := int64(0)
	for _, stream := range m.sortedStreams() {
		for _, err := range openRun(t, file).Changesets(stream.Stream, 0, 0, false) {
			if err != nil {
				t.Fatal(err)
			}
			changesets++
		}
	}
	if tally.Streams != int64(len(m.sortedStreams())) || tally.Changesets != changesets || tally.Types == 0 || tally.Appends == 0 {
		t.Errorf("%d changesets of %d streams are counted as %+v", changesets, len(m.sortedStreams()), tally)
	}
	for at := 0; at < len(file); at += 1 + at%53 {
		flipped := bytes.Clone(file)
		flipped[at] ^= 1 << (at % 8)
		if faults, _ := faultsOf(t, flipped); len(faults) == 0 || faults[0].Offset > int64(at) {
			t.Fatalf("byte %d of %d is flipped, and it tells %v", at, len(file), faults)
		}
	}
}
