package disk

import (
	"slices"

	"github.com/daybook-go/daybook"
)

// postings lists the positions of the records by type and by tag, rising, so
// that a condition is decided without reading records.
type postings struct {
	types map[string][]daybook.Position
	tags  map[string][]daybook.Position
	last  daybook.Position
}

func newPostings() postings {
	return postings{types: map[string][]daybook.Position{}, tags: map[string][]daybook.Position{}}
}

func (p *postings) add(position daybook.Position, eventType string, tags []string) {
	p.types[eventType] = append(p.types[eventType], position)
	for _, tag := range tags {
		p.tags[tag] = append(p.tags[tag], position)
	}
	p.last = position
}

// lastMatch returns the highest position above after that query selects; 0 if
// there is none.
func (p *postings) lastMatch(query daybook.Query, after daybook.Position) daybook.Position {
	if len(query.Items) == 0 {
		return above(p.last, after)
	}
	var found daybook.Position
	for _, item := range query.Items {
		found = max(found, p.lastOf(item, max(after, found)))
	}
	return found
}

// lastOf is lastMatch for one item.
func (p *postings) lastOf(item daybook.QueryItem, after daybook.Position) daybook.Position {
	var types [][]daybook.Position
	for _, eventType := range item.Types {
		types = append(types, p.types[eventType])
	}
	if len(item.Tags) == 0 {
		if len(item.Types) == 0 {
			return above(p.last, after)
		}
		var found daybook.Position
		for _, list := range types {
			if len(list) > 0 {
				found = max(found, list[len(list)-1])
			}
		}
		return above(found, after)
	}
	tags := make([][]daybook.Position, len(item.Tags))
	for i, tag := range item.Tags {
		tags[i] = p.tags[tag]
	}
	slices.SortFunc(tags, func(a, b []daybook.Position) int { return len(a) - len(b) })
	for _, position := range slices.Backward(tags[0]) {
		if position <= after {
			break
		}
		if inAll(tags[1:], position) && (len(item.Types) == 0 || inAny(types, position)) {
			return position
		}
	}
	return 0
}

func inAll(lists [][]daybook.Position, position daybook.Position) bool {
	return !slices.ContainsFunc(lists, func(list []daybook.Position) bool { return !holds(list, position) })
}

func inAny(lists [][]daybook.Position, position daybook.Position) bool {
	return slices.ContainsFunc(lists, func(list []daybook.Position) bool { return holds(list, position) })
}

func holds(list []daybook.Position, position daybook.Position) bool {
	_, found := slices.BinarySearch(list, position)
	return found
}

// above returns position if it lies above after, else 0.
func above(position, after daybook.Position) daybook.Position {
	if position > after {
		return position
	}
	return 0
}
