package logindex

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/daybook-go/daybook"
)

// FormatVersion is written into every file; one with a lower version is built
// anew, and one with a higher version belongs to a newer program.
const FormatVersion = 3

// HeaderBytes is how long the header of a file is.
const HeaderBytes = 40

const (
	fileMagic    = "DAYBKIDX"
	trailerMagic = "DAYBKEIX"
	trailerBytes = 32
)

// encodeHeader returns the first bytes of a file. Their checksum is the seed
// of all others in it.
func encodeHeader(store daybook.ID, first daybook.Position) []byte {
	b := make([]byte, HeaderBytes)
	copy(b, fileMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], FormatVersion)
	copy(b[16:], store[:])
	le.PutUint64(b[32:], uint64(first))
	le.PutUint32(b[12:], headerSum(b))
	return b
}

// Newer returns the version of the file that begins with a header, if that is
// sound and the version above FormatVersion.
func Newer(header []byte) (version int, ok bool) {
	le := binary.LittleEndian
	if len(header) < HeaderBytes || string(header[:len(fileMagic)]) != fileMagic || le.Uint32(header[12:]) != headerSum(header[:HeaderBytes]) {
		return 0, false
	}
	version = int(le.Uint32(header[8:]))
	return version, version > FormatVersion
}

// headerSum is the checksum of a header, its own field at 12 taken as zero.
func headerSum(b []byte) uint32 {
	sum := crc32.Checksum(b[:12], castagnoli)
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[16:])
}

// contents is what the end of a file says of the rest.
type contents struct {
	segments []Segment
	marks    []int64 // of each segment: the bytes of its marks with the checksum
	totals   Totals
	keys     [2]int64 // of which the filters were made: streams, others
	tableEnd int64
	fences   int64 // bytes with the checksum
	least    daybook.ID
	greatest daybook.ID
}

func (c *contents) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(len(c.segments)))
	for i := range c.segments {
		s := &c.segments[i]
		b = binary.AppendUvarint(b, uint64(s.First))
		b = binary.AppendUvarint(b, uint64(s.Bytes))
		b = binary.LittleEndian.AppendUint32(b, s.Seed)
		b = binary.AppendUvarint(b, uint64(c.marks[i]))
	}
	t := &c.totals
	for _, n := range []int64{
		t.Changesets, t.Records, t.Streams, int64(t.LongestStream), int64(t.FirstPosition), int64(t.LastPosition),
		int64(t.LastOrdinal), c.keys[0], c.keys[1], c.tableEnd, c.fences, int64(t.LastDeletion), int64(t.LastEmptying),
		t.DeletedChangesets, t.DeletedRecords, t.EmptiedStreams, int64(t.Scrubbed), int64(t.DeletedBelow),
	} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendVarint(b, micros(t.LastRecorded))
	b = append(b, c.least[:]...)
	return append(b, c.greatest[:]...)
}

func decodeContents(b []byte) (c contents, err error) {
	d := decoder{rest: b}
	c.segments = make([]Segment, d.count(7))
	c.marks = make([]int64, len(c.segments))
	for i := range c.segments {
		s := &c.segments[i]
		s.First, s.Bytes = daybook.Position(d.uvarint()), int64(d.uvarint())
		if seed := d.take(4); seed != nil {
			s.Seed = binary.LittleEndian.Uint32(seed)
		}
		if c.marks[i] = int64(d.uvarint()); c.marks[i] <= checksumBytes || c.marks[i] > math.MaxInt32 {
			d.fail()
		}
	}
	t := &c.totals
	numbers := [18]int64{}
	for i := range numbers {
		numbers[i] = int64(d.uvarint())
		if numbers[i] < 0 {
			d.fail()
		}
	}
	t.Changesets, t.Records, t.Streams = numbers[0], numbers[1], numbers[2]
	t.LongestStream, t.FirstPosition = daybook.ChangesetNumber(numbers[3]), daybook.Position(numbers[4])
	t.LastPosition, t.LastOrdinal = daybook.Position(numbers[5]), daybook.Ordinal(numbers[6])
	c.keys, c.tableEnd, c.fences = [2]int64{numbers[7], numbers[8]}, numbers[9], numbers[10]
	t.LastDeletion, t.LastEmptying = daybook.DeletionNumber(numbers[11]), daybook.DeletionNumber(numbers[12])
	t.DeletedChangesets, t.DeletedRecords, t.EmptiedStreams = numbers[13], numbers[14], numbers[15]
	t.Scrubbed, t.DeletedBelow = daybook.DeletionNumber(numbers[16]), daybook.Position(numbers[17])
	t.LastRecorded = fromMicros(d.varint())
	copy(c.least[:], d.take(16))
	copy(c.greatest[:], d.take(16))
	if !d.done() || len(c.segments) == 0 || c.keys[0] > math.MaxInt32 || c.keys[1] > math.MaxInt32 {
		return contents{}, fmt.Errorf("%w: its contents cannot be decoded", ErrDamaged)
	}
	return c, nil
}
