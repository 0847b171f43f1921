package peer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/daybook-go/daybook/bench/peer"
)

// open opens a contender on a place of its own; it skips what cannot be had.
func open(t *testing.T, contender peer.Contender, place peer.Place) peer.Peer {
	t.Helper()
	place.Name = "test"
	place.PostgresURL, place.MessageDBURL = os.Getenv("DAYBOOK_POSTGRES_URL"), os.Getenv("DAYBOOK_MESSAGEDB_URL")
	p, err := contender.Open(t.Context(), place)
	if errors.Is(err, peer.ErrAbsent) {
		t.Skip("SKIPPED, its figures will be missing: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// each runs a test for every contender that selects says yes to.
func each(t *testing.T, selects func(peer.Contender) bool, test func(t *testing.T, contender peer.Contender)) {
	for _, contender := range peer.All() {
		if selects(contender) {
			t.Run(contender.Name, func(t *testing.T) { test(t, contender) })
		}
	}
}

func event(stream string, version int64) peer.Event {
	return peer.Event{Data: fmt.Appendf(nil, `{"n":%d,"stream":"%s"}`, version, stream)}
}

func events(stream string, first, count int64) []peer.Event {
	list := make([]peer.Event, count)
	for i := range list {
		list[i] = event(stream, first+int64(i))
	}
	return list
}

// wantStream fails unless the stream holds exactly the events of the versions
// 1 to last.
func wantStream(t *testing.T, p peer.Peer, stream string, last int64) {
	t.Helper()
	next := int64(1)
	err := p.ReadStream(t.Context(), stream, func(version int64, data []byte) error {
		// Message DB keeps JSON in a form of its own: the same but for spaces
		// and order.
		if want := string(event(stream, version).Data); version != next || stripSpaces(data) != want {
			t.Errorf("%s: version %d is %s, want version %d, %s", stream, version, data, next, want)
		}
		next++
		return nil
	})
	if err != nil || next != last+1 {
		t.Errorf("%s holds %d events, want %d (error %v)", stream, next-1, last, err)
	}
}

func stripSpaces(data []byte) string {
	var kept []byte
	for _, c := range data {
		if c != ' ' {
			kept = append(kept, c)
		}
	}
	return string(kept)
}

func all(peer.Contender) bool { return true }

func TestWhatManyWritersAppendIsReadBackInOrder(t *testing.T) {
	const writers, appends, count = 64, 3, 5
	each(t, all, func(t *testing.T, contender peer.Contender) {
		p := open(t, contender, peer.Place{Dir: t.TempDir()})
		defer p.Close()
		var wg sync.WaitGroup
		for w := range writers {
			stream := fmt.Sprintf("account-%d", w)
			wg.Go(func() {
				for first := int64(1); first < appends*count; first += count {
					err := p.Append(t.Context(), peer.Append{Stream: stream, First: first, Events: events(stream, first, count)})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		for w := range writers {
			wantStream(t, p, fmt.Sprintf("account-%d", w), appends*count)
		}
		wantStream(t, p, "account-99", 0)
		if log, ok := peer.As[peer.LogReader](p); ok {
			total := 0
			err := log.ReadLog(t.Context(), func([]byte) error { total++; return nil })
			if err != nil || total != writers*appends*count {
				t.Errorf("the log holds %d events, want %d (error %v)", total, writers*appends*count, err)
			}
		}
	})
}

func TestOneAppendWithSeveralStreamsStoresAllOfThem(t *testing.T) {
	each(t, all, func(t *testing.T, contender peer.Contender) {
		p := open(t, contender, peer.Place{Dir: t.TempDir()})
		defer p.Close()
		var several []peer.Append
		for w := range 20 {
			stream := fmt.Sprintf("account-%d", w)
			several = append(several, peer.Append{Stream: stream, First: 1, Events: events(stream, 1, 2)})
		}
		if err := p.Append(t.Context(), several...); err != nil {
			t.Fatal(err)
		}
		for w := range 20 {
			wantStream(t, p, fmt.Sprintf("account-%d", w), 2)
		}
	})
}

func TestAVersionThatIsTakenIsRefusedByThoseThatCheck(t *testing.T) {
	each(t, func(c peer.Contender) bool { return c.Checks }, func(t *testing.T, contender peer.Contender) {
		p := open(t, contender, peer.Place{Dir: t.TempDir()})
		defer p.Close()
		if err := p.Append(t.Context(), peer.Append{Stream: "account-1", First: 1, Events: events("account-1", 1, 2)}); err != nil {
			t.Fatal(err)
		}
		if _, ok := p.(peer.Header); !ok && contender.Name == "jetstream" {
			return // the peer itself keeps what is expected of a subject
		}
		err := p.Append(t.Context(), peer.Append{Stream: "account-1", First: 2, Events: events("account-1", 2, 1)})
		if !errors.Is(err, peer.ErrConflict) {
			t.Errorf("the second event with version 2: error %v, want a conflict", err)
		}
		if header, ok := peer.As[peer.Header](p); ok {
			if head, err := header.Head(t.Context(), "account-1"); err != nil || head != 2 {
				t.Errorf("the head is %d, want 2 (error %v)", head, err)
			}
		}
		wantStream(t, p, "account-1", 2)
	})
}

func TestWhatWasStoredIsThereAfterOpeningAgain(t *testing.T) {
	each(t, func(c peer.Contender) bool { return !c.Volatile }, func(t *testing.T, contender peer.Contender) {
		place := peer.Place{Dir: t.TempDir()}
		p := open(t, contender, place)
		if err := p.Append(t.Context(), peer.Append{Stream: "account-1", First: 1, Events: events("account-1", 1, 5)}); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		place.Keep = true
		p = open(t, contender, place)
		wantStream(t, p, "account-1", 5)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		place.Keep = false
		p = open(t, contender, place)
		defer p.Close()
		wantStream(t, p, "account-1", 0)
	})
}

func TestAConditionIsBrokenByAnEventWithItsTagAndByNoOther(t *testing.T) {
	each(t, all, func(t *testing.T, contender peer.Contender) {
		p := open(t, contender, peer.Place{Dir: t.TempDir()})
		defer p.Close()
		conditional, ok := p.(peer.Conditional)
		if !ok {
			t.Skip("offers no conditions")
		}
		tagged := func(stream, tag string) peer.Append {
			return peer.Append{Stream: stream, First: 1, Events: []peer.Event{{Data: []byte(`{}`), Tag: tag}}}
		}
		first, err := conditional.AppendIf(t.Context(), tagged("account-1", "owner:ann"), "owner:ann", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conditional.AppendIf(t.Context(), tagged("account-2", "owner:bob"), "owner:bob", 0); err != nil {
			t.Errorf("another tag: %v", err)
		}
		var stands *peer.StandsAbove
		if _, err := conditional.AppendIf(t.Context(), tagged("account-3", "owner:ann"), "owner:ann", 0); !errors.As(err, &stands) || stands.Position != first {
			t.Errorf("the same tag from the start: error %v, want one that names position %d", err, first)
		}
		if _, err := conditional.AppendIf(t.Context(), tagged("account-3", "owner:ann"), "owner:ann", first); err != nil {
			t.Errorf("the same tag after what was seen: %v", err)
		}
	})
}

func TestContendersAreNamedOnceAndFound(t *testing.T) {
	seen := map[string]bool{}
	for _, contender := range peer.All() {
		if seen[contender.Name] {
			t.Errorf("two contenders are called %s", contender.Name)
		}
		seen[contender.Name] = true
		if found, ok := peer.Named(contender.Name); !ok || found.About != contender.About {
			t.Errorf("%s is not found by its name", contender.Name)
		}
	}
	if _, ok := peer.Named("nobody"); ok {
		t.Error("a contender was found that is not there")
	}
}

func TestACallerIsToldWhatBecameOfItsOwnAppend(t *testing.T) {
	contender, _ := peer.Named("sqlite-grouped")
	p := open(t, contender, peer.Place{Dir: t.TempDir()})
	defer p.Close()
	ctx := context.Background()
	// Whatever groups they fall into, of the writers on one version one wins
	// and those on their own streams all do.
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for w := range 16 {
		wg.Go(func() {
			err := p.Append(ctx, peer.Append{Stream: "shared", First: 1, Events: events("shared", 1, 1)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !errors.Is(err, peer.ErrConflict):
				t.Error(err)
			}
		})
		wg.Go(func() {
			stream := fmt.Sprintf("own-%d", w)
			if err := p.Append(ctx, peer.Append{Stream: stream, First: 1, Events: events(stream, 1, 1)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d writers stored version 1 of one stream, want 1", won)
	}
	wantStream(t, p, "shared", 1)
	for w := range 16 {
		wantStream(t, p, fmt.Sprintf("own-%d", w), 1)
	}
}
