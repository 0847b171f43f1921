package daybook_test

import (
	"cmp"
	"context"
	"errors"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

func TestAnExpectationOfOneKindDemandsNothingOfTheOther(t *testing.T) {
	if n, demanded := daybook.ExpectVersion(3).Changeset(); demanded || n != 0 {
		t.Errorf("version 3 demands changeset %d, %v", n, demanded)
	}
	if v, demanded := daybook.ExpectChangeset(3).Version(); demanded || v != 0 {
		t.Errorf("changeset 3 demands version %d, %v", v, demanded)
	}
}

func TestAConflictTellsTheChangesetsBehindAnExpectedVersion(t *testing.T) {
	ctx := context.Background()
	store := daybook.New(memory.New(nil), nil)
	defer store.Close()
	event := daybook.Event{Type: "e"}
	for range 3 {
		if _, err := store.Append(ctx, daybook.Stream("a"), daybook.ExpectAny(), event, event, event); err != nil {
			t.Fatal(err)
		}
	}
	for version, first := range map[daybook.Version]daybook.ChangesetNumber{1: 1, 2: 1, 3: 2, 4: 2, 6: 3, 8: 3} {
		_, err := store.Append(ctx, daybook.Stream("a"), daybook.ExpectVersion(version), event)
		var conflict *daybook.ConflictError
		if !errors.As(err, &conflict) || len(conflict.Missed) == 0 || conflict.Missed[0].Number != first {
			t.Errorf("expected version %d: %v, missed %+v; want those from changeset %d on", version, err, conflict.Missed, first)
		}
	}
}

func TestStreamsAreOrderedByPartitionThenName(t *testing.T) {
	ordered := []daybook.StreamID{{Name: "B"}, {Name: "a"}, {Name: "a-1"}, {Name: "b"}, {Name: "é"}, {Partition: "A", Name: "a"}, {Partition: "a", Name: "a"}, {Partition: "a", Name: "b"}}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := a.Compare(b), cmp.Compare(i, j); got != want {
				t.Errorf("%v compared with %v is %d, want %d", a, b, got, want)
			}
		}
	}
}
