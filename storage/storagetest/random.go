package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

func checkRandomHistories(s *subject) {
	random := s.random()
	histories := 16
	if testing.Short() {
		histories = 3
	}
	for range histories {
		p := newPair(s, rand.New(rand.NewPCG(random.Uint64(), 0)))
		p.run(120)
	}
}

// pair is a driver and the reference, which are given the same calls. Each has
// positions of its own: what stands at the same rank in both logs belongs
// together. The reference takes its times from the driver's answers.
type pair struct {
	s      *subject
	b      *book // on the driver
	ref    *daybook.Store
	random *rand.Rand
	pools  *pools

	clock         time.Time          // of the reference
	at, refAt     []daybook.Position // by rank
	claims        []daybook.Claim    // those that appends may take
	sent          []rankedAppend     // to be repeated
	steps         []string           // what was done, for the report of a failure
	removed       []daybook.Deletion // to be repeated
	reopens       bool
	deletes       bool
	offersSeveral bool
}

// rankedAppend is an append whose condition names a rank in place of a
// position.
type rankedAppend struct {
	daybook.Append
	after int // rank behind which the condition must hold
}

func newPair(s *subject, random *rand.Rand) *pair {
	s.Helper()
	p := &pair{s: s, b: s.book(), random: random, pools: newPools(random), offersSeveral: s.offered(SeveralStreams)}
	p.ref = daybook.New(memory.New(&memory.Options{Now: func() time.Time { return p.clock }}), nil)
	for i := range 4 {
		p.claims = append(p.claims, daybook.Claim{Kind: numbered("kind", i/2), Value: numbered("value", i%2)})
	}
	return p
}

// run does n random things with both, and compares every answer and what is
// there in the end.
func (p *pair) run(n int) {
	p.s.Helper()
	for range n {
		what, err := p.step()
		p.steps = append(p.steps, what)
		if err != nil {
			p.s.Fatalf("step %d: %s: %v\nthe steps were:\n  %s", len(p.steps), what, err, strings.Join(p.steps, "\n  "))
		}
	}
	for _, compare := range []func() (string, error){p.compareLog, p.compareHeads, p.compareClaims, p.compareStats, p.compareLists, p.compareDeletions} {
		if what, err := compare(); err != nil {
			p.s.Fatalf("in the end, %s: %v\nthe steps were:\n  %s", what, err, strings.Join(p.steps, "\n  "))
		}
	}
}

// step does one random thing, says what, and returns how the answers differ.
func (p *pair) step() (what string, err error) {
	switch k := p.random.IntN(20); {
	case p.deletes && k%7 == 6:
		return p.delete()
	case k < 10:
		return p.append(p.randomAppend())
	case k < 12 && len(p.sent) > 0:
		again := p.sent[p.random.IntN(len(p.sent))]
		if p.random.IntN(5) == 0 {
			again = p.reshaped(again)
		}
		return p.append(again)
	case k < 14:
		return p.readStream()
	case k < 16:
		return p.readLog()
	case k == 16:
		return p.headsAgree(p.pools.stream(), p.pools.stream(), p.pools.stream())
	case k == 17 && p.s.offered(Importing):
		return p.importSome()
	case k == 18 && p.reopens:
		p.b.turn()
		return "open again", nil
	default:
		return p.compareStats()
	}
}

// append gives both the append and compares the outcome.
func (p *pair) append(a rankedAppend) (string, error) {
	what := describeAppend(a)
	p.sent = append(p.sent, a)
	ctx := p.s.Context()
	mine, theirs := a.Append, a.Append
	if a.Condition != nil {
		mine.Condition = &daybook.Condition{Query: a.Condition.Query, After: p.position(p.at, a.after)}
		theirs.Condition = &daybook.Condition{Query: a.Condition.Query, After: p.position(p.refAt, a.after)}
	}
	receipt, err := p.b.AppendAll(ctx, mine)
	if err == nil && !receipt.Repeated {
		p.clock = receipt.RecordedAt
	}
	refReceipt, refErr := p.ref.AppendAll(ctx, theirs)
	switch {
	case err == nil && refErr == nil:
		if err := p.catchUp(ctx); err != nil {
			return what, err
		}
		return what + ": stored", p.receiptsAgree(receipt, refReceipt)
	case err == nil || refErr == nil:
		return what, fmt.Errorf("the driver was answered with %v, the reference with %v", err, refErr)
	}
	return fmt.Sprintf("%s: %v", what, err), p.refusalsAgree(ctx, theirs, err, refErr)
}

