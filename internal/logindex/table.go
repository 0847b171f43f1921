package logindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"sort"
	"sync"
)

// pageBytes is how large a page of the table grows before the next is begun.
const pageBytes = 4 << 10

// checksumBytes is the size of the checksum behind each piece of a file.
const checksumBytes = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// pieceSum returns the checksum of a piece of a file. It is begun with the seed
// and the offset instead of 0, so that a piece of another file or place is not
// taken for this one.
func pieceSum(seed uint32, offset int64, piece []byte) uint32 {
	return crc32.Update(seed^(uint32(offset)^uint32(offset>>32))*placeSpread, castagnoli, piece)
}

// placeSpread is odd, so that different offsets stay different.
const placeSpread = 0x9e3779b1

// pieces writes a file piece by piece, each with its checksum behind it.
type pieces struct {
	to     io.Writer
	seed   uint32
	offset int64
	err    error
}

// write writes a piece, and returns it with its checksum.
func (p *pieces) write(piece []byte) []byte {
	piece = binary.LittleEndian.AppendUint32(piece, pieceSum(p.seed, p.offset, piece))
	p.raw(piece)
	return piece
}

func (p *pieces) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// raw writes bytes that carry their own checksum.
func (p *pieces) raw(b []byte) {
	if p.err == nil {
		_, p.err = p.to.Write(b)
		p.offset += int64(len(b))
	}
}

// readPiece reads a piece with its checksum into b, and returns it without.
func readPiece(from io.ReaderAt, seed uint32, offset int64, b []byte) ([]byte, error) {
	n, err := from.ReadAt(b, offset)
	if n < len(b) {
		if err == io.EOF {
			return nil, fmt.Errorf("%w: it ends within a piece at offset %d", ErrDamaged, offset)
		}
		return nil, err
	}
	return checkPiece(seed, offset, b)
}

// checkPiece returns a piece without the checksum behind it.
func checkPiece(seed uint32, offset int64, b []byte) ([]byte, error) {
	piece := b[:len(b)-checksumBytes]
	if binary.LittleEndian.Uint32(b[len(piece):]) != pieceSum(seed, offset, piece) {
		return nil, fmt.Errorf("%w: the checksum at offset %d does not match", ErrDamaged, offset)
	}
	return piece, nil
}

// tableWriter writes the pages of a table. Keys must be added in rising order.
type tableWriter struct {
	*pieces
	page   []byte
	last   []byte // the key that was added last
	fences []byte // of each page: its first key and its size with checksum
}

func (t *tableWriter) add(key, value []byte) {
	shared := sharedPrefix(key, t.last)
	if len(t.last) > 0 && (shared == len(key) || shared < len(t.last) && key[shared] < t.last[shared]) {
		t.fail(errOrder)
	}
	if len(t.page) == 0 {
		t.fences = appendBytes(t.fences, key)
		shared = 0
	}
	t.page = appendStep(t.page, uint64(shared))
	t.page = appendStep(t.page, uint64(len(key)-shared))
	t.page = appendStep(t.page, uint64(len(value)))
	t.page = append(t.page, key[shared:]...)
	t.page = append(t.page, value...)
	t.last = append(t.last[:shared], key[shared:]...)
	if len(t.page) >= pageBytes {
		t.flush()
	}
}

// errOrder is a mistake of who writes, or of an index that is merged.
var errOrder = fmt.Errorf("%w: its keys do not rise", ErrDamaged)

// sharedPrefix returns how many bytes two keys begin with alike.
func sharedPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	i := 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func (t *tableWriter) flush() {
	if len(t.page) > 0 {
		t.fences = binary.AppendUvarint(t.fences, uint64(len(t.page)+checksumBytes))
		t.page = t.write(t.page)[:0]
	}
}

// table finds entries. Only its fences are in memory.
type table struct {
	from    io.ReaderAt
	seed    uint32
	keys    []byte   // the first keys of the pages
	ends    []uint32 // of these keys in keys
	offsets []int64  // of the pages, and of the end of the last
}

