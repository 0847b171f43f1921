package logindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/daybook-go/daybook"
)

// Run is an open index: it answers for a run of neighbouring segments. It may
// be used by many goroutines at once.
type Run struct {
	contents
	from    io.ReaderAt
	seed    uint32
	store   daybook.ID
	table   *table
	streams filter
	others  filter
}

// Open opens an index of a store that has so many bytes. An error that matches
// ErrDamaged says that it must be built anew: also if it is of another store,
// or of another version of this package. The reader must stay usable for as
// long as the Run is.
func Open(from io.ReaderAt, size int64, store daybook.ID) (*Run, error) {
	header := make([]byte, HeaderBytes)
	if n, err := from.ReadAt(header, 0); n < HeaderBytes {
		if err == io.EOF {
			err = fmt.Errorf("%w: it ends within its header", ErrDamaged)
		}
		return nil, err
	}
	le := binary.LittleEndian
	first := daybook.Position(le.Uint64(header[32:]))
	if !bytes.Equal(header, encodeHeader(store, first)) {
		return nil, fmt.Errorf("%w: it does not begin as an index of this store and version does", ErrDamaged)
	}
	seed := le.Uint32(header[12:])
	if size < HeaderBytes+trailerBytes {
		return nil, fmt.Errorf("%w: it has only %d bytes", ErrDamaged, size)
	}
	trailer, err := readPiece(from, seed, size-trailerBytes, make([]byte, trailerBytes))
	if err != nil {
		return nil, err
	}
	offset, length := int64(le.Uint64(trailer[8:])), int64(le.Uint64(trailer[16:]))
	if string(trailer[:8]) != trailerMagic || length < checksumBytes || offset < HeaderBytes || offset != size-trailerBytes-length {
		return nil, fmt.Errorf("%w: it does not end as an index does", ErrDamaged)
	}
	b, err := readPiece(from, seed, offset, make([]byte, length))
	if err != nil {
		return nil, err
	}
	r := &Run{from: from, seed: seed, store: store}
	if r.contents, err = decodeContents(b); err != nil {
		return nil, err
	}
	return r, r.open(from, seed, offset)
}

// open makes resident what is kept so.
func (r *Run) open(from io.ReaderAt, seed uint32, end int64) error {
	r.streams = filter{from: from, seed: seed, offset: r.tableEnd + r.fences, blocks: filterBlocks(r.keys[0])}
	r.others = filter{from: from, seed: seed, blocks: filterBlocks(r.keys[1])}
	r.others.offset = r.streams.offset + int64(r.streams.blocks)*filterBlock
	marks := r.marksOffset(0)
	for _, size := range r.marks {
		marks += size
	}
	if r.fences < checksumBytes || r.tableEnd < HeaderBytes || marks != end {
		return fmt.Errorf("%w: its contents contradict its size", ErrDamaged)
	}
	fences, err := readPiece(from, seed, r.tableEnd, make([]byte, r.fences))
	if err != nil {
		return err
	}
	if r.table, err = openTable(from, seed, HeaderBytes, fences); err != nil {
		return err
	}
	if r.table.offsets[r.table.pages()] != r.tableEnd {
		return fmt.Errorf("%w: its fences contradict its size", ErrDamaged)
	}
	return r.streams.load()
}

// Segments returns the segments that the index covers, in order. They must not
// be written into.
func (r *Run) Segments() []Segment { return r.segments }

// Totals counts what the index covers.
func (r *Run) Totals() Totals { return r.totals }

// marksOffset returns where the marks of the ith segment begin.
func (r *Run) marksOffset(i int) int64 {
	offset := r.others.offset + int64(r.others.blocks)*filterBlock
	for _, size := range r.marks[:i] {
		offset += size
	}
	return offset
}

func (r *Run) marksPiece(i int) ([]byte, error) {
	return readPiece(r.from, r.seed, r.marksOffset(i), make([]byte, r.marks[i]))
}

// Marks returns the marks of the ith segment, in memory of their own.
func (r *Run) Marks(i int) (Marks, error) {
	b, err := r.marksPiece(i)
	if err != nil {
		return Marks{}, err
	}
	return decodeMarks(b)
}

// Resident returns about how many bytes of memory the Run holds.
func (r *Run) Resident() int64 {
	return int64(cap(r.table.keys) + 4*cap(r.table.ends) + 8*cap(r.table.offsets) + len(r.streams.resident))
}

// Head returns where a stream ends within the covered segments. Its First is
// that of the whole log up to there.
func (r *Run) Head(id daybook.StreamID) (head daybook.Head, ok bool, err error) {
	var room [128]byte
	list := streamKey(room[:0], id)
	if may, err := r.streams.mayHold(list); !may {
		return head, false, err
	}
	err = r.table.floor(numbered(list, int64(math.MaxInt64)), func(key, value []byte) error {
		if ok = len(key) == len(list)+numberBytes && bytes.HasPrefix(key, list); !ok {
			return nil
		}
		var c rawChunk
		if err := c.parse(key, value); err != nil {
			return err
		}
		head, err = decodeHead(c.head)
		return err
	})
	return head, ok && err == nil, err
}

// Spans reports whether an id lies among those of the appends, so that one must
// look for it. Ids of version 7 rise with time: most new ones lie above all old
// ones.
func (r *Run) Spans(id daybook.ID) bool {
	return bytes.Compare(id[:], r.least[:]) >= 0 && bytes.Compare(id[:], r.greatest[:]) <= 0
}

