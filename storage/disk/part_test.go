package disk

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

// randomLog appends and imports what an index has to tell of.
type randomLog struct {
	*rand.Rand
	store  *daybook.Store
	driver *Driver
	now    time.Time
}

func (g *randomLog) stream() daybook.StreamID {
	return daybook.StreamID{
		Partition: []string{"", "p", "p\x01", "pp"}[g.IntN(4)],
		Name:      fmt.Sprintf("%s-%d", []string{"account", "account2", "order", "a"}[g.IntN(4)], g.IntN(60)),
	}
}

func (g *randomLog) changesets() (all []daybook.Changeset) {
	for range 1 + g.IntN(3) {
		c := daybook.Changeset{Stream: g.stream()}
		if slices.ContainsFunc(all, func(other daybook.Changeset) bool { return other.Stream == c.Stream }) {
			continue
		}
		for range 1 + g.IntN(4) {
			e := daybook.Event{ID: daybook.NewID(), Type: fmt.Sprint("type", g.IntN(5)), Data: make([]byte, g.IntN(900))}
			for _, tag := range []string{"all", fmt.Sprint("n:", g.IntN(40)), fmt.Sprint("even:", g.IntN(2))} {
				if g.IntN(2) == 0 {
					e.Tags = append(e.Tags, tag)
				}
			}
			c.Events = append(c.Events, e)
		}
		for n := g.IntN(8); n < 2; n++ {
			c.Claims = append(c.Claims, daybook.Claim{Kind: fmt.Sprint("k", len(all)), Value: fmt.Sprint(n, "-", g.IntN(20))})
		}
		for n := g.IntN(8); n < 2; n++ {
			c.Releases = append(c.Releases, daybook.Claim{Kind: fmt.Sprint("k", len(all)), Value: fmt.Sprint(n, "-", g.IntN(20))})
		}
		all = append(all, c)
	}
	return all
}

// write appends something, or imports it with gaps between the positions.
func (g *randomLog) write(t *testing.T) {
	t.Helper()
	g.now = g.now.Add(time.Duration(g.IntN(3)) * time.Millisecond)
	changesets := g.changesets()
	id := daybook.NewID()
	if g.IntN(3) == 0 {
		id = daybook.IDOf(fmt.Sprint("append ", g.Uint64()))
	}
	if g.IntN(5) > 0 {
		a := daybook.Append{ID: id, Changesets: changesets, Durability: daybook.DurabilityMemory}
		var held *daybook.ClaimError
		if _, err := g.store.AppendAll(t.Context(), a); err != nil && !errors.As(err, &held) {
			t.Fatal(err)
		}
		return
	}
	end, err := g.driver.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var imported []daybook.RecordedChangeset
	for _, c := range changesets {
		head, err := g.driver.Head(t.Context(), c.Stream)
		if err != nil {
			t.Fatal(err)
		}
		r := daybook.RecordedChangeset{
			Stream: c.Stream, RecordedAt: daybook.Microseconds(g.now), ChangesetHeader: daybook.ChangesetHeader{
				AppendID: id, Number: head.Changeset + 1, First: head.Version + 1, Count: len(c.Events),
				Claims: c.Claims, Releases: c.Releases,
			},
		}
		for _, e := range c.Events {
			end += daybook.Position(1 + g.IntN(3))
			r.Records = append(r.Records, daybook.Record{Position: end, Event: e})
		}
		imported = append(imported, r)
	}
	if err := g.driver.Import(t.Context(), imported); err != nil {
		t.Fatal(err)
	}
}

// The index of a segment is made of what is in memory of it, and made anew of
// what it holds.
func TestIndexFileIsTheSameFromMemoryAndFromItsSegment(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = given
	}
	t.Logf("DAYBOOK_SEED=%d", seed)
	g := &randomLog{Rand: rand.New(rand.NewPCG(seed, 2)), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	d, err := Open(t.TempDir(), &Options{SegmentBytes: 64 << 10, Now: func() time.Time { return g.now }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	g.store, g.driver = daybook.New(d, nil), d
	x := d.log.index.sealed
	compared := 0
	for range 1200 {
		g.write(t)
		if g.IntN(40) > 0 {
			continue
		}
		if _, err := g.store.Append(t.Context(), daybook.Stream("synced"), daybook.ExpectAny(), daybook.Event{Type: "t"}); err != nil {
			t.Fatal(err)
		}
		d.log.mu.RLock()
		last := d.log.segments[len(d.log.segments)-1].asItIs()
		kept := d.log.index.partOf(last)
		d.log.mu.RUnlock()
		for x.next() < last.number {
			runtime.Gosched()
		}
		read, err := x.read(last, nil)
		if err != nil {
			t.Fatal(err)
		}
		var fromMemory, fromSegment bytes.Buffer
		_, err = kept.write(&fromMemory, x.store, last)
		if _, again := read.write(&fromSegment, x.store, last); err != nil || again != nil {
			t.Fatal(err, again)
		}
		if !bytes.Equal(fromMemory.Bytes(), fromSegment.Bytes()) {
			t.Fatalf("segment %d, %d bytes: an index of %d bytes from memory, of %d from the segment, is not the same",
				last.number, last.end, fromMemory.Len(), fromSegment.Len())
		}
		compared++
	}
	if n := len(d.log.segments); n < 5 || compared < 5 {
		t.Errorf("%d segments, %d compared", n, compared)
	}
}