// openTable decodes the fences of pages that begin at an offset.
func openTable(from io.ReaderAt, seed uint32, offset int64, fences []byte) (*table, error) {
	t := &table{from: from, seed: seed, offsets: []int64{offset}}
	d := decoder{rest: fences}
	for len(d.rest) > 0 {
		t.keys = append(t.keys, d.bytes()...)
		t.ends = append(t.ends, uint32(len(t.keys)))
		offset += int64(d.uvarint())
		t.offsets = append(t.offsets, offset)
		if d.failed || offset <= t.offsets[len(t.offsets)-2] || len(t.keys) == 0 {
			return nil, fmt.Errorf("%w: the fences cannot be decoded", ErrDamaged)
		}
	}
	return t, nil
}

func (t *table) pages() int { return len(t.ends) }

func (t *table) firstKey(page int) []byte {
	from := uint32(0)
	if page > 0 {
		from = t.ends[page-1]
	}
	return t.keys[from:t.ends[page]]
}

// pageOf returns the page that holds the key, if any does; -1 if the key lies
// before the first.
func (t *table) pageOf(key []byte) int {
	return sort.Search(t.pages(), func(i int) bool { return bytes.Compare(t.firstKey(i), key) > 0 }) - 1
}

// read returns a page, in memory of buf if that is large enough.
func (t *table) read(page int, buf []byte) ([]byte, error) {
	size := t.offsets[page+1] - t.offsets[page]
	if size <= checksumBytes || size > maxPage {
		return nil, fmt.Errorf("%w: a page of %d bytes", ErrDamaged, size)
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, max(size, pageBytes*2))
	}
	return readPiece(t.from, t.seed, t.offsets[page], buf[:size])
}

// maxPage bounds what is allocated for a page: no entry is larger.
const maxPage = 1 << 20

// pageMemory is memory for a page that is looked at once, and two keys in it.
type pageMemory struct{ page, key, found []byte }

var pageMemories = sync.Pool{New: func() any { return &pageMemory{page: make([]byte, pageBytes*2)} }}

// floor calls found with the last entry whose key is not above one, if there is
// one. What it is called with is valid during the call.
func (t *table) floor(key []byte, found func(key, value []byte) error) error {
	page := t.pageOf(key)
	if page < 0 {
		return nil
	}
	memory := pageMemories.Get().(*pageMemory)
	defer pageMemories.Put(memory)
	b, err := t.read(page, memory.page)
	if err != nil {
		return err
	}
	e := entries{rest: b, key: memory.key[:0]}
	size, value := 0, []byte(nil) // of the last entry that is not above
	alike := 0                    // how many bytes of its key are those of the one that is looked for
	for e.next() {
		// An entry that shares more with the last one than that does with the key
		// lies below it too; one that shares less lies above.
		if size > 0 && e.shared < alike {
			break
		}
		if size == 0 || e.shared == alike {
			n := alike + sharedPrefix(e.key[alike:], key[alike:])
			if n < len(e.key) && (n == len(key) || e.key[n] > key[n]) {
				break
			}
			alike = n
		}
		size, value = len(e.key), e.value
		memory.found = append(memory.found[:e.shared], e.key[e.shared:]...)
	}
	memory.key = e.key
	if e.err != nil || size == 0 {
		return e.err
	}
	return found(memory.found, value)
}

// entries decodes a page from its front.
type entries struct {
	rest   []byte
	key    []byte
	shared int // how many bytes of the key are those of the one before
	value  []byte
	err    error
}

// next goes to the next entry, and reports whether there is one.
func (e *entries) next() bool {
	if len(e.rest) == 0 || e.err != nil {
		return false
	}
	d := decoder{rest: e.rest}
	var shared, rest, value uint64
	if b := e.rest; len(b) > 3 && b[0]|b[1]|b[2] < 0x80 { // most are short
		shared, rest, value, d.rest = uint64(b[0]), uint64(b[1]), uint64(b[2]), b[3:]
	} else {
		shared, rest, value = d.uvarint(), d.uvarint(), d.uvarint()
	}
	if shared > uint64(len(e.key)) {
		d.failed = true
	} else {
		e.key, e.shared = append(e.key[:shared], d.take(rest)...), int(shared)
		e.value = d.take(value)
	}
	if d.failed || len(e.key) == 0 {
		e.err = fmt.Errorf("%w: a page cannot be decoded", ErrDamaged)
		return false
	}
	e.rest = d.rest
	return true
}
