package deciding_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/deciding"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

func retry(rand float64) *deciding.Retry {
	return &deciding.Retry{
		MinWait: time.Millisecond, MaxWait: 10 * time.Millisecond, Rand: func() float64 { return rand },
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func TestEachThirdRetryWaitsTwiceAsLongUpToABound(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 0, 2: 0, 3: 1, 4: 0, 5: 0, 6: 2, 12: 8, 15: 10, 16: 0, 120: 10, 1000: 0, 3000: 10} {
		if got := retry(1).Before(n); got != want*time.Millisecond {
			t.Errorf("before retry %d at most %v, want %v", n, got, want*time.Millisecond)
		}
	}
	if got := retry(0).Before(15); got != 0 {
		t.Errorf("at least %v", got)
	}
}

func TestEachResendWaits(t *testing.T) {
	var slept []time.Duration
	r := retry(1)
	r.Sleep = func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }
	for n := range 5 {
		if err := r.Resend(t.Context(), n+1); err != nil {
			t.Fatal(err)
		}
	}
	want := []time.Duration{time.Millisecond, 2 * time.Millisecond, 4 * time.Millisecond, 8 * time.Millisecond, 10 * time.Millisecond}
	if !slices.Equal(slept, want) {
		t.Errorf("it slept %v, want %v", slept, want)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := deciding.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("it answers %v", err)
	}
	if err := deciding.Sleep(t.Context(), 0); err != nil {
		t.Errorf("no time at all answers %v", err)
	}
}

// TestARefusalBehindALostTryCountsOnlyWhereItIsAProof sends an append whose
// first try is lost, and which is refused then.
func TestARefusalBehindALostTryCountsOnlyWhereItIsAProof(t *testing.T) {
	stream := daybook.Stream("account-1")
	event := daybook.Event{Type: "deposited"}
	claims := []daybook.Claim{{Kind: "iban", Value: "DE1"}}
	for name, c := range map[string]struct {
		changeset daybook.Changeset
		refused   bool
	}{
		"a version that has passed":   {daybook.Changeset{Stream: stream, Expect: daybook.ExpectVersion(1)}, true},
		"a version that is to come":   {daybook.Changeset{Stream: stream, Expect: daybook.ExpectVersion(9)}, false},
		"a stream that was to be new": {daybook.Changeset{Stream: stream, Expect: daybook.ExpectNone()}, false},
		"a claim that may be free":    {daybook.Changeset{Stream: daybook.Stream("account-2"), Claims: claims}, false},
	} {
		t.Run(name, func(t *testing.T) {
			faulty := storagetest.NewFaulty(memory.New(nil))
			store := daybook.New(faulty, nil)
			defer store.Close()
			if _, err := store.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{
				{Stream: stream, Events: []daybook.Event{event, event}, Claims: claims},
			}}); err != nil {
				t.Fatal(err)
			}
			c.changeset.Events = []daybook.Event{event}
			a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{c.changeset}}
			if _, err := deciding.Send(t.Context(), store, retry(0), a, false); !errors.Is(err, daybook.ErrRefused) {
				t.Errorf("without a lost try it answers %v", err)
			}
			faulty.Cue(storagetest.Fault{Call: storagetest.CallAppend, Before: storagetest.ErrFault})
			_, err := deciding.Send(t.Context(), store, retry(0), a, false)
			if errors.Is(err, daybook.ErrRefused) != c.refused || errors.Is(err, deciding.ErrUnknown) == c.refused {
				t.Errorf("behind a lost try it answers %v", err)
			}
		})
	}
}

func TestRepeatedIsSaidOnlyOfWhatWasStoredBefore(t *testing.T) {
	for _, given := range []bool{false, true} {
		faulty := storagetest.NewFaulty(memory.New(nil))
		store := daybook.New(faulty, nil)
		a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: daybook.Stream("a-1"), Events: []daybook.Event{{Type: "x"}}}}}
		faulty.Cue(storagetest.Fault{Call: storagetest.CallAppend, After: storagetest.ErrFault})
		receipt, err := deciding.Send(t.Context(), store, retry(0), a, given)
		if err != nil || receipt.Repeated != given {
			t.Errorf("an answer that was lost (id given: %v) is %+v, %v", given, receipt, err)
		}
		_ = store.Close()
	}
}
