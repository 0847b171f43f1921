package logindex

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/daybook-go/daybook"
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
	var counts Counts
	m := merging{whole: whole}
	for _, r := range runs {
		walk := r.table.walk(nil)
		m.from = append(m.from, source{walk: walk, base: PlaceOf(len(segments), 0), more: walk.next()})
		segments = append(segments, r.segments...)
		totals.Add(r.totals)
		counts.Streams += r.keys[0]
		counts.Others += r.keys[1]
	}
	m.file = NewWriter(w, runs[0].store, segments, counts)
	if err := m.run(); err != nil {
		return 0, fmt.Errorf("merge indexes: %w", err)
	}
	m.file.endTable(totals)
	for _, r := range runs {
		for i := range r.segments {
			encoded, err := r.marksPiece(i)
			if err != nil {
				return 0, fmt.Errorf("merge indexes: %w", err)
			}
			m.file.addMarks(encoded)
		}
	}
	return m.file.endFile()
}

// merging merges the tables of runs.
type merging struct {
	from  []source // oldest first
	file  *Writer
	whole bool
	same  []byte
	chunk rawChunk
}

// source is the table of a run, at an entry.
type source struct {
	*walk
	base Place // of its first segment in the new index
	more bool  // there is an entry

	ids idChunk // the entry, if it is one of ids
	at  int     // which of the ids is next
	id  daybook.ID
}

func (m *merging) run() error {
	err := m.appends()
	for err == nil {
		least := m.least()
		if least < 0 {
			break
		}
		err = m.take(least)
	}
	m.file.chunks.flush()
	for i := range m.from {
		err = errors.Join(err, m.from[i].err)
	}
	return errors.Join(err, m.file.pieces.err)
}

// least returns the oldest of the sources whose key is the least; -1 if all
// have ended.
func (m *merging) least() int {
	least := -1
	for i := range m.from {
		if s := &m.from[i]; s.more && (least < 0 || bytes.Compare(s.key, m.from[least].key) < 0) {
			least = i
		}
	}
	return least
}

// take writes what the sources say of the least key, which the ith is the
// oldest to have, and goes on in those.
func (m *merging) take(i int) error {
	oldest := &m.from[i]
	switch key := oldest.key; key[0] {
	case keyClaim:
		return m.takeClaim(i)
	case keyDeletion, keyDeletionID:
		return m.takeDeletion(i)
	case keyHiding:
		return m.takeHiding(i)
	case keyTag, keyPartition, keyStream, keyStreamType, keyType:
		if err := m.chunk.parse(key, oldest.value); err != nil {
			return err
		}
		m.file.list(key[:len(key)-numberBytes])
		if err := m.file.chunks.addChunk(&m.chunk, oldest.base); err != nil {
			return err
		}
		oldest.more = oldest.next()
		return m.file.pieces.err
	default:
		return fmt.Errorf("%w: an entry of an unknown kind, %d", ErrDamaged, key[0])
	}
}

// takeClaim writes what the newest says of a claim.
func (m *merging) takeClaim(i int) error {
	m.same = append(m.same[:0], m.from[i].key...)
	var holder []byte
	for j := range m.from[i:] {
		if s := &m.from[i+j]; s.more && bytes.Equal(s.key, m.same) {
			holder = append(holder[:0], s.value...)
			s.more = s.next()
		}
	}
	if len(holder) > 0 || !m.whole {
		m.file.claim(m.same, holder)
	}
	return m.file.pieces.err
}

// appends merges the ids, which stand before everything else. An append that
// was imported in pieces begins with the oldest.
func (m *merging) appends() error {
	for i := range m.from {
		if err := m.from[i].openIDs(); err != nil {
			return err
		}
	}
	for {
		least, bound := -1, -1 // of the others, the one that is least
		for i := range m.from {
			switch {
			case !m.from[i].hasID():
			case least < 0 || bytes.Compare(m.from[i].id[:], m.from[least].id[:]) < 0:
				least, bound = i, least
			case bound < 0 || bytes.Compare(m.from[i].id[:], m.from[bound].id[:]) < 0:
				bound = i
			}
		}
		if least < 0 {
			m.file.appends.flush()
			return m.file.pieces.err
		}
		var until *daybook.ID
		if bound >= 0 {
			until = &m.from[bound].id
		}
		if err := m.from[least].takeIDs(&m.file.appends, until); err != nil {
			return err
		}
	}
}

// openIDs takes the entry apart, if it is one of ids.
func (s *source) openIDs() error {
	s.at, s.ids.ids = 0, nil
	if !s.more || s.key[0] != keyAppend {
		return nil
	}
	if err := s.ids.parse(s.key, s.value); err != nil {
		return err
	}
	s.id = s.ids.id(0)
	return nil
}

func (s *source) hasID() bool { return s.ids.ids != nil }

// takeIDs writes the ids below a bound, but at least one. Where the bound lies
// behind a chunk, it is copied whole.
func (s *source) takeIDs(to *idWriter, bound *daybook.ID) error {
	n := s.ids.len()
	if s.at == 0 && !to.has(s.id) {
		if last := s.ids.id(n - 1); bound == nil || bytes.Compare(last[:], bound[:]) < 0 {
			to.addChunk(&s.ids, s.base)
			s.at = n
		}
	}
	for one := true; s.at < n && (one || bound == nil || bytes.Compare(s.id[:], bound[:]) < 0); one = false {
		if !to.has(s.id) { // else an older source has written it just before
			to.add(s.id, s.base+s.ids.place(s.at))
		}
		if s.at++; s.at < n {
			s.id = s.ids.id(s.at)
		}
	}
	if s.at < n {
		return nil
	}
	s.more = s.next()
	return s.openIDs()
}
