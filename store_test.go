package daybook_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

var account = daybook.Stream("account-1")

// bare hides everything that a driver may offer besides.
type bare struct{ daybook.Driver }

func gather[V any](values iter.Seq2[V, error]) ([]V, error) {
	var all []V
	for value, err := range values {
		if err != nil {
			return all, err
		}
		all = append(all, value)
	}
	return all, nil
}

// add appends an event of each type, as one changeset.
func add(t *testing.T, store *daybook.Store, stream daybook.StreamID, types ...string) daybook.Receipt {
	t.Helper()
	events := make([]daybook.Event, len(types))
	for i, eventType := range types {
		events[i].Type = eventType
	}
	receipt, err := store.Append(t.Context(), stream, daybook.ExpectAny(), events...)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// conflict makes an append that is refused, and returns why.
func conflict(t *testing.T, store *daybook.Store, expect daybook.Expect) *daybook.ConflictError {
	t.Helper()
	_, err := store.Append(t.Context(), account, expect, daybook.Event{Type: "more"})
	var refused *daybook.ConflictError
	if !errors.As(err, &refused) {
		t.Fatalf("an append that expects %s was answered with %v, want a *ConflictError", expect, err)
	}
	return refused
}

func TestWhatWasMissedIsBoundedByWholeChangesets(t *testing.T) {
	for _, c := range []struct {
		maxMissed, changesets int
		incomplete            bool
	}{
		{maxMissed: 1, changesets: 1, incomplete: true},
		{maxMissed: 2, changesets: 1, incomplete: true},
		{maxMissed: 3, changesets: 2, incomplete: true},
		{maxMissed: 7, changesets: 4},
		{maxMissed: 8, changesets: 4},
		{maxMissed: 0, changesets: 4}, // the default
	} {
		store := daybook.New(memory.New(nil), &daybook.Options{MaxMissed: c.maxMissed})
		for range 4 {
			add(t, store, account, "one", "two")
		}
		refused := conflict(t, store, daybook.ExpectNone())
		if len(refused.Missed) != c.changesets || refused.Incomplete != c.incomplete {
			t.Errorf("with MaxMissed %d a conflict brings %d changesets, incomplete %t; want %d, %t",
				c.maxMissed, len(refused.Missed), refused.Incomplete, c.changesets, c.incomplete)
		}
		for i, missed := range refused.Missed {
			if missed.Number != daybook.ChangesetNumber(i+1) || len(missed.Records) != 2 {
				t.Errorf("missed changeset %d has number %d and %d records", i+1, missed.Number, len(missed.Records))
			}
		}
	}
}

func TestWhatWasMissedIsBoundedInBytes(t *testing.T) {
	for _, c := range []struct {
		maxBytes          int64
		changesets, found int
		incomplete        bool
	}{
		{maxBytes: 1, incomplete: true},
		{maxBytes: 1000, incomplete: true},
		{maxBytes: 2500, changesets: 1, found: 2, incomplete: true},
		{maxBytes: 5000, changesets: 2, found: 4, incomplete: true},
		{maxBytes: 7000, changesets: 3, found: 6},
	} {
		store := daybook.New(memory.New(nil), &daybook.Options{MaxMissedBytes: c.maxBytes})
		for range 3 {
			// Each record carries the metadata: about 1,000 bytes a record.
			_, err := store.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{{
				Stream: account, Metadata: make([]byte, 900), Events: []daybook.Event{{Type: "one", Data: make([]byte, 60)}, {Type: "two", Data: make([]byte, 60)}},
			}}})
			if err != nil {
				t.Fatal(err)
			}
		}
		if refused := conflict(t, store, daybook.ExpectNone()); len(refused.Missed) != c.changesets || refused.Incomplete != c.incomplete {
			t.Errorf("with MaxMissedBytes %d a conflict brings %d changesets, incomplete %t; want %d, %t",
				c.maxBytes, len(refused.Missed), refused.Incomplete, c.changesets, c.incomplete)
		}
		_, err := store.AppendAll(t.Context(), daybook.Append{
			Changesets: []daybook.Changeset{{Stream: account, Events: []daybook.Event{{Type: "more"}}}},
			Condition:  &daybook.Condition{},
		})
		var refused *daybook.ConditionError
		if !errors.As(err, &refused) {
			t.Fatalf("%v, want a *ConditionError", err)
		}
		if len(refused.Records) < c.found || len(refused.Records) > c.found+1 || refused.Incomplete != c.incomplete {
			t.Errorf("with MaxMissedBytes %d a condition brings %d records, incomplete %t; want %d or one more, %t",
				c.maxBytes, len(refused.Records), refused.Incomplete, c.found, c.incomplete)
		}
	}
}

