package disk

import (
	"github.com/daybook-go/daybook"
)

// receipt rebuilds the receipt of an append, but for how durable it is, from
// its frames. The first of them stands at a place; the others behind it.
func (l *log) receipt(e extent, at place) (daybook.Receipt, error) {
	var receipt daybook.Receipt
	offset := at.offset()
	for i := at.segment(); i < len(e.segments); i++ {
		reader := l.reader(e.segments[i], e.limit(i), leastChunk)
		for offset < reader.limit {
			f, err := reader.at(offset)
			if err != nil {
				return daybook.Receipt{}, l.explain(&e, i, err)
			}
			if !f.isChangeset() {
				offset += f.size()
				continue
			}
			if len(receipt.Changesets) > 0 && f.appendID != receipt.AppendID {
				return receipt, nil
			}
			c, ok := decodeChangeset(&f)
			if !ok {
				return daybook.Receipt{}, l.explain(&e, i, &frameError{offset: offset, position: f.position, reason: errUndecodable.Error()})
			}
			receipt.AppendID, receipt.RecordedAt = f.appendID, fromMicros(f.recorded)
			receipt.Changesets = append(receipt.Changesets, daybook.ChangesetReceipt{
				Stream: c.stream, Number: c.number, Ordinal: c.ordinal, First: c.first,
				Last:          c.first + daybook.Version(c.count) - 1,
				FirstPosition: c.position, LastPosition: c.lastPosition(),
			})
			offset += f.size()
		}
		offset = segmentHeaderSize
	}
	return receipt, nil
}
