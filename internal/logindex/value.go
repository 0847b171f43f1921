package logindex

import (
	"encoding/binary"
	"fmt"

	"github.com/daybook-go/daybook"
)

// appendHead adds the bytes of a head, which never are those of noHead.
func appendHead(b []byte, h daybook.Head) []byte {
	b = binary.AppendUvarint(b, uint64(h.Version))
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
