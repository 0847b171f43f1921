package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/daybook-go/daybook"
)

// deletion is a recorded deletion as the log and the index files keep it.
type deletion struct {
	daybook.RecordedDeletion
	emptied bool // it left the stream without records, which it had
}

// body returns the body of the deletion's frame.
func (d *deletion) body() []byte {
	body := d.appendBody(nil)
	for len(body)%frameAlign != 0 {
		body = append(body, 0)
	}
	return body
}

// appendBody adds what the header of the deletion's frame does not tell.
func (d *deletion) appendBody(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(d.Deletion.Through))
	b = appendText(b, d.Stream.Partition)
	b = appendText(b, d.Stream.Name)
	b = appendText(b, d.Who)
	b = appendText(b, d.Why)
	b = binary.AppendUvarint(b, uint64(d.Receipt.Changesets))
	return binary.AppendUvarint(b, uint64(d.Receipt.Records))
}

func (d *deletion) decodeBody(from *decoder) bool {
	d.Deletion.Through = daybook.Version(from.uvarint())
	d.Stream.Partition, d.Stream.Name = string(from.text()), string(from.text())
	d.Who, d.Why = string(from.text()), string(from.text())
	d.Receipt.Changesets, d.Receipt.Records = int64(from.uvarint()), int64(from.uvarint())
	d.Receipt.Stream, d.Receipt.ID, d.Receipt.Durability = d.Stream, d.ID, daybook.DurabilityDisk
	return !from.failed && d.Stream.Name != "" && d.Deletion.Through >= 0 && d.Receipt.Changesets >= 0 && d.Receipt.Records >= 0
}

func (d *deletion) flags() (flags byte) {
	if d.Scrub {
		flags |= flagScrub
	}
	if d.emptied {
		flags |= flagEmptied
	}
	return flags
}

// header returns the header of the deletion's frame, but for what hangs on its
// place.
func (d *deletion) header(position daybook.Position, ordinal daybook.Ordinal, body []byte) frameHeader {
	return frameHeader{
		kind: kindDeletion, flags: d.flags(), bodyBytes: int64(len(body)), bodySum: crc32.Checksum(body, castagnoli),
		position: position, ordinal: ordinal, number: daybook.ChangesetNumber(d.Receipt.Number),
		first: d.Receipt.Through, recorded: d.Receipt.RecordedAt.UnixMicro(), appendID: d.ID,
	}
}

// decodeDeletion decodes the deletion in a frame.
func decodeDeletion(f *frame) (*deletion, bool) {
	d := &deletion{emptied: f.flags&flagEmptied != 0}
	d.ID, d.Scrub = f.appendID, f.flags&flagScrub != 0
	d.Receipt.Number, d.Receipt.Through = daybook.DeletionNumber(f.number), f.first
	d.Receipt.RecordedAt = fromMicros(f.recorded)
	body := decoder{bytes: f.body}
	ok := d.decodeBody(&body) && f.number > 0 && isBlank(body.bytes[body.at:])
	return d, ok
}

// tell adds the deletion as index files keep it.
func (d *deletion) tell(b []byte) []byte {
	b = append(append(b, d.flags()), d.ID[:]...)
	b = binary.AppendUvarint(b, uint64(d.Receipt.Number))
	b = binary.AppendUvarint(b, uint64(d.Receipt.Through))
	b = binary.AppendVarint(b, d.Receipt.RecordedAt.UnixMicro())
	return d.appendBody(b)
}

// toldDeletion is the inverse of tell.
func toldDeletion(told []byte) (*deletion, error) {
	from := decoder{bytes: told}
	d := &deletion{}
	if flags := from.take(1); flags != nil {
		d.Scrub, d.emptied = flags[0]&flagScrub != 0, flags[0]&flagEmptied != 0
	}
	copy(d.ID[:], from.take(16))
	d.Receipt.Number, d.Receipt.Through = daybook.DeletionNumber(from.uvarint()), daybook.Version(from.uvarint())
	d.Receipt.RecordedAt = fromMicros(from.varint())
	if !d.decodeBody(&from) || from.left() > 0 {
		return nil, fmt.Errorf("%w: a deletion", errUndecodable)
	}
	return d, nil
}

// summariseOther is summarise for a frame that is not that of a changeset.
func summariseOther(f *frame, segment int) (*summary, bool) {
	s := &summary{
		place: placeOf(segment, f.offset), kind: f.kind, number: f.number, ordinal: f.ordinal, recorded: fromMicros(f.recorded),
		selectors: []selectors{{position: f.position}},
	}
	if f.kind != kindDeletion {
		return s, true
	}
	d, ok := decodeDeletion(f)
	s.deletion, s.stream = d, d.Stream
	return s, ok
}

// otherFrame returns a frame without a body that is not that of a changeset.
func otherFrame(kind byte, number daybook.ChangesetNumber, position daybook.Position, ordinal daybook.Ordinal, recorded time.Time) frameHeader {
	return frameHeader{kind: kind, number: number, position: position, ordinal: ordinal, recorded: micros(recorded), bodySum: crc32.Checksum(nil, castagnoli)}
}

// isBlank reports whether there are only zeros in b.
func isBlank(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
