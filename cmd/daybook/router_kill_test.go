package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/remote"
	"github.com/daybook-go/daybook/verify"
)

// pair is two servers over one store, one of which is killed now and then.
type pair struct {
	t     *testing.T
	store string

	mu      sync.Mutex
	servers [2]*server                     // guarded by mu
	acked   map[daybook.ID]daybook.Receipt // guarded by mu
	told    chan struct{}                  // has one for each append that was answered
}

func (p *pair) url(i int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.servers[i].url
}

// append sends an append to one server after the other until one answers.
func (p *pair) append(ctx context.Context, a daybook.Append, first int) error {
	var last error
	for try := range 200 {
		driver, err := remote.Open(p.url((first+try)%2), &remote.Options{Retries: -1})
		if err != nil {
			return err
		}
		receipt, err := daybook.New(driver, nil).AppendAll(ctx, a)
		if closing := driver.Close(); closing != nil {
			return closing
		}
		switch {
		case err == nil:
			p.mu.Lock()
			p.acked[a.ID] = receipt
			p.mu.Unlock()
			p.told <- struct{}{}
			return nil
		case errors.Is(err, daybook.ErrRefused) && !errors.Is(err, daybook.ErrClosed) && !isAway(err):
			return fmt.Errorf("append %s: %w", a.ID, err)
		}
		last = err
	}
	return last
}

// Two servers over one router, over a table and blobs on the emulator. One of
// them is killed five times while clients append through both; what was begun
// there is sent again, to either.
func TestServersOverOneRouterLoseNothingWhenOneIsKilled(t *testing.T) {
	p := &pair{t: t, store: routed(t, onAzure(t)), acked: map[daybook.ID]daybook.Receipt{}, told: make(chan struct{}, 1000)}
	for i := range p.servers {
		p.servers[i] = p.start()
	}
	defer func() {
		for _, s := range p.servers {
			s.kill()
		}
	}()
	const clients, appends, kills = 4, 15, 5
	group, ctx := errgroup.WithContext(t.Context())
	for client := range clients {
		group.Go(func() error {
			for i := range appends {
				kind := [...]string{"account", "note"}[(client+i)%2]
				a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{
					Stream: daybook.Stream(fmt.Sprintf("%s-%d", kind, i%3)), Events: []daybook.Event{{Type: "first"}, {Type: "second"}},
				}}}
				if err := p.append(ctx, a, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		for range kills {
			for range clients * appends / (kills + 1) {
				select {
				case <-p.told:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			p.servers[0].kill()
			again := p.start()
			p.mu.Lock()
			p.servers[0] = again
			p.mu.Unlock()
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	p.judge()
}

func (p *pair) start() *server {
	s, err := startServer(p.t.TempDir(), p.store)
	if err != nil {
		p.t.Error(err)
		return &server{}
	}
	return s
}

// judge holds the log in the end to what was answered.
func (p *pair) judge() {
	p.t.Helper()
	store := daybook.New(openedFor(p.t, p.store), nil)
	found := 0
	for c, err := range daybook.Changesets(store.ReadLog(p.t.Context(), daybook.LogRead{})) {
		if err != nil {
			p.t.Fatal(err)
		}
		found++
		stands := daybook.ChangesetReceipt{
			Stream: c.Stream, Number: c.Number, First: c.First, Last: c.Last(),
			FirstPosition: c.Records[0].Position, LastPosition: c.Records[len(c.Records)-1].Position,
		}
		if receipt := p.acked[c.AppendID]; !slices.Contains(receipt.Changesets, stands) || !receipt.RecordedAt.Equal(c.RecordedAt) {
			p.t.Errorf("append %s stands at %+v, recorded at %s; its receipt says %+v", c.AppendID, stands, c.RecordedAt, receipt)
		}
	}
	if found != len(p.acked) {
		p.t.Errorf("the log has %d appends, %d were answered", found, len(p.acked))
	}
	if report, err := verify.Store(p.t.Context(), store, nil); err != nil || !report.OK() {
		p.t.Errorf("%v, %v", report.Findings, err)
	}
}
