package storagetest

import (
	"bytes"
	"context"
	"errors"

	"github.com/daybook-go/daybook"
)

var closePromises = []Promise{
	{
		Name: "an append as large as the limits say is taken", Feature: Closing, check: checkLimits,
		Sentence: "The store refuses what it has said it takes, or cuts it.",
	},
	{
		Name: "a closed driver answers every call with ErrClosed", Feature: Closing, check: checkClosed,
		Sentence: "A program that goes on after closing its store writes into the void, or crashes.",
	},
	{
		Name: "closing twice does nothing", Feature: Closing, check: checkCloseTwice,
		Sentence: "A program that closes its store in two places crashes or fails.",
	},
	{
		Name: "closing lets appends that run end whole", Feature: Closing, check: checkCloseAppends,
		Sentence: "An append that runs while the store is closed hangs, or is answered as stored and is not, or the other way round.",
	},
}

func checkLimits(s *subject) {
	b := s.book()
	limits := b.Limits()
	if limits.Events < 1 || limits.Changesets < 1 || limits.EventBytes < 1 || limits.AppendBytes < 1 {
		s.Fatalf("the limits are %+v", limits)
	}
	small := func() daybook.Event { return daybook.Event{ID: daybook.NewID(), Type: "e", ContentType: "t"} }
	many := daybook.Changeset{Stream: daybook.Stream("many")}
	for range min(limits.Events, limits.AppendBytes/2, 10_000) {
		many.Events = append(many.Events, small())
	}
	b.keep(together(many), "an append of as many events as the limits allow")

	// Of an append that fills its bytes, one event is as large as may be.
	const overhead = 2 // of small
	largest := small()
	largest.Data = bytes.Repeat([]byte{'d'}, int(min(limits.EventBytes, limits.AppendBytes-overhead, 1<<20)))
	b.keep(together(daybook.Changeset{Stream: daybook.Stream("large"), Events: []daybook.Event{largest}}), "an event as large as the limits allow")
	if !s.offered(SeveralStreams) {
		return
	}
	wide := together()
	for i := range min(limits.Changesets, limits.Events, limits.AppendBytes/2, 1000) {
		wide.Changesets = append(wide.Changesets, daybook.Changeset{Stream: daybook.Stream(numbered("wide", int(i))), Events: []daybook.Event{small()}})
	}
	b.keep(wide, "an append of as many streams as the limits allow")
}

func checkClosed(s *subject) {
	b := s.book()
	b.append("account-1", daybook.ExpectAny(), events("opened")...)
	b.close()
	ctx, driver := s.Context(), b.driver
	_, err := driver.Append(ctx, single("account-1", daybook.ExpectAny(), events("deposited")...))
	answers := map[string]error{"Append": err}
	_, answers["ReadStream"] = gather(driver.ReadStream(ctx, daybook.Stream("account-1"), daybook.StreamRead{}))
	_, answers["ReadStream of a stream without records"] = gather(driver.ReadStream(ctx, daybook.Stream("account-2"), daybook.StreamRead{}))
	_, answers["ReadLog"] = gather(driver.ReadLog(ctx, daybook.LogRead{}))
	_, answers["Head"] = b.Head(ctx, daybook.Stream("account-1"))
	_, answers["End"] = b.End(ctx)
	answers["Wait"] = b.Wait(ctx, 0)
	for feature, try := range trials() {
		if s.offered(feature) {
			answers[string(feature)] = try(ctx, b)
		}
	}
	for call, err := range answers {
		if !errors.Is(err, daybook.ErrClosed) {
			s.Errorf("after Close, %s was answered with %v, want ErrClosed", call, err)
		}
	}
}

func checkCloseTwice(s *subject) {
	b := s.book()
	b.append("account-1", daybook.ExpectAny(), events("opened")...)
	s.must(b.driver.Close(), "Close")
	s.must(b.driver.Close(), "the second Close")
	b.closed.Store(true)
}

func checkCloseAppends(s *subject) {
	const writers = 4
	b := s.book()
	started, ended := make(chan struct{}, writers), make(chan error, writers)
	for writer := range writers {
		go func() {
			for i := 0; ; i++ {
				_, err := b.Append(s.Context(), daybook.Stream(numbered("writer", writer)), daybook.ExpectVersion(daybook.Version(2*i)), several(2, "written")...)
				if i == 0 {
					started <- struct{}{}
				}
				if err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	s.eventually("closing while appends run", func(ctx context.Context) error {
		for range writers {
			<-started
		}
		if err := b.shut(); err != nil {
			return err
		}
		for range writers {
			select {
			case err := <-ended:
				if !errors.Is(err, daybook.ErrClosed) {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
}
