package disk_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

func (r *torture) randomID() (id daybook.ID) {
	binary.BigEndian.PutUint64(id[8:], r.random.Uint64()>>2|1<<63)
	if r.random.IntN(2) == 0 {
		binary.BigEndian.PutUint64(id[:], r.random.Uint64()&^0xf000|0x4000)
		return id
	}
	binary.BigEndian.PutUint64(id[:], uint64(r.now.UnixMilli())<<16|0x7000|r.random.Uint64N(1<<12))
	return id
}

func (r *torture) randomStream() daybook.StreamID {
	id := daybook.Stream(fmt.Sprintf("%c-%d", 'a'+r.random.IntN(3), r.random.IntN(4)))
	if r.random.IntN(4) == 0 {
		id.Partition = "tenant"
	}
	return id
}

func (r *torture) randomDurability() daybook.Durability {
	if r.lax && r.random.IntN(10) > 0 {
		return daybook.DurabilityMemory + daybook.Durability(r.random.IntN(2))
	}
	levels := [...]daybook.Durability{daybook.DurabilityDefault, daybook.DurabilityDisk, daybook.DurabilityDisk, daybook.DurabilityOS, daybook.DurabilityOS, daybook.DurabilityMemory}
	return levels[r.random.IntN(len(levels))]
}

func (r *torture) randomEvents() []daybook.Event {
	events := make([]daybook.Event, 1+r.random.IntN(3))
	// Now and then one is so large that its round is written past the page cache.
	huge := r.direct && r.random.IntN(40) == 0
	for i := range events {
		size := r.random.IntN(200)
		switch {
		case huge && i == 0:
			size = 120<<10 + r.random.IntN(60<<10)
		case r.large:
			size = 1<<10 + r.random.IntN(8<<10)
			if r.random.IntN(12) == 0 {
				size += 128 << 10 // so much is written past the page cache
			}
		}
		e := daybook.Event{Type: fmt.Sprintf("kind%d", r.random.IntN(5)), Data: make([]byte, size), Tags: randomTags(r.random)}
		for at := 0; at+8 <= size; at += 8 {
			binary.LittleEndian.PutUint64(e.Data[at:], r.random.Uint64())
		}
		r.mark(&e)
		if r.random.IntN(4) == 0 {
			e.OccurredAt = r.now.Add(-time.Minute)
			e.Context.Correlation, e.Context.Why = "c", &daybook.Cause{ID: "1", What: "click", When: r.now}
		}
		events[i] = e
	}
	return events
}

// randomAppend returns an append that is refused now and then.
func (r *torture) randomAppend() daybook.Append {
	a := daybook.Append{ID: r.randomID(), Durability: r.randomDurability()}
	for range 1 + r.random.IntN(1+r.random.IntN(3)) {
		c := daybook.Changeset{Stream: r.randomStream(), Events: r.randomEvents()}
		if slices.ContainsFunc(a.Changesets, func(other daybook.Changeset) bool { return other.Stream == c.Stream }) {
			continue
		}
		c.Expect = r.randomExpect(c.Stream)
		if r.random.IntN(3) == 0 {
			c.Metadata = fmt.Appendf(nil, `{"m":%q}`, r.newMark())
		}
		if r.random.IntN(5) == 0 {
			c.Claims = append(c.Claims, r.randomClaim())
		}
		if r.random.IntN(5) == 0 {
			c.Releases = append(c.Releases, r.randomClaim())
		}
		r.badge(&c)
		if r.random.IntN(6) == 0 {
			c.References = append(c.References, r.randomStream())
		}
		a.Changesets = append(a.Changesets, c)
	}
	if r.random.IntN(5) == 0 {
		a.Condition = &daybook.Condition{Query: randomQuery(r.random), After: r.model.end().position}
		if r.random.IntN(4) == 0 {
			a.Condition.After = daybook.Position(r.random.Int64N(int64(r.model.end().position) + 1))
		}
	}
	return a
}

