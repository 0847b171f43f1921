// Package deciding holds what the packages have in common that fold records
// into a state, decide on it and append: how they wait between tries, and how
// they send an append until its outcome is known.
package deciding

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// Retry says how tries follow one another. Every field is set.
type Retry struct {
	MinWait time.Duration
	MaxWait time.Duration
	Rand    func() float64
	Sleep   func(ctx context.Context, d time.Duration) error
}

// Before returns how long to wait before retry n of a decision, from 1, when a
// conflict has told what was missed: most often not at all.
//
// What a conflict tells is never newer than when it arrives, so a retry is sent
// at once; whoever waits first finds that others have gone on, and loses again.
// A second one is, since one conflict tells of one stream, and an append may
// hold several. But all who retry at once are in each other's way: the third
// retry waits, and each third one after it longer, up to anything from nothing
// to MinWait, doubled each time up to MaxWait.
func (r *Retry) Before(n int) time.Duration {
	if n%3 != 0 {
		return 0
	}
	return r.within(n / 3)
}

// within returns anything from nothing to MinWait, doubled n-1 times, up to
// MaxWait. Those who collide wait differently long, so that
// they do not collide again.
func (r *Retry) within(n int) time.Duration {
	bound := r.MaxWait
	if shift := n - 1; shift < 32 {
		bound = min(bound, r.MinWait<<shift)
	}
	return time.Duration(r.Rand() * float64(bound))
}

// Resend waits before an append of unknown outcome is sent again, for the nth
// time, or returns the error of ctx.
func (r *Retry) Resend(ctx context.Context, n int) error { return r.Sleep(ctx, r.within(n)) }

// Sleep waits for d, or until ctx ends, and then returns its error.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxSends is how often one append is sent before its outcome is called
// unknown.
const maxSends = 4

// ErrUnknown is matched by an error of Send after which the append may be
// stored, or be stored later.
var ErrUnknown = errors.New("the outcome is unknown")

// Send sends an append, again and again with the same id while its outcome is
// unknown. The error matches daybook.ErrRefused where nothing was stored or
// will be, ErrUnknown where that cannot be told. Repeated is set in the receipt
// only where the append was stored before Send was called, as far as that can
// be told: given says whether the id came from a caller who may have sent it
// before.
func Send(ctx context.Context, store *daybook.Store, retry *Retry, a daybook.Append, given bool) (daybook.Receipt, error) {
	for try := 1; ; try++ {
		receipt, err := store.AppendAll(ctx, a)
		switch {
		case err == nil:
			receipt.Repeated = receipt.Repeated && (given || try == 1)
			return receipt, nil
		case errors.Is(err, daybook.ErrRefused) && (try == 1 || proves(err)):
			return receipt, err
		case try == maxSends || errors.Is(err, daybook.ErrFailed) || errors.Is(err, daybook.ErrRefused) || ctx.Err() != nil:
			return receipt, unknown(err)
		}
		if retry.Resend(ctx, try) != nil {
			return receipt, unknown(err)
		}
	}
}

// proves reports whether a refusal proves that an earlier try of the same
// append, whose outcome was unknown, was not stored and never will be: its
// stream has passed the place that it expects, for ever.
func proves(err error) bool {
	var conflict *daybook.ConflictError
	if !errors.As(err, &conflict) || conflict.Ahead() {
		return false
	}
	_, version := conflict.Expect.Version()
	return version
}

// unknown hides that err may match daybook.ErrRefused: that was said of the
// last try only.
func unknown(err error) error { return fmt.Errorf("%w: %v", ErrUnknown, err) }

// FillContext puts the parts of by into the parts of event's context that are
// empty, and gives it an id that rises with time where the store would derive
// one.
func FillContext(event *daybook.Event, by *daybook.Context) {
	fill := func(text *string, with string) {
		if *text == "" {
			*text = with
		}
	}
	fill(&event.Context.Who, by.Who)
	fill(&event.Context.Correlation, by.Correlation)
	fill(&event.Context.Source, by.Source)
	fill(&event.Context.Commentary, by.Commentary)
	fill(&event.Context.Schema, by.Schema)
	if event.Context.Why == nil {
		event.Context.Why = by.Why
	}
	if event.Context.Metadata == nil {
		event.Context.Metadata = by.Metadata
	}
}
