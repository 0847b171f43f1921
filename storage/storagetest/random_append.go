package storagetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

// randomAppend returns an append of any kind that the driver offers, drawn so
// that many are refused, each for its own reasons.
func (p *pair) randomAppend() rankedAppend {
	a := rankedAppend{Append: daybook.Append{ID: p.id()}}
	count := 1
	if p.offersSeveral && p.random.IntN(3) == 0 {
		count += p.random.IntN(3)
	}
	for len(a.Changesets) < count {
		id := p.pools.stream()
		if len(a.Changesets) > 0 && !p.s.offered(acrossPartitions) {
			id.Partition = a.Changesets[0].Stream.Partition
		}
		if !slices.ContainsFunc(a.Changesets, func(c daybook.Changeset) bool { return c.Stream == id }) {
			a.Changesets = append(a.Changesets, p.randomChangeset(id))
		}
	}
	if p.s.offered(Claims) && p.random.IntN(4) == 0 {
		p.addClaims(&a)
	}
	if p.s.offered(References) && p.random.IntN(6) == 0 {
		c := &a.Changesets[p.random.IntN(count)]
		reference := p.pools.stream()
		if p.random.IntN(3) == 0 {
			reference.Name = numbered("nobody", p.random.IntN(4))
		}
		c.References = append(c.References, reference)
		if p.random.IntN(3) == 0 {
			c.References = append(c.References, a.Changesets[count-1].Stream)
		}
	}
	if p.s.offered(Conditions) && p.random.IntN(4) == 0 {
		a.Condition = &daybook.Condition{Query: p.pools.query()}
		a.after = max(p.rank(), p.rank()) // late ones hold more often
	}
	return a
}

func (p *pair) randomChangeset(id daybook.StreamID) daybook.Changeset {
	c := daybook.Changeset{Stream: id, Expect: p.randomExpect(id)}
	for range 1 + p.random.IntN(3) {
		c.Events = append(c.Events, p.randomEvent())
	}
	if p.random.IntN(3) == 0 {
		c.Metadata = p.bytes()
	}
	return c
}

// randomExpect returns an Expect that holds in about half of the cases.
func (p *pair) randomExpect(id daybook.StreamID) daybook.Expect {
	head, err := p.ref.Head(p.s.Context(), id)
	p.s.must(err, "the head of %q in the reference", id)
	switch p.random.IntN(8) {
	case 0:
		return daybook.ExpectNone()
	case 1:
		return daybook.ExpectExists()
	case 2:
		return daybook.ExpectVersion(head.Version)
	case 3:
		return daybook.ExpectChangeset(head.Changeset)
	case 4:
		return daybook.ExpectVersion(max(0, head.Version+daybook.Version(p.random.IntN(6)-4)))
	case 5:
		return daybook.ExpectChangeset(max(0, head.Changeset+daybook.ChangesetNumber(p.random.IntN(4)-2)))
	default:
		return daybook.ExpectAny()
	}
}

func (p *pair) randomEvent() daybook.Event {
	e := daybook.Event{ID: p.id(), Type: p.pools.kind(), ContentType: daybook.ContentTypeJSON, Data: p.bytes(), Tags: p.pools.tags()}
	switch p.random.IntN(6) {
	case 0:
		e.OccurredAt = time.UnixMicro(p.random.Int64N(4e15) - 1e15).UTC()
	case 1:
		e.ContentType = "text/plain"
	case 2:
		e.Context = daybook.Context{Who: "Ann", Correlation: "c", Metadata: p.bytes()}
	case 3:
		e.Context.Why = &daybook.Cause{ID: fmt.Sprint(p.random.IntN(10)), What: "command", When: time.UnixMicro(p.random.Int64N(2e15)).UTC()}
	}
	return e
}

// addClaims lets changesets take and release claims; none is taken twice.
func (p *pair) addClaims(a *rankedAppend) {
	type held struct {
		partition string
		claim     daybook.Claim
	}
	taken := map[held]bool{}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range p.claims {
			switch key := (held{c.Stream.Partition, claim}); p.random.IntN(5) {
			case 0:
				c.Releases = append(c.Releases, claim)
			case 1:
				if !taken[key] {
					taken[key] = true
					c.Claims = append(c.Claims, claim)
				}
			}
		}
	}
}

