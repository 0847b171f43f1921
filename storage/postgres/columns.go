package postgres

import (
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// columns are the arrays of append_known while they are gathered, an element an
// event.
type columns struct {
	versions, numbers              []int64
	ordinals, places, counts, nths []int32
	appends, ids                   []daybook.ID
	texts                          []bool // whose data stand in json
	some                           parts
	parameters                     parameterList
}

// parts are what some event of a batch has: an array of what none has is null.
type parts struct{ contentType, data, json, occurredAt, tags, context, metadata bool }

// look takes in what an event has.
func (c *columns) look(e *daybook.Event) {
	text, s, x := isText(e), &c.some, &e.Context
	c.texts = append(c.texts, text)
	s.json, s.data = s.json || text, s.data || !text
	s.contentType = s.contentType || e.ContentType != daybook.ContentTypeJSON
	s.occurredAt = s.occurredAt || !e.OccurredAt.IsZero()
	s.tags, s.metadata = s.tags || len(e.Tags) > 0, s.metadata || len(x.Metadata) > 0
	s.context = s.context || x.Why != nil || len(x.Who)+len(x.Correlation)+len(x.Source)+len(x.Commentary)+len(x.Schema) > 0
}

// data writes the arrays of json, content types and data.
func (c *columns) data(b *batch, p *parameterList) {
	n := 0 // of the event
	isText := func() bool { n++; return c.texts[n-1] }
	p.some(b, c.some.json, pgtype.TextOID, pgtype.TextArrayOID, func(memory []byte, e *daybook.Event) []byte {
		if !isText() {
			return appendNull(memory)
		}
		return appendText(memory, e.Data)
	})
	n = 0
	p.some(b, c.some.contentType, pgtype.TextOID, pgtype.TextArrayOID, func(memory []byte, e *daybook.Event) []byte {
		if e.ContentType == daybook.ContentTypeJSON {
			return appendNull(memory)
		}
		return appendText(memory, e.ContentType)
	})
	p.some(b, c.some.data, pgtype.ByteaOID, pgtype.ByteaArrayOID, func(memory []byte, e *daybook.Event) []byte {
		if isText() {
			return appendNull(memory)
		}
		return appendText(memory, e.Data)
	})
}

// circumstances writes the arrays of what few events have besides.
func (c *columns) circumstances(b *batch, p *parameterList) {
	p.some(b, c.some.occurredAt, pgtype.TimestamptzOID, pgtype.TimestamptzArrayOID, func(memory []byte, e *daybook.Event) []byte {
		if e.OccurredAt.IsZero() {
			return appendNull(memory)
		}
		return appendTime(memory, e.OccurredAt)
	})
	p.some(b, c.some.tags, pgtype.TextOID, pgtype.TextArrayOID, func(memory []byte, e *daybook.Event) []byte {
		if len(e.Tags) == 0 {
			return appendNull(memory)
		}
		return appendText(memory, arrayText(e.Tags))
	})
	p.some(b, c.some.context, pgtype.TextOID, pgtype.TextArrayOID, func(memory []byte, e *daybook.Event) []byte {
		if text := sqlstore.ContextText(&e.Context); text != "" {
			return appendText(memory, text)
		}
		return appendNull(memory)
	})
	p.some(b, c.some.metadata, pgtype.ByteaOID, pgtype.ByteaArrayOID, func(memory []byte, e *daybook.Event) []byte {
		if len(e.Context.Metadata) == 0 {
			return appendNull(memory)
		}
		return appendText(memory, e.Context.Metadata)
	})
}

var columnsPool = sync.Pool{New: func() any { return new(columns) }}

// parametersOf returns what the function append_known is called with. It is
// good until the columns are given back.
func (f *forecast) parametersOf(b *batch, clock *time.Time, c *columns) *parameterList {
	c.versions, c.numbers = c.versions[:0], c.numbers[:0]
	c.ordinals, c.places, c.counts, c.nths = c.ordinals[:0], c.places[:0], c.counts[:0], c.nths[:0]
	c.appends, c.ids = c.appends[:0], c.ids[:0]
	c.texts, c.some = c.texts[:0], parts{}
	for i, e := range b.Entries {
		events, r := e.Append.Changesets[0].Events, &f.receipts[i].Changesets[0]
		for j := range events {
			c.versions, c.numbers = append(c.versions, int64(r.First)+int64(j)), append(c.numbers, int64(r.Number))
			c.ordinals, c.places = append(c.ordinals, int32(i+1)), append(c.places, int32(j))
			c.counts, c.nths = append(c.counts, int32(len(events))), append(c.nths, int32(j))
			c.appends, c.ids = append(c.appends, e.Append.ID), append(c.ids, events[j].ID)
			c.look(&events[j])
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
	c.data(b, p)
	c.circumstances(b, p)
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

// some writes an array with what each event has of something, which may be null;
// where no event has any, the array is null.
func (p *parameterList) some(b *batch, has bool, element, array uint32, add func([]byte, *daybook.Event) []byte) {
	if !has {
		p.null(array)
		return
	}
	from := p.nullable(b.Events, element)
	for _, e := range b.Entries {
		c := &e.Append.Changesets[0]
		for j := range c.Events {
			p.memory = add(p.memory, &c.Events[j])
		}
	}
	p.end(from, array)
}
