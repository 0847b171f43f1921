package logindex

import "bytes"

// walk visits the entries of a table in order.
type walk struct {
	entries
	table *table
	from  []byte // entries below it are passed over
	page  int    // the next one
	buf   []byte
}

// walk returns a walk over the entries from a key on.
func (t *table) walk(from []byte) *walk {
	return &walk{table: t, from: from, page: max(0, t.pageOf(from))}
}

// next goes to the next entry, and reports whether there is one.
func (w *walk) next() bool {
	for {
		for w.entries.next() {
			if w.from == nil || bytes.Compare(w.key, w.from) >= 0 {
				w.from = nil
				return true
			}
		}
		if w.err != nil || w.page == w.table.pages() {
			return false
		}
		w.buf = w.buf[:cap(w.buf)]
		data, err := w.table.read(w.page, w.buf)
		if err != nil {
			w.err = err
			return false
		}
		w.buf, w.page = data, w.page+1
		w.entries = entries{rest: data, key: w.key[:0]}
	}
}
