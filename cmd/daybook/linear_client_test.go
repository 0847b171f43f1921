package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/remote"
)

// linearClient makes calls, one after the other.
type linearClient struct {
	t       *testing.T
	number  int
	witness *witness
	random  *rand.Rand
	store   *daybook.Store
	life    int
	// As far as it knows:
	heads  map[daybook.StreamID]daybook.Head
	end    daybook.Position
	latest time.Time
	lost   question   // was not answered
	sent   []question // appends and deletions
}

func newLinearClient(t *testing.T, w *witness, seed uint64, n int) *linearClient {
	return &linearClient{
		t: t, number: n, witness: w, random: rand.New(rand.NewPCG(seed, uint64(n)+1)), heads: map[daybook.StreamID]daybook.Head{},
	}
}

// run makes calls until it is over. When the server is gone it goes on with the
// next one.
func (c *linearClient) run(ctx context.Context) {
	for {
		var url string
		if url, c.life = c.witness.server(c.life); url == "" {
			return
		}
		c.with(url, func() {
			for gone := false; !gone && !c.t.Failed(); {
				gone = c.one(ctx)
			}
		})
	}
}

// with does something with the server at an address. Nothing is tried twice
// unless the client does it.
func (c *linearClient) with(url string, do func()) {
	driver, err := remote.Open(url, &remote.Options{Retries: -1})
	if err != nil {
		c.t.Error(err)
		return
	}
	c.store = daybook.New(driver, nil)
	do()
	if err := c.store.Close(); err != nil {
		c.t.Error(err)
	}
}

// one makes one call. It reports whether the server was gone.
func (c *linearClient) one(ctx context.Context) (gone bool) {
	return c.call(ctx, c.next())
}

// call makes a call and learns from its answer.
func (c *linearClient) call(ctx context.Context, q question) (gone bool) {
	a := c.witness.note(c.number, q, func() answer { return q.ask(ctx, c.store) })
	if idOf(q) != (daybook.ID{}) {
		c.lost = nil
		if a.unknown {
			c.lost = q
		}
		if _, imports := q.(importCall); !imports && a.err == nil {
			c.sent = append(c.sent, q)
		}
	}
	c.learn(q, a)
	return a.unknown
}

// learn keeps what an answer tells of the places that the next call asks for.
func (c *linearClient) learn(q question, a answer) {
	for _, r := range a.receipt.Changesets {
		c.heads[r.Stream] = daybook.Head{Version: r.Last, Changeset: r.Number}
		c.end = max(c.end, r.LastPosition)
	}
	if n := len(a.seen); n > 0 {
		c.end = max(c.end, a.seen[0].position, a.seen[n-1].position)
	}
	if asked, ok := q.(headCall); ok {
		c.heads[asked.id] = a.head
	}
	var conflict *daybook.ConflictError
	var condition *daybook.ConditionError
	switch {
	case errors.As(a.err, &conflict):
		c.heads[conflict.Stream] = conflict.Found
	case errors.As(a.err, &condition):
		c.end = max(c.end, condition.Found)
	}
	c.end = max(c.end, a.end)
	for _, at := range []time.Time{a.receipt.RecordedAt, a.deletion.RecordedAt} {
		if at.After(c.latest) {
			c.latest = at
		}
	}
}

// next returns a call of any kind.
func (c *linearClient) next() question {
	switch k := c.random.IntN(100); {
	case c.lost != nil && k < 80:
		return c.lost
	case k < 14:
		id := c.stream()
		return streamCall{id: id, read: c.streamRead(id)}
	case k < 27:
		return logCall{read: c.logRead()}
	case k < 31:
		return deletionsCall{c.deletionRead()}
	case k < 35:
		return holderCall{held{c.stream().Partition, c.claim()}}
	case k < 38:
		return headCall{c.stream()}
	case k < 40:
		return endCall{}
	case k < 47 && len(c.sent) > 0:
		return c.sent[c.random.IntN(len(c.sent))]
	case k < 58:
		return deletionCall{c.deletion()}
	case k < 64:
		return importCall{c.imports()}
	default:
		return appendCall{c.append()}
	}
}

