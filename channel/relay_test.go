package channel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/channel"
	"github.com/daybook-go/daybook/storage/memory"
)

// places keeps checkpoints in memory.
type places struct {
	mu     sync.Mutex
	places map[string]daybook.Position
	before func() // is called before each Save
}

func (p *places) Load(_ context.Context, name string) (daybook.Position, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.places[name], nil
}

func (p *places) Save(_ context.Context, name string, from, to daybook.Position) error {
	if p.before != nil {
		p.before()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.places[name] != from {
		return channel.ErrMoved
	}
	p.places[name] = to
	return nil
}

// heard is a channel that remembers.
type heard struct {
	mu         sync.Mutex
	changesets []string
	calls      int
	fail       func(call int) error
}

func (h *heard) Publish(_ context.Context, changesets []daybook.RecordedChangeset) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	if h.fail != nil {
		if err := h.fail(h.calls); err != nil {
			return err
		}
	}
	for _, c := range changesets {
		h.changesets = append(h.changesets, fmt.Sprintf("%s/%d", c.Stream.Name, c.Number))
	}
	return nil
}

// filled is a store of twelve changesets in three streams.
func filled(t *testing.T) (*daybook.Store, []string) {
	t.Helper()
	store := daybook.New(memory.New(nil), nil)
	t.Cleanup(func() { store.Close() })
	var want []string
	for i := range 12 {
		name := fmt.Sprintf("s-%d", i%3)
		if _, err := store.Append(t.Context(), daybook.StreamID{Name: name}, daybook.Expect{}, daybook.Event{Type: "a"}, daybook.Event{Type: "b"}); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%s/%d", name, i/3+1))
	}
	return store, want
}

func TestARelayPublishesEachChangesetInOrderAndOnce(t *testing.T) {
	store, want := filled(t)
	to, kept := &heard{}, &places{places: map[string]daybook.Position{}}
	for range 2 {
		reached, whole, err := channel.Relay(t.Context(), store, to, kept, "p", &channel.Options{Records: 5})
		if err != nil || !whole || reached != 24 {
			t.Fatalf("relayed to %d, %v, %v", reached, whole, err)
		}
	}
	if !slices.Equal(to.changesets, want) {
		t.Errorf("published %v, want %v", to.changesets, want)
	}
}

func TestAfterAFailureARelayGoesOnBehindWhatWasPublished(t *testing.T) {
	store, want := filled(t)
	broken := errors.New("broken")
	to, kept := &heard{}, &places{places: map[string]daybook.Position{}}
	to.fail = func(call int) error {
		if call == 3 {
			return broken
		}
		return nil
	}
	if reached, _, err := channel.Relay(t.Context(), store, to, kept, "p", &channel.Options{Records: 4}); !errors.Is(err, broken) || reached != 8 {
		t.Fatalf("relayed to %d, %v", reached, err)
	}
	if _, _, err := channel.Relay(t.Context(), store, to, kept, "p", nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(to.changesets, want) {
		t.Errorf("published %v, want %v", to.changesets, want)
	}
}

func TestARelayThatIsOvertakenGoesOnFromThere(t *testing.T) {
	store, _ := filled(t)
	to, kept := &heard{}, &places{places: map[string]daybook.Position{}}
	kept.before = sync.OnceFunc(func() { kept.places["p"] = 20 })
	reached, whole, err := channel.Relay(t.Context(), store, to, kept, "p", &channel.Options{Records: 2})
	if err != nil || !whole || reached != 24 {
		t.Fatalf("relayed to %d, %v, %v", reached, whole, err)
	}
	if want := []string{"s-0/1", "s-1/4", "s-2/4"}; !slices.Equal(to.changesets, want) {
		t.Errorf("published %v, want %v", to.changesets, want)
	}
}

func TestARelayStopsBeforeItsDeadline(t *testing.T) {
	store, _ := filled(t)
	to, kept := &heard{}, &places{places: map[string]daybook.Position{}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	now := time.Now()
	clock := func() time.Time {
		if to.calls >= 2 {
			return now.Add(time.Hour - 4*time.Second)
		}
		return now
	}
	reached, whole, err := channel.Relay(ctx, store, to, kept, "p", &channel.Options{Records: 2, Margin: 5 * time.Second, Now: clock})
	if err != nil || whole || reached != 4 || kept.places["p"] != 4 {
		t.Fatalf("relayed to %d, %v, %v", reached, whole, err)
	}
}
