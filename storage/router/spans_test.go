package router_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/router"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// one returns a changeset of one event.
func one(stream daybook.StreamID) daybook.Changeset {
	return daybook.Changeset{Stream: stream, Events: []daybook.Event{{Type: "tried"}}}
}

func TestWhatSpansTwoStoresIsRefusedByNameAndLeavesNothing(t *testing.T) {
	a, b, c := daybook.Stream("a-1"), daybook.Stream("b-1"), daybook.StreamID{Partition: "P", Name: "b-1"}
	with := func(change daybook.Changeset, how func(c *daybook.Changeset)) daybook.Changeset {
		how(&change)
		return change
	}
	claim := func(c *daybook.Changeset) { c.Claims = []daybook.Claim{{Kind: "k", Value: "v"}} }
	release := func(c *daybook.Changeset) { c.Releases = []daybook.Claim{{Kind: "k", Value: "v"}} }
	refersTo := func(id daybook.StreamID) func(*daybook.Changeset) {
		return func(c *daybook.Changeset) { c.References = []daybook.StreamID{id} }
	}
	for name, test := range map[string]struct {
		a     daybook.Append
		names []string // that the error says; none if it is taken
	}{
		"streams of two stores":               {daybook.Append{Changesets: []daybook.Changeset{one(a), one(b)}}, []string{`"one" and "two"`}},
		"streams of one store":                {daybook.Append{Changesets: []daybook.Changeset{one(a), one(daybook.Stream("x-1")), one(c)}}, nil},
		"a reference to another store":        {daybook.Append{Changesets: []daybook.Changeset{with(one(a), refersTo(b))}}, []string{`"one" and "two"`}},
		"a reference within a store":          {daybook.Append{Changesets: []daybook.Changeset{with(one(a), refersTo(a))}}, nil},
		"a claim in a partition of two":       {daybook.Append{Changesets: []daybook.Changeset{with(one(a), claim)}}, []string{`partition ""`, `"one" and "two" and "three"`}},
		"a release in a partition of two":     {daybook.Append{Changesets: []daybook.Changeset{with(one(a), release)}}, []string{`partition ""`}},
		"a claim in a partition of one store": {daybook.Append{Changesets: []daybook.Changeset{with(one(c), claim)}}, nil},
		"a condition":                         {daybook.Append{Changesets: []daybook.Changeset{one(a)}, Condition: &daybook.Condition{}}, []string{"conditions"}},
	} {
		t.Run(name, func(t *testing.T) {
			driver := over(t, rules(t, "ALL.b", "two", "ALL.c", "three", "P.ALL", "one", "ALL.ALL", "one"), nil, memberNames...)
			store := daybook.New(driver, nil)
			_, err := store.AppendAll(t.Context(), test.a)
			log := logOf(t, store, daybook.LogRead{})
			if test.names == nil {
				if err != nil || len(log) != len(test.a.Changesets) {
					t.Errorf("%v, and the log has %d records", err, len(log))
				}
				return
			}
			var unsupported *daybook.UnsupportedError
			if !errors.As(err, &unsupported) || len(log) != 0 {
				t.Fatalf("%v, and the log has %d records", err, len(log))
			}
			for _, name := range test.names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("%q does not say %s", err, name)
				}
			}
		})
	}
}

func TestClaimsAreOfferedWhereAPartitionLiesInOneStore(t *testing.T) {
	driver := over(t, rules(t, "P.ALL", "two", "Q.a", "two", "Q.b", "two", "R.a", "three", "ALL.ALL", "one"), nil, memberNames...)
	for partition, offered := range map[string]bool{"P": true, "Q": false, "R": false, "": true, "other": true} {
		_, _, err := driver.ClaimHolder(t.Context(), partition, daybook.Claim{Kind: "k", Value: "v"})
		if errors.Is(err, daybook.ErrUnsupported) == offered || err != nil && offered {
			t.Errorf("partition %q: %v, want claims offered: %t", partition, err, offered)
		}
	}
}