// linearStreams are all streams of a history.
var linearStreams = []daybook.StreamID{
	daybook.Stream("account-0"), daybook.Stream("account-1"), daybook.Stream("order-0"),
	{Partition: "north", Name: "account-0"}, {Partition: "north", Name: "order-0"},
}

func (c *linearClient) stream() daybook.StreamID {
	return linearStreams[c.random.IntN(len(linearStreams))]
}

// streams returns one stream, or two.
func (c *linearClient) streams() []daybook.StreamID {
	one, other := c.stream(), c.stream()
	if c.random.IntN(2) == 0 || one == other {
		return []daybook.StreamID{one}
	}
	return []daybook.StreamID{one, other}
}

func (c *linearClient) tag() string { return fmt.Sprintf("tag:%d", c.random.IntN(3)) }

func (c *linearClient) kind() string {
	return []string{"moved", "noted"}[c.random.IntN(2)]
}

func (c *linearClient) claim() daybook.Claim {
	return daybook.Claim{Kind: "seat", Value: strconv.Itoa(c.random.IntN(2))}
}

func newEvent(kind string, tags ...string) daybook.Event {
	id := daybook.NewID()
	return daybook.Event{ID: id, Type: kind, Tags: tags, Data: []byte(dataOf(id))}
}

func (c *linearClient) events() (events []daybook.Event) {
	for range 1 + c.random.IntN(3) {
		events = append(events, newEvent(c.kind(), c.tag()))
	}
	return events
}

// append returns an append that is often taken.
func (c *linearClient) append() *daybook.Append {
	a := &daybook.Append{ID: daybook.NewID()}
	if c.random.IntN(4) == 0 {
		a.Durability = daybook.DurabilityOS // outlives the server as well
	}
	var taken []held // no claim may be taken twice in an append
	for _, id := range c.streams() {
		changeset := daybook.Changeset{Stream: id, Expect: c.expect(id), Events: c.events()}
		claim := c.claim()
		switch k := c.random.IntN(8); {
		case k < 3 && !slices.Contains(taken, held{id.Partition, claim}):
			changeset.Claims, taken = []daybook.Claim{claim}, append(taken, held{id.Partition, claim})
		case k < 4:
			changeset.Releases = []daybook.Claim{claim}
		case k < 6:
			changeset.References = []daybook.StreamID{c.stream()}
		}
		a.Changesets = append(a.Changesets, changeset)
	}
	if c.random.IntN(3) == 0 {
		a.Condition = &daybook.Condition{Query: c.query(), After: c.position()}
	}
	return a
}

func (c *linearClient) expect(id daybook.StreamID) daybook.Expect {
	head := c.heads[id]
	switch c.random.IntN(8) {
	case 0:
		return daybook.ExpectNone()
	case 1:
		return daybook.ExpectExists()
	case 2:
		return daybook.ExpectVersion(head.Version)
	case 3:
		return daybook.ExpectChangeset(head.Changeset)
	default:
		return daybook.ExpectAny()
	}
}

func (c *linearClient) query() daybook.Query {
	item := daybook.QueryItem{Tags: []string{c.tag()}}
	switch c.random.IntN(3) {
	case 0:
		item.Types = []string{c.kind()}
	case 1:
		return daybook.Query{Items: []daybook.QueryItem{item, {Types: []string{c.kind()}, Tags: []string{c.tag()}}}}
	}
	return daybook.Query{Items: []daybook.QueryItem{item}}
}

// position returns one near the end of the log, most often.
func (c *linearClient) position() daybook.Position {
	switch c.random.IntN(4) {
	case 0:
		return daybook.Position(c.random.Int64N(int64(c.end) + 1))
	case 1:
		return max(0, c.end-daybook.Position(c.random.IntN(5)))
	default:
		return c.end
	}
}

func (c *linearClient) version(id daybook.StreamID) daybook.Version {
	return daybook.Version(c.random.Int64N(int64(c.heads[id].Version) + 2))
}

