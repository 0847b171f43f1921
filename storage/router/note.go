package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// round is marks that are noted by one entry, and who waits for that.
type round struct {
	marks map[int]mark
	done  chan struct{}
	err   error // read when done is closed
}

func newRound() *round { return &round{marks: map[int]mark{}, done: make(chan struct{})} }

// note sees to it that marks are noted: when it returns nil, entries that can
// be read say so. What is asked for while an entry is written goes into the
// next one, together. An entry that was begun is written also when ctx ends.
func (o *order) note(ctx context.Context, marks ...mark) error {
	for {
		o.mu.Lock()
		marks = slices.DeleteFunc(marks, func(m mark) bool { return m.through <= o.tail.ends[m.line] })
		if len(marks) == 0 {
			o.mu.Unlock()
			return nil
		}
		if o.wanted == nil {
			o.wanted = newRound()
		}
		r := o.wanted
		for _, m := range marks {
			known := r.marks[m.line]
			if m.latest.Before(known.latest) {
				m.latest = known.latest
			}
			m.through = max(m.through, known.through)
			r.marks[m.line] = m
		}
		if !o.noting {
			o.noting = true
			o.noters.Add(1)
			go o.noteRounds(context.WithoutCancel(ctx))
		}
		o.mu.Unlock()
		select {
		case <-r.done:
			if r.err != nil {
				return fmt.Errorf("the order: %w", r.err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// noteRounds writes entries for as long as some are wanted.
func (o *order) noteRounds(ctx context.Context) {
	defer o.noters.Done()
	for {
		o.mu.Lock()
		r := o.wanted
		o.wanted = nil
		o.noting = r != nil
		o.mu.Unlock()
		if r == nil {
			return
		}
		r.err = o.write(ctx, r.marks)
		close(r.done)
	}
}

// noteTime bounds one try to write an entry: who waits for it may have no
// bound, and a keeper that hangs would keep all others waiting.
const noteTime = time.Minute

// write appends the entry that fulfils marks, unless others have done so.
func (o *order) write(ctx context.Context, marks map[int]mark) error {
	for {
		tail := o.known()
		next, err := tail.next(marks)
		if err != nil || len(next.takes) == 0 {
			return err
		}
		a, err := o.encode(&next)
		if err != nil {
			return err
		}
		receipt, err := o.try(ctx, a)
		if err == nil {
			next.place = receipt.Position()
			o.learn(next)
			return nil
		}
		if !errors.Is(err, daybook.ErrConflict) {
			return err
		}
		if err := o.refresh(ctx); err != nil {
			return err
		}
		if now := o.known(); now.version == tail.version {
			return err // refused, though nothing is there: not for us to mend
		}
	}
}

// unknownTries is how often an entry is sent again whose outcome is unknown.
const unknownTries = 3

// try appends an entry. Where the outcome is unknown it is sent again, with the
// same id: it is stored once, and only as the next.
func (o *order) try(ctx context.Context, a daybook.Append) (receipt daybook.Receipt, err error) {
	ctx, cancel := context.WithTimeout(ctx, noteTime)
	defer cancel()
	for range unknownTries {
		receipt, err = o.keeper.Append(ctx, a)
		if err == nil || errors.Is(err, daybook.ErrRefused) || ctx.Err() != nil {
			return receipt, err
		}
	}
	return receipt, err
}

// quoted returns texts as they stand in an error.
func quoted(texts []string) string {
	var all []string
	for _, text := range texts {
		all = append(all, fmt.Sprintf("%q", text))
	}
	return strings.Join(all, ", ")
}
