package logindex

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/daybook-go/daybook"
)

// compareStreams orders streams by partition, then name, by their bytes: as
// their keys do.
func compareStreams(a, b daybook.StreamID) int {
	if c := strings.Compare(a.Partition, b.Partition); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// headValue returns the bytes of a head.
func headValue(h daybook.Head) []byte {
	b := binary.AppendUvarint(nil, uint64(h.Version))
	b = binary.AppendUvarint(b, uint64(h.Changeset))
	b = binary.AppendUvarint(b, uint64(h.First))
	b = binary.AppendUvarint(b, uint64(h.Position))
	return binary.AppendVarint(b, micros(h.RecordedAt))
}

func decodeHead(value []byte) (h daybook.Head, err error) {
	d := decoder{rest: value}
	h.Version = daybook.Version(d.uvarint())
	h.Changeset = daybook.ChangesetNumber(d.uvarint())
	h.First = daybook.Version(d.uvarint())
	h.Position = daybook.Position(d.uvarint())
	h.RecordedAt = fromMicros(d.varint())
	if !d.done() || h.First < 1 || h.Version < h.First || h.Changeset < 1 || h.Position < 1 {
		return daybook.Head{}, fmt.Errorf("%w: a head cannot be decoded", ErrDamaged)
	}
	return h, nil
}

// claimValue returns the bytes that say who holds a claim: the name of the
// stream; nothing, if it was released. Names are never empty.
func claimValue(holder daybook.StreamID) []byte { return []byte(holder.Name) }

func decodePlace(value []byte) (Place, error) {
	d := decoder{rest: value}
	place := Place(d.uvarint())
	if !d.done() {
		return 0, fmt.Errorf("%w: a place cannot be decoded", ErrDamaged)
	}
	return place, nil
}