func (c *linearClient) deletion() *daybook.Deletion {
	d := &daybook.Deletion{ID: daybook.NewID(), Stream: c.stream(), Scrub: c.random.IntN(2) == 0, Who: fmt.Sprint("client ", c.number)}
	if c.random.IntN(3) == 0 {
		d.Expect = c.expect(d.Stream)
	}
	if c.random.IntN(3) > 0 {
		d.Through = c.version(d.Stream)
	}
	return d
}

// imports returns changesets of one append that often can be imported.
func (c *linearClient) imports() (changesets []daybook.RecordedChangeset) {
	at := time.Now()
	if at.Before(c.latest) {
		at = c.latest
	}
	at = daybook.Microseconds(at.Add(time.Duration(c.random.IntN(3)) * time.Millisecond))
	position := c.end + 1 + daybook.Position(c.random.IntN(40))
	appendID := daybook.NewID()
	for _, id := range c.streams() {
		head := c.heads[id]
		if head.Version == 0 { // one that was cut may begin anywhere
			head.Version, head.Changeset = daybook.Version(c.random.IntN(5)), daybook.ChangesetNumber(c.random.IntN(3))
		}
		changeset := daybook.RecordedChangeset{Stream: id, RecordedAt: at}
		changeset.Number, changeset.First, changeset.AppendID = head.Changeset+1, head.Version+1, appendID
		for i, event := range c.events() {
			changeset.Records = append(changeset.Records, daybook.Record{Event: event, Stream: id, Version: changeset.First + daybook.Version(i), Position: position})
			position += 1 + daybook.Position(c.random.IntN(2))
		}
		changeset.Count = len(changeset.Records)
		changesets = append(changesets, changeset)
	}
	return changesets
}

func (c *linearClient) streamRead(id daybook.StreamID) (read daybook.StreamRead) {
	read.Backwards = c.random.IntN(2) == 0
	switch c.random.IntN(5) {
	case 0:
		read.From = c.version(id)
	case 1:
		read.To = c.version(id)
	case 2:
		read.Limit = 1 + c.random.IntN(4)
	case 3:
		read.Until = c.latest
	}
	return read
}

func (c *linearClient) logRead() (read daybook.LogRead) {
	read.Backwards = c.random.IntN(3) == 0
	switch c.random.IntN(4) {
	case 0:
		read.To = c.position()
	case 1:
		read.After = c.position()
	case 2:
		read.Limit = 1 + c.random.IntN(6)
	}
	switch c.random.IntN(6) {
	case 0:
		read.Filter.Partitions = []string{c.stream().Partition}
	case 1:
		read.Filter.StreamTypes = []string{c.stream().Type()}
	case 2:
		read.Until = c.latest
	case 3, 4:
		read.Filter.Query = c.query()
	}
	return read
}

func (c *linearClient) deletionRead() (read daybook.DeletionRead) {
	switch c.random.IntN(4) {
	case 0:
		read.After = daybook.DeletionNumber(c.random.IntN(5))
	case 1:
		read.Stream = c.stream()
	case 2:
		read.Limit = 1 + c.random.IntN(3)
	}
	return read
}

// finish finds out what became of the calls that were not answered, and reads
// everything, when nobody else calls any more.
func (c *linearClient) finish(ctx context.Context) {
	for _, q := range c.witness.unknown() {
		if c.call(ctx, q) {
			c.t.Errorf("%s was not answered", q)
		}
	}
	calls := []question{logCall{}, logCall{read: daybook.LogRead{Backwards: true}}, deletionsCall{}, endCall{}, sumCall{}}
	for _, id := range linearStreams {
		calls = append(calls, streamCall{id: id}, headCall{id})
	}
	for _, partition := range []string{"", "north"} {
		for seat := range 2 {
			calls = append(calls, holderCall{held{partition, daybook.Claim{Kind: "seat", Value: strconv.Itoa(seat)}}})
		}
	}
	for _, q := range calls {
		if c.call(ctx, q) {
			c.t.Errorf("%s was not answered", q)
		}
	}
}
