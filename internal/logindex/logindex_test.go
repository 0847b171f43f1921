package logindex

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
)

func TestIndexAnswersAsTheLogDoes(t *testing.T) {
	g := newGenerator(t)
	const segments = 5
	for range segments {
		g.segment(40 + g.IntN(100))
	}
	var singles []*Run
	for n := range segments {
		r := openRun(t, g.build(t, n, n+1))
		singles = append(singles, r)
		check(t, g, g.model(n, n+1), r, false)
	}
	check(t, g, g.model(1, 4), openRun(t, g.build(t, 1, 4)), false)
	check(t, g, g.model(1, 3), openRun(t, mergeRuns(t, false, singles[1:3]...)), false)
	first := openRun(t, mergeRuns(t, true, singles[:3]...))
	check(t, g, g.model(0, 3), first, true)
	check(t, g, g.model(0, 5), openRun(t, mergeRuns(t, true, first, singles[3], singles[4])), true)
}

// check compares every answer of a run with the model. In a whole one,
// released claims may have been forgotten.
func check(t *testing.T, g *generator, m *model, r *Run, whole bool) {
	t.Helper()
	if err := compare(g, m, r, whole); err != nil {
		t.Fatal(err)
	}
}

func compare(g *generator, m *model, r *Run, whole bool) error {
	for _, look := range []func(*generator, *model, *Run) error{compareStreamsOf, compareAppends, compareSelections, compareStreamSelections, compareMarks} {
		if err := look(g, m, r); err != nil {
			return err
		}
	}
	for _, partition := range []string{"", "p", "p\x00", "nobody"} {
		for value := range 13 {
			claim := daybook.Claim{Kind: "k", Value: fmt.Sprint(value)}
			name, known := m.claims[daybook.StreamID{Partition: partition}][claim]
			holder, _, ok, err := r.Claim(partition, claim)
			if whole && name == "" {
				known = ok
			}
			if err != nil || ok != known || holder.Name != name || name != "" && holder.Partition != partition {
				return wrong(err, "claim %v of %q: %v, %t, want %q, %t", claim, partition, holder, ok, name, known)
			}
		}
	}
	t := r.Totals()
	if n := len(m.all); t.Changesets != int64(n) || t.Records != int64(len(m.records)) || t.LastOrdinal != m.all[n-1].Ordinal ||
		t.FirstPosition != m.records[0].Position || t.LastPosition != m.records[len(m.records)-1].Position || !t.LastRecorded.Equal(m.all[n-1].RecordedAt) {
		return fmt.Errorf("totals %+v of %d changesets, %d records", t, n, len(m.records))
	}
	return nil
}

func wrong(err error, format string, args ...any) error {
	return errors.Join(err, fmt.Errorf(format, args...))
}

func compareStreamsOf(g *generator, m *model, r *Run) error {
	var begun int64
	for id, want := range m.heads {
		head, ok, err := r.Head(id)
		if err != nil || !ok || head != want {
			return wrong(err, "head of %q: %+v, %t, want %+v", id, head, ok, want)
		}
		frames := m.frames[id]
		if want.First == frames[0].First {
			begun++
		}
		from, to := daybook.Version(g.IntN(int(want.Version)+2)), daybook.Version(g.IntN(int(want.Version)+2))
		for _, bounds := range [][2]daybook.Version{{0, 0}, {from, 0}, {from, to}, {0, to}} {
			for _, backwards := range []bool{false, true} {
				if err := compareFrames(r, id, frames, bounds[0], bounds[1], backwards); err != nil {
					return err
				}
			}
		}
	}
	if begun != r.Totals().Streams {
		return fmt.Errorf("%d streams begin here, not %d", begun, r.Totals().Streams)
	}
	sorted := m.sortedStreams()
	for _, from := range []int{-1, 0, len(sorted) / 2, len(sorted) - 1} {
		var after daybook.StreamID
		if from >= 0 {
			after = sorted[from].Stream
		}
		var got []daybook.StreamHead
		for head, err := range r.Streams(after) {
			if err != nil {
				return err
			}
			got = append(got, head)
		}
		if want := sorted[from+1:]; len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
			return fmt.Errorf("streams after %q:\n%v, want\n%v", after, got, want)
		}
	}
	absent := daybook.StreamID{Partition: "p", Name: "absent"}
	if head, ok, err := r.Head(absent); ok || err != nil {
		return wrong(err, "an absent stream has the head %v", head)
	}
	return nil
}

func compareFrames(r *Run, id daybook.StreamID, frames []VersionPlace, from, to daybook.Version, backwards bool) error {
	var want []VersionPlace
	for i, f := range frames {
		last := i == len(frames)-1
		if (last || frames[i+1].First > from) && (to == 0 || f.First <= to) {
			want = append(want, f)
		}
	}
	if backwards {
		slices.Reverse(want)
	}
	var got []VersionPlace
	for f, err := range r.Changesets(id, from, to, backwards) {
		if err != nil {
			return err
		}
		got = append(got, f)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("changesets of %q from %d to %d, backwards %t: %v, want %v of %v", id, from, to, backwards, got, want, frames)
	}
	return nil
}

