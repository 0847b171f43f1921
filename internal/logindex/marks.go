package logindex

import (
	"encoding/binary"
	"fmt"
	"math"
	"sort"
	"time"

	"github.com/daybook-go/daybook"
)

// Marks say where changesets stand in a segment, one of every few kilobytes,
// so that reading can begin there. They take between four and five bytes each:
// of most, only how far they lie behind the first of their block is kept.
//
// They only grow: a copy of them is what they were when it was made, and may be
// read while more are added. The zero Marks are empty.
type Marks struct {
	blocks []markBlock
	// steps has, of each mark, how far its position (upper half) and its offset
	// divided by 8 (lower half) lie behind those of its block.
	steps []uint32
}

// Mark is one of the Marks.
type Mark struct {
	Position daybook.Position // of the first record of the changeset
	Offset   int64            // of its frame in the segment, a multiple of 8
}

// markBlock is what a block of marks begins with.
type markBlock struct {
	Mark
	recorded int64 // micros
	from     int   // the number of its first mark
}

// blockMarks is how many marks a block holds at most.
const blockMarks = 64

// Add adds a mark behind the others, of a changeset that was recorded at a
// time. Positions and offsets rise, times never fall.
func (m *Marks) Add(mark Mark, recorded time.Time) {
	if n := len(m.blocks); n > 0 {
		last := &m.blocks[n-1]
		position, offset := int64(mark.Position-last.Position), (mark.Offset-last.Offset)/8
		if len(m.steps)-last.from < blockMarks && position <= math.MaxUint16 && offset <= math.MaxUint16 {
			m.steps = append(m.steps, uint32(position)<<16|uint32(offset))
			return
		}
	}
	m.blocks = append(m.blocks, markBlock{mark, micros(recorded), len(m.steps)})
	m.steps = append(m.steps, 0)
}

// Len returns how many marks there are.
func (m *Marks) Len() int { return len(m.steps) }

// At returns the nth mark, counted from 0.
func (m *Marks) At(n int) Mark {
	block := sort.Search(len(m.blocks), func(i int) bool { return m.blocks[i].from > n }) - 1
	return m.blocks[block].step(m.steps[n])
}

func (b *markBlock) step(step uint32) Mark {
	return Mark{b.Position + daybook.Position(step>>16), b.Offset + int64(step&math.MaxUint16)*8}
}

// Last returns the last mark; zero if there is none.
func (m *Marks) Last() Mark {
	if len(m.steps) == 0 {
		return Mark{}
	}
	return m.blocks[len(m.blocks)-1].step(m.steps[len(m.steps)-1])
}

// Find returns the number of the last mark at the position or below it; -1 if
// all lie above.
func (m *Marks) Find(position daybook.Position) int {
	block := sort.Search(len(m.blocks), func(i int) bool { return m.blocks[i].Position > position }) - 1
	if block < 0 {
		return -1
	}
	b := &m.blocks[block]
	to := len(m.steps)
	if block+1 < len(m.blocks) {
		to = m.blocks[block+1].from
	}
	far := int64(position - b.Position)
	return b.from + sort.Search(to-b.from, func(i int) bool { return int64(m.steps[b.from+i]>>16) > far }) - 1
}

// RecordedAfter returns a position from which on everything was recorded after
// a time, as low as the marks tell; not ok if they tell of none.
func (m *Marks) RecordedAfter(at time.Time) (position daybook.Position, ok bool) {
	bound := micros(at)
	block := sort.Search(len(m.blocks), func(i int) bool { return m.blocks[i].recorded > bound })
	if block == len(m.blocks) {
		return 0, false
	}
	return m.blocks[block].Position, true
}

// resident returns how many bytes of memory the marks hold.
func (m *Marks) resident() int64 { return int64(cap(m.blocks))*32 + int64(cap(m.steps))*4 }

func (m *Marks) encode(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(m.blocks)))
	var last markBlock
	for i := range m.blocks {
		block := &m.blocks[i]
		to := len(m.steps)
		if i+1 < len(m.blocks) {
			to = m.blocks[i+1].from
		}
		b = binary.AppendUvarint(b, uint64(block.Position-last.Position))
		b = binary.AppendUvarint(b, uint64(block.Offset-last.Offset)/8)
		b = binary.AppendVarint(b, block.recorded)
		b = binary.AppendUvarint(b, uint64(to-block.from))
		last = *block
	}
	for _, step := range m.steps {
		b = binary.LittleEndian.AppendUint32(b, step)
	}
	return b
}

func decodeMarks(b []byte) (m Marks, err error) {
	d := decoder{rest: b}
	m.blocks = make([]markBlock, d.count(8)) // four numbers and a step
	var last markBlock
	marks := 0
	for i := range m.blocks {
		block := &m.blocks[i]
		block.Position = last.Position + daybook.Position(d.uvarint())
		block.Offset = last.Offset + int64(d.uvarint()*8)
		block.recorded, block.from = d.varint(), marks
		n := d.uvarint()
		if n < 1 || n > blockMarks || block.Position < last.Position || block.Offset < last.Offset {
			d.fail()
			break
		}
		marks += int(n)
		last = *block
	}
	if d.failed || len(d.rest) != 4*marks {
		return Marks{}, fmt.Errorf("%w: marks cannot be decoded", ErrDamaged)
	}
	m.steps = make([]uint32, marks)
	for i := range m.steps {
		m.steps[i] = binary.LittleEndian.Uint32(d.rest[4*i:])
	}
	return m, nil
}
