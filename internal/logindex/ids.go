package logindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"sort"

	"github.com/daybook-go/daybook"
)

// The ids of appends stand in the table in chunks too: each under its first id,
// with how many bytes all its ids begin with alike, what is behind these of
// each, and the places. All ids of a chunk, and all places, take the same room,
// so that they are found, and copied to another file, without decoding others.

// idChunk is a chunk of ids as it stands in a file.
type idChunk struct {
	first  daybook.ID
	shared int // bytes that all ids begin with alike
	width  int // bytes of a place
	base   Place
	ids    []byte
	places []byte
}

// parse takes the entry of a chunk apart. It shares the memory of the value.
func (c *idChunk) parse(key, value []byte) error {
	if len(key) != 1+len(c.first) || len(value) < 3 {
		return errIDs
	}
	copy(c.first[:], key[1:])
	c.shared, c.width = int(value[0]), int(value[1])
	d := decoder{rest: value[2:]}
	c.base = Place(d.uvarint())
	if c.shared >= len(c.first) || c.width > 8 || len(d.rest) == 0 {
		return errIDs
	}
	each := len(c.first) - c.shared
	n := len(d.rest) / (each + c.width)
	if d.failed || n == 0 || n > chunkLength || n*(each+c.width) != len(d.rest) {
		return errIDs
	}
	c.ids, c.places = d.rest[:n*each], d.rest[n*each:]
	return nil
}

func (c *idChunk) len() int { return len(c.ids) / (len(c.first) - c.shared) }

// suffix returns the part of the nth id that is its own.
func (c *idChunk) suffix(n int) []byte {
	each := len(c.first) - c.shared
	return c.ids[n*each : (n+1)*each]
}

func (c *idChunk) id(n int) (id daybook.ID) {
	copy(id[:c.shared], c.first[:c.shared])
	copy(id[c.shared:], c.suffix(n))
	return id
}

func (c *idChunk) place(n int) Place {
	var wide [8]byte
	copy(wide[:], c.places[n*c.width:(n+1)*c.width])
	return c.base + Place(binary.LittleEndian.Uint64(wide[:]))
}

// find returns the place of an append.
func (c *idChunk) find(id daybook.ID) (place Place, ok bool) {
	if !bytes.Equal(id[:c.shared], c.first[:c.shared]) {
		return 0, false
	}
	n := sort.Search(c.len(), func(i int) bool { return bytes.Compare(c.suffix(i), id[c.shared:]) >= 0 })
	if n == c.len() || !bytes.Equal(c.suffix(n), id[c.shared:]) {
		return 0, false
	}
	return c.place(n), true
}

// idWriter writes the chunks of ids, of which it holds the last.
type idWriter struct {
	table    *tableWriter
	filter   *filterWriter
	some     bool // there is an id
	least    daybook.ID
	greatest daybook.ID
	ids      [chunkLength]daybook.ID
	places   [chunkLength]Place
	count    int
	key      [17]byte
	value    []byte
}

// add adds an append. Ids must rise.
func (w *idWriter) add(id daybook.ID, place Place) {
	if w.count == chunkLength {
		w.flush()
	}
	w.ids[w.count], w.places[w.count] = id, place
	w.count++
	w.note(id)
}

// has reports whether the id was added last.
func (w *idWriter) has(id daybook.ID) bool { return w.some && w.greatest == id }

// note takes in what is asked for before the chunks are.
func (w *idWriter) note(id daybook.ID) {
	if !w.some {
		w.some, w.least = true, id
	}
	w.greatest = id
	w.key[0] = keyAppend
	copy(w.key[1:], id[:])
	w.filter.add(w.key[:])
}

// flush writes the chunk. It must be called before entries of other kinds are
// added.
func (w *idWriter) flush() {
	n := w.count
	if n == 0 {
		return
	}
	first, last := &w.ids[0], &w.ids[n-1]
	shared := min(sharedPrefix(first[:], last[:]), len(first)-1)
	base, most := w.places[0], w.places[0]
	for _, place := range w.places[:n] {
		base, most = min(base, place), max(most, place)
	}
	width := (bits.Len64(uint64(most-base)) + 7) / 8
	w.value = binary.AppendUvarint(append(w.value[:0], byte(shared), byte(width)), uint64(base))
	for i := range n {
		w.value = append(w.value, w.ids[i][shared:]...)
	}
	for _, place := range w.places[:n] {
		var wide [8]byte
		binary.LittleEndian.PutUint64(wide[:], uint64(place-base))
		w.value = append(w.value, wide[:width]...)
	}
	w.entry(first)
}

func (w *idWriter) entry(first *daybook.ID) {
	w.key[0] = keyAppend
	copy(w.key[1:], first[:])
	w.table.add(w.key[:], w.value)
	w.count = 0
}

// addChunk adds a whole chunk, behind all that was added.
func (w *idWriter) addChunk(c *idChunk, base Place) {
	w.flush()
	for i := range c.len() {
		w.note(c.id(i))
	}
	w.value = binary.AppendUvarint(append(w.value[:0], byte(c.shared), byte(c.width)), uint64(c.base+base))
	w.value = append(append(w.value, c.ids...), c.places...)
	w.entry(&c.first)
}

var errIDs = fmt.Errorf("%w: a chunk of ids cannot be decoded", ErrDamaged)
