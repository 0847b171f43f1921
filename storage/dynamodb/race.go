package dynamodb

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// race holds back who has lost the next page to others: a transaction that fails
// is billed like one that succeeds, so those who lose often come less often. The
// pause lies before the end of the log is read again, since what is read before
// it would be old.
type race struct{ lost atomic.Int64 }

const (
	firstHold   = 2 * time.Millisecond
	longestHold = 100 * time.Millisecond
)

func (r *race) win() { r.lost.Store(0) }

// lose waits for anything up to a bound that doubles with each loss. The first
// one is free: it may be an attempt of our own that arrived late.
func (r *race) lose(ctx context.Context) {
	if lost := r.lost.Add(1); lost > 1 {
		bound := min(firstHold<<min(lost-1, 16), longestHold)
		_ = sleep(ctx, rand.N(bound))
	}
}
