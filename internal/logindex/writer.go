package logindex

import (
	"encoding/binary"
	"io"

	"github.com/daybook-go/daybook"
)

// Writer writes the index of whole segments. What it is given must come in the
// order of the table, and its methods are meant to be called in this order:
//
//  1. Append, of each append, by its id,
//  2. Claim, of each claim, by partition, kind and value,
//  3. Deletion, of each deletion, by number, then DeletionID, of each, by id,
//  4. Tag, of each tag, and Positions with those of its records,
//  5. Hiding, of each stream that deletions took from, by partition and name,
//  6. Partition, of each partition but the default, and Positions with those of
//     the first records of its changesets,
//  7. Stream, of each stream, by partition and name, and Changeset with each
//     changeset of it, by version,
//  8. StreamType, of each stream type, and Positions with those of the first
//     records of the changesets,
//  9. Type, of each event type, and Positions with those of its records,
//  10. End.
//
// What comes in another order is an error of End. Texts are compared by their
// bytes. A Writer keeps nothing that it is given, allocates nothing for it, and
// serves one goroutine.
type Writer struct {
	pieces   pieces
	table    tableWriter
	chunks   chunkWriter
	appends  idWriter
	streams  *filterWriter
	others   *filterWriter
	contents contents
	key      []byte
	head     []byte // of the stream whose changesets come
}

// Counts says how many keys of an index will be asked for: exactly, or at most.
type Counts struct {
	Streams int64
	Others  int64 // appends, claims, deletions, tags, partitions, stream types and event types
}

// NewWriter begins the index of segments of a store, of which there must be at
// least one.
func NewWriter(w io.Writer, store daybook.ID, segments []Segment, counts Counts) *Writer {
	f := &Writer{pieces: pieces{to: w}, streams: newFilterWriter(counts.Streams), others: newFilterWriter(counts.Others)}
	f.contents.segments, f.contents.keys = segments, [2]int64{counts.Streams, counts.Others}
	f.table.pieces, f.chunks.table = &f.pieces, &f.table
	f.appends.table, f.appends.filter = &f.table, f.others
	header := encodeHeader(store, segments[0].First)
	f.pieces.raw(header)
	f.pieces.seed = binary.LittleEndian.Uint32(header[12:])
	return f
}

// Append says where the first changeset of an append stands.
func (f *Writer) Append(id daybook.ID, place Place) { f.appends.add(id, place) }

// Claim says who holds a claim of a partition at the end of the segments: the
// stream of that name, and the first version of the changeset that took it; ""
// if it was released.
func (f *Writer) Claim(partition string, claim daybook.Claim, holder string, since daybook.Version) {
	f.key = textKey(f.key[:0], keyClaim, partition, claim.Kind, claim.Value)
	f.head = f.head[:0]
	if holder != "" {
		f.head = append(binary.AppendUvarint(f.head, uint64(since)), holder...)
	}
	f.claim(f.key, f.head)
}

func (f *Writer) claim(key, value []byte) {
	f.appends.flush()
	f.others.add(key)
	f.table.add(key, value)
}

// Tag begins the positions of the records with a tag.
func (f *Writer) Tag(tag string) { f.begin(textKey(f.key[:0], keyTag, tag)) }

// Type begins the positions of the records of an event type.
func (f *Writer) Type(eventType string) { f.begin(textKey(f.key[:0], keyType, eventType)) }

// Partition begins the positions of the first records of the changesets of a
// partition.
func (f *Writer) Partition(partition string) { f.begin(textKey(f.key[:0], keyPartition, partition)) }

// StreamType begins the positions of the first records of the changesets of the
// streams of a type.
func (f *Writer) StreamType(streamType string) {
	f.begin(textKey(f.key[:0], keyStreamType, streamType))
}

// Stream begins the changesets of a stream, and says where it ends with the
// last of them.
func (f *Writer) Stream(id daybook.StreamID, head daybook.Head) {
	f.begin(streamKey(f.key[:0], id))
	f.head = appendHead(f.head[:0], head)
}

// begin begins a list.
func (f *Writer) begin(list []byte) {
	f.finish()
	f.key = list
	f.list(list)
}

// list makes the chunks that come those of a list.
func (f *Writer) list(list []byte) {
	if !f.chunks.begin(list) {
		return
	}
	if list[0] == keyStream {
		f.streams.add(list)
	} else {
		f.others.add(list)
	}
}

// finish writes what is left of a list or of the ids.
func (f *Writer) finish() {
	f.appends.flush()
	if len(f.chunks.list) > 0 && hasPlaces(f.chunks.list[0]) {
		f.chunks.head = append(f.chunks.head[:0], f.head...)
	}
	f.chunks.flush()
}

// Positions adds positions to the list that was begun last. They must rise.
func (f *Writer) Positions(positions []daybook.Position) {
	c := &f.chunks
	for _, position := range positions {
		if c.count == chunkLength {
			c.flush()
		}
		if c.count++; c.count == 1 {
			c.first = int64(position)
		} else {
			c.steps = appendStep(c.steps, uint64(int64(position)-c.last))
		}
		c.last = int64(position)
	}
}

// Changeset adds a changeset to the stream that was begun last: the version of
// its first record, and its place.
func (f *Writer) Changeset(first daybook.Version, place Place) {
	if f.chunks.count == chunkLength {
		f.chunks.head = append(f.chunks.head[:0], noHead...)
		f.chunks.flush()
	}
	f.chunks.add(int64(first), place)
}

// End writes what stands behind the table, with the marks of each segment, and
// returns how many bytes the index has.
func (f *Writer) End(totals Totals, marks ...*Marks) (int64, error) {
	f.finish()
	f.endTable(totals)
	var b []byte
	for _, m := range marks {
		b = m.encode(b[:0])
		f.addMarks(b)
	}
	return f.endFile()
}

// endTable writes what is asked before the table is.
func (f *Writer) endTable(totals Totals) {
	f.table.flush()
	c := &f.contents
	c.totals, c.tableEnd, c.fences = totals, f.pieces.offset, int64(len(f.table.fences)+checksumBytes)
	c.least, c.greatest = f.appends.least, f.appends.greatest
	f.pieces.write(f.table.fences)
	f.streams.writeTo(&f.pieces)
	f.others.writeTo(&f.pieces)
}

func (f *Writer) addMarks(encoded []byte) {
	f.contents.marks = append(f.contents.marks, int64(len(encoded)+checksumBytes))
	f.pieces.write(encoded)
}

func (f *Writer) endFile() (int64, error) {
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
