package cosmos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/cosmos"
	"github.com/daybook-go/daybook/verify"
	"golang.org/x/sync/errgroup"
)

// randomOf returns the random numbers of a test: from DAYBOOK_SEED, or else
// fresh ones.
func randomOf(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("DAYBOOK_SEED=%d replays this", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// sound verifies a store, and returns its log.
func sound(t *testing.T, store *daybook.Store) []daybook.Record {
	t.Helper()
	report, err := verify.Store(t.Context(), store, nil)
	if err != nil || !report.OK() {
		t.Fatalf("the store is not sound: %v, %v", report.Findings, err)
	}
	var log []daybook.Record
	for record, err := range store.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, record)
	}
	return log
}

func named(partition, name string) daybook.StreamID {
	return daybook.StreamID{Partition: partition, Name: name}
}

func oneEvent(id daybook.StreamID, expect daybook.Expect) daybook.Append {
	return daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{Stream: id, Expect: expect, Events: []daybook.Event{{Type: "deposited"}}}}}
}

// faults are what can happen to a request, each in front of its being carried
// out, or behind it.
var faults = map[string]fault{
	"throttled":                   {status: http.StatusTooManyRequests, retryAfter: 3 * time.Millisecond},
	"retry with":                  {status: 449},
	"timed out":                   {status: http.StatusRequestTimeout},
	"timed out when applied":      {status: http.StatusRequestTimeout, after: true},
	"failed":                      {status: http.StatusInternalServerError},
	"failed when applied":         {status: http.StatusInternalServerError, after: true},
	"not available":               {status: http.StatusServiceUnavailable},
	"not available, when applied": {status: http.StatusServiceUnavailable, after: true},
	"cut":                         {cut: true},
	"cut when applied":            {cut: true, after: true},
}

// TestAppendIsStoredOnceWhateverHappensToItsRequests lets each fault happen to
// every second batch that writes, and every third that reads.
func TestAppendIsStoredOnceWhateverHappensToItsRequests(t *testing.T) {
	for name, f := range faults {
		for _, partition := range []string{"", "north"} {
			t.Run(name+" in partition "+strconv.Quote(partition), func(t *testing.T) {
				d := newDouble(t)
				var writes, others atomic.Int64
				d.meet(func(s *sighting) *fault {
					switch write := strings.Contains(string(s.body), "resourceBody"); {
					case write && writes.Add(1)%2 == 0, s.kind == "batch" && !write && others.Add(1)%3 == 0:
						return &f
					}
					return nil
				})
				driver := open(t, d.url("events"), quick())
				store := daybook.New(driver, nil)
				var sent []daybook.Append
				for i := range 12 {
					a := oneEvent(named(partition, "account-1"), daybook.ExpectVersion(daybook.Version(i)))
					receipt, err := store.AppendAll(t.Context(), a)
					if err != nil || receipt.Repeated {
						t.Fatalf("append %d: %+v, %v", i+1, receipt, err)
					}
					sent = append(sent, a)
				}
				log := sound(t, store)
				if len(log) != len(sent) {
					t.Fatalf("%d appends have left %d records", len(sent), len(log))
				}
				for i, a := range sent {
					if log[i].Changeset.AppendID != a.ID || log[i].Position != daybook.Position(i+1) {
						t.Errorf("record %d is of append %s at %d, want %s", i+1, log[i].Changeset.AppendID, log[i].Position, a.ID)
					}
					if receipt, err := store.AppendAll(t.Context(), a); err != nil || !receipt.Repeated {
						t.Errorf("append %d again: %+v, %v", i+1, receipt, err)
					}
				}
				if f.status == http.StatusTooManyRequests && driver.Usage().Throttled == 0 {
					t.Error("nobody is told that requests were throttled")
				}
			})
		}
	}
}

// TestCallerThatHasGivenUpMayUseItsMemoryAgain fails the first batch of an append
// once its caller has given up, so that it is made and sent again after that.
func TestCallerThatHasGivenUpMayUseItsMemoryAgain(t *testing.T) {
	d := newDouble(t)
	driver := open(t, d.url("events"), quick())
	data := []byte(`{"amount":1}`)
	a := oneEvent(named("", "account-1"), daybook.ExpectAny())
	a.Changesets[0].Events[0].ID, a.Changesets[0].Events[0].Data = daybook.NewID(), data
	ctx, giveUp := context.WithCancel(t.Context())
	gone := make(chan struct{})
	var batches atomic.Int64
	d.meet(func(s *sighting) *fault {
		if !strings.Contains(string(s.body), "resourceBody") || batches.Add(1) > 1 {
			return nil
		}
		giveUp()
		return &fault{status: http.StatusServiceUnavailable, wait: gone}
	})
	if _, err := driver.Append(ctx, a); !errors.Is(err, context.Canceled) || errors.Is(err, daybook.ErrRefused) {
		t.Fatalf("an append that was given up: %v", err)
	}
	repeat := a.Clone()
	copy(data, "overwritten!")
	a.Changesets[0].Events[0].Type = "overwritten"
	close(gone)
	if receipt, err := driver.Append(t.Context(), repeat); err != nil || !receipt.Repeated {
		t.Fatalf("the append again: %+v, %v", receipt, err)
	}
	for record, err := range driver.ReadLog(t.Context(), daybook.LogRead{}) {
		if err != nil || string(record.Data) != `{"amount":1}` || record.Type != "deposited" {
			t.Errorf("stored is %s %s, %v", record.Type, record.Data, err)
		}
	}
}

