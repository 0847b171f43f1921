package work

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook/bench/peer"
)

// appendOwnStreams lets each writer append to a stream of its own.
func appendOwnStreams(ctx context.Context, t Task) (Result, error) {
	p, err := open(ctx, t, peer.Place{})
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	list, err := bodies(bodyCount, t.Bytes)
	if err != nil {
		return Result{}, err
	}
	return runWriters(ctx, t, p, func(n int) (turn, error) {
		source := newEventSource(list, n, t.Group, ownStream(n), "")
		return func(ctx context.Context) (int64, error) {
			if err := p.Append(ctx, source.append()); err != nil {
				return 0, err
			}
			source.stored()
			return 0, nil
		}, nil
	})
}

func ownStream(n int) string { return fmt.Sprintf("account-%d", n) }
func ownTag(n int) string    { return fmt.Sprintf("owner:%d", n) }

// appendTagged is what the conditions are compared with: events with a tag,
// and no condition.
func appendTagged(ctx context.Context, t Task) (Result, error) {
	return conditional(ctx, t, ownTag, func(int) condition { return condition{} })
}

// appendIfNever puts a condition on each append that could be broken but never
// is: nobody writes what it asks for.
func appendIfNever(ctx context.Context, t Task) (Result, error) {
	return conditional(ctx, t, ownTag, func(n int) condition { return condition{tag: fmt.Sprintf("closed:%d", n)} })
}

// appendIfOwn lets each writer guard a boundary of its own: nothing may stand
// behind what it stored last.
func appendIfOwn(ctx context.Context, t Task) (Result, error) {
	return conditional(ctx, t, ownTag, func(n int) condition { return condition{tag: ownTag(n), moves: true} })
}

// contendTag lets all writers guard the same boundary: whoever is refused
// decides again on what stands in the way.
func contendTag(ctx context.Context, t Task) (Result, error) {
	shared := func(int) string { return "shared" }
	return conditional(ctx, t, shared, func(int) condition { return condition{tag: "shared", moves: true} })
}

// condition is what a writer puts on its appends: no event with the tag above a
// place; "" is no condition.
type condition struct {
	tag   string
	moves bool // the place is the last one that the writer knows of; else 0
}

// conditional lets each writer append to a stream of its own, with events that
// carry a tag, under a condition.
func conditional(ctx context.Context, t Task, tag func(n int) string, of func(n int) condition) (Result, error) {
	p, err := open(ctx, t, peer.Place{})
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	guarded, ok := p.(peer.Conditional)
	if !ok {
		return Result{}, fmt.Errorf("%s has no conditions: %w", t.Contender, peer.ErrAbsent)
	}
	list, err := bodies(bodyCount, t.Bytes)
	if err != nil {
		return Result{}, err
	}
	return runWriters(ctx, t, p, func(n int) (turn, error) {
		source := newEventSource(list, n, t.Group, ownStream(n), tag(n))
		return conditionalTurn(guarded, source, of(n)), nil
	})
}

// conditionalTurn returns the turn of a writer under a condition.
func conditionalTurn(p peer.Conditional, source *eventSource, c condition) turn {
	after := int64(0)
	return func(ctx context.Context) (refused int64, err error) {
		for {
			position, err := p.AppendIf(ctx, source.append(), c.tag, after)
			var stands *peer.StandsAbove
			switch {
			case err == nil:
				if c.moves {
					after = position
				}
				source.stored()
				return refused, nil
			case errors.As(err, &stands) && c.moves && stands.Position > after:
				refused++
				after = stands.Position
			default:
				return refused, err
			}
		}
	}
}

// contendStream lets all writers append to one stream, each at the version
// that it knows: whoever is refused asks where the stream ends.
func contendStream(ctx context.Context, t Task) (Result, error) {
	p, err := open(ctx, t, peer.Place{})
	if err != nil {
		return Result{}, err
	}
	defer p.Close()
	header, ok := peer.As[peer.Header](p)
	if !ok {
		return Result{}, fmt.Errorf("%s does not compare versions: %w", t.Contender, peer.ErrAbsent)
	}
	list, err := bodies(bodyCount, t.Bytes)
	if err != nil {
		return Result{}, err
	}
	return runWriters(ctx, t, p, func(n int) (turn, error) {
		source := newEventSource(list, n, t.Group, "account-shared", "")
		return func(ctx context.Context) (refused int64, err error) {
			for {
				err := p.Append(ctx, source.append())
				if err == nil {
					source.stored()
					return refused, nil
				}
				if !errors.Is(err, peer.ErrConflict) {
					return refused, err
				}
				refused++
				head, err := header.Head(ctx, "account-shared")
				if err != nil {
					return refused, err
				}
				source.storedAt(head)
			}
		}, nil
	})
}
