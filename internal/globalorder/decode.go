package globalorder

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/daybook-go/daybook"
)

// reader takes apart what a writer built. After the first thing that cannot be
// it is broken, and gives zeros.
type reader struct {
	bytes  []byte
	broken bool
}

func (r *reader) number() int64 {
	n, size := binary.Varint(r.bytes)
	if size <= 0 {
		r.broken, r.bytes = true, nil
		return 0
	}
	r.bytes = r.bytes[size:]
	return n
}

// count reads how many things of at least one byte follow.
func (r *reader) count() int {
	n := r.number()
	if n < 0 || n > int64(len(r.bytes)) {
		r.broken, r.bytes = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) take(n int) []byte {
	if n > len(r.bytes) {
		r.broken, r.bytes = true, nil
		return make([]byte, n)
	}
	taken := r.bytes[:n:n]
	r.bytes = r.bytes[n:]
	return taken
}

func (r *reader) text() string { return string(r.take(r.count())) }

func (r *reader) data() []byte {
	if n := r.count(); n > 0 {
		return bytes.Clone(r.take(n)) // who keeps a record must not keep its page
	}
	return nil
}

func (r *reader) id() (id daybook.ID) {
	copy(id[:], r.take(len(id)))
	return id
}

func (r *reader) flag() bool { return r.take(1)[0] != 0 }

func (r *reader) time() time.Time {
	if !r.flag() {
		return time.Time{}
	}
	return time.UnixMicro(r.number()).UTC()
}

// decode returns the page that encode wrote.
func decode(encoded []byte) (*Page, error) {
	if len(encoded) < 5 {
		return nil, fmt.Errorf("%w: a page of %d bytes", daybook.ErrCorrupt, len(encoded))
	}
	if encoded[0] != format {
		return nil, fmt.Errorf("a page has format %d, this release knows %d: use a newer one", encoded[0], format)
	}
	body := encoded[:len(encoded)-4]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(encoded[len(body):]) {
		return nil, fmt.Errorf("%w: the checksum of a page is wrong", daybook.ErrCorrupt)
	}
	r := &reader{bytes: body[1:]}
	p := &Page{Number: r.number(), Nonce: r.id(), Settled: r.number(), Adopting: r.flag(), size: len(encoded)}
	p.After = Totals{
		Position: daybook.Position(r.number()), Ordinal: daybook.Ordinal(r.number()), RecordedAt: r.time(), Streams: r.number(),
		Changesets: r.number(), Longest: daybook.ChangesetNumber(r.number()), Records: r.number(),
	}
	p.Appends = make([]Placed, r.count())
	for i := range p.Appends {
		a := &p.Appends[i]
		a.ID = r.id()
		a.Changesets = make([]PlacedChangeset, r.count())
		for j := range a.Changesets {
			r.changeset(&a.Changesets[j])
		}
	}
	if r.broken || len(r.bytes) > 0 {
		return nil, fmt.Errorf("%w: a page whose parts do not fit", daybook.ErrCorrupt)
	}
	return p, nil
}

func (r *reader) changeset(c *PlacedChangeset) {
	c.Stream = r.stream()
	c.RecordedAt = r.time()
	c.StreamFirst = daybook.Version(r.number())
	header := r.header()
	c.ChangesetHeader = *header
	if header.Count < 1 || header.Count > len(r.bytes) {
		r.broken, r.bytes = true, nil
		header.Count = 1
	}
	c.Records = make([]daybook.Record, header.Count)
	position := daybook.Position(0)
	for i := range c.Records {
		record := &c.Records[i]
		position += daybook.Position(r.number())
		record.Event = r.event()
		record.Data = r.data()
		record.Stream, record.Version, record.Position = c.Stream, c.First+daybook.Version(i), position
		record.RecordedAt, record.Changeset = c.RecordedAt, header
		if record.OccurredAt.IsZero() {
			record.OccurredAt = c.RecordedAt
		}
	}
}

func (r *reader) stream() daybook.StreamID {
	return daybook.StreamID{Partition: r.text(), Name: r.text()}
}

func (r *reader) header() *daybook.ChangesetHeader {
	h := &daybook.ChangesetHeader{
		Number: daybook.ChangesetNumber(r.number()), Ordinal: daybook.Ordinal(r.number()),
		First: daybook.Version(r.number()), Count: int(r.number()), AppendID: r.id(),
		Metadata: r.data(), Claims: r.claims(), Releases: r.claims(),
	}
	if n := r.count(); n > 0 {
		h.References = make([]daybook.StreamID, n)
		for i := range h.References {
			h.References[i] = r.stream()
		}
	}
	return h
}

func (r *reader) claims() []daybook.Claim {
	n := r.count()
	if n == 0 {
		return nil
	}
	claims := make([]daybook.Claim, n)
	for i := range claims {
		claims[i] = daybook.Claim{Kind: r.text(), Value: r.text()}
	}
	return claims
}

func (r *reader) event() daybook.Event {
	e := daybook.Event{ID: r.id(), Type: r.text(), ContentType: r.text()}
	if n := r.count(); n > 0 {
		e.Tags = make([]string, n)
		for i := range e.Tags {
			e.Tags[i] = r.text()
		}
	}
	e.OccurredAt = r.time()
	e.Context = daybook.Context{Who: r.text(), Correlation: r.text(), Source: r.text(), Commentary: r.text(), Schema: r.text(), Metadata: r.data()}
	if r.flag() {
		e.Context.Why = &daybook.Cause{ID: r.text(), What: r.text(), When: r.time(), Who: r.text()}
	}
	return e
}

// DecodeDetails returns the record that EncodeDetails was given, without its
// data.
func DecodeDetails(encoded []byte) (daybook.Record, error) {
	if len(encoded) == 0 || encoded[0] != format {
		return daybook.Record{}, fmt.Errorf("%w: the details of a record in an unknown format", daybook.ErrCorrupt)
	}
	r := &reader{bytes: encoded[1:]}
	record := daybook.Record{
		Stream: r.stream(), Version: daybook.Version(r.number()), Position: daybook.Position(r.number()), RecordedAt: r.time(),
		Changeset: r.header(),
	}
	record.Event = r.event()
	if record.OccurredAt.IsZero() {
		record.OccurredAt = record.RecordedAt
	}
	if r.broken || len(r.bytes) > 0 {
		return daybook.Record{}, fmt.Errorf("%w: the details of a record that do not fit", daybook.ErrCorrupt)
	}
	return record, nil
}

// errGap is the error for a page that is not where it must be.
func errGap(found int64) error {
	return fmt.Errorf("%w: it is not there, but page %d: the chain of pages is broken, restore the storage from a backup", daybook.ErrCorrupt, found)
}

// errLacks is the error for an index that leads to a page without what it names.
func errLacks(number int64) error {
	return fmt.Errorf("%w: page %d does not hold the append that its id leads to", daybook.ErrCorrupt, number)
}
