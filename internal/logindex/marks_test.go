package logindex

import (
	"slices"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

func TestMarksAreFoundByPositionAndTime(t *testing.T) {
	g := newGenerator(t)
	var m Marks
	var all []Mark
	var times []time.Time
	mark, at := Mark{Position: 1, Offset: 72}, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for range 2000 {
		all, times = append(all, mark), append(times, at)
		m.Add(mark, at)
		mark.Position += daybook.Position(1 + g.IntN(20))
		mark.Offset += 4096 + 8*int64(g.IntN(100))
		switch g.IntN(100) {
		case 0:
			mark.Position += 1 << 40 // an import left a gap
		case 1:
			mark.Offset += 1 << 24 // a large frame
		}
		at = at.Add(time.Duration(g.IntN(2)) * time.Millisecond)
	}
	then := m
	m.Add(mark, at)
	encoded, err := decodeMarks(then.encode(nil))
	if err != nil {
		t.Fatal(err)
	}
	for what, marks := range map[string]*Marks{"as they were": &then, "decoded": &encoded} {
		if marks.Len() != len(all) || marks.Last() != all[len(all)-1] {
			t.Fatalf("%s: %d marks, the last is %v, want %v", what, marks.Len(), marks.Last(), all[len(all)-1])
		}
		for i, want := range all {
			if got := marks.At(i); got != want {
				t.Fatalf("%s: mark %d is %v, want %v", what, i, got, want)
			}
			if i > 0 && (marks.Find(want.Position) != i || marks.Find(want.Position-1) != i-1) {
				t.Fatalf("%s: %d is found at %d, not %d; below it %d", what, want.Position, marks.Find(want.Position), i, marks.Find(want.Position-1))
			}
		}
		if marks.Find(0) != -1 {
			t.Errorf("%s: something is found below all", what)
		}
		for i := 0; i < len(times); i += 37 {
			position, ok := marks.RecordedAfter(times[i])
			n := slices.IndexFunc(all, func(m Mark) bool { return m.Position >= position })
			if ok && (n <= i || !times[n].After(times[i])) {
				t.Errorf("%s: %d was recorded at %v, not after %v", what, position, times[n], times[i])
			}
			if !ok && times[len(times)-1].Sub(times[i]) > 200*time.Millisecond {
				t.Errorf("%s: nothing was recorded after %v", what, times[i])
			}
		}
	}
	if per := float64(m.resident()) / float64(m.Len()); per > 8 {
		t.Errorf("a mark takes %.1f bytes", per)
	}
}
