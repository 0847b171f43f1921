package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/daybook-go/daybook"
)

// hotel makes streams that come and go: guests, each of whom claims a room, and
// leaves it by being deleted. Nobody else touches its partition, so it knows what
// every answer must be.
type hotel struct {
	soak      *soak
	partition string
	rooms     [8]*guest // who claims each
	guests    map[daybook.StreamID]*guest
	deletions int64
	pending   *stay // was not answered
}

// guest is a stream.
type guest struct {
	id     daybook.StreamID
	room   int
	secret bool              // its content is to be removed
	ends   []daybook.Version // of each changeset
	gone   daybook.Version   // all through this one is deleted
}

// stay is an append, or a deletion, of a guest.
type stay struct {
	guest    *guest
	append   *daybook.Append
	deletion *daybook.Deletion
}

func newHotel(s *soak, n int) *hotel {
	return &hotel{soak: s, partition: fmt.Sprint("hotel-", n), guests: map[daybook.StreamID]*guest{}}
}

// run goes on until the server is gone, with what the life before left open.
func (h *hotel) run(ctx context.Context, store *daybook.Store, random *rand.Rand) {
	for ctx.Err() == nil && !h.soak.t.Failed() {
		next := h.pending
		if next == nil {
			next = h.next(random)
		}
		if h.carryOut(ctx, store, next) == lost {
			return
		}
	}
}

// next returns what happens in a room.
func (h *hotel) next(random *rand.Rand) *stay {
	room := random.IntN(len(h.rooms))
	g := h.rooms[room]
	switch {
	case g == nil:
		return h.arrive(room, random)
	case random.IntN(3) > 0:
		return h.remain(g, 1+random.IntN(3))
	}
	d := &daybook.Deletion{ID: daybook.NewID(), Stream: g.id, Expect: daybook.ExpectVersion(g.version()), Scrub: g.secret, Who: h.partition}
	if random.IntN(3) == 0 { // a part, or nothing
		d.Through = 1 + daybook.Version(random.Int64N(int64(g.version())))
	}
	return &stay{guest: g, deletion: d}
}

func (h *hotel) arrive(room int, random *rand.Rand) *stay {
	g := &guest{room: room, secret: random.IntN(2) == 0}
	g.id = daybook.StreamID{Partition: h.partition, Name: fmt.Sprint("guest-", len(h.guests)+1)}
	next := h.remain(g, 1+random.IntN(3))
	c := &next.append.Changesets[0]
	c.Expect = daybook.ExpectNone()
	c.Claims = []daybook.Claim{{Kind: "room", Value: fmt.Sprint(room)}}
	return next
}

// secretMark stands in whatever the content of secret guests is.
const secretMark = "what-only-the-guest-may-know"

func (h *hotel) remain(g *guest, events int) *stay {
	c := daybook.Changeset{Stream: g.id, Expect: daybook.ExpectVersion(g.version())}
	for range events {
		e := daybook.Event{Type: "stayed", Tags: []string{"of:" + g.id.Name}, Data: []byte(`{"in":"the house"}`)}
		if g.secret {
			e.Type, e.Data = secretMark, []byte(`"`+secretMark+`"`)
		}
		c.Events = append(c.Events, e)
	}
	return &stay{guest: g, append: &daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{c}}}
}

func (g *guest) version() daybook.Version {
	if len(g.ends) == 0 {
		return 0
	}
	return g.ends[len(g.ends)-1]
}

// left returns the version through which a deletion takes the guest.
func (g *guest) left(through daybook.Version) daybook.Version {
	gone := g.gone
	for _, end := range g.ends {
		if through == 0 || end <= through {
			gone = max(gone, end)
		}
	}
	return gone
}

func (h *hotel) carryOut(ctx context.Context, store *daybook.Store, next *stay) fate {
	h.pending = nil
	var receipt daybook.Receipt
	var deleted daybook.DeletionReceipt
	var err error
	if next.append != nil {
		h.soak.book.send(next.append.ID, len(next.append.Changesets[0].Events))
		receipt, err = store.AppendAll(ctx, *next.append)
	} else {
		deleted, err = store.DeleteStream(ctx, *next.deletion)
	}
	became := h.soak.fateOf(ctx, next.guest.id, err)
	switch {
	case became == lost:
		h.pending = next
	case became == done && next.append != nil:
		h.noteAppend(next, receipt)
	case became == done:
		h.noteDeletion(next, deleted)
	}
	return became
}

