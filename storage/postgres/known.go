package postgres

import (
	"bytes"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// known is what this process knows of the log: where it ends, and where the
// streams that it has appended to end. As long as no other process writes, that
// is how things are, and what appends of plain events will do can be worked out
// here: the server then only makes sure that nothing has changed (see
// append_known.sql), which costs it a fraction of looking everything up.
type known struct {
	mu         sync.Mutex // guards all below
	valid      bool
	position   int64
	ordinal    int64
	deletions  int64
	recordedAt time.Time
	streams    map[daybook.StreamID]knownHead
}

// knownHead is where a stream that has records ends.
type knownHead struct{ version, changeset int64 }

// maxKnown is how many streams are remembered.
const maxKnown = 100_000

// forecast is what storing a batch will do, if the log is as it is known.
type forecast struct {
	position, ordinal, deletions int64 // of the log before
	recordedAt                   time.Time
	receipts                     []daybook.Receipt // without the recorded time
}

// isPlain reports whether an append can be worked out beforehand where its
// stream is known: it has one changeset of plain events, and nothing that others
// can stand in the way of but what is known of its stream.
func isPlain(a *daybook.Append) bool {
	if len(a.Changesets) != 1 || a.Condition != nil {
		return false
	}
	c := &a.Changesets[0]
	if len(c.Metadata)+len(c.Claims)+len(c.Releases)+len(c.References) > 0 {
		return false
	}
	for i := range c.Events {
		e := &c.Events[i]
		if len(e.Tags) > 0 || e.ContentType != daybook.ContentTypeJSON || !e.OccurredAt.IsZero() || e.Context.Why != nil || len(e.Context.Metadata) > 0 {
			return false
		}
		if x := &e.Context; len(x.Who)+len(x.Correlation)+len(x.Source)+len(x.Commentary)+len(x.Schema) > 0 {
			return false
		}
		if !utf8.Valid(e.Data) || bytes.IndexByte(e.Data, 0) >= 0 {
			return false
		}
	}
	return true
}

// foresees reports whether it is known that a plain append will be stored.
func (k *known) foresees(e *sqlstore.Entry) bool {
	if !e.Plain {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.foreseesLocked(e)
}

func (k *known) foreseesLocked(e *sqlstore.Entry) bool {
	if !e.Plain || !k.valid {
		return false
	}
	c := &e.Append.Changesets[0]
	head, ok := k.streams[c.Stream]
	return ok && c.Expect.Holds(daybook.Head{Version: daybook.Version(head.version), Changeset: daybook.ChangesetNumber(head.changeset), First: 1})
}

// forecast works out what storing a batch will do, if it can, and takes that
// for done: what is sent later is worked out from there.
func (k *known) forecast(b *batch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range b.Entries {
		if !k.foreseesLocked(e) {
			return
		}
	}
	b.forecast = &forecast{
		position: k.position, ordinal: k.ordinal, deletions: k.deletions, recordedAt: k.recordedAt, receipts: make([]daybook.Receipt, len(b.Entries)),
	}
	changesets := make([]daybook.ChangesetReceipt, len(b.Entries))
	for i, e := range b.Entries {
		c := &e.Append.Changesets[0]
		n, head := int64(len(c.Events)), k.streams[c.Stream]
		k.ordinal++
		changesets[i] = daybook.ChangesetReceipt{
			Stream: c.Stream, Number: daybook.ChangesetNumber(head.changeset + 1), Ordinal: daybook.Ordinal(k.ordinal),
			First: daybook.Version(head.version + 1), Last: daybook.Version(head.version + n),
			FirstPosition: daybook.Position(k.position + 1), LastPosition: daybook.Position(k.position + n),
		}
		b.forecast.receipts[i] = daybook.Receipt{AppendID: e.Append.ID, Durability: daybook.DurabilityDisk, Changesets: changesets[i : i+1 : i+1]}
		k.position += n
		k.streams[c.Stream] = knownHead{head.version + n, head.changeset + 1}
	}
}

// recorded takes in when a batch that was worked out was recorded.
func (k *known) recorded(at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at.After(k.recordedAt) {
		k.recordedAt = at
	}
}

// forget takes in that the log is not as it was known.
func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.valid = false
	clear(k.streams)
}

// learn takes in where the log and the streams of a batch end, behind what was
// stored of it, and where the log ended before.
func (k *known) learn(b *batch, v *verdict, before daybook.Position) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if int64(v.End.Position) < k.position && k.valid {
		return // the answer is late: more is known
	}
	if k.streams == nil || len(k.streams) > maxKnown {
		k.streams = map[daybook.StreamID]knownHead{}
	}
	if !k.valid || k.position != int64(before) || k.deletions != v.deletions {
		clear(k.streams) // others have written meanwhile
	}
	k.valid, k.position, k.ordinal, k.deletions, k.recordedAt = true, int64(v.End.Position), int64(v.End.Ordinal), v.deletions, v.End.RecordedAt
	for _, e := range b.Entries {
		for _, c := range e.Receipt.Changesets {
			if e.Receipt.Repeated {
				continue
			}
			k.streams[c.Stream] = knownHead{int64(c.Last), int64(c.Number)}
		}
	}
}

