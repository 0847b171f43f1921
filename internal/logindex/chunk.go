package logindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A list is a row of rising numbers: positions, or the versions of a stream,
// each with a rising place. It stands in the table as chunks, each under the
// key of the list and its first number. What a chunk says of its length and its
// end lets two be joined without a look at the numbers in between.

// chunkLength is how many numbers a chunk holds at most.
const chunkLength = 128

// numberBytes is the size of the number behind the key of a list.
const numberBytes = 8

// rawChunk is a chunk whose steps are not decoded.
type rawChunk struct {
	head        []byte // of streams: where they end, or noHead
	count       int
	first, last int64
	from, to    Place // of the first and the last number of a stream
	steps       []byte
}

// noHead stands in a chunk that is not the last of its stream.
var noHead = []byte{0}

// hasPlaces reports whether the numbers of a list of the kind have places.
func hasPlaces(kind byte) bool { return kind == keyStream }

// parse takes the entry of a chunk apart. It shares the memory of the value.
func (c *rawChunk) parse(key, value []byte) error {
	if len(key) <= numberBytes {
		return errChunk
	}
	*c = rawChunk{first: int64(binary.BigEndian.Uint64(key[len(key)-numberBytes:]))}
	places := hasPlaces(key[0])
	d := decoder{rest: value}
	if places {
		if version := d.uvarint(); version > 0 {
			d.uvarint()
			d.uvarint()
			d.uvarint()
			d.uvarint()
		}
		c.head = value[:len(value)-len(d.rest)]
	}
	count, far := d.uvarint(), d.uvarint()
	if places {
		c.from = Place(d.uvarint())
		c.to = c.from + Place(d.uvarint())
	}
	c.count, c.last, c.steps = int(count), c.first+int64(far), d.rest
	if d.failed || count < 1 || count > chunkLength || c.first < 0 || c.last < c.first || c.to < c.from {
		return errChunk
	}
	return nil
}

// ends reports whether the chunk tells where its stream ends.
func (c *rawChunk) ends() bool { return len(c.head) != 1 }

// chunkWriter writes the chunks of lists, of which it holds the last.
type chunkWriter struct {
	rawChunk
	table *tableWriter
	list  []byte // its key, with room for a number behind it
	value []byte
}

// begin begins a list, unless it goes on with the one that it has. It reports
// whether it does.
func (c *chunkWriter) begin(list []byte) bool {
	if bytes.Equal(c.list, list) {
		return false
	}
	c.flush()
	c.list = append(c.list[:0], list...)
	return true
}

// add adds a number to the chunk, which must not be full.
func (c *chunkWriter) add(number int64, place Place) {
	if c.count++; c.count == 1 {
		c.first, c.from = number, place
	} else {
		c.steps = appendStep(c.steps, uint64(number-c.last))
		if hasPlaces(c.list[0]) {
			c.steps = appendStep(c.steps, uint64(place-c.to))
		}
	}
	c.last, c.to = number, place
}

// appendStep is binary.AppendUvarint, fast for what most steps are.
func appendStep(b []byte, step uint64) []byte {
	if step < 0x80 {
		return append(b, byte(step))
	}
	return binary.AppendUvarint(b, step)
}

// addChunk adds a whole chunk of the list whose places are counted from a base.
// It joins what it has where that is short enough.
func (c *chunkWriter) addChunk(next *rawChunk, base Place) error {
	places := hasPlaces(c.list[0])
	if c.count > 0 && (c.count+next.count > chunkLength || places && !next.ends()) {
		c.flush()
	}
	from, to := base+next.from, base+next.to
	switch {
	case c.count == 0:
		c.first, c.from = next.first, from
	case next.first <= c.last || places && from <= c.to:
		return errChunk
	default:
		c.steps = appendStep(c.steps, uint64(next.first-c.last))
		if places {
			c.steps = appendStep(c.steps, uint64(from-c.to))
		}
	}
	c.head = append(c.head[:0], next.head...)
	c.steps = append(c.steps, next.steps...)
	c.count, c.last, c.to = c.count+next.count, next.last, to
	return nil
}

// flush writes the chunk. It must be called before entries of other kinds are
// added.
func (c *chunkWriter) flush() {
	if c.count == 0 {
		return
	}
	key := numbered(c.list, c.first)
	c.list = key[:len(c.list)]
	c.value = binary.AppendUvarint(append(c.value[:0], c.head...), uint64(c.count))
	c.value = binary.AppendUvarint(c.value, uint64(c.last-c.first))
	if hasPlaces(c.list[0]) {
		c.value = binary.AppendUvarint(c.value, uint64(c.from))
		c.value = binary.AppendUvarint(c.value, uint64(c.to-c.from))
	}
	c.value = append(c.value, c.steps...)
	c.table.add(key, c.value)
	c.head, c.count, c.steps = c.head[:0], 0, c.steps[:0]
}

// chunk is a decoded chunk. It is never empty once it was decoded.
type chunk struct {
	numbers []int64
	places  []Place // empty where the kind has none
}

func (c *chunk) first() int64 { return c.numbers[0] }
func (c *chunk) last() int64  { return c.numbers[len(c.numbers)-1] }

// decode takes the entry of a chunk apart, into the memory of c.
func (c *chunk) decode(key, value []byte) error {
	c.numbers, c.places = c.numbers[:0], c.places[:0]
	var raw rawChunk
	if err := raw.parse(key, value); err != nil {
		return err
	}
	places := hasPlaces(key[0])
	number, place := raw.first, raw.from
	d := decoder{rest: raw.steps}
	for i := range raw.count {
		if i > 0 {
			step := int64(d.uvarint())
			if step < 1 || number+step < number {
				return errChunk
			}
			number += step
		}
		c.numbers = append(c.numbers, number)
		if places {
			if i > 0 {
				place += Place(d.uvarint())
			}
			c.places = append(c.places, place)
		}
	}
	if !d.done() || number != raw.last || place != raw.to {
		return errChunk
	}
	return nil
}

var errChunk = fmt.Errorf("%w: a chunk of a list cannot be decoded", ErrDamaged)
