package disk_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// step does one thing, and compares what the store and the model answer.
func (r *torture) step() error {
	r.now = r.now.Add(time.Duration(r.random.Int64N(int64(time.Second))))
	if r.full && r.random.IntN(4) == 0 {
		time.Sleep(time.Second) // until it is looked for room again
		if r.random.IntN(2) == 0 {
			r.disk.SetCapacity(0)
			r.notef("there is room")
		}
	}
	switch choice := r.random.IntN(100); {
	case choice < 50:
		return r.send(proposal{append: r.randomAppend()})
	case choice < 65:
		return r.sendTogether(2 + r.random.IntN(4))
	case choice < 75:
		return r.repeat()
	case choice < 79:
		return r.send(r.randomImport())
	case choice < 82:
		r.now = r.now.Add(-time.Duration(r.random.Int64N(int64(time.Hour))))
		return nil
	default:
		return r.read()
	}
}

// send gives the store and the model one append, or import.
func (r *torture) send(p proposal) error {
	r.model.sending(p)
	receipt, err := r.give(p)
	r.notef("append %s: %v, %v", p, err, receipt.Durability)
	if r.full && errors.Is(err, daybook.ErrFull) {
		return nil // nothing of it is stored
	}
	if unknown(err) {
		r.model.doubtful, r.model.failed = []attempt{{p, receipt, err}}, true
		return err
	}
	want, refused := r.model.take(p, r.now)
	if fmt.Sprint(err) != fmt.Sprint(refused) {
		return brokenf("append %s was answered with %v, want %v", p, err, refused)
	}
	r.model.note(receipt)
	if p.all != nil && err == nil {
		r.model.note(daybook.Receipt{Durability: daybook.DurabilityDisk, Changesets: []daybook.ChangesetReceipt{{LastPosition: r.model.end()}}})
	}
	return sameReceipt(receipt, want)
}

// give gives the store an append, or import.
func (r *torture) give(p proposal) (daybook.Receipt, error) {
	if p.all != nil {
		return daybook.Receipt{}, r.store.Import(context.Background(), p.all)
	}
	return r.store.AppendAll(context.Background(), p.append)
}

// unknown reports whether an append with this error may be stored or not.
func unknown(err error) bool {
	return err != nil && !errors.Is(err, daybook.ErrRefused)
}

// sendTogether sends appends at once. In the order of the positions that they
// were given, the model must take them too.
func (r *torture) sendTogether(n int) error {
	attempts := make([]attempt, n)
	for i := range attempts {
		attempts[i].append = r.randomAppend()
		r.model.sending(attempts[i].proposal)
	}
	var group sync.WaitGroup
	for i := range attempts {
		group.Go(func() { attempts[i].receipt, attempts[i].err = r.give(attempts[i].proposal) })
	}
	group.Wait()
	var taken []attempt
	var full []daybook.ID
	var doubt error
	for _, a := range attempts {
		r.notef("together, append %s: %v, %v", a.proposal, a.err, a.receipt.Durability)
		switch {
		case a.err == nil:
			r.model.note(a.receipt)
			taken = append(taken, a)
		case r.full && errors.Is(a.err, daybook.ErrFull):
			full = append(full, a.append.ID)
		case unknown(a.err):
			doubt = a.err
		}
	}
	if doubt != nil {
		r.model.doubtful, r.model.failed = slices.DeleteFunc(attempts, func(a attempt) bool { return slices.Contains(full, a.append.ID) }), true
		return doubt
	}
	slices.SortFunc(taken, func(a, b attempt) int { return int(a.receipt.Position() - b.receipt.Position()) })
	for _, a := range taken {
		want, err := r.model.take(a.proposal, a.receipt.RecordedAt)
		if err != nil {
			return brokenf("append %s was taken together with others, and cannot be taken in any order: %v", a.proposal, err)
		}
		if err := sameReceipt(a.receipt, want); err != nil {
			return err
		}
	}
	return nil
}

