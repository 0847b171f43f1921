package logindex

import (
	"math"

	"github.com/daybook-go/daybook"
)

// Selection finds the positions of a run that a query selects. It holds a page
// for each type and tag of the query, and serves one goroutine.
type Selection struct {
	items []selectedItem
}

// selectedItem is a query item: positions that stand in all of the tags' lists
// and, if there are types, in any of theirs.
type selectedItem struct {
	tags  []*list
	types []*list
}

// Narrow reports whether each item of a query names a type or a tag. Only such
// a query can be asked of an index; any other selects every record.
func Narrow(query daybook.Query) bool {
	for _, item := range query.Items {
		if len(item.Types) == 0 && len(item.Tags) == 0 {
			return false
		}
	}
	return len(query.Items) > 0
}

// Select returns the positions that a query, which must be Narrow, selects.
func (r *Run) Select(query daybook.Query) (*Selection, error) {
	s := &Selection{}
	for _, item := range query.Items {
		tags, err := r.listsOf(keyTag, item.Tags)
		if err != nil {
			return nil, err
		}
		types, err := r.listsOf(keyType, item.Types)
		if err != nil {
			return nil, err
		}
		s.add(item.Tags, item.Types, selectedItem{tags, types})
	}
	return s, nil
}

// SelectStreams returns the positions of the first records of changesets, those
// of streams of one of the types, if there are types, and in the partition, if
// there is one; or, of several partitions without types, in one of them. The
// changesets of the default partition are not listed as such.
func (r *Run) SelectStreams(partitions, types []string) (*Selection, error) {
	var all, any []string
	kind := byte(keyStreamType)
	switch any = types; {
	case len(partitions) == 1:
		all = partitions
	case len(types) == 0:
		kind, any = keyPartition, partitions
	}
	in, err := r.listsOf(keyPartition, all)
	if err != nil {
		return nil, err
	}
	of, err := r.listsOf(kind, any)
	if err != nil {
		return nil, err
	}
	s := &Selection{}
	s.add(all, any, selectedItem{in, of})
	return s, nil
}

// add adds an item, unless a list is missing without which it selects nothing.
func (s *Selection) add(all, any []string, item selectedItem) {
	if len(item.tags) == len(all) && (len(any) == 0 || len(item.types) > 0) {
		s.items = append(s.items, item)
	}
}

// listsOf returns the lists that there are of some texts.
func (r *Run) listsOf(kind byte, texts []string) (lists []*list, err error) {
	for _, text := range texts {
		l, err := r.listOf(textKey(nil, kind, text))
		if err != nil {
			return nil, err
		}
		if l != nil {
			lists = append(lists, l)
		}
	}
	return lists, nil
}

// listOf returns a list; nil if there is none of that key.
func (r *Run) listOf(key []byte) (*list, error) {
	ok, err := r.others.mayHold(key)
	if !ok {
		return nil, err
	}
	return r.table.list(key), nil
}

// Next returns the lowest selected position from a position on; 0 if there is
// none.
func (s *Selection) Next(from daybook.Position) (daybook.Position, error) {
	least := int64(math.MaxInt64)
	for i := range s.items {
		found, err := s.items[i].meet(int64(from), (*list).atOrAbove, func(a, b int64) bool { return a > b })
		if err != nil {
			return 0, err
		}
		if found > 0 {
			least = min(least, found)
		}
	}
	if least == math.MaxInt64 {
		return 0, nil
	}
	return daybook.Position(least), nil
}

// Previous returns the highest selected position up to a position; 0 if there
// is none.
func (s *Selection) Previous(to daybook.Position) (daybook.Position, error) {
	greatest := int64(0)
	for i := range s.items {
		found, err := s.items[i].meet(int64(to), (*list).atOrBelow, func(a, b int64) bool { return a < b })
		if err != nil {
			return 0, err
		}
		greatest = max(greatest, found)
	}
	return daybook.Position(greatest), nil
}

// step finds the element of a list that is nearest to a bound in the direction
// of a search.
type step func(l *list, bound int64) (number int64, place Place, ok bool, err error)

// meet returns the first position from at on, in the direction of the search,
// that stands in all the lists it must; 0 if there is none.
func (s *selectedItem) meet(at int64, nearest step, beyond func(a, b int64) bool) (int64, error) {
	for {
		before := at
		for _, l := range s.tags {
			number, _, ok, err := nearest(l, at)
			if !ok {
				return 0, err
			}
			at = number
		}
		if len(s.types) > 0 {
			number, err := nearestOf(s.types, at, nearest, beyond)
			if number == 0 || err != nil {
				return 0, err
			}
			at = number
		}
		// A pass that moved nothing, or that one list alone decided, has met.
		if at == before || len(s.tags)+min(len(s.types), 1) == 1 {
			return at, nil
		}
	}
}

// nearestOf returns the nearest element of any of the lists; 0 if there is
// none.
func nearestOf(lists []*list, at int64, nearest step, beyond func(a, b int64) bool) (int64, error) {
	var best int64
	for _, l := range lists {
		number, _, ok, err := nearest(l, at)
		if err != nil {
			return 0, err
		}
		if ok && (best == 0 || beyond(best, number)) {
			best = number
		}
	}
	return best, nil
}
