package logindex

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Merge writes one index in place of several whose segments follow one
// another, oldest first; whole says that nothing stands before the first of
// them. It takes as much memory as the filters of the new one and a page of
// each.
func Merge(w io.Writer, whole bool, runs ...*Run) (int64, error) {
	if len(runs) == 0 {
		return 0, errors.New("nothing to merge")
	}
	var segments []Segment
	var totals Totals
	var keys [2]int64
	m := merging{whole: whole}
	for _, r := range runs {
		walk := r.table.walk(nil)
		m.from = append(m.from, source{walk: walk, base: PlaceOf(len(segments), 0), more: walk.next()})
		segments = append(segments, r.segments...)
		totals.Add(r.totals)
		keys[0] += r.keys[0]
		keys[1] += r.keys[1]
	}
	m.file = newFileWriter(w, runs[0].store, segments, keys[0], keys[1])
	if err := m.run(); err != nil {
		return 0, fmt.Errorf("merge indexes: %w", err)
	}
	return m.file.end(totals)
}

// merging merges the tables of runs.
type merging struct {
	from  []source // oldest first
	file  *fileWriter
	whole bool
	chunk chunk
}

type source struct {
	*walk
	base Place // of its first segment in the new index
	more bool
}

func (m *merging) run() error {
	for {
		least := -1
		for i := range m.from {
			if s := &m.from[i]; s.more && (least < 0 || bytes.Compare(s.key, m.from[least].key) < 0) {
				least = i
			}
		}
		if least < 0 {
			break
		}
		if err := m.take(least); err != nil {
			return err
		}
		if m.file.pieces.err != nil {
			return m.file.pieces.err
		}
	}
	for i := range m.from {
		if err := m.from[i].err; err != nil {
			return err
		}
	}
	return nil
}

// take writes what the sources say of the least key, which the ith is the
// oldest to have, and goes on in those.
func (m *merging) take(i int) error {
	oldest := &m.from[i]
	key := oldest.key
	switch key[0] {
	case keyAppend:
		// An append that was imported in pieces begins with the oldest.
		place, err := decodePlace(oldest.value)
		if err != nil {
			return err
		}
		m.file.entry(key, binary.AppendUvarint(nil, uint64(oldest.base+place)))
	case keyClaim, keyStream:
		newest := oldest
		for j := range m.from[i:] {
			if s := &m.from[i+j]; s.more && bytes.Equal(s.key, key) {
				newest = s
			}
		}
		if key[0] == keyStream || len(newest.value) > 0 || !m.whole {
			m.file.entry(key, newest.value)
		}
	case keyFrames, keyTag, keyPlaces, keyStreamType, keyType:
		if err := m.chunk.decode(key, oldest.value); err != nil {
			return err
		}
		for n, number := range m.chunk.numbers {
			var place Place
			if len(m.chunk.places) > 0 {
				place = oldest.base + m.chunk.places[n]
			}
			m.file.listed(key[:len(key)-8], number, place)
		}
	default:
		return fmt.Errorf("%w: an entry of an unknown kind, %d", ErrDamaged, key[0])
	}
	same := bytes.Clone(key)
	for j := range m.from[i:] {
		if s := &m.from[i+j]; s.more && bytes.Equal(s.key, same) {
			s.more = s.next()
		}
	}
	return nil
}
