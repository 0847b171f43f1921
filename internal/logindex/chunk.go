package logindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A list is a row of rising numbers (positions, versions), each with a rising
// place where the kind has places. It stands in the table as chunks, each
// under the key of the list and its first number; the rest is told in steps.

// chunkLength is how many numbers a chunk holds at most.
const chunkLength = 128

// hasPlaces reports whether the numbers of a list of the kind have places.
func hasPlaces(kind byte) bool { return kind == keyFrames || kind == keyPlaces }

// chunker cuts lists into chunks.
type chunker struct {
	table   *tableWriter
	list    []byte // the key of the list; nil at first
	numbers []int64
	places  []Place
	key     []byte
	value   []byte
}

// add adds a number to a list. Lists must come in the order of their keys,
// and the numbers of each rising.
func (c *chunker) add(list []byte, number int64, place Place) {
	if len(c.numbers) == chunkLength || !bytes.Equal(list, c.list) {
		c.flush()
		c.list = append(c.list[:0], list...)
	}
	c.numbers = append(c.numbers, number)
	c.places = append(c.places, place)
}

// flush writes the chunk that is being filled. It must be called before
// entries of other kinds are added.
func (c *chunker) flush() {
	if len(c.numbers) == 0 {
		return
	}
	c.key = numbered(append(c.key[:0], c.list...), c.numbers[0])
	c.value = c.value[:0]
	places := hasPlaces(c.list[0])
	for i, number := range c.numbers {
		if i > 0 {
			c.value = binary.AppendUvarint(c.value, uint64(number-c.numbers[i-1]))
		}
		if !places {
			continue
		}
		step := c.places[i]
		if i > 0 {
			step -= c.places[i-1]
		}
		c.value = binary.AppendUvarint(c.value, uint64(step))
	}
	c.table.add(c.key, c.value)
	c.numbers, c.places = c.numbers[:0], c.places[:0]
}

// chunk is a decoded chunk. It is never empty.
type chunk struct {
	numbers []int64
	places  []Place // nil where the kind has none
}

func (c *chunk) first() int64 { return c.numbers[0] }
func (c *chunk) last() int64  { return c.numbers[len(c.numbers)-1] }

// decode takes the entry of a chunk apart, into the memory of c.
func (c *chunk) decode(key, value []byte) error {
	places := hasPlaces(key[0])
	c.numbers, c.places = c.numbers[:0], c.places[:0]
	if len(key) < 9 {
		return errChunk
	}
	number := int64(binary.BigEndian.Uint64(key[len(key)-8:]))
	var place Place
	d := decoder{rest: value}
	for i := 0; i == 0 || len(d.rest) > 0; i++ {
		if i > 0 {
			step := int64(d.uvarint())
			if step < 1 || number+step < number {
				return errChunk
			}
			number += step
		}
		c.numbers = append(c.numbers, number)
		if places {
			place += Place(d.uvarint())
			c.places = append(c.places, place)
		}
	}
	if d.failed || number < 0 {
		return errChunk
	}
	return nil
}

var errChunk = fmt.Errorf("%w: a chunk of a list cannot be decoded", ErrDamaged)
