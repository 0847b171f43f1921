package logindex

import (
	"bytes"
	"slices"
)

// list reads a list of a table, in any order. It holds one page and one chunk.
type list struct {
	table *table
	key   []byte // of the list; chunks add their first number
	chunk chunk  // empty before the first is read
	seek  []byte // key that is looked for
	page  int    // whose bytes are in data, if there are any
	data  []byte
}

func (t *table) list(key []byte) *list { return &list{table: t, key: bytes.Clone(key)} }

// load reads a page, unless it is the one that was read last.
func (l *list) load(page int) ([]byte, error) {
	if l.data != nil && l.page == page {
		return l.data, nil
	}
	buf := l.data[:cap(l.data)]
	l.data = nil
	data, err := l.table.read(page, buf)
	if err != nil {
		return nil, err
	}
	l.page, l.data = page, data
	return data, nil
}

// floor makes that chunk the present one which begins at a number or below it
// and is the last to do so. It reports whether there is one; if not, the
// present one stays.
func (l *list) floor(number int64) (bool, error) {
	l.seek = numbered(append(l.seek[:0], l.key...), number)
	page := l.table.pageOf(l.seek)
	if page < 0 {
		return false, nil
	}
	data, err := l.load(page)
	if err != nil {
		return false, err
	}
	var value []byte
	var first [8]byte
	found := false
	e := entries{rest: data}
	for e.next() && bytes.Compare(e.key, l.seek) <= 0 {
		if found = l.has(e.key); found {
			value = e.value
			copy(first[:], e.key[len(l.key):])
		}
	}
	if e.err != nil || !found {
		return false, e.err
	}
	return true, l.chunk.decode(append(l.seek[:len(l.key)], first[:]...), value)
}

// ceiling makes that chunk the present one which begins at a number or above
// it and is the first to do so.
func (l *list) ceiling(number int64) (bool, error) {
	l.seek = numbered(append(l.seek[:0], l.key...), number)
	for page := max(0, l.table.pageOf(l.seek)); page < l.table.pages(); page++ {
		data, err := l.load(page)
		if err != nil {
			return false, err
		}
		e := entries{rest: data}
		for e.next() {
			if bytes.Compare(e.key, l.seek) >= 0 {
				if !l.has(e.key) {
					return false, nil
				}
				return true, l.chunk.decode(e.key, e.value)
			}
		}
		if e.err != nil {
			return false, e.err
		}
	}
	return false, nil
}

// has reports whether a chunk of the list has the key.
func (l *list) has(key []byte) bool {
	return len(key) == len(l.key)+8 && bytes.HasPrefix(key, l.key)
}

// atOrBelow returns the highest number of the list up to a bound, with its
// place; not ok if there is none.
func (l *list) atOrBelow(bound int64) (number int64, place Place, ok bool, err error) {
	if c := &l.chunk; len(c.numbers) == 0 || bound < c.first() || bound > c.last() {
		if ok, err := l.floor(bound); !ok {
			return 0, 0, false, err
		}
	}
	i, exact := slices.BinarySearch(l.chunk.numbers, bound)
	if !exact {
		i--
	}
	return l.at(i)
}

// atOrAbove returns the lowest number of the list from a bound on, with its
// place; not ok if there is none.
func (l *list) atOrAbove(bound int64) (number int64, place Place, ok bool, err error) {
	if c := &l.chunk; len(c.numbers) == 0 || bound < c.first() || bound > c.last() {
		ok, err := l.floor(bound)
		if err != nil {
			return 0, 0, false, err
		}
		if !ok || l.chunk.last() < bound {
			if ok, err = l.ceiling(bound); !ok {
				return 0, 0, false, err
			}
		}
	}
	i, _ := slices.BinarySearch(l.chunk.numbers, bound)
	return l.at(i)
}

func (l *list) at(i int) (number int64, place Place, ok bool, err error) {
	if len(l.chunk.places) > 0 {
		place = l.chunk.places[i]
	}
	return l.chunk.numbers[i], place, true, nil
}
