package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/daybook-go/daybook"
)

const (
	frameMagic      = 0x464b4244 // "DBKF" in the file
	frameHeaderSize = 88
	frameAlign      = 8 // frames begin at multiples of it
)

// Kinds of frames. The zero kind is that of a changeset.
const (
	kindChangeset = 1 + iota
	// kindDeletion: a deletion. It takes no position.
	kindDeletion
	// kindBones: a changeset that was deleted and whose content was removed.
	kindBones
	// kindCompacted begins a segment that was compacted.
	kindCompacted
	// kindScrubbed: all scrubs up to a deletion are done.
	kindScrubbed
	kindsEnd
)

// Flags of a frame.
const (
	// flagMore: the next frame belongs to the same append. A reader takes all
	// frames of an append or none.
	flagMore = 1 << iota
	// flagGaps: the positions of the records are listed, since they are not
	// consecutive.
	flagGaps
	// flagRevives: the records before those of the changeset were all deleted.
	flagRevives
	// flagScrub: of a deletion, that it asks for a scrub.
	flagScrub
	// flagEmptied: of a deletion, that it left the stream without records.
	flagEmptied
)

// knownFlags are the flags that frames of a kind may have.
var knownFlags = [kindsEnd]byte{
	kindChangeset: flagMore | flagGaps | flagRevives, kindBones: flagMore | flagGaps | flagRevives,
	kindDeletion: flagScrub | flagEmptied,
}

// frameHeader begins a frame: one changeset, or what else happens to a log. Of
// the latter, position is the lowest that what follows can have, and ordinal the
// last that was given.
type frameHeader struct {
	kind      byte
	bodyBytes int64  // padded
	bodySum   uint32 // of the padded body
	flags     byte
	count     int
	// durable is an offset in the segment: when the frame was written,
	// everything before it was known to be synced. A frame that can be read
	// therefore proves that damage below its durable is no torn tail.
	durable  int64
	position daybook.Position // of the first record
	ordinal  daybook.Ordinal
	// number is, of a deletion, its DeletionNumber; of a scrub that of the last
	// deletion that is done; of what was compacted the generation.
	number   daybook.ChangesetNumber
	first    daybook.Version // of a deletion, what is gone through
	recorded int64           // micros
	appendID daybook.ID      // of a deletion, its id
}

// isChangeset reports whether the frame is that of a changeset, with its content
// or without.
func (h *frameHeader) isChangeset() bool { return h.kind == kindChangeset || h.kind == kindBones }

func (h *frameHeader) more() bool { return h.flags&flagMore != 0 }

// size returns the bytes of the whole frame.
func (h *frameHeader) size() int64 { return frameHeaderSize + h.bodyBytes }

// put writes the header of a frame that stands at offset in its segment into
// b. The checksum covers the place of the frame too, so that a frame that is
// found elsewhere, left over from a file that used the same space before, is
// not taken for one.
func (h *frameHeader) put(b []byte, seed uint32, offset int64) {
	le := binary.LittleEndian
	le.PutUint32(b, frameMagic)
	le.PutUint32(b[8:], uint32(h.bodyBytes))
	le.PutUint32(b[12:], h.bodySum)
	b[16], b[17], b[18], b[19] = max(h.kind, kindChangeset), h.flags, 0, 0
	le.PutUint32(b[20:], uint32(h.count))
	le.PutUint64(b[24:], uint64(h.durable))
	le.PutUint64(b[32:], uint64(h.position))
	le.PutUint64(b[40:], uint64(h.ordinal))
	le.PutUint64(b[48:], uint64(h.number))
	le.PutUint64(b[56:], uint64(h.first))
	le.PutUint64(b[64:], uint64(h.recorded))
	copy(b[72:], h.appendID[:])
	le.PutUint32(b[4:], frameChecksum(b, seed, offset))
}

// frameChecksum is the CRC32C of the header in b behind its own field, begun
// with the place of the frame instead of 0. Two places in a segment never begin
// alike, and those of two segments no more often than checksums agree.
func frameChecksum(b []byte, seed uint32, offset int64) uint32 {
	return crc32.Update(seed^uint32(offset/frameAlign)*placeSpread, castagnoli, b[8:frameHeaderSize])
}

// placeSpread is odd, so that different offsets stay different.
const placeSpread = 0x9e3779b1

// decodeFrameHeader returns the header in b, which must hold frameHeaderSize
// bytes, or why there is none. Sound says that the bytes are as they were
// written.
func decodeFrameHeader(b []byte, seed uint32, offset int64) (h frameHeader, sound bool, reason string) {
	sound, reason = h.decode(b, seed, offset)
	return h, sound, reason
}

// decode is decodeFrameHeader with the header put into h.
func (h *frameHeader) decode(b []byte, seed uint32, offset int64) (sound bool, reason string) {
	le := binary.LittleEndian
	_ = b[frameHeaderSize-1]
	if le.Uint32(b) != frameMagic {
		return false, "no frame begins here"
	}
	if le.Uint32(b[4:]) != frameChecksum(b, seed, offset) {
		return false, "the checksum of the frame's header does not match"
	}
	h.bodyBytes, h.bodySum, h.kind, h.flags = int64(le.Uint32(b[8:])), le.Uint32(b[12:]), b[16], b[17]
	h.count, h.durable = int(le.Uint32(b[20:])), int64(le.Uint64(b[24:]))
	h.position, h.ordinal = daybook.Position(le.Uint64(b[32:])), daybook.Ordinal(le.Uint64(b[40:]))
	h.number, h.first = daybook.ChangesetNumber(le.Uint64(b[48:])), daybook.Version(le.Uint64(b[56:]))
	h.recorded = int64(le.Uint64(b[64:]))
	copy(h.appendID[:], b[72:])
	switch {
	case h.kind < kindChangeset || h.kind >= kindsEnd:
		return true, fmt.Sprintf("a frame of an unknown kind, %d", b[16])
	case h.flags&^knownFlags[h.kind] != 0 || b[18] != 0 || b[19] != 0:
		return true, "a frame with unknown flags"
	case h.bodyBytes%frameAlign != 0 || h.durable > offset || h.durable < segmentHeaderSize || h.position < 1 ||
		h.isChangeset() && (h.count < 1 || h.ordinal < 1 || h.number < 1 || h.first < 1) ||
		!h.isChangeset() && (h.count != 0 || h.ordinal < 0 || h.number < 0 || h.first < 0) ||
		int64(h.position) > math.MaxInt64-int64(h.count) || int64(h.first) > math.MaxInt64-int64(h.count):
		return true, "a frame whose header contradicts itself"
	}
	return true, ""
}

// peekFrameHeader returns the size and the first position of the frame whose
// header stands in b, unchecked.
func peekFrameHeader(b []byte) (size int64, first daybook.Position) {
	le := binary.LittleEndian
	return frameHeaderSize + int64(le.Uint32(b[8:])), daybook.Position(le.Uint64(b[32:]))
}

// checkBody returns why body is not the one that the header was written for.
func (h *frameHeader) checkBody(body []byte) (reason string) {
	if crc32.Checksum(body, castagnoli) != h.bodySum {
		return "the checksum of the frame's body does not match"
	}
	return ""
}