func TestWhatWasMissedBeginsBehindTheExpectedPlace(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	for range 20 {
		add(t, store, account, "one", "two", "three")
	}
	for version := range daybook.Version(60) {
		refused := conflict(t, store, daybook.ExpectVersion(version))
		want := daybook.ChangesetNumber(version/3 + 1) // the one that holds the next version
		if len(refused.Missed) == 0 || refused.Missed[0].Number != want || refused.Missed[len(refused.Missed)-1].Number != 20 {
			t.Errorf("expected version %d: missed %d changesets, want those from %d to 20", version, len(refused.Missed), want)
		}
	}
	for number := range daybook.ChangesetNumber(20) {
		refused := conflict(t, store, daybook.ExpectChangeset(number))
		if len(refused.Missed) != int(20-number) || refused.Missed[0].Number != number+1 {
			t.Errorf("expected changeset %d: missed %d changesets, want those from %d", number, len(refused.Missed), number+1)
		}
	}
}

func TestWhatWasMissedIsFoundWithoutReadingTheWholeStream(t *testing.T) {
	faulty := storagetest.NewFaulty(memory.New(nil))
	store := daybook.New(faulty, nil)
	for range 500 {
		add(t, store, account, "one", "two")
	}
	refused := conflict(t, store, daybook.ExpectVersion(990))
	if len(refused.Missed) != 5 {
		t.Fatalf("missed %d changesets, want 5", len(refused.Missed))
	}
	if reads := faulty.Calls(storagetest.CallReadStream); reads > 15 {
		t.Errorf("%d reads were made to find the place in a stream of 1,000 records", reads)
	}
}

func TestAConflictAheadOfTheStreamMissesNothing(t *testing.T) {
	faulty := storagetest.NewFaulty(memory.New(nil))
	store := daybook.New(faulty, nil)
	add(t, store, account, "one")
	for _, expect := range []daybook.Expect{daybook.ExpectVersion(2), daybook.ExpectChangeset(9)} {
		refused := conflict(t, store, expect)
		if !refused.Ahead() || refused.Missed != nil || refused.Incomplete {
			t.Errorf("expected %s: %+v, want it ahead and nothing missed", expect, refused)
		}
	}
	if reads := faulty.Calls(storagetest.CallReadStream); reads > 0 {
		t.Errorf("%d reads were made for nothing", reads)
	}
}

func TestAConflictWhoseExplanationFailsIsStillAConflict(t *testing.T) {
	for records := range 3 {
		faulty := storagetest.NewFaulty(memory.New(nil))
		store := daybook.New(faulty, nil)
		add(t, store, account, "one", "two")
		add(t, store, account, "three", "four")
		faulty.Cue(storagetest.Fault{Call: storagetest.CallReadStream, After: storagetest.ErrFault, Records: records, Times: -1})
		if refused := conflict(t, store, daybook.ExpectNone()); !refused.Incomplete || refused.Found.Version != 4 {
			t.Errorf("a conflict whose reading failed behind %d records is %+v, want it incomplete", records, refused)
		}
	}
}

func TestARefusedConditionBringsItsRecords(t *testing.T) {
	store := daybook.New(memory.New(nil), &daybook.Options{MaxMissed: 2})
	for i := range 4 {
		add(t, store, daybook.Stream(fmt.Sprintf("account-%d", i)), "wanted", "other")
	}
	for after, want := range map[daybook.Position]struct {
		records    int
		incomplete bool
	}{0: {2, true}, 2: {2, true}, 4: {2, false}, 6: {1, false}} {
		_, err := store.AppendAll(t.Context(), daybook.Append{
			Changesets: []daybook.Changeset{{Stream: account, Events: []daybook.Event{{Type: "more"}}}},
			Condition:  &daybook.Condition{After: after, Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"wanted"}}}}},
		})
		var refused *daybook.ConditionError
		if !errors.As(err, &refused) {
			t.Fatalf("after %d: %v, want a *ConditionError", after, err)
		}
		if len(refused.Records) != want.records || refused.Incomplete != want.incomplete || refused.Found != 7 {
			t.Errorf("after %d: %d records, incomplete %t, found %d; want %d, %t, 7",
				after, len(refused.Records), refused.Incomplete, refused.Found, want.records, want.incomplete)
		}
	}
}

func TestAnAppendWithAnEndedContextIsRefused(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Append(ctx, account, daybook.ExpectAny(), daybook.Event{Type: "late"})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("the append was answered with %v, want context.Canceled, refused", err)
	}
	if end, _ := store.End(t.Context()); end != 0 {
		t.Errorf("it was stored at position %d", end)
	}
}