// reshaped returns another append with the same id.
func (p *pair) reshaped(a rankedAppend) rankedAppend {
	a.Changesets = slices.Clone(a.Changesets)
	c := &a.Changesets[p.random.IntN(len(a.Changesets))]
	switch p.random.IntN(3) {
	case 0:
		c.Events = append(slices.Clip(c.Events), p.randomEvent())
	case 1:
		c.Stream.Name += "-other"
	default: // not another one: only its contents differ
		c.Events = slices.Clone(c.Events)
		c.Events[0].Data = p.bytes()
	}
	return a
}

// importSome imports changesets of two streams behind the end of both logs.
func (p *pair) importSome() (string, error) {
	what := "import"
	var mine, theirs []daybook.RecordedChangeset
	end, refEnd := p.position(p.at, len(p.at)), p.position(p.refAt, len(p.refAt))
	gap := daybook.Position(1 + p.random.IntN(20))
	id, heads := p.id(), map[daybook.StreamID]daybook.Head{}
	for range 1 + p.random.IntN(2) {
		stream := p.pools.stream()
		head, seen := heads[stream]
		if !seen {
			var err error
			if head, err = p.ref.Head(p.s.Context(), stream); err != nil {
				return what, err
			}
		}
		if head.Version == 0 && p.random.IntN(2) == 0 {
			head = daybook.Head{Version: daybook.Version(p.random.IntN(9)), Changeset: daybook.ChangesetNumber(p.random.IntN(9))}
		}
		count := 1 + p.random.IntN(3)
		c := recorded(stream.Name, head.Changeset+1, head.Version+1, 0, count)[0]
		c.Stream, c.RecordedAt, c.Metadata = stream, p.clock, p.bytes()
		if seen { // a stream stands once in an append
			id = p.id()
		}
		c.AppendID = id
		if c.RecordedAt.IsZero() {
			c.RecordedAt = importTime
			p.clock = importTime
		}
		for i := range c.Records {
			c.Records[i].Stream, c.Records[i].Event = stream, p.randomEvent()
			c.Records[i].RecordedAt = c.RecordedAt
		}
		mine, end = append(mine, moved(c, end+gap)), end+gap+10*daybook.Position(count)
		theirs, refEnd = append(theirs, moved(c, refEnd+gap)), refEnd+gap+10*daybook.Position(count)
		heads[stream] = daybook.Head{Version: c.Last(), Changeset: c.Number}
		what += fmt.Sprintf(", changeset %d of %q from version %d, %d records", c.Number, stream, c.First, count)
	}
	if err := p.b.Import(p.s.Context(), mine); err != nil {
		return what, err
	}
	if err := p.ref.Import(p.s.Context(), theirs); err != nil {
		return what, err
	}
	return what, p.catchUp(p.s.Context())
}

// moved returns a changeset with its records at positions from the given one
// up.
func moved(c daybook.RecordedChangeset, position daybook.Position) daybook.RecordedChangeset {
	c.Records = slices.Clone(c.Records)
	header := c.ChangesetHeader
	for i := range c.Records {
		c.Records[i].Position, c.Records[i].Changeset = position+daybook.Position(10*i), &header
	}
	return c
}

// id returns an id that a replay gives again.
func (p *pair) id() (id daybook.ID) {
	for i := range id {
		id[i] = byte(p.random.Uint32())
	}
	return id
}

func (p *pair) bytes() []byte {
	data := make([]byte, p.random.IntN(40))
	for i := range data {
		data[i] = byte(p.random.Uint32())
	}
	return data
}

// streams returns every stream that a random append can go to.
func (p *pools) streams() []daybook.StreamID {
	var all []daybook.StreamID
	for _, partition := range []string{"", "north", "south"} {
		for _, kind := range []string{"account", "order", "order-line"} {
			for i := range 4 {
				all = append(all, daybook.StreamID{Partition: partition, Name: numbered(kind, i)})
			}
		}
	}
	return all
}
