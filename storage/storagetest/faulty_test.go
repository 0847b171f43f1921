package storagetest

import (
	"context"
	"errors"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

func faultyStore() (*daybook.Store, *Faulty) {
	faulty := NewFaulty(memory.New(nil))
	return daybook.New(faulty, nil), faulty
}

func appendOne(ctx context.Context, store *daybook.Store) error {
	_, err := store.Append(ctx, daybook.Stream("account-1"), daybook.ExpectAny(), event("deposited"))
	return err
}

func countRecords(t *testing.T, store *daybook.Store) int {
	t.Helper()
	records, err := gather(store.ReadLog(t.Context(), daybook.LogRead{}))
	if err != nil {
		t.Fatal(err)
	}
	return len(records)
}

func TestFaultsComeInPairs(t *testing.T) {
	other := errors.New("another error")
	for name, c := range map[string]struct {
		fault  Fault
		want   error
		stored int
	}{
		"failed and not stored":                  {Fault{Call: CallAppend, Before: ErrFault}, ErrFault, 0},
		"failed and stored":                      {Fault{Call: CallAppend, After: ErrFault}, ErrFault, 1},
		"another error":                          {Fault{Call: CallAppend, Before: other}, other, 0},
		"another call":                           {Fault{Call: CallReadStream, Before: ErrFault}, nil, 1},
		"a fault later":                          {Fault{Call: CallAppend, Skip: 1, Before: ErrFault}, nil, 1},
		"an ended context, which memory ignores": {Fault{Call: CallAppend, Cancel: true}, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			store, faulty := faultyStore()
			faulty.Cue(c.fault)
			if err := appendOne(t.Context(), store); !errors.Is(err, c.want) {
				t.Errorf("the append was answered with %v, want %v", err, c.want)
			} else if errors.Is(err, daybook.ErrRefused) {
				t.Errorf("the append says %v, which says that nothing was stored", err)
			}
			if stored := countRecords(t, store); stored != c.stored {
				t.Errorf("%d records were stored, want %d", stored, c.stored)
			}
		})
	}
}

func TestFaultsHappenInTheOrderOfTheirCues(t *testing.T) {
	store, faulty := faultyStore()
	faulty.Cue(Fault{Call: CallAppend, Skip: 1, Times: 2, Before: ErrFault})
	faulty.Cue(Fault{Call: CallAppend, Skip: 1, After: ErrFault})
	var failed []bool
	for range 6 {
		failed = append(failed, appendOne(t.Context(), store) != nil)
	}
	want := []bool{false, true, true, false, true, false}
	for i := range want {
		if failed[i] != want[i] {
			t.Fatalf("of six appends these failed: %v, want %v", failed, want)
		}
	}
	if stored := countRecords(t, store); stored != 4 {
		t.Errorf("%d records were stored, want 4", stored)
	}
	if calls := faulty.Calls(CallAppend); calls != 6 {
		t.Errorf("%d appends were counted, want 6", calls)
	}
}

func TestAHealedDriverFailsNoMore(t *testing.T) {
	store, faulty := faultyStore()
	faulty.Cue(Fault{Call: CallAppend, Times: -1, Before: ErrFault})
	for range 3 {
		if err := appendOne(t.Context(), store); !errors.Is(err, ErrFault) {
			t.Fatalf("the append was answered with %v, want the fault", err)
		}
	}
	faulty.Heal()
	if err := appendOne(t.Context(), store); err != nil {
		t.Errorf("after healing: %v", err)
	}
}

func TestAHeldCallWaitsForItsGate(t *testing.T) {
	store, faulty := faultyStore()
	gate := NewGate()
	faulty.Cue(Fault{Call: CallAppend, Hold: gate, Times: 2})
	done := make(chan error, 1)
	go func() { done <- appendOne(t.Context(), store) }()
	<-gate.Reached()
	if stored := countRecords(t, store); stored != 0 {
		t.Errorf("%d records were stored while the append was held", stored)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error, 1)
	faulty.Cue(Fault{Call: CallAppend, Hold: gate})
	go func() { cancelled <- appendOne(ctx, store) }()
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("a held append whose context ended was answered with %v", err)
	}
	gate.Open()
	if err := <-done; err != nil {
		t.Errorf("the held append: %v", err)
	}
	if stored := countRecords(t, store); stored != 1 {
		t.Errorf("%d records were stored, want 1", stored)
	}
}

func TestAReadFailsBehindSomeRecords(t *testing.T) {
	store, faulty := faultyStore()
	for range 4 {
		if err := appendOne(t.Context(), store); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		fault   Fault
		records int
		want    error
	}{
		{Fault{Call: CallReadLog, Before: ErrFault}, 0, ErrFault},
		{Fault{Call: CallReadLog, After: ErrFault}, 0, ErrFault},
		{Fault{Call: CallReadLog, After: ErrFault, Records: 3}, 3, ErrFault},
		{Fault{Call: CallReadLog, After: ErrFault, Records: 9}, 4, ErrFault},
		{Fault{Call: CallReadLog, Cancel: true}, 0, context.Canceled},
		{Fault{}, 4, nil},
	} {
		faulty.Cue(c.fault)
		records, err := gather(store.ReadLog(t.Context(), daybook.LogRead{}))
		if len(records) != c.records || !errors.Is(err, c.want) {
			t.Errorf("with %+v a read gave %d records and %v, want %d and %v", c.fault, len(records), err, c.records, c.want)
		}
	}
}

func TestAFaultyDriverOffersWhatItsInnerDriverOffers(t *testing.T) {
	ctx := t.Context()
	store := daybook.New(NewFaulty(bare{memory.New(nil)}), nil)
	receipt, err := store.Append(ctx, daybook.Stream("account-1"), daybook.ExpectNone(), events("opened", "deposited")...)
	if err != nil {
		t.Fatal(err)
	}
	// What has a fallback falls back, as without the wrapper.
	if head, err := store.Head(ctx, daybook.Stream("account-1")); err != nil || head.Version != 2 {
		t.Errorf("the head is %+v, %v", head, err)
	}
	if end, err := store.End(ctx); err != nil || end != receipt.Position() {
		t.Errorf("the log ends at %d, %v", end, err)
	}
	if err := store.Wait(ctx, 0); err != nil {
		t.Errorf("waiting: %v", err)
	}
	// What has none is refused by name.
	_, stats := store.Stats(ctx)
	_, _, holder := store.ClaimHolder(ctx, "", daybook.Claim{Kind: "email", Value: "ann@example.org"})
	_, list := gatherHeads(store.ListStreams(ctx, daybook.StreamList{}))
	imported := store.Import(ctx, recorded("account-2", 1, 1, 100, 1))
	for call, err := range map[string]error{"Stats": stats, "ClaimHolder": holder, "ListStreams": list, "Import": imported} {
		var unsupported *daybook.UnsupportedError
		if !errors.As(err, &unsupported) || unsupported.Driver != "bare" {
			t.Errorf("%s was answered with %v, want an *UnsupportedError that names the inner driver", call, err)
		}
	}
}
