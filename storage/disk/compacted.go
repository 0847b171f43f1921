package disk

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"

	"github.com/daybook-go/daybook"
)

// compacted is what the first frame of a compacted segment tells: so the row of
// sizes, which proves that no segment was cut, holds although this one is smaller.
type compacted struct {
	original int64 // the size that the next segment expects; 0: it was never compacted
	now      int64 // the size of the file
}

// compactedSize is the size of the frame.
const compactedSize = frameHeaderSize + 16

// put writes the frame of a segment into b.
func (c compacted) put(b []byte, h *segmentHeader, seed uint32) {
	body := b[frameHeaderSize:compactedSize]
	binary.LittleEndian.PutUint64(body, uint64(c.original))
	binary.LittleEndian.PutUint64(body[8:], uint64(c.now))
	frame := frameHeader{
		kind: kindCompacted, bodyBytes: int64(len(body)), bodySum: crc32.Checksum(body, castagnoli), durable: segmentHeaderSize,
		position: h.first, ordinal: h.ordinal - 1, number: daybook.ChangesetNumber(h.generation), recorded: micros(h.floor),
	}
	frame.put(b, seed, segmentHeaderSize)
}

// decodeCompacted returns what the body of the frame tells.
func decodeCompacted(f *frame) (c compacted, ok bool) {
	if f.kind != kindCompacted || len(f.body) != compactedSize-frameHeaderSize || f.check() != nil {
		return c, false
	}
	c.original, c.now = int64(binary.LittleEndian.Uint64(f.body)), int64(binary.LittleEndian.Uint64(f.body[8:]))
	return c, c.original >= segmentHeaderSize && c.now >= segmentHeaderSize
}

// readCompacted reads the frame of a segment, or why there is none.
func readCompacted(file File, seed uint32) (c compacted, reason string, err error) {
	r := frameReader{source: file, seed: seed, limit: segmentHeaderSize + compactedSize, chunk: compactedSize}
	f, err := r.at(segmentHeaderSize)
	if fault, ok := errors.AsType[*frameError](err); ok {
		return c, fault.reason, nil
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return c, "", err
	}
	c, ok := decodeCompacted(&f)
	if !ok {
		return c, "the segment does not tell how large it was before it was compacted", nil
	}
	return c, "", nil
}

// sizeFor returns the size that the file must have if the next segment expects
// one.
func (c compacted) sizeFor(expected int64) int64 {
	if c.original == expected {
		return c.now
	}
	return expected
}

// latestGenerations returns the names of the segments among names: of several
// generations, which a crash may leave, the latest.
func latestGenerations(names []string) map[daybook.Position]string {
	latest := map[daybook.Position]string{}
	generations := map[daybook.Position]int{}
	for _, name := range names {
		if first, generation, ok := segmentGeneration(name); ok && (latest[first] == "" || generation > generations[first]) {
			latest[first], generations[first] = name, generation
		}
	}
	return latest
}

// bones returns the body of a changeset without its content: the stream, the
// positions, and the claims that are still held. ok is false if it cannot be
// decoded.
func bones(f *frame, held func(daybook.StreamID, daybook.Claim) bool) (body []byte, ok bool) {
	c, ok := decodeChangeset(f)
	if !ok {
		return nil, false
	}
	kept := daybook.Changeset{Stream: c.stream}
	kept.Claims = slices.DeleteFunc(slices.Clone(c.claims), func(claim daybook.Claim) bool { return !held(c.stream, claim) })
	var positions []daybook.Position
	if f.flags&flagGaps != 0 {
		positions = c.positions
	}
	return appendBody(nil, &kept, positions), true
}
