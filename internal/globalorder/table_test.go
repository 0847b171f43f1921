package globalorder_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/globalorder"
)

// table is a Storage in memory. What fails, and how, is for fault to say.
type table struct {
	// fault is asked before and after every call: an error before says that it
	// was not carried out, one after that it was. Nil is none.
	fault func(call string, after bool) error
	// delays says whether a creation arrives late: with the next one. Nil is no.
	delays func() bool

	mu      sync.Mutex // guards all below
	pages   []globalorder.StoredPage
	appends map[daybook.ID]int64
	heads   map[daybook.StreamID]globalorder.SettledHead
	claims  map[globalorder.ClaimKey]globalorder.SettledClaim
	records map[daybook.StreamID]map[daybook.Version]daybook.Record
	late    []func() // writes that are still under way
	calls   map[string]int
}

func newTable() *table {
	return &table{
		appends: map[daybook.ID]int64{}, heads: map[daybook.StreamID]globalorder.SettledHead{}, calls: map[string]int{},
		claims: map[globalorder.ClaimKey]globalorder.SettledClaim{}, records: map[daybook.StreamID]map[daybook.Version]daybook.Record{},
	}
}

var errLost = errors.New("the answer was lost")

// do carries out a call, or does not, as fault says.
func (t *table) do(ctx context.Context, call string, work func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if t.fault != nil {
		if err := t.fault(call, false); err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.calls[call]++
	err := work()
	t.mu.Unlock()
	if t.fault != nil && err == nil {
		err = t.fault(call, true)
	}
	return err
}

func (t *table) Create(ctx context.Context, page *globalorder.StoredPage) error {
	stored := *page
	stored.Bytes, stored.Content = slices.Clone(page.Bytes), nil
	return t.do(ctx, "create", func() error {
		for _, arrives := range t.late {
			arrives()
		}
		t.late = nil
		if t.delays != nil && t.delays() {
			t.late = append(t.late, func() { _ = t.create(stored) })
			return errLost
		}
		return t.create(stored)
	})
}

func (t *table) create(page globalorder.StoredPage) error {
	switch {
	case page.Number <= int64(len(t.pages)):
		return globalorder.ErrExists
	case page.Number > int64(len(t.pages))+1:
		panic("a page is created without its predecessor")
	}
	t.pages = append(t.pages, page)
	return nil
}

func (t *table) Last(ctx context.Context) (place globalorder.Place, err error) {
	err = t.do(ctx, "last", func() error {
		if n := len(t.pages); n > 0 {
			place = globalorder.Place{Number: int64(n), Settled: t.pages[n-1].Settled}
		}
		return nil
	})
	return place, err
}

func (t *table) Seek(ctx context.Context, position daybook.Position) (number int64, err error) {
	err = t.do(ctx, "seek", func() error {
		for _, p := range t.pages {
			if p.First <= position {
				number = p.Number
			}
		}
		return nil
	})
	return number, err
}

func (t *table) Pages(ctx context.Context, from, to int64) iter.Seq2[globalorder.StoredPage, error] {
	return func(yield func(globalorder.StoredPage, error) bool) {
		var found []globalorder.StoredPage
		err := t.do(ctx, "pages", func() error {
			if to == 0 || to > int64(len(t.pages)) {
				to = int64(len(t.pages))
			}
			if from <= to {
				found = slices.Clone(t.pages[from-1 : to])
			}
			return nil
		})
		if err != nil {
			yield(globalorder.StoredPage{}, err)
			return
		}
		for _, p := range found {
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (t *table) MarkSettled(ctx context.Context, numbers []int64) error {
	return t.do(ctx, "mark", func() error {
		for _, n := range numbers {
			t.pages[n-1].Done = true
		}
		return nil
	})
}

// Settle carries out some of its writes where it fails.
func (t *table) Settle(ctx context.Context, s *globalorder.Settlement) error {
	var works []func()
	for _, c := range s.Changesets {
		works = append(works, func() {
			if t.records[c.Stream] == nil {
				t.records[c.Stream] = map[daybook.Version]daybook.Record{}
			}
			for _, r := range c.Records {
				t.records[c.Stream][r.Version] = r
			}
		})
	}
	for _, a := range s.Appends {
		works = append(works, func() { t.appends[a.ID] = a.Page })
	}
	for _, h := range s.Heads {
		works = append(works, func() {
			if h.Stamp > t.heads[h.Stream].Stamp {
				t.heads[h.Stream] = h
			}
		})
	}
	for _, c := range s.Claims {
		works = append(works, func() {
			if c.Stamp > t.claims[c.Key].Stamp {
				t.claims[c.Key] = c
			}
		})
	}
	rand.Shuffle(len(works), func(i, j int) { works[i], works[j] = works[j], works[i] })
	for _, work := range works {
		if err := t.do(ctx, "settle", func() error { work(); return nil }); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) AppendPage(ctx context.Context, id daybook.ID) (number int64, err error) {
	err = t.do(ctx, "append", func() error { number = t.appends[id]; return nil })
	return number, err
}

func (t *table) Head(ctx context.Context, id daybook.StreamID) (head globalorder.SettledHead, err error) {
	err = t.do(ctx, "head", func() error { head = t.heads[id]; return nil })
	return head, err
}

func (t *table) Claim(ctx context.Context, key globalorder.ClaimKey) (claim globalorder.SettledClaim, err error) {
	err = t.do(ctx, "claim", func() error { claim = t.claims[key]; return nil })
	return claim, err
}

func (t *table) Records(ctx context.Context, id daybook.StreamID, from, to daybook.Version, backwards bool) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		var found []daybook.Record
		err := t.do(ctx, "records", func() error {
			for _, v := range slices.Sorted(maps.Keys(t.records[id])) {
				if v >= from && v <= to {
					found = append(found, t.records[id][v])
				}
			}
			return nil
		})
		if err != nil {
			yield(daybook.Record{}, err)
			return
		}
		if backwards {
			slices.Reverse(found)
		}
		for _, r := range found {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (t *table) Streams(ctx context.Context, after daybook.StreamID, _ daybook.Filter) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		var found []daybook.StreamHead
		err := t.do(ctx, "streams", func() error {
			for _, h := range t.heads {
				if h.Stream.Compare(after) > 0 {
					found = append(found, h.StreamHead)
				}
			}
			return nil
		})
		if err != nil {
			yield(daybook.StreamHead{}, err)
			return
		}
		slices.SortFunc(found, func(a, b daybook.StreamHead) int { return a.Stream.Compare(b.Stream) })
		for _, h := range found {
			if !yield(h, nil) {
				return
			}
		}
	}
}
