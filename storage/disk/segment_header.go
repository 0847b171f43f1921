package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// The bytes of a store are drawn in docs/format.md. All numbers are
// little-endian.

// formatVersion is written into every file; a store with a higher one is
// refused.
const formatVersion = 1

const (
	segmentSuffix     = ".segment"
	segmentMagic      = "DAYBKSEG"
	segmentHeaderSize = 72
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segmentHeader begins a segment. It ties the segment to its store and to the
// segment before it, so that a missing or cut one is noticed.
type segmentHeader struct {
	store         daybook.ID
	first         daybook.Position // nothing in the segment stands below it
	ordinal       daybook.Ordinal  // no changeset in the segment is below it
	floor         time.Time        // nothing in the segment was recorded before it
	previous      daybook.Position // first of the segment before it; 0: there is none
	previousBytes int64            // the size that the segment before it had when it was written
	generation    int              // how often the segment was compacted
}

// encode returns the bytes of h. The last four of its checksum seed those of
// its frames.
func (h *segmentHeader) encode() []byte {
	b := make([]byte, segmentHeaderSize)
	copy(b, segmentMagic)
	le := binary.LittleEndian
	le.PutUint16(b[8:], formatVersion)
	le.PutUint16(b[10:], uint16(h.generation))
	copy(b[16:], h.store[:])
	le.PutUint64(b[32:], uint64(h.first))
	le.PutUint64(b[40:], uint64(h.ordinal))
	le.PutUint64(b[48:], uint64(micros(h.floor)))
	le.PutUint64(b[56:], uint64(h.previous))
	le.PutUint64(b[64:], uint64(h.previousBytes))
	le.PutUint32(b[12:], headerChecksum(b))
	return b
}

// seedOf returns what the checksums of a segment's frames begin with: the
// checksum of its header.
func seedOf(header []byte) uint32 { return binary.LittleEndian.Uint32(header[12:]) }

var zeroChecksum = make([]byte, 4)

// headerChecksum is the CRC32C of a file's header, its own field at 12 taken
// as zero.
func headerChecksum(b []byte) uint32 {
	sum := crc32.Checksum(b[:12], castagnoli)
	sum = crc32.Update(sum, castagnoli, zeroChecksum)
	return crc32.Update(sum, castagnoli, b[16:])
}

// decodeSegmentHeader returns the header in b and the seed of the checksums of
// its frames, or why it cannot be read.
func decodeSegmentHeader(b []byte) (h segmentHeader, seed uint32, reason string) {
	if len(b) < segmentHeaderSize {
		return h, 0, fmt.Sprintf("the file ends within its header, after %d bytes", len(b))
	}
	b = b[:segmentHeaderSize]
	if string(b[:8]) != segmentMagic {
		return h, 0, "the file does not begin as a segment does"
	}
	le := binary.LittleEndian
	if seed = seedOf(b); seed != headerChecksum(b) {
		return h, 0, "the checksum of the segment's header does not match"
	}
	if version := le.Uint16(b[8:]); version != formatVersion {
		return h, 0, fmt.Sprintf("the segment has format version %d, this program knows %d", version, formatVersion)
	}
	copy(h.store[:], b[16:])
	h.first = daybook.Position(le.Uint64(b[32:]))
	h.ordinal = daybook.Ordinal(le.Uint64(b[40:]))
	h.floor = fromMicros(int64(le.Uint64(b[48:])))
	h.previous = daybook.Position(le.Uint64(b[56:]))
	h.previousBytes = int64(le.Uint64(b[64:]))
	h.generation = int(le.Uint16(b[10:]))
	return h, seed, ""
}

// segmentName returns the name of the segment that begins at a position.
func segmentName(first daybook.Position) string {
	return fmt.Sprintf("%020d%s", first, segmentSuffix)
}

// maxGeneration is how often a segment can be compacted.
const maxGeneration = 1<<16 - 1

// generationName returns the name of a segment that was compacted so often. A
// name never stands for other bytes: who reads a generation is not disturbed by
// the next.
func generationName(first daybook.Position, generation int) string {
	if generation == 0 {
		return segmentName(first)
	}
	return fmt.Sprintf("%020d.%d%s", first, generation, segmentSuffix)
}

// segmentFirst returns the position that a segment's name tells.
func segmentFirst(name string) (daybook.Position, bool) {
	first, _, ok := segmentGeneration(name)
	return first, ok
}

// segmentGeneration returns the position and the generation that a segment's
// name tells.
func segmentGeneration(name string) (first daybook.Position, generation int, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) < 20 {
		return 0, 0, false
	}
	number, err := strconv.ParseInt(digits[:20], 10, 64)
	if more := digits[20:]; more != "" && err == nil {
		generation, err = strconv.Atoi(more[1:])
	}
	first = daybook.Position(number)
	return first, generation, err == nil && first > 0 && generation <= maxGeneration && name == generationName(first, generation)
}

// noTime stands in the log for the zero time.
const noTime = -1 << 63

// micros returns t as the log keeps times.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros.
func fromMicros(m int64) time.Time {
	if m == noTime {
		return time.Time{}
	}
	return time.UnixMicro(m).UTC()
}
