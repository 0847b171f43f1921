package globalorder_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
	"github.com/daybook-go/daybook/verify"
)

// chance is random numbers for many goroutines.
type chance struct {
	mu     sync.Mutex
	random *rand.Rand
}

func newChance(t *testing.T) *chance {
	seed := rand.Uint64()
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("DAYBOOK_SEED: %v", err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d replays the choices", seed)
	return &chance{random: rand.New(rand.NewPCG(seed, 0))}
}

func (c *chance) below(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

// options are those of an engine that settles often and waits little.
func options() *globalorder.Options {
	return &globalorder.Options{Gap: 4, Poll: time.Millisecond}
}

// appendAgain sends an append, through any of the stores, until its outcome is
// known.
func appendAgain(ctx context.Context, c *chance, stores []*daybook.Store, a daybook.Append) (daybook.Receipt, error) {
	for {
		receipt, err := stores[c.below(len(stores))].AppendAll(ctx, a)
		if err == nil || errors.Is(err, daybook.ErrConflict) || ctx.Err() != nil {
			return receipt, err
		}
	}
}

func TestFaultsOfTheStorageLoseNothingAndDoubleNothing(t *testing.T) {
	c := newChance(t)
	storage := newTable()
	var healthy atomic.Bool
	storage.fault = func(_ string, _ bool) error {
		if !healthy.Load() && c.below(25) == 0 {
			return errLost
		}
		return nil
	}
	storage.delays = func() bool { return !healthy.Load() && c.below(15) == 0 }
	var stores []*daybook.Store
	for range 3 {
		stores = append(stores, daybook.New(globalorder.New("table", storage, options()), nil))
	}
	var mu sync.Mutex
	told := map[daybook.ID]daybook.Receipt{}
	var group errgroup.Group
	for w := range 6 {
		group.Go(func() error {
			for i := range 12 {
				a := daybook.Append{ID: daybook.IDOf(fmt.Sprint(w, "/", i))}
				for s := range 1 + c.below(2) {
					a.Changesets = append(a.Changesets, daybook.Changeset{
						Stream: daybook.Stream(fmt.Sprintf("shared-%d", (w+s)%3)), Events: []daybook.Event{{Type: "written"}},
					})
				}
				receipt, err := appendAgain(t.Context(), c, stores, a)
				if err != nil {
					return err
				}
				mu.Lock()
				told[a.ID] = receipt
				mu.Unlock()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	healthy.Store(true)
	agree(t, storage, stores, told)
	for _, s := range stores {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// agree checks that the log holds what the receipts say, once, that every store
// reads the same, and that it keeps every rule.
func agree(t *testing.T, storage *table, stores []*daybook.Store, told map[daybook.ID]daybook.Receipt) {
	t.Helper()
	fresh := daybook.New(globalorder.New("table", storage, options()), nil)
	defer func() { _ = fresh.Close() }()
	var first []daybook.Record
	for i, s := range append(stores, fresh) {
		seen := map[daybook.ID]bool{}
		var log []daybook.Record
		for c, err := range daybook.Changesets(s.ReadLog(t.Context(), daybook.LogRead{})) {
			if err != nil {
				t.Fatal(err)
			}
			log = append(log, c.Records...)
			seen[c.AppendID] = true
			there := false
			for _, r := range told[c.AppendID].Changesets {
				there = there || r.Stream == c.Stream && r.Number == c.Number && r.FirstPosition == c.Records[0].Position && r.Ordinal == c.Ordinal
			}
			if !there {
				t.Errorf("store %d: changeset %d of %s stands at %d, its receipt says otherwise: %+v", i, c.Number, c.Stream, c.Records[0].Position, told[c.AppendID])
			}
		}
		if len(seen) != len(told) {
			t.Errorf("store %d: %d appends are in the log, %d were acknowledged", i, len(seen), len(told))
		}
		if first == nil {
			first = log
		}
		for j := range log {
			if len(log) != len(first) || log[j].ID != first[j].ID || log[j].Position != first[j].Position {
				t.Fatalf("store %d reads another log than the first store", i)
			}
		}
	}
	report, err := verify.Store(t.Context(), fresh, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range report.Findings {
		t.Errorf("verify: %v", finding)
	}
}

// TestWritersThatStopAnywhereAreFinishedByOthers stops a writer before each of
// its calls of the storage, one after the other, and lets another go on.
func TestWritersThatStopAnywhereAreFinishedByOthers(t *testing.T) {
	for stop := 1; ; stop++ {
		storage := newTable()
		told := map[daybook.ID]daybook.Receipt{}
		calls, stopped := 0, false
		storage.fault = func(_ string, after bool) error {
			storage.mu.Lock()
			defer storage.mu.Unlock()
			if !after {
				calls++
			}
			if stopped = stopped || calls == stop; stopped {
				// Refused, so that nobody tries again: the writer is gone.
				return fmt.Errorf("stopped: %w", daybook.ErrRefused)
			}
			return nil
		}
		first := daybook.New(globalorder.New("table", storage, options()), nil)
		var last daybook.Append
		for i := range 9 {
			last = daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{
				{Stream: daybook.Stream(fmt.Sprintf("own-%d", i%2)), Events: []daybook.Event{{Type: "first"}, {Type: "first"}}},
			}}
			receipt, err := first.AppendAll(t.Context(), last)
			if err != nil {
				break
			}
			told[last.ID] = receipt
		}
		_ = first.Close() // it has no say any more
		whole := !stopped
		storage.fault = nil
		second := daybook.New(globalorder.New("table", storage, options()), nil)
		for _, a := range []daybook.Append{last, {ID: daybook.NewID(), Changesets: []daybook.Changeset{
			{Stream: daybook.Stream("own-0"), Expect: daybook.ExpectExists(), Events: []daybook.Event{{Type: "second"}}},
		}}} {
			if len(told) == 0 && a.Changesets[0].Expect.Exists() {
				a.Changesets[0].Expect = daybook.ExpectAny()
			}
			receipt, err := second.AppendAll(t.Context(), a)
			if err != nil {
				t.Fatalf("stopped at call %d: %v", stop, err)
			}
			told[a.ID] = receipt
		}
		agree(t, storage, []*daybook.Store{second}, told)
		_ = second.Close()
		if whole {
			t.Logf("%d places to stop", stop-1)
			return
		}
	}
}
