package disk

import (
	"hash/maphash"
	"strings"
)

// The parts of the index's tables. They are flat: few and large pieces of
// memory, nothing for each thing held.

// pages is an array that grows without moving what it holds.
type pages[T any] struct {
	all [][]T
	n   uint32
}

const (
	pageBits = 9
	pageLen  = 1 << pageBits
)

// add makes room for one more and returns its number.
func (p *pages[T]) add() (uint32, *T) {
	n := p.n
	if n%pageLen == 0 {
		p.all = append(p.all, make([]T, pageLen))
	}
	p.n++
	return n, p.at(n)
}

func (p *pages[T]) at(n uint32) *T { return &p.all[n>>pageBits][n%pageLen] }

// slots finds the numbers that were put under a hash, in a table of open
// addressing. Hashes collide: whoever finds a number compares what it stands
// for. A slot holds the upper half of the hash and, below it, the number plus
// one; so the table grows without looking at what the numbers stand for.
type slots struct {
	table []uint64 // a power of two
	shift int      // of the upper half of a hash, to the place where it begins
	used  int
}

const fewSlots = 6 // bits

func newSlots() slots { return slots{table: make([]uint64, 1<<fewSlots), shift: 32 - fewSlots} }

// start returns the place at which the search for a hash begins.
func (s *slots) start(hash uint64) int { return int(uint32(hash>>32) >> s.shift) }

// next returns the next number under the hash, and the place behind it.
func (s *slots) next(hash uint64, at int) (number uint32, after int, ok bool) {
	for mask := len(s.table) - 1; ; at = (at + 1) & mask {
		slot := s.table[at]
		if slot == 0 {
			return 0, 0, false
		}
		if slot>>32 == hash>>32 {
			return uint32(slot) - 1, (at + 1) & mask, true
		}
	}
}

// put adds a number under a hash.
func (s *slots) put(hash uint64, number uint32) {
	if s.used >= len(s.table)/4*3 {
		s.grow()
	}
	s.used++
	s.set(hash>>32<<32 | uint64(number+1))
}

func (s *slots) set(slot uint64) {
	at := s.start(slot)
	for s.table[at] != 0 {
		at = (at + 1) & (len(s.table) - 1)
	}
	s.table[at] = slot
}

func (s *slots) grow() {
	before := s.table
	s.table = make([]uint64, 2*len(before))
	s.shift--
	for _, slot := range before {
		if slot != 0 {
			s.set(slot)
		}
	}
}

// hashSeed is drawn anew in each process, so that nobody can choose names that
// collide.
var hashSeed = maphash.MakeSeed()

// texts keeps short texts in large pieces.
type texts struct{ piece *strings.Builder }

const textsPiece = 32 << 10

// keep returns a copy of s.
func (t *texts) keep(s string) string {
	if s == "" {
		return ""
	}
	if t.piece == nil || len(s) > t.piece.Cap()-t.piece.Len() {
		t.piece = new(strings.Builder)
		t.piece.Grow(max(textsPiece, len(s)))
	}
	start := t.piece.Len()
	t.piece.WriteString(s)
	return t.piece.String()[start:]
}