func (h *hotel) noteAppend(of *stay, receipt daybook.Receipt) {
	g := of.guest
	before := g.version()
	if c := receipt.Changesets[0]; c.First != before+1 || c.Number != daybook.ChangesetNumber(len(g.ends)+1) {
		h.soak.t.Errorf("guest %s at version %d: the receipt is %+v", g.id, before, c)
	}
	h.soak.book.acknowledge(receipt)
	g.ends = append(g.ends, receipt.Changesets[0].Last)
	h.guests[g.id], h.rooms[g.room] = g, g
}

func (h *hotel) noteDeletion(of *stay, receipt daybook.DeletionReceipt) {
	g := of.guest
	gone := g.left(of.deletion.Through)
	if receipt.Through != gone || receipt.Records != int64(gone-g.gone) {
		h.soak.t.Errorf("guest %s at version %d, of which %d are gone: the receipt of a deletion through %d is %+v", g.id, g.version(), g.gone, of.deletion.Through, receipt)
	}
	h.deletions++
	if g.gone = gone; g.gone == g.version() {
		h.rooms[g.room] = nil
	}
}

func (s *soak) guests() (n int) {
	for _, h := range s.hotels {
		n += len(h.guests)
	}
	return n
}

// checkOut lets everybody with a secret leave, and what is pending happen, in the
// end.
func (s *soak) checkOut() {
	s.t.Helper()
	server, err := startServer(s.dir, "file:data")
	if err != nil {
		s.t.Fatal(err)
	}
	defer server.kill()
	store := storeBehind(s.t, server.url)
	defer store.Close()
	for _, h := range s.hotels {
		if next := h.pending; next != nil && h.carryOut(s.t.Context(), store, next) != done {
			s.t.Fatalf("what guest %s did last cannot be done again", next.guest.id)
		}
		for _, g := range h.rooms {
			if g == nil || !g.secret {
				continue
			}
			last := &stay{guest: g, deletion: &daybook.Deletion{ID: daybook.NewID(), Stream: g.id, Scrub: true, Who: h.partition}}
			if h.carryOut(s.t.Context(), store, last) != done {
				s.t.Fatalf("guest %s cannot leave", g.id)
			}
		}
	}
}

// wantGuests compares the guests in a store with those that each hotel knows.
func (h *hotel) wantGuests(store *daybook.Store) {
	t := h.soak.t
	t.Helper()
	for _, g := range h.guests {
		head, err := store.Head(t.Context(), g.id)
		if err != nil {
			t.Fatal(err)
		}
		if head.Version != g.version() || head.First != g.gone+1 || head.Changeset != daybook.ChangesetNumber(len(g.ends)) {
			t.Errorf("guest %s is at version %d, %d are gone; the head is %+v", g.id, g.version(), g.gone, head)
		}
	}
	for room, g := range h.rooms {
		holder, held, err := store.ClaimHolder(t.Context(), h.partition, daybook.Claim{Kind: "room", Value: fmt.Sprint(room)})
		if err != nil || held != (g != nil) || held && holder != g.id {
			t.Errorf("room %d of %s is held by %q (%v), %v; the guest is %+v", room, h.partition, holder, held, err, g)
		}
	}
	listed := 0
	for s, err := range store.ListStreams(t.Context(), daybook.StreamList{Filter: daybook.Filter{Partitions: []string{h.partition}}}) {
		if g := h.guests[s.Stream]; err != nil || g == nil || g.gone == g.version() {
			t.Errorf("stream %s is listed, %v; the guest is %+v", s.Stream, err, g)
		}
		listed++
	}
	here := 0
	for _, g := range h.guests {
		if g.gone < g.version() {
			here++
		}
	}
	if listed != here {
		t.Errorf("%d guests of %s are listed, %d are here", listed, h.partition, here)
	}
}
