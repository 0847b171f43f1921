package deciding_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/deciding"
)

const patience = time.Second

// never refuses to wait.
func never() error { return nil }

func take(t *testing.T, turns *deciding.Turns, streams ...daybook.StreamID) *deciding.Turn {
	t.Helper()
	turn, err := turns.Take(t.Context(), patience, never, streams...)
	if err != nil || turn == nil {
		t.Errorf("no turn on %v: %v", streams, err)
	}
	return turn
}

func TestTurnsComeInTheOrderInWhichTheyWereAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := daybook.Stream("a-1"), daybook.Stream("b-1")
		turns := deciding.NewTurns()
		first := take(t, turns, a)
		if turns.Try(a) != nil {
			t.Error("a turn that somebody has is given")
		}
		other := turns.Try(b)
		if other == nil {
			t.Fatal("a turn that nobody has is not given")
		}
		other.Pass()
		var mu sync.Mutex
		var order []int
		var group sync.WaitGroup
		for n, streams := range [][]daybook.StreamID{{a}, {b, a}, {b}, {a}} {
			group.Go(func() {
				turn := take(t, turns, streams...)
				mu.Lock()
				order = append(order, n)
				mu.Unlock()
				turn.Pass()
			})
			synctest.Wait()
		}
		if len(order) != 0 {
			t.Errorf("%v went before their turn", order)
		}
		first.Pass()
		group.Wait()
		if place := slices.Index(order, 1); order[0] != 0 || slices.Index(order, 2) < place || slices.Index(order, 3) < place {
			t.Errorf("they went %v", order)
		}
		if turn := turns.Try(a); turn == nil {
			t.Error("when all have gone the turn is not free")
		}
	})
}

func TestWhoeverWaitsForSomebodyWhoDoesNotGetOnGoesWithoutATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := daybook.Stream("a-1")
		turns := deciding.NewTurns()
		stuck := take(t, turns, a)
		start := time.Now()
		if turn, err := turns.Take(t.Context(), patience, never, a); turn != nil || err != nil || time.Since(start) != patience {
			t.Errorf("behind one that is stuck it answers %v, %v after %v", turn, err, time.Since(start))
		}
		stuck.Pass()

		// Nine who take half of patience each: the last one waits longer than
		// that, and gets its turn all the same.
		var group sync.WaitGroup
		for range 9 {
			group.Go(func() {
				turn := take(t, turns, a)
				time.Sleep(patience / 2)
				turn.Pass()
			})
		}
		group.Wait()
	})
}

func TestWhoeverMustNotWaitIsRefused(t *testing.T) {
	a := daybook.Stream("a-1")
	turns := deciding.NewTurns()
	refused := errors.New("refused")
	refuse := func() error { return refused }
	first, err := turns.Take(t.Context(), patience, refuse, a)
	if err != nil {
		t.Fatalf("where nobody has the turn it answers %v", err)
	}
	if turn, err := turns.Take(t.Context(), patience, refuse, a); turn != nil || !errors.Is(err, refused) {
		t.Errorf("where somebody has it, it answers %v, %v", turn, err)
	}
	first.Pass()
	take(t, turns, a).Pass()
}

func TestWhoeverStopsWaitingIsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := daybook.Stream("a-1"), daybook.Stream("b-1")
		turns := deciding.NewTurns()
		first := take(t, turns, a)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			// It stands first in the line of b and second in that of a.
			if turn, err := turns.Take(ctx, time.Hour, never, a, b); turn != nil || !errors.Is(err, context.Canceled) {
				t.Errorf("it answers %v, %v", turn, err)
			}
		})
		synctest.Wait()
		group.Go(func() { take(t, turns, b).Pass() })
		synctest.Wait()
		cancel()
		group.Wait()
		first.Pass()
		take(t, turns, a, b).Pass()
	})
}

func TestNoTwoHaveTheTurnOfOneStream(t *testing.T) {
	turns := deciding.NewTurns()
	var streams []daybook.StreamID
	for i := range 5 {
		streams = append(streams, daybook.Stream(fmt.Sprint("a-", i)))
	}
	var at [5]atomic.Int32
	var group sync.WaitGroup
	for g := range uint64(8) {
		group.Go(func() {
			random := rand.New(rand.NewPCG(g, 0))
			for range 300 {
				var mine []daybook.StreamID
				picked := random.Perm(5)[:1+random.IntN(3)]
				for _, i := range picked {
					mine = append(mine, streams[i])
				}
				turn, err := turns.Take(t.Context(), time.Minute, never, mine...)
				if turn == nil || err != nil {
					t.Errorf("no turn: %v", err)
					return
				}
				for _, i := range picked {
					if at[i].Add(1) != 1 {
						t.Errorf("two have the turn of %v", streams[i])
					}
				}
				for _, i := range picked {
					at[i].Add(-1)
				}
				turn.Pass()
			}
		})
	}
	group.Wait()
}
