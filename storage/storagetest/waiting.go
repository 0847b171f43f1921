package storagetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"golang.org/x/sync/errgroup"
)

var waitPromises = []Promise{
	{
		Name: "waiting ends when the log grows", Feature: Waiting, check: checkWait,
		Sentence: "Whoever waits for more is not told of it, or waits for what is there already.",
	},
	{
		Name: "waiting ends with its context", Feature: Waiting, check: checkWaitCancelled,
		Sentence: "A program that waits for more cannot be stopped.",
	},
	{
		Name: "no wake-up is lost", Feature: Waiting, check: checkWakeUps,
		Sentence: "What is appended between looking and waiting wakes nobody: readers stand still until the next append.",
	},
	{
		Name: "closing ends waiting", Feature: Waiting, check: checkWaitClosed,
		Sentence: "A program that waits for more hangs when the store is closed.",
	},
}

func checkWait(s *subject) {
	b := s.book()
	receipt := b.append("account-1", daybook.ExpectAny(), events("opened", "deposited")...)
	s.eventually("waiting behind 0 for what is there", func(ctx context.Context) error { return b.Wait(ctx, 0) })
	s.eventually("waiting behind the last position but one", func(ctx context.Context) error { return b.Wait(ctx, receipt.Position()-1) })
	for i := range 5 {
		after := b.end()
		waiting := make(chan error, 1)
		ctx, cancel := s.within()
		go func() { waiting <- b.waitPast(ctx, after) }()
		b.append(numbered("account", i%2), daybook.ExpectAny(), events("deposited")...)
		if err := <-waiting; err != nil {
			s.Errorf("waiting behind position %d, which the log has passed: %v", after, err)
		}
		cancel()
	}
}

// waitPast waits until the log is seen to have a record above the position;
// waiting may end early.
func (b *book) waitPast(ctx context.Context, after daybook.Position) error {
	for {
		if err := b.Wait(ctx, after); err != nil {
			return err
		}
		if end, err := b.End(ctx); err != nil || end > after {
			return err
		}
	}
}

func checkWaitCancelled(s *subject) {
	b := s.book()
	after := b.append("account-1", daybook.ExpectAny(), events("opened")...).Position()
	ctx, cancel := context.WithCancel(s.Context())
	ended := make(chan error, 3)
	for range cap(ended) {
		go func() { ended <- b.waitPast(ctx, after) }()
	}
	cancel()
	s.eventually("waiting with an ended context", func(deadline context.Context) error {
		for range cap(ended) {
			select {
			case err := <-ended:
				if !errors.Is(err, context.Canceled) {
					return fmt.Errorf("ended with %v, want context.Canceled", err)
				}
			case <-deadline.Done():
				return errors.New("has not ended")
			}
		}
		return nil
	})
}

// checkWakeUps appends the next record only when all have seen the one before,
// so that a waiter that was not woken by one record is not woken by the next.
func checkWakeUps(s *subject) {
	const waiters, appends = 3, 60
	b := s.book()
	ctx, cancel := s.within()
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	seen := make(chan struct{})
	for waiter := range waiters {
		group.Go(func() error {
			var at daybook.Position
			for count := 0; count < appends; {
				if err := b.Wait(ctx, at); err != nil {
					return fmt.Errorf("waiter %d, after %d of %d records, behind position %d: %w", waiter, count, appends, at, err)
				}
				records, err := gather(b.ReadLog(ctx, daybook.LogRead{After: at}))
				if err != nil {
					return err
				}
				for _, r := range records {
					count, at = count+1, r.Position
					select {
					case seen <- struct{}{}:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		for i := range appends {
			if _, err := b.Append(ctx, daybook.Stream(numbered("account", i%3)), daybook.ExpectAny(), event("deposited")); err != nil {
				return err
			}
			for range waiters {
				select {
				case <-seen:
				case <-ctx.Done():
					return fmt.Errorf("record %d was not seen by all: %w", i+1, ctx.Err())
				}
			}
		}
		return nil
	})
	s.must(group.Wait(), "%d waiters beside a writer", waiters)
}

func checkWaitClosed(s *subject) {
	b := s.book()
	after := b.append("account-1", daybook.ExpectAny(), events("opened")...).Position()
	ended := make(chan error, 3)
	for range cap(ended) {
		go func() { ended <- b.waitPast(s.Context(), after) }()
	}
	s.eventually("closing while others wait", func(ctx context.Context) error {
		if err := b.shut(); err != nil {
			return err
		}
		for range cap(ended) {
			select {
			case err := <-ended:
				if !errors.Is(err, daybook.ErrClosed) {
					return fmt.Errorf("waiting ended with %v, want ErrClosed", err)
				}
			case <-ctx.Done():
				return errors.New("waiting has not ended")
			}
		}
		return nil
	})
}
