package globalorder

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/daybook-go/daybook"
)

// format is the first byte of an encoded page. Bytes that begin otherwise were
// written by a later release.
const format = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// writer builds the bytes of a page: numbers as varints, texts behind their
// length.
type writer struct{ bytes []byte }

func (w *writer) number(n int64) { w.bytes = binary.AppendVarint(w.bytes, n) }

func (w *writer) text(s string) {
	w.number(int64(len(s)))
	w.bytes = append(w.bytes, s...)
}

func (w *writer) data(b []byte) {
	w.number(int64(len(b)))
	w.bytes = append(w.bytes, b...)
}

func (w *writer) id(id daybook.ID) { w.bytes = append(w.bytes, id[:]...) }

func (w *writer) flag(set bool) {
	if set {
		w.bytes = append(w.bytes, 1)
	} else {
		w.bytes = append(w.bytes, 0)
	}
}

// time writes a time to the microsecond; one behind the sign keeps the zero
// time apart from the year 1970.
func (w *writer) time(t time.Time) {
	w.flag(!t.IsZero())
	if !t.IsZero() {
		w.number(t.UnixMicro())
	}
}

// encode returns the bytes of a page, with a checksum behind them.
func (p *Page) encode() []byte {
	w := &writer{bytes: make([]byte, 0, 1024)}
	w.bytes = append(w.bytes, format)
	w.number(p.Number)
	w.id(p.Nonce)
	w.number(p.Settled)
	w.flag(p.Adopting)
	w.number(int64(p.After.Position))
	w.number(int64(p.After.Ordinal))
	w.time(p.After.RecordedAt)
	w.number(p.After.Streams)
	w.number(p.After.Changesets)
	w.number(int64(p.After.Longest))
	w.number(p.After.Records)
	w.number(int64(len(p.Appends)))
	for i := range p.Appends {
		w.id(p.Appends[i].ID)
		w.number(int64(len(p.Appends[i].Changesets)))
		for j := range p.Appends[i].Changesets {
			w.changeset(&p.Appends[i].Changesets[j])
		}
	}
	return binary.LittleEndian.AppendUint32(w.bytes, crc32.Checksum(w.bytes, castagnoli))
}

func (w *writer) changeset(c *PlacedChangeset) {
	w.stream(c.Stream)
	w.time(c.RecordedAt)
	w.number(int64(c.StreamFirst))
	w.header(&c.ChangesetHeader)
	position := daybook.Position(0)
	for i := range c.Records {
		w.number(int64(c.Records[i].Position - position))
		position = c.Records[i].Position
		w.event(&c.Records[i].Event)
		w.data(c.Records[i].Data)
	}
}

func (w *writer) stream(id daybook.StreamID) {
	w.text(id.Partition)
	w.text(id.Name)
}

func (w *writer) header(h *daybook.ChangesetHeader) {
	w.number(int64(h.Number))
	w.number(int64(h.Ordinal))
	w.number(int64(h.First))
	w.number(int64(h.Count))
	w.id(h.AppendID)
	w.data(h.Metadata)
	w.claims(h.Claims)
	w.claims(h.Releases)
	w.number(int64(len(h.References)))
	for _, reference := range h.References {
		w.stream(reference)
	}
}

func (w *writer) claims(claims []daybook.Claim) {
	w.number(int64(len(claims)))
	for _, claim := range claims {
		w.text(claim.Kind)
		w.text(claim.Value)
	}
}

// event writes an event without its data.
func (w *writer) event(e *daybook.Event) {
	w.id(e.ID)
	w.text(e.Type)
	w.text(e.ContentType)
	w.number(int64(len(e.Tags)))
	for _, tag := range e.Tags {
		w.text(tag)
	}
	w.time(e.OccurredAt)
	c := &e.Context
	for _, s := range [...]string{c.Who, c.Correlation, c.Source, c.Commentary, c.Schema} {
		w.text(s)
	}
	w.data(c.Metadata)
	w.flag(c.Why != nil)
	if c.Why != nil {
		w.text(c.Why.ID)
		w.text(c.Why.What)
		w.time(c.Why.When)
		w.text(c.Why.Who)
	}
}

// EncodeDetails returns all of a record that is not its data: what a driver
// keeps beside the columns that people read. DecodeDetails reads it.
func EncodeDetails(r *daybook.Record) []byte {
	w := &writer{}
	w.bytes = append(w.bytes, format)
	w.stream(r.Stream)
	w.number(int64(r.Version))
	w.number(int64(r.Position))
	w.time(r.RecordedAt)
	w.header(r.Changeset)
	w.event(&r.Event)
	return w.bytes
}
