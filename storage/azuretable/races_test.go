package azuretable_test

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/daybook-go/daybook"
)

// TestRowsOfSeveralProcessesEndAsTheLogSays lets drivers take a claim from each
// other, so that each settles rows that others have settled since.
func TestRowsOfSeveralProcessesEndAsTheLogSays(t *testing.T) {
	address := freshURL(t)
	claims := []daybook.Claim{{Kind: "seat", Value: "1"}, {Kind: "seat", Value: "2"}}
	var group errgroup.Group
	drivers := []*daybook.Store{daybook.New(open(t, address, nil), nil), daybook.New(open(t, address, nil), nil), daybook.New(open(t, address, nil), nil)}
	for w, store := range drivers {
		group.Go(func() error {
			for i := range 16 {
				c := daybook.Changeset{Stream: daybook.Stream(fmt.Sprintf("guest-%d", w)), Events: []daybook.Event{event("sat")}}
				if i%2 == 0 {
					c.Claims = claims[i%4/2 : i%4/2+1]
				} else {
					c.Releases = claims[i%4/2 : i%4/2+1]
				}
				_, err := store.AppendAll(t.Context(), daybook.Append{Changesets: []daybook.Changeset{c, {Stream: daybook.Stream("room-1"), Events: []daybook.Event{event("moved")}}}})
				if err != nil && !errors.As(err, new(*daybook.ClaimError)) {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, store := range drivers {
		if err := store.Close(); err != nil { // settles
			t.Fatal(err)
		}
	}
	fresh := daybook.New(open(t, address, nil), nil)
	holders, heads := map[daybook.Claim]daybook.StreamID{}, map[daybook.StreamID]daybook.Version{}
	for c, err := range daybook.Changesets(fresh.ReadLog(t.Context(), daybook.LogRead{})) {
		if err != nil {
			t.Fatal(err)
		}
		for _, claim := range c.Releases {
			if holder, held := holders[claim]; held && holder != c.Stream {
				t.Errorf("ordinal %d releases what %s holds", c.Ordinal, holder)
			}
			delete(holders, claim)
		}
		for _, claim := range c.Claims {
			if holder, held := holders[claim]; held && holder != c.Stream {
				t.Errorf("ordinal %d takes what %s holds", c.Ordinal, holder)
			}
			holders[claim] = c.Stream
		}
		heads[c.Stream] = c.Last()
	}
	for _, claim := range claims {
		holder, held, err := fresh.ClaimHolder(t.Context(), "", claim)
		if want, is := holders[claim]; err != nil || held != is || holder != want {
			t.Errorf("claim %v is held by %q (%t, %v), by the log by %q", claim, holder, held, err, want)
		}
	}
	for id, want := range heads {
		if head, err := fresh.Head(t.Context(), id); err != nil || head.Version != want {
			t.Errorf("stream %s ends at %d (%v), by the log at %d", id, head.Version, err, want)
		}
	}
}
