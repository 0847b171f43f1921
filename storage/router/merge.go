package router

import (
	"cmp"
	"iter"
)

// sorted is a value and the key by which sequences of them are merged.
type sorted[T any] struct {
	key   int64
	value T
}

// merge makes one sequence of several that are in order. Of each it holds one
// value, and takes the next only when that one is done with.
type merge[T any] struct {
	backwards bool
	compare   func(a, b *sorted[T]) int // by default by their keys
	sources   []*source[T]
	last      *source[T] // what gave the last value
}

type source[T any] struct {
	head  sorted[T]
	ended bool
	pull  func() (sorted[T], error, bool)
	stop  func()
}

func (m *merge[T]) add(sequence iter.Seq2[sorted[T], error]) {
	s := &source[T]{}
	s.pull, s.stop = iter.Pull2(sequence)
	m.sources = append(m.sources, s)
}

// stop ends all sequences.
func (m *merge[T]) stop() {
	for _, s := range m.sources {
		s.stop()
	}
}

// advance takes the next value of a source.
func (s *source[T]) advance() error {
	head, err, ok := s.pull()
	if !ok {
		s.ended = true
		return nil
	}
	s.head = head
	return err
}

// next returns the next value, good until the one after; nil at the end.
func (m *merge[T]) next() (*T, error) {
	if m.last != nil {
		if err := m.last.advance(); err != nil {
			return nil, err
		}
	} else {
		for _, s := range m.sources {
			if err := s.advance(); err != nil {
				return nil, err
			}
		}
	}
	var first *source[T]
	for _, s := range m.sources {
		if !s.ended && (first == nil || m.before(&s.head, &first.head)) {
			first = s
		}
	}
	if first == nil {
		m.sources = nil
		return nil, nil
	}
	m.last = first
	return &first.head.value, nil
}

func (m *merge[T]) before(a, b *sorted[T]) bool {
	switch {
	case m.compare != nil:
		return m.compare(a, b) < 0
	case m.backwards:
		return cmp.Compare(a.key, b.key) > 0
	}
	return a.key < b.key
}
