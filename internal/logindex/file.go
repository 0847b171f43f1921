package logindex

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/daybook-go/daybook"
)

// formatVersion is written into every file; one with another version is built
// anew.
const formatVersion = 1

const (
	fileMagic    = "DAYBKIDX"
	headerBytes  = 40
	trailerMagic = "DAYBKEIX"
	trailerBytes = 32
)

// encodeHeader returns the first bytes of a file. Their checksum is the seed
// of all others in it.
func encodeHeader(store daybook.ID, first daybook.Position) []byte {
	b := make([]byte, headerBytes)
	copy(b, fileMagic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], formatVersion)
	copy(b[16:], store[:])
	le.PutUint64(b[32:], uint64(first))
	le.PutUint32(b[12:], headerSum(b))
	return b
}

// headerSum is the checksum of a header, its own field at 12 taken as zero.
func headerSum(b []byte) uint32 {
	sum := crc32.Checksum(b[:12], castagnoli)
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[16:])
}

// fileWriter writes a file from front to back.
type fileWriter struct {
	pieces   pieces
	table    tableWriter
	chunks   chunker
	streams  *filterWriter
	others   *filterWriter
	filtered []byte // the key of the list that was put into the filter last
	segments []Segment
	contents contents
}

// contents is what the end of a file says of the rest.
type contents struct {
	segments []Segment
	totals   Totals
	keys     [2]int64 // of which the filters were made: streams, others
	tableEnd int64
	fences   int64 // bytes with the checksum
	least    daybook.ID
	greatest daybook.ID
}

// newFileWriter begins a file of segments, for at most so many streams and
// other keys that filters are asked for.
func newFileWriter(w io.Writer, store daybook.ID, segments []Segment, streams, others int64) *fileWriter {
	f := &fileWriter{
		pieces: pieces{to: w}, segments: segments,
		streams: newFilterWriter(streams), others: newFilterWriter(others),
	}
	f.contents.keys = [2]int64{streams, others}
	f.table.pieces = &f.pieces
	f.chunks.table = &f.table
	header := encodeHeader(store, segments[0].First)
	f.pieces.raw(header)
	f.pieces.seed = binary.LittleEndian.Uint32(header[12:])
	return f
}

// entry adds an entry of a kind that has no lists.
func (f *fileWriter) entry(key, value []byte) {
	f.chunks.flush()
	if key[0] == keyStream {
		f.streams.add(key)
	} else {
		f.others.add(key)
	}
	if key[0] == keyAppend {
		copy(f.contents.greatest[:], key[1:])
		if f.contents.least == (daybook.ID{}) {
			f.contents.least = f.contents.greatest
		}
	}
	f.table.add(key, value)
}

// listed adds a number to a list.
func (f *fileWriter) listed(list []byte, number int64, place Place) {
	if !hasPlaces(list[0]) && string(list) != string(f.filtered) {
		f.filtered = append(f.filtered[:0], list...)
		f.others.add(list)
	}
	f.chunks.add(list, number, place)
}

// end writes what stands behind the table.
func (f *fileWriter) end(totals Totals) (int64, error) {
	f.chunks.flush()
	f.table.flush()
	f.contents.segments, f.contents.totals, f.contents.tableEnd = f.segments, totals, f.pieces.offset
	f.contents.fences = int64(len(f.table.fences) + checksumBytes)
	f.pieces.write(f.table.fences)
	f.streams.writeTo(&f.pieces)
	f.others.writeTo(&f.pieces)
	offset := f.pieces.offset
	encoded := f.contents.encode()
	f.pieces.write(encoded)
	trailer := make([]byte, trailerBytes-checksumBytes)
	copy(trailer, trailerMagic)
	binary.LittleEndian.PutUint64(trailer[8:], uint64(offset))
	binary.LittleEndian.PutUint64(trailer[16:], uint64(len(encoded)+checksumBytes))
	f.pieces.write(trailer)
	return f.pieces.offset, f.pieces.err
}

func (c *contents) encode() []byte {
	b := binary.AppendUvarint(nil, uint64(len(c.segments)))
	for i := range c.segments {
		s := &c.segments[i]
		b = binary.AppendUvarint(b, uint64(s.First))
		b = binary.AppendUvarint(b, uint64(s.Bytes))
		b = binary.LittleEndian.AppendUint32(b, s.Seed)
		b = binary.AppendUvarint(b, uint64(len(s.Marks)))
		var last Mark
		for _, mark := range s.Marks {
			b = binary.AppendUvarint(b, uint64(mark.Position-last.Position))
			b = binary.AppendUvarint(b, uint64(mark.Offset-last.Offset))
			b = binary.AppendVarint(b, micros(mark.RecordedAt))
			last = mark
		}
	}
	t := &c.totals
	for _, n := range []int64{
		t.Changesets, t.Records, t.Streams, int64(t.LongestStream), int64(t.FirstPosition), int64(t.LastPosition),
		int64(t.LastOrdinal), c.keys[0], c.keys[1], c.tableEnd, c.fences,
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
	for i := range c.segments {
		s := &c.segments[i]
		s.First, s.Bytes = daybook.Position(d.uvarint()), int64(d.uvarint())
		if seed := d.take(4); seed != nil {
			s.Seed = binary.LittleEndian.Uint32(seed)
		}
		s.Marks = make([]Mark, d.count(3))
		var last Mark
		for j := range s.Marks {
			last.Position += daybook.Position(d.uvarint())
			last.Offset += int64(d.uvarint())
			last.RecordedAt = fromMicros(d.varint())
			s.Marks[j] = last
		}
	}
	t := &c.totals
	numbers := [11]int64{}
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
	t.LastRecorded = fromMicros(d.varint())
	copy(c.least[:], d.take(16))
	copy(c.greatest[:], d.take(16))
	if !d.done() || len(c.segments) == 0 || c.keys[0] > math.MaxInt32 || c.keys[1] > math.MaxInt32 {
		return contents{}, fmt.Errorf("%w: its contents cannot be decoded", ErrDamaged)
	}
	return c, nil
}
