package daybook_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
	"github.com/daybook-go/daybook/storage/storagetest"
)

// waitingStores are stores whose driver can wait, and stores that must poll.
func waitingStores() map[string]*daybook.Store {
	poll := &daybook.Options{PollInterval: time.Millisecond}
	return map[string]*daybook.Store{
		"a driver that waits":            daybook.New(memory.New(nil), nil),
		"a driver that cannot wait":      daybook.New(bare{memory.New(nil)}, poll),
		"a driver that says it does not": daybook.New(storagetest.NewFaulty(bare{memory.New(nil)}), poll),
	}
}

func TestWaitEndsWhenTheLogGrows(t *testing.T) {
	for name, store := range waitingStores() {
		t.Run(name, func(t *testing.T) {
			after := add(t, store, account, "one").Position()
			if err := store.Wait(t.Context(), after-1); err != nil {
				t.Errorf("waiting for what is there: %v", err)
			}
			done := make(chan error, 1)
			go func() { done <- store.Wait(t.Context(), after) }()
			add(t, store, account, "two")
			if err := <-done; err != nil {
				t.Errorf("waiting: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() { done <- store.Wait(ctx, after+100) }()
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("waiting with an ended context was answered with %v", err)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			if err := store.Wait(t.Context(), after+100); !errors.Is(err, daybook.ErrClosed) {
				t.Errorf("waiting on a closed store was answered with %v, want ErrClosed", err)
			}
		})
	}
}

func TestFollowYieldsEverythingOnceInOrder(t *testing.T) {
	const appends = 50
	for name, store := range waitingStores() {
		t.Run(name, func(t *testing.T) {
			failed := make(chan error, 1)
			go func() {
				for i := range appends {
					if _, err := store.Append(t.Context(), account, daybook.ExpectVersion(daybook.Version(i)), daybook.Event{Type: "counted"}); err != nil {
						failed <- err
						return
					}
				}
				failed <- nil
			}()
			next := daybook.Version(1)
			for record, err := range store.Follow(t.Context(), daybook.LogRead{}) {
				if err != nil {
					t.Fatal(err)
				}
				if record.Version != next {
					t.Fatalf("was given version %d, want %d", record.Version, next)
				}
				if next++; next > appends {
					break
				}
			}
			if err := <-failed; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestFollowEndsWhereItIsTold(t *testing.T) {
	store := daybook.New(memory.New(nil), nil)
	for i := range 5 {
		add(t, store, daybook.Stream(fmt.Sprintf("account-%d", i)), "even", "odd")
	}
	odd := daybook.Filter{Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"odd"}}}}}
	for _, c := range []struct {
		read daybook.LogRead
		want []daybook.Position
	}{
		{daybook.LogRead{Limit: 3}, []daybook.Position{1, 2, 3}},
		{daybook.LogRead{To: 4}, []daybook.Position{1, 2, 3, 4}},
		{daybook.LogRead{After: 6, To: 8}, []daybook.Position{7, 8}},
		{daybook.LogRead{After: 8, To: 8}, nil},
		{daybook.LogRead{To: 9, Filter: odd}, []daybook.Position{2, 4, 6, 8}},
		{daybook.LogRead{Limit: 2, Filter: odd, After: 4}, []daybook.Position{6, 8}},
	} {
		records, err := gather(store.Follow(t.Context(), c.read))
		if err != nil {
			t.Errorf("following %+v: %v", c.read, err)
		}
		var got []daybook.Position
		for _, r := range records {
			got = append(got, r.Position)
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("following %+v gave positions %v, want %v", c.read, got, c.want)
		}
	}
}

func TestFollowEndsWithItsContextAndWithAnError(t *testing.T) {
	faulty := storagetest.NewFaulty(memory.New(nil))
	store := daybook.New(faulty, nil)
	add(t, store, account, "one", "two", "three")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	count := 0
	var ended error
	for _, err := range store.Follow(ctx, daybook.LogRead{}) {
		if ended = err; err == nil {
			if count++; count == 3 {
				cancel()
			}
		}
	}
	if count != 3 || !errors.Is(ended, context.Canceled) {
		t.Errorf("a follower was given %d records and ended with %v, want 3 and context.Canceled", count, ended)
	}
	for _, call := range []storagetest.Call{storagetest.CallReadLog, storagetest.CallEnd, storagetest.CallWait} {
		faulty.Cue(storagetest.Fault{Call: call, Before: storagetest.ErrFault})
		if _, err := gather(store.Follow(t.Context(), daybook.LogRead{})); !errors.Is(err, storagetest.ErrFault) {
			t.Errorf("a follower whose %s failed ended with %v", call, err)
		}
	}
	if _, err := gather(store.Follow(t.Context(), daybook.LogRead{Backwards: true})); !errors.Is(err, daybook.ErrInvalid) {
		t.Errorf("following backwards was answered with %v, want an *InvalidError", err)
	}
}

func TestAStoreSaysWhatItsDriverLacks(t *testing.T) {
	store := daybook.New(bare{memory.New(nil)}, nil)
	_, stats := store.Stats(t.Context())
	_, _, holder := store.ClaimHolder(t.Context(), "", daybook.Claim{Kind: "email", Value: "ann@example.org"})
	_, list := gather(store.ListStreams(t.Context(), daybook.StreamList{}))
	for call, err := range map[string]error{"Stats": stats, "ClaimHolder": holder, "ListStreams": list, "Import": store.Import(t.Context(), nil)} {
		var unsupported *daybook.UnsupportedError
		if !errors.As(err, &unsupported) || unsupported.Driver != "memory" || unsupported.Feature == "" || !errors.Is(err, daybook.ErrRefused) {
			t.Errorf("%s was answered with %v, want an *UnsupportedError that names driver and feature", call, err)
		}
	}
}

func TestAStoreTellsHeadsAndItsEndWithoutHelp(t *testing.T) {
	driver := memory.New(nil)
	with, without := daybook.New(driver, nil), daybook.New(bare{driver}, nil)
	for range 3 {
		add(t, with, account, "one", "two")
		for _, stream := range []daybook.StreamID{account, daybook.Stream("account-2")} {
			want, err := with.Head(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := without.Head(t.Context(), stream); err != nil || got != want {
				t.Errorf("the head of %q is %+v, %v; want %+v", stream, got, err, want)
			}
		}
		want, _ := with.End(t.Context())
		if got, err := without.End(t.Context()); err != nil || got != want {
			t.Errorf("the log ends at %d, %v; want %d", got, err, want)
		}
	}
}