func (r *torture) randomClaim() daybook.Claim {
	return daybook.Claim{Kind: "email", Value: fmt.Sprintf("%d@example.org", r.random.IntN(5))}
}

func (r *torture) randomExpect(id daybook.StreamID) daybook.Expect {
	head, err := r.model.store.Head(context.Background(), id)
	if err != nil {
		panic(err)
	}
	wrong := 0
	if r.random.IntN(8) == 0 {
		wrong = 1
	}
	switch r.random.IntN(5) {
	case 0:
		return daybook.ExpectVersion(head.Version + daybook.Version(wrong))
	case 1:
		return daybook.ExpectChangeset(head.Changeset + daybook.ChangesetNumber(wrong))
	case 2:
		if head.Exists() == (wrong == 0) {
			return daybook.ExpectExists()
		}
		return daybook.ExpectNone()
	default:
		return daybook.ExpectAny()
	}
}

// badge has a changeset now and then take a claim that is marked, or give back one
// that its stream has.
func (r *torture) badge(c *daybook.Changeset) {
	switch r.random.IntN(8) {
	case 0:
		c.Claims = append(c.Claims, daybook.Claim{Kind: "badge", Value: r.newMark()})
	case 1:
		var held []string
		for i := range r.model.deeds {
			held = append(held, r.model.heldBy(&r.model.deeds[i], c.Stream)...)
		}
		if held = slices.DeleteFunc(held, func(mark string) bool { return r.model.gone[mark] }); len(held) > 0 {
			c.Releases = append(c.Releases, daybook.Claim{Kind: "badge", Value: held[r.random.IntN(len(held))]})
		}
	}
}

// randomDeletion returns a deletion of a stream, or of the beginning of one, that
// is refused now and then.
func (r *torture) randomDeletion() proposal {
	d := daybook.Deletion{ID: r.randomID(), Stream: r.randomStream(), Scrub: r.random.IntN(2) == 0, Who: "ann", Why: "asked for"}
	if n := len(r.model.log); n > 0 && r.random.IntN(4) > 0 {
		d.Stream = r.model.log[r.random.IntN(n)].Stream
	}
	head, err := r.model.store.Head(context.Background(), d.Stream)
	if err != nil {
		panic(err)
	}
	if r.random.IntN(3) > 0 {
		d.Through = 1 + daybook.Version(r.random.Int64N(int64(head.Version)+2))
	}
	if r.random.IntN(3) == 0 {
		d.Expect = r.randomExpect(d.Stream)
	}
	return proposal{deletion: &d}
}

// randomImport returns changesets that follow the log, with gaps.
func (r *torture) randomImport() proposal {
	p := proposal{}
	position, at := r.model.end().position, r.now
	if latest := r.model.latest(); at.Before(latest) {
		at = latest
	}
	for range 1 + r.random.IntN(3) {
		id := daybook.StreamID{Partition: "imported", Name: fmt.Sprintf("i-%d", r.random.IntN(1000))}
		if head, err := r.model.store.Head(context.Background(), id); err != nil || head.Version > 0 ||
			slices.ContainsFunc(p.all, func(c daybook.RecordedChangeset) bool { return c.Stream == id }) {
			continue
		}
		c := daybook.RecordedChangeset{Stream: id, RecordedAt: daybook.Microseconds(at)}
		c.AppendID, c.Number, c.First = r.randomID(), 1+daybook.ChangesetNumber(r.random.IntN(3)), 1+daybook.Version(r.random.IntN(3))
		for i, e := range r.randomEvents() {
			position += 1 + daybook.Position(r.random.IntN(2)*r.random.IntN(5))
			if e.ID == (daybook.ID{}) {
				e.ID = r.randomID()
			}
			c.Records = append(c.Records, daybook.Record{Event: e, Stream: id, Version: c.First + daybook.Version(i), Position: position})
		}
		c.Count = len(c.Records)
		p.all = append(p.all, c)
	}
	if p.all == nil {
		return proposal{append: r.randomAppend()}
	}
	return p
}
