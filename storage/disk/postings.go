package disk

import (
	"hash/maphash"
	"sort"

	"github.com/daybook-go/daybook"
)

// postings lists the positions of the records by type and by tag, rising, so
// that a condition is decided without reading records, and those of the first
// records of the changesets by the type and the partition of their stream. The
// default partition has no list: it is most often everything.
type postings struct {
	types      terms
	tags       terms
	kinds      terms
	partitions terms
}

func newPostings() postings {
	return postings{
		types: terms{slots: newSlots()}, tags: terms{slots: newSlots()},
		kinds: terms{slots: newSlots()}, partitions: terms{slots: newSlots()},
	}
}

// addStream takes in the first record of a changeset of a stream.
func (p *postings) addStream(position daybook.Position, s *stream) {
	if s.kind == 0 {
		s.kind = p.kinds.number(s.id.Type()) + 1
		if s.id.Partition != "" {
			s.partition = p.partitions.number(s.id.Partition) + 1
		}
	}
	p.kinds.all.at(s.kind - 1).add(position)
	if s.partition > 0 {
		p.partitions.all.at(s.partition - 1).add(position)
	}
}

// add takes in a record. It keeps no memory of the texts.
func (p *postings) add(position daybook.Position, eventType string, tags []string) {
	p.types.add(eventType, position)
	for _, tag := range tags {
		p.tags.add(tag, position)
	}
}

// terms are the types, or the tags, each with its positions.
type terms struct {
	slots slots
	all   pages[term]
	texts texts
	last  uint32 // the number, plus one, of the term that was added to last
}

type term struct {
	text string
	positions
}

// list returns the positions of a term; nil if it is unknown.
func (t *terms) list(text string) *positions {
	hash := maphash.String(hashSeed, text)
	n, at, ok := t.slots.next(hash, t.slots.start(hash))
	for ; ok; n, at, ok = t.slots.next(hash, at) {
		if found := t.all.at(n); found.text == text {
			return &found.positions
		}
	}
	return nil
}

func (t *terms) add(text string, position daybook.Position) {
	// The events of one append are often of one type.
	if t.last > 0 {
		if last := t.all.at(t.last - 1); last.text == text {
			last.add(position)
			return
		}
	}
	n := t.number(text)
	t.last = n + 1
	t.all.at(n).add(position)
}

// number returns the number of a term, which is made if it is unknown.
func (t *terms) number(text string) uint32 {
	hash := maphash.String(hashSeed, text)
	n, at, ok := t.slots.next(hash, t.slots.start(hash))
	for ; ok; n, at, ok = t.slots.next(hash, at) {
		if t.all.at(n).text == text {
			return n
		}
	}
	n, made := t.all.add()
	made.text = t.texts.keep(text)
	t.slots.put(hash, n)
	return n
}

// positions is a rising list. It grows by pieces, so that a long one is never
// moved. A copy of it is the list as it was when it was copied, and may be
// read without a lock.
type positions struct {
	full [][]daybook.Position // pieces of positionsPiece
	tail []daybook.Position
}

const positionsPiece = 1024

func (l *positions) add(position daybook.Position) {
	if len(l.tail) == positionsPiece {
		l.full = append(l.full, l.tail)
		l.tail = make([]daybook.Position, 0, positionsPiece)
	}
	l.tail = append(l.tail, position)
}

func (l *positions) len() int { return len(l.full)*positionsPiece + len(l.tail) }

func (l *positions) at(i int) daybook.Position {
	if i/positionsPiece < len(l.full) {
		return l.full[i/positionsPiece][i%positionsPiece]
	}
	return l.tail[i%positionsPiece]
}

// pieces yields the positions, in order, many at once.
func (l *positions) pieces(yield func([]daybook.Position)) {
	for _, piece := range l.full {
		yield(piece)
	}
	yield(l.tail)
}

// last returns the highest position; 0 if there is none.
func (l *positions) last() daybook.Position {
	if n := len(l.tail); n > 0 {
		return l.tail[n-1]
	}
	return 0
}

// search returns how many positions lie below one.
func (l *positions) search(position daybook.Position) int {
	piece := sort.Search(len(l.full), func(i int) bool { return l.full[i][positionsPiece-1] >= position })
	in := l.tail
	if piece < len(l.full) {
		in = l.full[piece]
	}
	return piece*positionsPiece + sort.Search(len(in), func(i int) bool { return in[i] >= position })
}

func (l *positions) holds(position daybook.Position) bool {
	i := l.search(position)
	return i < l.len() && l.at(i) == position
}

// lastMatch returns the highest position above after that query selects; 0 if
// there is none. End is the position of the last record.
func (p *postings) lastMatch(query daybook.Query, after, end daybook.Position) daybook.Position {
	if len(query.Items) == 0 {
		return above(end, after)
	}
	var found daybook.Position
	for i := range query.Items {
		found = max(found, p.lastOf(&query.Items[i], max(after, found), end))
	}
	return found
}

// lastOf is lastMatch for one item.
func (p *postings) lastOf(item *daybook.QueryItem, after, end daybook.Position) daybook.Position {
	if len(item.Tags) == 0 {
		return p.lastOfTypes(item.Types, after, end)
	}
	// A record must stand in all of these.
	var room [8]*positions
	all := room[:0]
	for _, tag := range item.Tags {
		all = append(all, p.tags.list(tag))
	}
	if len(item.Types) == 1 {
		all = append(all, p.types.list(item.Types[0]))
	}
	shortest := 0
	for i, list := range all {
		if list == nil || list.last() <= after {
			return 0
		}
		if list.len() < all[shortest].len() {
			shortest = i
		}
	}
	for i := all[shortest].len() - 1; i >= 0; i-- {
		position := all[shortest].at(i)
		if position <= after {
			break
		}
		if inAll(all, shortest, position) && (len(item.Types) < 2 || p.isAny(item.Types, position)) {
			return position
		}
	}
	return 0
}

func (p *postings) lastOfTypes(types []string, after, end daybook.Position) daybook.Position {
	if len(types) == 0 {
		return above(end, after)
	}
	var found daybook.Position
	for _, eventType := range types {
		if list := p.types.list(eventType); list != nil {
			found = max(found, list.last())
		}
	}
	return above(found, after)
}

// inAll reports whether all lists, besides one that need not be asked, hold
// the position.
func inAll(all []*positions, besides int, position daybook.Position) bool {
	for i, list := range all {
		if i != besides && !list.holds(position) {
			return false
		}
	}
	return true
}

// isAny reports whether the record at the position is of any of the types.
func (p *postings) isAny(types []string, position daybook.Position) bool {
	for _, eventType := range types {
		if list := p.types.list(eventType); list != nil && list.holds(position) {
			return true
		}
	}
	return false
}

// above returns position if it lies above after, else 0.
func above(position, after daybook.Position) daybook.Position {
	if position > after {
		return position
	}
	return 0
}
