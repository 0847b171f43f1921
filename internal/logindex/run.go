package logindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

// Run is an open index: it answers for a run of neighbouring segments. It may
// be used by many goroutines at once.
type Run struct {
	contents
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
	header := make([]byte, headerBytes)
	if n, err := from.ReadAt(header, 0); n < headerBytes {
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
	if size < headerBytes+trailerBytes {
		return nil, fmt.Errorf("%w: it has only %d bytes", ErrDamaged, size)
	}
	trailer, err := readPiece(from, seed, size-trailerBytes, make([]byte, trailerBytes))
	if err != nil {
		return nil, err
	}
	offset, length := int64(le.Uint64(trailer[8:])), int64(le.Uint64(trailer[16:]))
	if string(trailer[:8]) != trailerMagic || length < checksumBytes || offset < headerBytes || offset != size-trailerBytes-length {
		return nil, fmt.Errorf("%w: it does not end as an index does", ErrDamaged)
	}
	b, err := readPiece(from, seed, offset, make([]byte, length))
	if err != nil {
		return nil, err
	}
	r := &Run{store: store}
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
	if r.fences < checksumBytes || r.tableEnd < headerBytes || r.others.offset+int64(r.others.blocks)*filterBlock != end {
		return fmt.Errorf("%w: its contents contradict its size", ErrDamaged)
	}
	fences, err := readPiece(from, seed, r.tableEnd, make([]byte, r.fences))
	if err != nil {
		return err
	}
	if r.table, err = openTable(from, seed, headerBytes, fences); err != nil {
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

// Resident returns about how many bytes of memory the Run holds.
func (r *Run) Resident() int64 {
	marks := 0
	for i := range r.segments {
		marks += len(r.segments[i].Marks)
	}
	return int64(cap(r.table.keys) + 4*cap(r.table.ends) + 8*cap(r.table.offsets) + len(r.streams.resident) + 40*marks)
}

// Head returns where a stream ends within the covered segments. Its First is
// that of the whole log up to there.
func (r *Run) Head(id daybook.StreamID) (head daybook.Head, ok bool, err error) {
	key := streamKey(nil, keyStream, id)
	if ok, err := r.streams.mayHold(key); !ok {
		return head, false, err
	}
	ok, err = r.table.get(key, func(value []byte) (err error) {
		head, err = decodeHead(value)
		return err
	})
	return head, ok, err
}

// Append returns where the first changeset of an append stands.
func (r *Run) Append(id daybook.ID) (place Place, ok bool, err error) {
	// Ids of version 7 rise with time: most new ones lie above all old ones.
	if bytes.Compare(id[:], r.least[:]) < 0 || bytes.Compare(id[:], r.greatest[:]) > 0 {
		return 0, false, nil
	}
	key := append([]byte{keyAppend}, id[:]...)
	if ok, err := r.others.mayHold(key); !ok {
		return 0, false, err
	}
	ok, err = r.table.get(key, func(value []byte) (err error) {
		place, err = decodePlace(value)
		return err
	})
	return place, ok, err
}

// Claim returns who held a claim at the end of the covered segments: nobody,
// if holder has no name. Not ok: it was neither taken nor released in them.
func (r *Run) Claim(partition string, claim daybook.Claim) (holder daybook.StreamID, ok bool, err error) {
	key := textKey(nil, keyClaim, partition, claim.Kind, claim.Value)
	if ok, err := r.others.mayHold(key); !ok {
		return holder, false, err
	}
	ok, err = r.table.get(key, func(value []byte) error {
		if len(value) > 0 {
			holder = daybook.StreamID{Partition: partition, Name: string(value)}
		}
		return nil
	})
	return holder, ok, err
}

// Changesets yields the first versions and places of the changesets of a
// stream that have records of the versions from one to another (0: the last),
// in order or backwards.
func (r *Run) Changesets(id daybook.StreamID, from, to daybook.Version, backwards bool) iter.Seq2[VersionPlace, error] {
	return func(yield func(VersionPlace, error) bool) {
		if ok, err := r.streams.mayHold(streamKey(nil, keyStream, id)); !ok {
			if err != nil {
				yield(VersionPlace{}, err)
			}
			return
		}
		if to <= 0 {
			to = 1<<63 - 1
		}
		l := r.table.list(streamKey(nil, keyFrames, id))
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

// PlaceOf returns the place of the last changeset whose first record has a
// position or one below it; not ok if there is none.
func (r *Run) PlaceOf(position daybook.Position) (place Place, ok bool, err error) {
	_, place, ok, err = r.table.list([]byte{keyPlaces}).atOrBelow(int64(position))
	return place, ok, err
}

// PositionAt returns the first position of the last mark that was recorded
// before a time: whatever was recorded at that time or later stands behind it.
// Zero: there is no such mark.
func (r *Run) PositionAt(at time.Time) daybook.Position {
	var found daybook.Position
	for i := range r.segments {
		marks := r.segments[i].Marks
		n, _ := slices.BinarySearchFunc(marks, at, func(m Mark, at time.Time) int { return m.RecordedAt.Compare(at) })
		if n == 0 {
			break
		}
		found = marks[n-1].Position
	}
	return found
}

// Streams yields the streams that have changesets in the covered segments and
// sort above a stream, in their order, with the heads that they have there.
func (r *Run) Streams(after daybook.StreamID) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		from := []byte{keyStream}
		if after != (daybook.StreamID{}) {
			from = append(streamKey(nil, keyStream, after), 0)
		}
		w := r.table.walk(from)
		for w.next() && w.key[0] == keyStream {
			id, err := cutStream(w.key[1:])
			var head daybook.Head
			if err == nil {
				head, err = decodeHead(w.value)
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
