package daybook_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// shape is what is looked at of a changeset: its stream, number and versions.
type shape struct {
	stream string
	number daybook.ChangesetNumber
	first  daybook.Version // of the records that were given
	count  int
}

func shapes(t *testing.T, records func(yield func(daybook.Record, error) bool)) ([]shape, error) {
	t.Helper()
	changesets, err := gather(daybook.Changesets(records))
	var all []shape
	for _, c := range changesets {
		if c.RecordedAt != c.Records[0].RecordedAt || c.AppendID != c.Records[0].Changeset.AppendID {
			t.Errorf("changeset %d of %q tells of another append than its records", c.Number, c.Stream)
		}
		all = append(all, shape{c.Stream.Name, c.Number, c.Records[0].Version, len(c.Records)})
	}
	return all, err
}

func filled(t *testing.T) *daybook.Store {
	t.Helper()
	store := daybook.New(memory.New(nil), nil)
	add(t, store, daybook.Stream("a"), "one", "two", "three")
	add(t, store, daybook.Stream("b"), "one")
	add(t, store, daybook.Stream("a"), "four")
	add(t, store, daybook.Stream("a"), "five", "six")
	return store
}

func TestRecordsAreGatheredIntoTheirChangesets(t *testing.T) {
	store := filled(t)
	for _, c := range []struct {
		read daybook.LogRead
		want []shape
	}{
		{daybook.LogRead{}, []shape{{"a", 1, 1, 3}, {"b", 1, 1, 1}, {"a", 2, 4, 1}, {"a", 3, 5, 2}}},
		{daybook.LogRead{After: 1, To: 6}, []shape{{"a", 1, 2, 2}, {"b", 1, 1, 1}, {"a", 2, 4, 1}, {"a", 3, 5, 1}}},
		{daybook.LogRead{After: 7}, nil},
	} {
		got, err := shapes(t, store.ReadLog(t.Context(), c.read))
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("reading %+v gives changesets %v, %v; want %v", c.read, got, err, c.want)
		}
	}
	got, err := shapes(t, store.ReadStream(t.Context(), daybook.Stream("a"), daybook.StreamRead{From: 3}))
	if want := []shape{{"a", 1, 3, 1}, {"a", 2, 4, 1}, {"a", 3, 5, 2}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("reading a stream gives changesets %v, %v; want %v", got, err, want)
	}
}

func TestAnErrorComesBehindTheChangesetsThatWereWhole(t *testing.T) {
	store, failure := filled(t), errors.New("failed")
	for after, want := range map[int][]shape{
		0: nil,
		2: nil,
		3: nil, // the next record may have been of the same changeset
		4: {{"a", 1, 1, 3}},
		5: {{"a", 1, 1, 3}, {"b", 1, 1, 1}},
	} {
		got, err := shapes(t, func(yield func(daybook.Record, error) bool) {
			n := 0
			for record, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
				if n == after {
					break
				}
				if n++; !yield(record, err) {
					return
				}
			}
			yield(daybook.Record{}, failure)
		})
		if !errors.Is(err, failure) || !slices.Equal(got, want) {
			t.Errorf("an error behind %d records: got changesets %v, %v; want %v", after, got, err, want)
		}
	}
}

func TestGatheringMayStopEarly(t *testing.T) {
	store := filled(t)
	for stop := range 4 {
		count := 0
		for range daybook.Changesets(store.ReadLog(t.Context(), daybook.LogRead{})) {
			if count++; count > stop {
				break
			}
		}
		if count != stop+1 {
			t.Errorf("after %d changesets the loop went on to %d", stop+1, count)
		}
	}
}

// orderID is what "order 17" stands for.
const orderID = "aee80d6a-5c3f-5c0e-80ec-3740c29450ad"

func TestAnIDStandsForAText(t *testing.T) {
	const text = "0192d3a4-5b6c-7d8e-9fa0-b1c2d3e4f5a6"
	if id := daybook.IDOf(text); id.String() != text {
		t.Errorf("the text %s stands for %s, want itself", text, id)
	}
	// This value is stored in logs: it must never change.
	if id := daybook.IDOf("order 17"); id.String() != orderID || id.Version() != 5 {
		t.Errorf("the text stands for %s of version %d, want %s of version 5", id, id.Version(), orderID)
	}
	seen := map[daybook.ID]string{}
	for _, text := range []string{"", "order 17", "order 18", "Order 17", "order 17 ", text} {
		id := daybook.IDOf(text)
		if other, twice := seen[id]; twice {
			t.Errorf("%q and %q stand for one id", other, text)
		}
		seen[id] = text
		if id != daybook.IDOf(text) {
			t.Errorf("%q stands for two ids", text)
		}
	}
	if a, b := daybook.NewID(), daybook.NewID(); a.Version() != 7 || a == b || a.String() > b.String() {
		t.Errorf("fresh ids are %s and %s, want version 7, rising", a, b)
	}
}

func TestAnExpectTellsOnlyWhatItDemands(t *testing.T) {
	for _, c := range []struct {
		expect  daybook.Expect
		text    string
		version daybook.Version
		number  daybook.ChangesetNumber
	}{
		{daybook.ExpectAny(), "any", 0, 0},
		{daybook.ExpectNone(), "none", 0, 0},
		{daybook.ExpectExists(), "exists", 0, 0},
		{daybook.ExpectVersion(3), "version 3", 3, 0},
		{daybook.ExpectChangeset(4), "changeset 4", 0, 4},
		{daybook.ExpectVersion(0), "none", 0, 0},
		{daybook.ExpectChangeset(0), "none", 0, 0},
	} {
		version, byVersion := c.expect.Version()
		number, byNumber := c.expect.Changeset()
		if version != c.version || byVersion != (c.version > 0) || number != c.number || byNumber != (c.number > 0) || c.expect.String() != c.text {
			t.Errorf("%s tells version %d (%t), changeset %d (%t) and %q; want %d, %d and %q",
				c.text, version, byVersion, number, byNumber, c.expect, c.version, c.number, c.text)
		}
	}
}