// columns are the arrays of append_known while they are gathered, an element an
// event.
type columns struct {
	versions, numbers              []int64
	ordinals, places, counts, nths []int32
	appends, ids                   []daybook.ID
	parameters                     parameterList
}

var columnsPool = sync.Pool{New: func() any { return new(columns) }}

// parametersOf returns what the function append_known is called with. It is
// good until the columns are given back.
func (f *forecast) parametersOf(b *batch, clock *time.Time, c *columns) *parameterList {
	c.versions, c.numbers = c.versions[:0], c.numbers[:0]
	c.ordinals, c.places, c.counts, c.nths = c.ordinals[:0], c.places[:0], c.counts[:0], c.nths[:0]
	c.appends, c.ids = c.appends[:0], c.ids[:0]
	for i, e := range b.Entries {
		events, r := e.Append.Changesets[0].Events, &f.receipts[i].Changesets[0]
		for j := range events {
			c.versions, c.numbers = append(c.versions, int64(r.First)+int64(j)), append(c.numbers, int64(r.Number))
			c.ordinals, c.places = append(c.ordinals, int32(i+1)), append(c.places, int32(j))
			c.counts, c.nths = append(c.counts, int32(len(events))), append(c.nths, int32(j))
			c.appends, c.ids = append(c.appends, e.Append.ID), append(c.ids, events[j].ID)
		}
	}
	p := &c.parameters
	p.values, p.types, p.memory = p.values[:0], p.types[:0], p.memory[:0]
	if need := b.Bytes + b.Events*(128+2*averageName); cap(p.memory) < need {
		p.memory = make([]byte, 0, need)
	}
	p.int64(f.position)
	p.int64(f.ordinal)
	p.int64(f.deletions)
	p.time(&f.recordedAt)
	p.time(clock)
	p.int64s(c.versions)
	p.int32s(c.ordinals)
	p.int64s(c.numbers)
	p.int32s(c.places)
	p.int32s(c.counts)
	p.int32s(c.nths)
	p.ids(c.appends)
	p.ids(c.ids)
	p.texts(b, func(memory []byte, c *daybook.Changeset, _ *daybook.Event) []byte {
		return appendText(memory, c.Stream.Partition)
	})
	p.texts(b, func(memory []byte, c *daybook.Changeset, _ *daybook.Event) []byte {
		return appendText(memory, c.Stream.Name)
	})
	p.texts(b, func(memory []byte, _ *daybook.Changeset, e *daybook.Event) []byte { return appendText(memory, e.Type) })
	p.texts(b, func(memory []byte, _ *daybook.Changeset, e *daybook.Event) []byte { return appendText(memory, e.Data) })
	return p
}

// averageName is how long the names of streams and types are thought to be, to
// begin with.
const averageName = 64

// texts writes an array with a text of each event.
func (p *parameterList) texts(b *batch, add func([]byte, *daybook.Changeset, *daybook.Event) []byte) {
	from := p.array(b.Events, pgtype.TextOID)
	for _, e := range b.Entries {
		c := &e.Append.Changesets[0]
		for j := range c.Events {
			p.memory = add(p.memory, c, &c.Events[j])
		}
	}
	p.end(from, pgtype.TextArrayOID)
}