func TestIDThatWasUsedInAnotherStoreIsRefused(t *testing.T) {
	for _, trusting := range []bool{false, true} {
		s := newStorages()
		store := s.router(t, &router.Options{TrustIDs: trusting})
		a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{one(daybook.Stream("a-1"))}}
		if _, err := store.AppendAll(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		deletion := daybook.Deletion{ID: daybook.NewID(), Stream: daybook.Stream("a-1"), Through: 1}
		if _, err := store.DeleteStream(t.Context(), deletion); err != nil {
			t.Fatal(err)
		}
		for i, changes := range [][]daybook.Changeset{{one(daybook.Stream("b-1"))}, {one(daybook.Stream("b-1")), one(daybook.Stream("b-2"))}} {
			a.Changesets = changes
			_, err := store.AppendAll(t.Context(), a)
			var reused *daybook.ReusedIDError
			if !trusting && (!errors.As(err, &reused) || reused.Deletion || reused.ID != a.ID) || trusting && i == 0 && err != nil {
				t.Errorf("trusting %t, an append: %v", trusting, err)
			}
		}
		deletion.Stream = daybook.Stream("b-1")
		_, err := store.DeleteStream(t.Context(), deletion)
		var reused *daybook.ReusedIDError
		if !trusting && (!errors.As(err, &reused) || !reused.Deletion) || trusting && err != nil {
			t.Errorf("trusting %t, a deletion: %v", trusting, err)
		}
		if log := logOf(t, store, daybook.LogRead{}); !trusting && len(log) != 0 {
			t.Errorf("the log is %v", places(log))
		}
	}
}

func TestStoreThatCannotBeAskedAboutAnIDLeavesTheAppendUndone(t *testing.T) {
	s := newStorages()
	store := s.router(t, nil)
	s.drivers[1].Cue(storagetest.Fault{Call: storagetest.CallAppend, Before: storagetest.ErrFault})
	_, err := store.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectAny(), daybook.Event{Type: "tried"})
	if !errors.Is(err, storagetest.ErrFault) || !strings.Contains(err.Error(), `"two"`) {
		t.Errorf("%v", err)
	}
	s.drivers[1].Cue(storagetest.Fault{Call: storagetest.CallAppend, Before: daybook.ErrReadOnly})
	if _, err := store.Append(t.Context(), daybook.Stream("a-1"), daybook.ExpectNone(), daybook.Event{Type: "tried"}); err != nil {
		t.Errorf("beside a store that is read-only: %v", err)
	}
}

func TestDurabilityThatTheOrderDoesNotReachIsRefusedBeforeAnythingIsStored(t *testing.T) {
	durable := &durable{memory.New(nil)}
	driver := made(t, []router.Member{{Name: "one", Driver: durable}, {Name: "two", Driver: memory.New(nil)}}, rules(t, "ALL.ALL", "one"), memory.New(nil), nil)
	store := daybook.New(driver, nil)
	_, err := store.AppendAll(t.Context(), daybook.Append{Durability: daybook.DurabilityDisk, Changesets: []daybook.Changeset{one(daybook.Stream("a-1"))}})
	if !errors.Is(err, daybook.ErrUnsupported) || len(logOf(t, store, daybook.LogRead{})) != 0 {
		t.Errorf("%v", err)
	}
	for range 2 {
		if _, err := store.AppendAll(t.Context(), daybook.Append{Durability: daybook.DurabilityMemory, Changesets: []daybook.Changeset{one(daybook.Stream("a-1"))}}); err != nil {
			t.Error(err)
		}
	}
}

// durable says that it is more lasting than it is.
type durable struct{ *memory.Driver }

func (d *durable) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	a.Durability = daybook.DurabilityDefault
	return d.Driver.Append(ctx, a)
}

func TestDeletionsOfSeveralStoresHaveOneOrder(t *testing.T) {
	s := newStorages()
	routers := []*daybook.Store{s.router(t, nil), s.router(t, nil)}
	random := seeded(t)
	var told []daybook.DeletionReceipt
	for i := range 30 {
		id := daybook.Stream(fmt.Sprintf("%s-%d", [...]string{"a", "b", "c"}[random.IntN(3)], random.IntN(2)))
		store := routers[random.IntN(2)]
		if _, err := store.Append(t.Context(), id, daybook.ExpectAny(), daybook.Event{Type: "stored"}); err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			receipt, err := store.DeleteStream(t.Context(), daybook.Deletion{Stream: id})
			if err != nil {
				t.Fatal(err)
			}
			told = append(told, receipt)
		}
	}
	if _, err := daybook.New(s.inner[1], nil).DeleteStream(t.Context(), daybook.Deletion{Stream: daybook.Stream("b-7")}); err != nil {
		t.Fatal(err)
	}
	for _, store := range append(routers, s.router(t, nil)) {
		all, err := gather(store.ReadDeletions(t.Context(), daybook.DeletionRead{}))
		if err != nil || len(all) != len(told)+1 {
			t.Fatalf("%d deletions, %v; want %d", len(all), err, len(told)+1)
		}
		for i, d := range all {
			if d.Receipt.Number != daybook.DeletionNumber(i+1) || i < len(told) && d.Receipt != told[i] {
				t.Errorf("deletion %d is %+v, its receipt was %+v", i+1, d.Receipt, told[min(i, len(told)-1)])
			}
		}
		rest, err := gather(store.ReadDeletions(t.Context(), daybook.DeletionRead{After: 4, Limit: 3}))
		if err != nil || len(rest) != 3 || rest[0].Receipt.Number != 5 {
			t.Errorf("behind 4: %+v, %v", rest, err)
		}
		some, err := gather(store.ReadDeletions(t.Context(), daybook.DeletionRead{Stream: daybook.Stream("b-7")}))
		if err != nil || len(some) != 1 || some[0].Receipt.Number != daybook.DeletionNumber(len(told)+1) {
			t.Errorf("of one stream: %+v, %v", some, err)
		}
		sound(t, store)
	}
}

