package logindex

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/daybook-go/daybook"
)

// Hiding says what the deletions of some segments have hidden of a stream.
type Hiding struct {
	Through daybook.Version // nothing at or below it is shown
	Emptied daybook.Version // the last one of the stream when all of it was hidden last; 0: never
}

// Add takes in what other deletions have hidden.
func (h *Hiding) Add(other Hiding) {
	h.Through, h.Emptied = max(h.Through, other.Through), max(h.Emptied, other.Emptied)
}

// Deletion adds a deletion, in the form in which its reader wants it.
func (f *Writer) Deletion(number daybook.DeletionNumber, told []byte) {
	f.finish()
	f.key = numbered(append(f.key[:0], keyDeletion), number)
	f.table.add(f.key, told)
}

// DeletionID says which deletion has an id.
func (f *Writer) DeletionID(id daybook.ID, number daybook.DeletionNumber) {
	f.finish()
	f.key = append(append(f.key[:0], keyDeletionID), id[:]...)
	f.head = binary.AppendUvarint(f.head[:0], uint64(number))
	f.deletionID(f.key, f.head)
}

func (f *Writer) deletionID(key, value []byte) {
	f.others.add(key)
	f.table.add(key, value)
}

// Hiding says what the deletions have hidden of a stream.
func (f *Writer) Hiding(id daybook.StreamID, h Hiding) {
	f.finish()
	f.key = textKey(f.key[:0], keyHiding, id.Partition, id.Name)
	f.hiding(f.key, h)
}

func (f *Writer) hiding(key []byte, h Hiding) {
	f.head = binary.AppendUvarint(f.head[:0], uint64(h.Through))
	f.head = binary.AppendUvarint(f.head, uint64(h.Emptied))
	f.table.add(key, f.head)
}

func decodeHiding(value []byte) (h Hiding, err error) {
	d := decoder{rest: value}
	h.Through, h.Emptied = daybook.Version(d.uvarint()), daybook.Version(d.uvarint())
	if !d.done() || h.Through < 1 || h.Emptied < 0 {
		return h, fmt.Errorf("%w: what is hidden of a stream cannot be decoded", ErrDamaged)
	}
	return h, nil
}

// takeDeletion writes what the ith source says of a deletion, which no other
// does.
func (m *merging) takeDeletion(i int) error {
	s := &m.from[i]
	if s.key[0] == keyDeletionID {
		m.file.deletionID(s.key, s.value)
	} else {
		m.file.table.add(s.key, s.value)
	}
	s.more = s.next()
	return m.file.pieces.err
}

// takeHiding writes what all sources together say of a stream.
func (m *merging) takeHiding(i int) error {
	m.file.chunks.flush()
	m.same = append(m.same[:0], m.from[i].key...)
	var all Hiding
	for j := range m.from[i:] {
		s := &m.from[i+j]
		if !s.more || !bytes.Equal(s.key, m.same) {
			continue
		}
		one, err := decodeHiding(s.value)
		if err != nil {
			return err
		}
		all.Add(one)
		s.more = s.next()
	}
	m.file.hiding(m.same, all)
	return m.file.pieces.err
}

// Deletions yields the deletions behind a number, in order, as they were
// written. What is yielded is good until the next.
func (r *Run) Deletions(after daybook.DeletionNumber) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if r.totals.LastDeletion <= after {
			return
		}
		w := r.table.walk(numbered([]byte{keyDeletion}, after+1))
		for w.next() && w.key[0] == keyDeletion {
			if !yield(w.value, nil) {
				return
			}
		}
		if w.err != nil {
			yield(nil, w.err)
		}
	}
}

// DeletionNumber returns the number of the deletion with an id.
func (r *Run) DeletionNumber(id daybook.ID) (number daybook.DeletionNumber, ok bool, err error) {
	if r.totals.LastDeletion == 0 {
		return 0, false, nil
	}
	key := append([]byte{keyDeletionID}, id[:]...)
	if may, err := r.others.mayHold(key); !may {
		return 0, false, err
	}
	err = r.table.floor(key, func(found, value []byte) error {
		if ok = bytes.Equal(found, key); !ok {
			return nil
		}
		number, err = decodeNumber(value)
		return err
	})
	return number, ok && err == nil, err
}

func decodeNumber(value []byte) (number daybook.DeletionNumber, err error) {
	d := decoder{rest: value}
	if number = daybook.DeletionNumber(d.uvarint()); !d.done() || number < 1 {
		return 0, fmt.Errorf("%w: the number of a deletion cannot be decoded", ErrDamaged)
	}
	return number, nil
}

// StreamHiding is a stream and what is hidden of it.
type StreamHiding struct {
	Stream daybook.StreamID
	Hiding
}

// Hidings yields the streams of which the deletions have hidden something, in
// order.
func (r *Run) Hidings() iter.Seq2[StreamHiding, error] {
	return func(yield func(StreamHiding, error) bool) {
		if r.totals.LastDeletion == 0 {
			return
		}
		w := r.table.walk([]byte{keyHiding})
		for w.next() && w.key[0] == keyHiding {
			id, err := cutStream(w.key[1:])
			h := StreamHiding{Stream: id}
			if err == nil {
				h.Hiding, err = decodeHiding(w.value)
			}
			if !yield(h, err) || err != nil {
				return
			}
		}
		if w.err != nil {
			yield(StreamHiding{}, w.err)
		}
	}
}