func compareAppends(g *generator, m *model, r *Run) error {
	for _, id := range g.used {
		want, known := m.appends[id]
		place, ok, err := r.Append(id)
		if err != nil || ok != known || place != want {
			return wrong(err, "append %s: %v, %t, want %v, %t", id, place, ok, want, known)
		}
	}
	return nil
}

func compareSelections(g *generator, m *model, r *Run) error {
	for range 60 {
		var query daybook.Query
		for range 1 + g.IntN(3) {
			item := daybook.QueryItem{Tags: g.tags()}
			for g.IntN(2) == 0 || len(item.Tags)+len(item.Types) == 0 {
				item.Types = append(item.Types, fmt.Sprint("type", g.IntN(5)))
			}
			query.Items = append(query.Items, item)
		}
		want := m.matching(query)
		s, err := r.Select(query)
		if err != nil {
			return err
		}
		var forwards, backwards []daybook.Position
		for at := daybook.Position(1); ; at++ {
			if at, err = s.Next(at); at == 0 || err != nil {
				break
			}
			forwards = append(forwards, at)
		}
		for at := r.Totals().LastPosition; err == nil; at-- {
			if at, err = s.Previous(at); at == 0 || err != nil {
				break
			}
			backwards = append(backwards, at)
		}
		slices.Reverse(backwards)
		if err != nil || !slices.Equal(forwards, want) || !slices.Equal(backwards, want) {
			return wrong(err, "%+v selects\n%v forwards,\n%v backwards, want\n%v", query, forwards, backwards, want)
		}
	}
	return nil
}

func compareStreamSelections(g *generator, m *model, r *Run) error {
	for range 30 {
		var partitions, types []string
		for g.IntN(2) == 0 {
			partitions = append(partitions, []string{"p", "p\x00", "p\x00q", "nobody"}[g.IntN(4)])
		}
		for g.IntN(2) == 0 || len(types)+len(partitions) == 0 {
			types = append(types, []string{"a", "a\x00", "order", "none"}[g.IntN(4)])
		}
		s, err := r.SelectStreams(partitions, types)
		if err != nil {
			return err
		}
		// Of several partitions besides types, all that the types select is.
		looked := partitions
		if len(types) > 0 && len(partitions) > 1 {
			looked = nil
		}
		var want, got []daybook.Position
		for _, c := range m.all {
			if (len(looked) == 0 || slices.Contains(looked, c.Stream.Partition)) && (len(types) == 0 || slices.Contains(types, c.Stream.Type())) {
				want = append(want, c.Records[0].Position)
			}
		}
		for at := daybook.Position(1); ; at++ {
			if at, err = s.Next(at); at == 0 || err != nil {
				break
			}
			got = append(got, at)
		}
		if err != nil || !slices.Equal(got, want) {
			return wrong(err, "partitions %q, types %q select\n%v, want\n%v", partitions, types, got, want)
		}
	}
	return nil
}

func compareMarks(_ *generator, m *model, r *Run) error {
	for i := range r.Segments() {
		marks, err := r.Marks(i)
		if err != nil {
			return err
		}
		n := 0
		for _, c := range m.all {
			if (c.Place - m.base).Segment() != i {
				continue
			}
			if want := (Mark{c.Records[0].Position, c.Place.Offset()}); marks.At(n) != want {
				return fmt.Errorf("mark %d of segment %d is %v, want %v", n, i, marks.At(n), want)
			}
			n++
		}
		if n != marks.Len() {
			return fmt.Errorf("%d marks of segment %d, want %d", marks.Len(), i, n)
		}
	}
	return nil
}

func TestListsLongerThanAPageAreReadBothWays(t *testing.T) {
	g := newGenerator(t)
	id := daybook.Stream("long")
	b := newPlainBuilder()
	b.begin(Segment{First: 1, Bytes: 1 << 30})
	var frames []VersionPlace
	const n = 40_000
	for i := range n {
		c := Changeset{
			Place: PlaceOf(0, int64(72+i*400)), Stream: id, AppendID: g.id(), Number: daybook.ChangesetNumber(i + 1),
			Ordinal: daybook.Ordinal(i + 1), First: daybook.Version(i + 1), Since: 1, RecordedAt: g.time,
			Records: []Record{{Position: daybook.Position(i + 1), Type: "t", Tags: []string{"every", fmt.Sprint("mod:", i%7)}}},
		}
		b.mark(&c)
		b.add([]Changeset{c})
		frames = append(frames, VersionPlace{c.First, c.Place})
	}
	file := b.write(t)
	r := openRun(t, file)
	for _, bounds := range [][2]daybook.Version{{0, 0}, {1, 3}, {20_000, 20_500}, {n, 0}} {
		for _, backwards := range []bool{false, true} {
			if err := compareFrames(r, id, frames, bounds[0], bounds[1], backwards); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, err := r.Select(daybook.Query{Items: []daybook.QueryItem{{Types: []string{"t"}, Tags: []string{"every", "mod:3"}}}})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for at, err := s.Next(1); at > 0 || err != nil; at, err = s.Next(at + 1) {
		if err != nil || (at-1)%7 != 3 {
			t.Fatalf("position %d, %v", at, err)
		}
		count++
	}
	if want := (n - 3 + 6) / 7; count != want {
		t.Errorf("%d positions, want %d", count, want)
	}
	if per := float64(len(file)) / n; per > 40 {
		t.Errorf("the index takes %.1f bytes a record", per)
	}
}