// An order of many entries, of which few are in memory.
func TestAnyPlaceIsFoundInALongOrder(t *testing.T) {
	s := newStorages()
	store := s.router(t, &router.Options{TrustIDs: true})
	random := seeded(t)
	n := 5*router.BlockEntries + 17
	for i := range n {
		kind := [...]string{"a", "b", "c"}[random.IntN(3)]
		if _, err := store.Append(t.Context(), daybook.Stream(fmt.Sprintf("%s-%d", kind, i%7)), daybook.ExpectAny(), daybook.Event{Type: kind}, daybook.Event{Type: "second"}); err != nil {
			t.Fatal(err)
		}
	}
	whole := logOf(t, store, daybook.LogRead{})
	if len(whole) != 2*n {
		t.Fatalf("the log has %d records", len(whole))
	}
	var members []router.Member
	for i, name := range memberNames {
		members = append(members, router.Member{Name: name, Driver: lasting{s.inner[i]}})
	}
	driver := made(t, members, rules(t, "ALL.ALL", "one", "ALL.b", "two", "ALL.c", "three"), lasting{s.inner[3]}, nil)
	driver.KeepBlocks(2)
	store = daybook.New(driver, nil)
	for range 60 {
		read := daybook.LogRead{
			After: daybook.Position(random.IntN(2*n + 2)), To: daybook.Position(random.IntN(2*n + 2)), Limit: random.IntN(9),
			Backwards: random.IntN(2) == 0, Borrow: random.IntN(2) == 0,
		}
		if random.IntN(3) == 0 {
			read.Filter = daybook.Filter{StreamTypes: []string{"b"}}
		}
		if random.IntN(3) == 0 {
			read.Until = whole[random.IntN(2*n)].RecordedAt
		}
		var want []string
		ordered := slices.Clone(whole)
		if read.Backwards {
			slices.Reverse(ordered)
		}
		for i := range ordered {
			if read.Holds(&ordered[i]) && (read.Limit == 0 || len(want) < read.Limit) {
				want = append(want, places(ordered[i:i+1])...)
			}
		}
		var got []string
		for record, err := range store.ReadLog(t.Context(), read) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, places([]daybook.Record{record})...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v gave %d records, want %d", read, len(got), len(want))
		}
	}
	for i := range 7 {
		id := daybook.Stream(fmt.Sprintf("%s-%d", [...]string{"a", "b", "c"}[rand.IntN(3)], i))
		stream, err := gather(store.ReadStream(t.Context(), id, daybook.StreamRead{}))
		if err != nil {
			t.Fatal(err)
		}
		want := slices.DeleteFunc(slices.Clone(whole), func(r daybook.Record) bool { return r.Stream != id })
		if !slices.Equal(places(stream), places(want)) {
			t.Errorf("stream %q has %d records, %d in the log", id, len(stream), len(want))
		}
	}
}

func TestRecordsThatTheRulesSendElsewhereAreNotRead(t *testing.T) {
	s := newStorages()
	for _, name := range []string{"b-1", "a-1"} {
		if _, err := daybook.New(s.inner[0], nil).Append(t.Context(), daybook.Stream(name), daybook.ExpectAny(), daybook.Event{Type: "old"}); err != nil {
			t.Fatal(err)
		}
	}
	store := s.router(t, nil)
	if log := logOf(t, store, daybook.LogRead{Limit: 1}); len(log) != 1 || log[0].Stream.Name != "a-1" {
		t.Errorf("the log is %v", places(log))
	}
	if heads, err := gather(store.ListStreams(t.Context(), daybook.StreamList{Limit: 2})); err != nil || len(heads) != 1 {
		t.Errorf("the list is %v, %v", heads, err)
	}
}
