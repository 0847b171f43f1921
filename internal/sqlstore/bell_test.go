package sqlstore

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/daybook-go/daybook"
)

func TestWhoeverWaitsIsWokenWhenTheLogHasGrown(t *testing.T) {
	calls, b := NewCalls(t.Context()), &Bell{}
	var looks atomic.Int32
	looking := make(chan struct{}, 10)
	look := func() {
		looks.Add(1)
		looking <- struct{}{}
		<-calls.Life().Done()
	}
	ends := func(context.Context) (daybook.Position, error) { return 5, nil }
	if err := b.Wait(t.Context(), calls, 4, ends, look); err != nil {
		t.Errorf("behind the end of the log: %v", err)
	}
	const waiters = 3
	done := make(chan error, waiters+1)
	for range waiters {
		go func() { done <- b.Wait(t.Context(), calls, 5, ends, look) }()
	}
	<-looking
	b.Ring(6)
	for range waiters {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := looks.Load(); n != 1 {
		t.Errorf("%d look for what others append, want one", n)
	}
	go func() { done <- b.Wait(t.Context(), calls, 6, ends, look) }()
	for !b.Awaited() && t.Context().Err() == nil {
	}
	calls.Close()
	if err := <-done; !errors.Is(err, daybook.ErrClosed) {
		t.Errorf("one who waits when the driver is closed gets %v", err)
	}
}

func TestTheNextWhoWaitsLooksAgainWhenNobodyDid(t *testing.T) {
	calls, b := NewCalls(t.Context()), &Bell{}
	defer calls.Close()
	ends := func(context.Context) (daybook.Position, error) { return b.End(), nil }
	looking, asked, idle := make(chan struct{}), make(chan struct{}), make(chan bool)
	look := func() {
		looking <- struct{}{}
		<-asked
		idle <- b.Idle()
	}
	for end := range daybook.Position(2) {
		done := make(chan error, 1)
		go func() { done <- b.Wait(t.Context(), calls, end, ends, look) }()
		<-looking
		b.Ring(end + 1)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		asked <- struct{}{}
		if !<-idle {
			t.Fatal("somebody is said to wait, whose call has returned")
		}
	}
}