// TestDecisionsAreSoundUnderFaultsOfAllKinds lets several drivers append with
// expectations, claims and conditions, in three partitions, while a tenth of
// all requests fail.
func TestDecisionsAreSoundUnderFaultsOfAllKinds(t *testing.T) {
	random := randomOf(t)
	d := newDouble(t)
	d.lagging = true
	names := sortedNames(faults)
	var healed atomic.Bool
	chance := make(chan uint64)
	go func() {
		for {
			select {
			case chance <- random.Uint64():
			case <-t.Context().Done():
				return
			}
		}
	}()
	d.meet(func(s *sighting) *fault {
		if n := <-chance; n%10 == 0 && !healed.Load() {
			f := faults[names[n/10%uint64(len(names))]]
			if s.kind != "batch" && (f.cut || f.status == http.StatusRequestTimeout) {
				f = fault{status: http.StatusServiceUnavailable} // after the others the SDK waits for a second
			}
			return &f
		}
		return nil
	})
	group, ctx := errgroup.WithContext(t.Context())
	acknowledged := make(chan daybook.ID, 1000)
	for worker := range 4 {
		options := quick()
		options.Grace = 50 * time.Millisecond
		store := daybook.New(open(t, d.url("events"), options), nil)
		group.Go(func() error {
			for i := range 25 {
				if err := decideSomething(ctx, store, worker, i, acknowledged); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	healed.Store(true)
	close(acknowledged)
	log := sound(t, daybook.New(open(t, d.url("events"), quick()), nil))
	times := map[daybook.ID]int{}
	for _, r := range log {
		times[r.Changeset.AppendID]++
	}
	for id := range acknowledged {
		if times[id] != 1 {
			t.Errorf("append %s was acknowledged, and has %d records", id, times[id])
		}
	}
}

// decideSomething appends until it is acknowledged, or refused.
func decideSomething(ctx context.Context, store *daybook.Store, worker, i int, acknowledged chan<- daybook.ID) error {
	partition := []string{"", "north", "south"}[(worker+i)%3]
	id := named(partition, fmt.Sprint("account-", i%3))
	head, err := store.Head(ctx, id)
	if err != nil {
		return err
	}
	a := oneEvent(id, daybook.ExpectVersion(head.Version))
	switch i % 4 {
	case 0:
		a.Changesets[0].Claims = []daybook.Claim{{Kind: "seat", Value: fmt.Sprint(i % 5)}}
	case 1:
		end, err := store.End(ctx)
		if err != nil {
			return err
		}
		a.Condition = &daybook.Condition{After: end, Query: daybook.Query{Items: []daybook.QueryItem{{Types: []string{"deposited"}}}}}
	}
	for {
		_, err := store.AppendAll(ctx, a)
		switch {
		case err == nil:
			acknowledged <- a.ID
			return nil
		case errors.Is(err, daybook.ErrConflict):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

func TestThrottlingThatDoesNotEndIsToldAndLeavesNoTrace(t *testing.T) {
	d := newDouble(t)
	var throttle atomic.Bool
	d.meet(func(s *sighting) *fault {
		if throttle.Load() && s.kind == "batch" && strings.Contains(string(s.body), "Create") {
			return &fault{status: http.StatusTooManyRequests, retryAfter: 5 * time.Millisecond}
		}
		return nil
	})
	seen := make(chan cosmos.Request, 1000)
	options := quick()
	options.Patience = 40 * time.Millisecond
	options.Observe = func(r cosmos.Request) { seen <- r }
	store := daybook.New(open(t, d.url("events"), options), nil)
	throttle.Store(true)
	a := oneEvent(daybook.Stream("account-1"), daybook.ExpectNone())
	_, err := store.AppendAll(t.Context(), a)
	var throttled *cosmos.ThrottledError
	if !errors.As(err, &throttled) || !errors.Is(err, daybook.ErrRefused) {
		t.Errorf("the error is %v, want a *ThrottledError that matches ErrRefused", err)
	}
	count := 0
	for len(seen) > 0 {
		if r := <-seen; r.Status == http.StatusTooManyRequests && r.RetryAfter == 5*time.Millisecond {
			count++
		}
	}
	if count < 2 {
		t.Errorf("%d requests were seen to be throttled, want some", count)
	}
	throttle.Store(false)
	if log := sound(t, store); len(log) != 0 {
		t.Errorf("%d records are there", len(log))
	}
	if _, err := store.AppendAll(t.Context(), a); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfTheServiceSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		fault fault
		says  string
	}{
		{fault{status: http.StatusUnauthorized}, "AccountKey"},
		{fault{status: http.StatusForbidden}, "Roles"},
		{fault{status: http.StatusForbidden, sub: "1014"}, "20 GB"},
		{fault{status: http.StatusRequestEntityTooLarge}, "that large"},
	} {
		d := newDouble(t)
		var on atomic.Bool
		d.meet(func(s *sighting) *fault {
			if on.Load() && s.kind == "batch" && strings.Contains(string(s.body), "Create") {
				return &c.fault
			}
			return nil
		})
		store := daybook.New(open(t, d.url("events"), quick()), nil)
		on.Store(true)
		_, err := store.Append(t.Context(), daybook.Stream("account-1"), daybook.ExpectAny(), daybook.Event{Type: "deposited"})
		if !errors.Is(err, daybook.ErrRefused) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("status %d, %s is told as %v, want ErrRefused and %q", c.fault.status, c.fault.sub, err, c.says)
		}
		if strings.Contains(err.Error(), doubleKey) {
			t.Errorf("the key is in the error: %v", err)
		}
	}
	if _, err := cosmos.Open(t.Context(), newDouble(t).url("nowhere"), nil); err == nil || !strings.Contains(err.Error(), "Options.Create") {
		t.Errorf("a container that is not there is told as %v", err)
	}
}

// TestAppendsAsLargeAsABatchAreTakenAndLargerOnesRefused: 100 operations.
func TestAppendsAsLargeAsABatchAreTakenAndLargerOnesRefused(t *testing.T) {
	d := newDouble(t)
	store := daybook.New(open(t, d.url("events"), quick()), nil)
	of := func(streams, claims int) daybook.Append {
		var a daybook.Append
		for i := range streams {
			c := daybook.Changeset{Stream: named("north", fmt.Sprint("account-", i)), Events: []daybook.Event{{Type: "deposited"}}}
			if i == 0 {
				for n := range claims {
					c.Claims = append(c.Claims, daybook.Claim{Kind: "seat", Value: fmt.Sprint(n)})
				}
			}
			a.Changesets = append(a.Changesets, c)
		}
		return a
	}
	if _, err := store.AppendAll(t.Context(), of(40, 18)); err != nil { // 2 + 40 + 40 + 18
		t.Errorf("100 operations: %v", err)
	}
	d.counts()
	var limit *daybook.LimitError
	if _, err := store.AppendAll(t.Context(), of(40, 19)); !errors.As(err, &limit) || limit.Limit != 100 || limit.Value != 101 {
		t.Errorf("101 operations: %v, want a *LimitError", err)
	}
	if count, _ := d.counts(); len(count) != 0 {
		t.Errorf("requests were sent for it: %v", count)
	}
	// Text that grows when it is written: 2 MB of a batch.
	large := oneEvent(daybook.Stream("account-1"), daybook.ExpectAny())
	large.Changesets[0].Events[0].Context.Commentary = strings.Repeat("\x01", 4000)
	for range 80 {
		e := large.Changesets[0].Events[0]
		e.Context.Who, e.Context.Source = strings.Repeat("\x01", 4000), strings.Repeat("\x01", 4000)
		large.Changesets[0].Events = append(large.Changesets[0].Events, e)
	}
	if _, err := store.AppendAll(t.Context(), large); !errors.As(err, &limit) || limit.Unit != "bytes of a batch, as they are written" {
		t.Errorf("a batch of more than 2 MB: %v, want a *LimitError", err)
	}
	sound(t, store)
}

func TestAppendToSeveralPartitionsIsRefusedByName(t *testing.T) {
	store := daybook.New(open(t, newDouble(t).url("events"), quick()), nil)
	a := oneEvent(daybook.Stream("account-1"), daybook.ExpectAny())
	a.Changesets = append(a.Changesets, oneEvent(named("north", "account-1"), daybook.ExpectAny()).Changesets...)
	var unsupported *daybook.UnsupportedError
	if _, err := store.AppendAll(t.Context(), a); !errors.As(err, &unsupported) || unsupported.Driver != "cosmos" {
		t.Errorf("the error is %v, want an *UnsupportedError of cosmos", err)
	}
}