// Append returns where the first changeset of an append stands.
func (r *Run) Append(id daybook.ID) (place Place, ok bool, err error) {
	if !r.Spans(id) {
		return 0, false, nil
	}
	var room [17]byte
	key := append(append(room[:0], keyAppend), id[:]...)
	if may, err := r.others.mayHold(key); !may {
		return 0, false, err
	}
	err = r.table.floor(key, func(key, value []byte) error {
		if key[0] != keyAppend {
			return nil
		}
		var c idChunk
		if err := c.parse(key, value); err != nil {
			return err
		}
		place, ok = c.find(id)
		return nil
	})
	return place, ok && err == nil, err
}

// Claim returns who held a claim at the end of the covered segments, and the
// first version of the changeset that took it: nobody, if holder has no name. Not
// ok: it was neither taken nor released in them.
func (r *Run) Claim(partition string, claim daybook.Claim) (holder daybook.StreamID, since daybook.Version, ok bool, err error) {
	key := textKey(nil, keyClaim, partition, claim.Kind, claim.Value)
	if may, err := r.others.mayHold(key); !may {
		return holder, 0, false, err
	}
	err = r.table.floor(key, func(found, value []byte) error {
		if ok = bytes.Equal(found, key); ok && len(value) > 0 {
			d := decoder{rest: value}
			since = daybook.Version(d.uvarint())
			if d.failed || since < 1 || len(d.rest) == 0 {
				return fmt.Errorf("%w: the holder of a claim cannot be decoded", ErrDamaged)
			}
			holder = daybook.StreamID{Partition: partition, Name: string(d.rest)}
		}
		return nil
	})
	return holder, since, ok && err == nil, err
}

// Changesets yields the first versions and places of the changesets of a
// stream that have records of the versions from one to another (0: the last),
// in order or backwards.
func (r *Run) Changesets(id daybook.StreamID, from, to daybook.Version, backwards bool) iter.Seq2[VersionPlace, error] {
	return func(yield func(VersionPlace, error) bool) {
		key := streamKey(nil, id)
		if ok, err := r.streams.mayHold(key); !ok {
			if err != nil {
				yield(VersionPlace{}, err)
			}
			return
		}
		if to <= 0 {
			to = 1<<63 - 1
		}
		l := r.table.list(key)
		// The changeset that holds from may begin below it.
		least := int64(max(from, 0))
		number, place, ok, err := l.atOrBelow(least)
		if ok {
			least = number
		}
		if backwards && err == nil {
			number, place, ok, err = l.atOrBelow(int64(to))
		} else if !ok && err == nil {
			number, place, ok, err = l.atOrAbove(least)
		}
		for ok && err == nil && number >= least && number <= int64(to) {
			if !yield(VersionPlace{daybook.Version(number), place}, nil) {
				return
			}
			if backwards {
				number, place, ok, err = l.atOrBelow(number - 1)
			} else {
				number, place, ok, err = l.atOrAbove(number + 1)
			}
		}
		if err != nil {
			yield(VersionPlace{}, err)
		}
	}
}

// VersionPlace is a changeset of a stream: the version of its first record,
// and where it stands.
type VersionPlace struct {
	First daybook.Version
	Place Place
}

// Streams yields the streams that have changesets in the covered segments and
// sort above a stream, in their order, with the heads that they have there.
func (r *Run) Streams(after daybook.StreamID) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		from := []byte{keyStream}
		if after != (daybook.StreamID{}) {
			from = numbered(streamKey(from[:0], after), int64(math.MaxInt64))
			from = append(from, 0)
		}
		w := r.table.walk(from)
		more := w.next()
		for more && w.key[0] == keyStream {
			list := bytes.Clone(w.key[:max(0, len(w.key)-numberBytes)])
			head, err := lastHead(w, list, &more)
			var id daybook.StreamID
			if err == nil {
				id, err = cutStream(list[1:])
			}
			if !yield(daybook.StreamHead{Stream: id, Head: head}, err) || err != nil {
				return
			}
		}
		if w.err != nil {
			yield(daybook.StreamHead{}, w.err)
		}
	}
}

// lastHead goes behind the chunks of a stream, and returns where it ends.
func lastHead(w *walk, list []byte, more *bool) (daybook.Head, error) {
	var c rawChunk
	var value []byte
	for *more && len(w.key) == len(list)+numberBytes && bytes.HasPrefix(w.key, list) {
		if err := c.parse(w.key, w.value); err != nil {
			return daybook.Head{}, err
		}
		value = append(value[:0], c.head...)
		*more = w.next()
	}
	if value == nil {
		return daybook.Head{}, errStreamKey
	}
	return decodeHead(value)
}

func cutStream(key []byte) (id daybook.StreamID, err error) {
	partition, rest, ok := cutKeyText(key)
	if !ok {
		return id, errStreamKey
	}
	name, rest, ok := cutKeyText(rest)
	if !ok || len(rest) > 0 {
		return id, errStreamKey
	}
	return daybook.StreamID{Partition: partition, Name: name}, nil
}

var errStreamKey = fmt.Errorf("%w: the key of a stream cannot be decoded", ErrDamaged)
