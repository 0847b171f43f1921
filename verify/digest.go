package verify

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"github.com/daybook-go/daybook"
)

// digest sums up a set of records, whatever their order: two sets that differ
// have, but for a chance of one in 2^64, different digests.
type digest struct {
	count int64
	sum   uint64
}

func (d *digest) add(hash uint64) {
	d.count++
	d.sum += hash
}

// hasher gives every record a number that stands for all of its fields.
type hasher struct{ hash maphash.Hash }

func (h *hasher) of(r *daybook.Record) uint64 {
	h.hash.Reset()
	h.stream(r.Stream)
	h.numbers(int64(r.Position), int64(r.Version))
	h.time(r.RecordedAt)
	h.bytes(r.ID[:])
	h.text(r.Type)
	h.text(r.ContentType)
	h.bytes(r.Data)
	h.numbers(int64(len(r.Tags)))
	for _, tag := range r.Tags {
		h.text(tag)
	}
	h.time(r.OccurredAt)
	h.context(&r.Context)
	if r.Changeset != nil {
		h.header(r.Changeset)
	}
	return h.hash.Sum64()
}

func (h *hasher) ofHeader(header *daybook.ChangesetHeader) uint64 {
	h.hash.Reset()
	h.header(header)
	return h.hash.Sum64()
}

func (h *hasher) context(c *daybook.Context) {
	for _, text := range [...]string{c.Who, c.Correlation, c.Source, c.Commentary, c.Schema} {
		h.text(text)
	}
	h.bytes(c.Metadata)
	if c.Why != nil {
		h.text(c.Why.ID)
		h.text(c.Why.What)
		h.text(c.Why.Who)
		h.time(c.Why.When)
	}
}

func (h *hasher) header(c *daybook.ChangesetHeader) {
	h.numbers(int64(c.Number), int64(c.Ordinal), int64(c.First), int64(c.Count))
	h.bytes(c.AppendID[:])
	h.bytes(c.Metadata)
	for _, claims := range [...][]daybook.Claim{c.Claims, c.Releases} {
		h.numbers(int64(len(claims)))
		for _, claim := range claims {
			h.text(claim.Kind)
			h.text(claim.Value)
		}
	}
	h.numbers(int64(len(c.References)))
	for _, reference := range c.References {
		h.stream(reference)
	}
}

func (h *hasher) stream(id daybook.StreamID) {
	h.text(id.Partition)
	h.text(id.Name)
}

func (h *hasher) time(t time.Time) { h.numbers(t.Unix(), int64(t.Nanosecond())) }

func (h *hasher) text(text string) {
	h.numbers(int64(len(text)))
	_, _ = h.hash.WriteString(text) // a maphash.Hash never fails
}

func (h *hasher) bytes(data []byte) {
	h.numbers(int64(len(data)))
	_, _ = h.hash.Write(data) // a maphash.Hash never fails
}

func (h *hasher) numbers(numbers ...int64) {
	var buffer [8]byte
	for _, n := range numbers {
		binary.LittleEndian.PutUint64(buffer[:], uint64(n))
		_, _ = h.hash.Write(buffer[:]) // a maphash.Hash never fails
	}
}