func TestAnAppendDoesNotChangeWhatItIsGiven(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	why := &daybook.Cause{When: time.Date(2020, 1, 2, 3, 4, 5, 999, time.FixedZone("", 3600))}
	a := daybook.Append{Changesets: []daybook.Changeset{{Stream: account, Events: []daybook.Event{{Type: "opened", Context: daybook.Context{Why: why}}}}}}
	if _, err := store.AppendAll(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	e := a.Changesets[0].Events[0]
	if a.ID != (daybook.ID{}) || e.ID != (daybook.ID{}) || e.ContentType != "" || why.When.Nanosecond() != 999 {
		t.Errorf("the append has become %+v", a)
	}
}

func TestTheEventsOfARepeatHaveTheSameIDs(t *testing.T) {
	ids := func(a daybook.Append) (ids []daybook.ID) {
		store := daybook.New(memory.New(nil), nil)
		if _, err := store.AppendAll(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		records, err := gather(store.ReadLog(t.Context(), daybook.LogRead{}))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			ids = append(ids, r.ID)
		}
		return ids
	}
	own := daybook.NewID()
	a := daybook.Append{ID: daybook.IDOf("command 17"), Changesets: []daybook.Changeset{
		{Stream: account, Events: []daybook.Event{{Type: "one"}, {Type: "two"}}},
		{Stream: daybook.Stream("account-2"), Events: []daybook.Event{{Type: "three"}, {Type: "four", ID: own}}},
	}}
	first := ids(a)
	if again := ids(a); !slices.Equal(first, again) || first[3] != own {
		t.Errorf("the events have ids %v, at the repeat %v", first, again)
	}
	if first[0] == first[1] || first[1] == first[2] {
		t.Errorf("two events have one id: %v", first)
	}
	a.ID = daybook.ID{}
	if one, other := ids(a)[0], ids(a)[0]; one == other {
		t.Errorf("two appends without an id have an event with the same id")
	}
}

func TestADriverLowersTheLimits(t *testing.T) {
	for _, c := range []struct{ options, driver, want daybook.Limits }{
		{daybook.Limits{}, daybook.Limits{}, daybook.Limits{AppendBytes: 16 << 20, EventBytes: 16 << 20, Events: 10_000, Changesets: 1_000}},
		{daybook.Limits{Events: 5}, daybook.Limits{Events: 7, Changesets: 100}, daybook.Limits{AppendBytes: 16 << 20, EventBytes: 16 << 20, Events: 5, Changesets: 100}},
		{daybook.Limits{AppendBytes: 64 << 20}, daybook.Limits{AppendBytes: 32 << 20, EventBytes: 1 << 10}, daybook.Limits{AppendBytes: 32 << 20, EventBytes: 1 << 10, Events: 10_000, Changesets: 1_000}},
	} {
		store := daybook.New(limited{memory.New(nil), c.driver}, &daybook.Options{Limits: c.options})
		if got := store.Limits(); got != c.want {
			t.Errorf("of options %+v and driver %+v come %+v, want %+v", c.options, c.driver, got, c.want)
		}
	}
}

type limited struct {
	daybook.Driver
	limits daybook.Limits
}

func (l limited) Limits() daybook.Limits { return l.limits }

func TestHooksAreToldOfAppendsAndReads(t *testing.T) {
	type key struct{}
	var told []string
	store := daybook.New(memory.New(nil), &daybook.Options{Hooks: daybook.Hooks{
		AppendStart: func(ctx context.Context, a *daybook.Append) context.Context {
			return context.WithValue(ctx, key{}, a.Changesets[0].Stream.Name)
		},
		AppendEnd: func(ctx context.Context, end daybook.AppendEnd) {
			told = append(told, fmt.Sprintf("append %v to %d: %t", ctx.Value(key{}), end.Receipt.Position(), end.Err == nil))
		},
		ReadEnd: func(_ context.Context, end daybook.ReadEnd) {
			told = append(told, fmt.Sprintf("read %q of %d: %t", end.Stream, end.Records, end.Err == nil))
		},
	}})
	add(t, store, account, "one", "two")
	conflict(t, store, daybook.ExpectVersion(9))
	for range store.ReadStream(t.Context(), account, daybook.StreamRead{}) {
		break
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gather(store.ReadLog(ended, daybook.LogRead{})); err == nil {
		t.Errorf("a read with an ended context came to its end")
	}
	want := []string{"append account-1 to 2: true", "append account-1 to 0: false", `read "account-1" of 1: true`, `read "" of 0: false`}
	if !slices.Equal(told, want) {
		t.Errorf("the hooks were told %q, want %q", told, want)
	}
}
