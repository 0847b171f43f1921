package disk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// besideWriter is one who works at a store that is compacted meanwhile: each has
// streams of its own, so that it knows what it must read.
type besideWriter struct {
	store   *daybook.Store
	random  *rand.Rand
	streams [3]daybook.StreamID
	first   [3]daybook.Version // that is left of them
	last    [3]daybook.Version
	sent    []daybook.Append
}

func (w *besideWriter) step(ctx context.Context) error {
	n := w.random.IntN(len(w.streams))
	id := w.streams[n]
	switch choice := w.random.IntN(10); {
	case choice < 5:
		a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{
			Stream: id, Expect: daybook.ExpectVersion(w.last[n]), Events: events(int(w.last[n]), 1+w.random.IntN(3)),
			Claims: []daybook.Claim{{Kind: "k", Value: fmt.Sprint(id, w.last[n])}},
		}}}
		if _, err := w.store.AppendAll(ctx, a); err != nil {
			return err
		}
		w.last[n] += daybook.Version(len(a.Changesets[0].Events))
		w.sent = append(w.sent, a)
	case choice < 6:
		receipt, err := w.store.DeleteStream(ctx, daybook.Deletion{Stream: id, Through: w.last[n] / 2, Scrub: w.random.IntN(2) == 0})
		if err != nil {
			return err
		}
		w.first[n] = receipt.Through + 1
	case choice < 7 && len(w.sent) > 0:
		a := w.sent[w.random.IntN(len(w.sent))]
		if receipt, err := w.store.AppendAll(ctx, a); err != nil || !receipt.Repeated {
			return fmt.Errorf("append %s again: %+v, %w", a.ID, receipt, err)
		}
	default:
		next := w.first[n]
		for r, err := range w.store.ReadStream(ctx, id, daybook.StreamRead{}) {
			if err != nil || r.Version != next {
				return fmt.Errorf("%s has version %d, want %d: %w", id, r.Version, next, err)
			}
			next++
		}
		if next != w.last[n]+1 {
			return fmt.Errorf("%s ends at version %d, want %d", id, next-1, w.last[n])
		}
	}
	return nil
}

func TestCompactionsBesideWritersAndReadersDisturbNobody(t *testing.T) {
	random := seeded(t)
	dir := t.TempDir()
	d := open(t, dir, &disk.Options{SegmentBytes: 2 << 10, FS: lazy})
	store := daybook.New(d, nil)
	var working, compacting sync.WaitGroup
	for n := range 4 {
		w := &besideWriter{store: store, random: rand.New(rand.NewPCG(random.Uint64(), uint64(n))), first: [3]daybook.Version{1, 1, 1}}
		for i := range w.streams {
			w.streams[i] = daybook.Stream(fmt.Sprintf("w%d-%d", n, i))
		}
		working.Go(func() {
			for range 100 {
				if err := w.step(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var ended atomic.Bool
	segments := 0
	compacting.Go(func() {
		for n := 0; !ended.Load(); n++ {
			report, err := d.Compact(t.Context(), &disk.CompactOptions{ScrubsOnly: n%2 == 0})
			if err != nil {
				t.Error(err)
				return
			}
			segments += report.Segments
		}
	})
	compacting.Go(func() {
		for !ended.Load() {
			last := daybook.Position(0)
			for r, err := range d.ReadLog(t.Context(), daybook.LogRead{}) {
				if err != nil || r.Position <= last {
					t.Errorf("position %d behind %d: %v", r.Position, last, err)
					return
				}
				last = r.Position
			}
		}
	})
	working.Wait()
	ended.Store(true)
	compacting.Wait()
	if segments == 0 {
		t.Error("nothing was compacted")
	}
	wantVerified(t, d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if report, err := disk.Check(t.Context(), dir, &disk.CheckOptions{Deep: true}); err != nil || !report.OK() {
		t.Errorf("the check finds %v, %v", report.Problems, err)
	}
}