// repeat sends an append again that was sent before, perhaps in another shape.
func (r *torture) repeat() error {
	if len(r.model.log) == 0 {
		return nil
	}
	record := r.model.log[r.random.IntN(len(r.model.log))]
	p := r.model.sent[record.Changeset.AppendID]
	if p.all != nil {
		return nil // an import is not repeated
	}
	p.append.Durability = r.randomDurability()
	// One that may still be lost would not be known again.
	if r.random.IntN(4) == 0 && record.Position <= r.model.acknowledged {
		changesets := slices.Clone(p.append.Changesets)
		changesets[0].Events = append(slices.Clone(changesets[0].Events), daybook.Event{Type: "one more"})
		p.append.Changesets, p.reshaped = changesets, true
	}
	return r.send(p)
}

// retryDoubtful sends again what had no answer before the crash: it is stored
// now, or answered with the receipt of the first time.
func (r *torture) retryDoubtful() error {
	doubtful := r.model.doubtful
	r.model.doubtful = nil
	for _, a := range doubtful {
		if a.all != nil {
			continue
		}
		if err := r.send(a.proposal); err != nil {
			return err
		}
	}
	return nil
}

func sameReceipt(got, want daybook.Receipt) error {
	if got.AppendID != want.AppendID || !got.RecordedAt.Equal(want.RecordedAt) || got.Repeated != want.Repeated || !slices.Equal(got.Changesets, want.Changesets) {
		return brokenf("the receipt is\n%+v, want\n%+v", got, want)
	}
	return nil
}

// String shows a proposal on one line.
func (p proposal) String() string {
	var b strings.Builder
	if p.all != nil {
		fmt.Fprintf(&b, "(import of %d)", len(p.all))
		return b.String()
	}
	fmt.Fprintf(&b, "%s at %s", p.append.ID, p.append.Durability)
	for _, c := range p.append.Changesets {
		fmt.Fprintf(&b, " %s+%d %s", c.Stream, len(c.Events), c.Expect)
	}
	return b.String()
}

// sending notes what is sent, before it is.
func (m *model) sending(p proposal) {
	if p.all == nil && !p.reshaped {
		m.sent[p.append.ID] = p
	}
	for _, c := range p.all {
		m.sent[c.AppendID] = p
	}
}

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
		if r.random.IntN(4) == 0 {
			e.OccurredAt = r.now.Add(-time.Minute)
			e.Context = daybook.Context{Who: "ann", Correlation: "c", Metadata: []byte("{}"), Why: &daybook.Cause{ID: "1", What: "click", When: r.now}}
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
			c.Metadata = []byte(`{"m":1}`)
		}
		if r.random.IntN(5) == 0 {
			c.Claims = append(c.Claims, r.randomClaim())
		}
		if r.random.IntN(5) == 0 {
			c.Releases = append(c.Releases, r.randomClaim())
		}
		if r.random.IntN(6) == 0 {
			c.References = append(c.References, r.randomStream())
		}
		a.Changesets = append(a.Changesets, c)
	}
	if r.random.IntN(5) == 0 {
		a.Condition = &daybook.Condition{Query: randomQuery(r.random), After: r.model.end()}
		if r.random.IntN(4) == 0 {
			a.Condition.After = daybook.Position(r.random.Int64N(int64(r.model.end()) + 1))
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

// randomImport returns changesets that follow the log, with gaps.
func (r *torture) randomImport() proposal {
	p := proposal{}
	position, at := r.model.end(), r.now
	if n := len(r.model.log); n > 0 && at.Before(r.model.log[n-1].RecordedAt) {
		at = r.model.log[n-1].RecordedAt
	}
	for range 1 + r.random.IntN(3) {
		id := daybook.StreamID{Partition: "imported", Name: fmt.Sprintf("i-%d", r.random.IntN(1000))}
		if head, err := r.model.store.Head(context.Background(), id); err != nil || head.Exists() ||
			slices.ContainsFunc(p.all, func(c daybook.RecordedChangeset) bool { return c.Stream == id }) {
			continue
		}
		c := daybook.RecordedChangeset{Stream: id, RecordedAt: daybook.Microseconds(at)}
		c.AppendID, c.Number, c.First = r.randomID(), 1+daybook.ChangesetNumber(r.random.IntN(3)), 1+daybook.Version(r.random.IntN(3))
		for i, e := range r.randomEvents() {
			position += 1 + daybook.Position(r.random.IntN(2)*r.random.IntN(5))
			e.ID = r.randomID()
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