func describeAppend(a rankedAppend) string {
	var text strings.Builder
	fmt.Fprintf(&text, "append %s", a.ID)
	for _, c := range a.Changesets {
		fmt.Fprintf(&text, ", to %q (expect %s, %d events, claims %v, releases %v, references %v)",
			c.Stream, c.Expect, len(c.Events), c.Claims, c.Releases, c.References)
	}
	if a.Condition != nil {
		fmt.Fprintf(&text, ", if nothing matches %+v behind rank %d", a.Condition.Query.Items, a.after)
	}
	return text.String()
}

// position returns the position of a rank, from 1; 0 is that before the first.
func (p *pair) position(of []daybook.Position, rank int) daybook.Position {
	if rank == 0 {
		return 0
	}
	return of[rank-1]
}

// translated returns the reference's position for one of the driver's, or 0.
func (p *pair) translated(position daybook.Position) daybook.Position {
	if i, found := slices.BinarySearch(p.at, position); found {
		return p.refAt[i]
	}
	return 0
}

// catchUp learns the positions that were added to both logs.
func (p *pair) catchUp(ctx context.Context) error {
	mine, err := gather(p.b.ReadLog(ctx, daybook.LogRead{After: p.position(p.at, len(p.at))}))
	if err != nil {
		return err
	}
	theirs, err := gather(p.ref.ReadLog(ctx, daybook.LogRead{After: p.position(p.refAt, len(p.refAt))}))
	if err != nil {
		return err
	}
	for _, r := range mine {
		p.at = append(p.at, r.Position)
	}
	for _, r := range theirs {
		p.refAt = append(p.refAt, r.Position)
	}
	if len(p.at) != len(p.refAt) {
		return fmt.Errorf("the log has %d records, that of the reference %d", len(p.at), len(p.refAt))
	}
	return p.recordsAgree(mine, theirs)
}

// recordsAgree returns the first difference of two lists of records.
func (p *pair) recordsAgree(mine, theirs []daybook.Record) error {
	for i := range min(len(mine), len(theirs)) {
		r := mine[i]
		r.Position = p.translated(r.Position)
		if d := recordDifference(r, theirs[i]); d != "" {
			return fmt.Errorf("record %d, %s: %s", i+1, place(mine[i]), d)
		}
	}
	if len(mine) != len(theirs) {
		return fmt.Errorf("%d records %s, the reference has %d %s", len(mine), places(mine), len(theirs), places(theirs))
	}
	return nil
}

// receiptsAgree returns how a receipt differs from the reference's.
func (p *pair) receiptsAgree(mine, theirs daybook.Receipt) error {
	mine.Changesets = slices.Clone(mine.Changesets)
	for i := range mine.Changesets {
		c := &mine.Changesets[i]
		c.FirstPosition, c.LastPosition = p.translated(c.FirstPosition), p.translated(c.LastPosition)
	}
	if d := receiptDifference(mine, theirs); d != "" {
		return fmt.Errorf("the receipt: %s", d)
	}
	if mine.Repeated != theirs.Repeated {
		return fmt.Errorf("the receipt says repeated %t, that of the reference %t", mine.Repeated, theirs.Repeated)
	}
	return nil
}

// refusalsAgree returns what is wrong with an error. An append may be refused
// for several reasons, and a driver may name any; so the reference is asked
// again with the reason that the driver named, alone.
func (p *pair) refusalsAgree(ctx context.Context, a daybook.Append, err, refErr error) error {
	if !errors.Is(err, daybook.ErrConflict) || !errors.Is(refErr, daybook.ErrConflict) {
		var reused *daybook.ReusedIDError
		if errors.As(err, &reused) && errors.As(refErr, &reused) && reused.ID == a.ID {
			return nil
		}
		return fmt.Errorf("the driver was answered with %w, the reference with %w", err, refErr)
	}
	alone, named := onlyFor(a, err)
	if !named {
		return fmt.Errorf("the error names nothing that the append carries: %w", err)
	}
	_, refErr = p.ref.AppendAll(ctx, alone)
	if difference := p.errorDifference(err, refErr); difference != "" {
		return fmt.Errorf("%s: the driver was answered with %w, the reference with %w", difference, err, refErr)
	}
	return nil
}
