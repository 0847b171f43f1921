package aggregate

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/deciding"
)

// queue holds the turns of the aggregates that a transaction adds to. The zero
// queue holds none.
type queue struct {
	turns   []*deciding.Turn
	settled []part // whose turn it is, or was waited for in vain
	few     struct {
		turns   [4]*deciding.Turn
		settled [4]part
	} // the memory of both, where that is enough
}

// enter takes the turn of an aggregate if it is free. It waits for none: two
// transactions that meet the same aggregates in another order would wait for
// each other.
func (q *queue) enter(p part) {
	if slices.Contains(q.settled, p) {
		return
	}
	if q.turns == nil {
		q.turns, q.settled = q.few.turns[:0], q.few.settled[:0]
	}
	if turn := p.turns().Try(p.stream()); turn != nil {
		q.turns, q.settled = append(q.turns, turn), append(q.settled, p)
	}
}

// take waits for the turns of all where one of them has not come yet. It
// reports whether it has waited; then the aggregates may have moved on.
func (q *queue) take(ctx context.Context, all []part, patience time.Duration) (waited bool, err error) {
	if !slices.ContainsFunc(all, func(p part) bool { return !slices.Contains(q.settled, p) }) {
		return false, nil
	}
	q.leave()
	q.settled = all
	streams := map[*deciding.Turns][]daybook.StreamID{} // those of one repository are taken at once
	for _, p := range all {
		streams[p.turns()] = append(streams[p.turns()], p.stream())
	}
	inOrder := slices.SortedFunc(maps.Keys(streams), func(a, b *deciding.Turns) int { return cmp.Compare(a.Order, b.Order) })
	for _, turns := range inOrder {
		turn, err := turns.Take(ctx, patience, notInside, streams[turns]...)
		if err != nil {
			return true, err
		}
		if turn != nil {
			q.turns = append(q.turns, turn)
		}
	}
	return true, nil
}

// notInside refuses to wait for a turn inside a function that must do nothing
// but decide or fold: most likely it is the one that has the turn.
func notInside() error {
	if deciding.Inside("aggregate.(*machine[", "aggregate.(*Transaction).ask") {
		return &SetupError{What: "command", Reason: "it is executed from inside Decide, Evolve, an object's method or the function of Transact, which must do nothing else"}
	}
	return nil
}

// leave gives all turns to those who wait for them.
func (q *queue) leave() {
	for _, turn := range q.turns {
		turn.Pass()
	}
	q.turns, q.settled = nil, nil
}
