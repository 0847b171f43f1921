package daytest

import "reflect"

// Comparing returns t with another rule for when two values are the same, in
// place of reflect.DeepEqual: for types whose values are the same though their
// memory differs, such as protobuf messages and times of different zones. It
// goes wherever this package takes a T, and holds for events, states and
// outcomes; same is given two values of one of these types, not lists of them.
func Comparing(t T, same func(a, b any) bool) T { return comparing{t, same} }

type comparing struct {
	T
	same func(a, b any) bool
}

// equal reports whether two values are the same by the rule of t.
func equal(t T, a, b any) bool {
	if c, own := t.(comparing); own {
		return c.same(a, b)
	}
	return reflect.DeepEqual(a, b)
}

// equalLists reports whether two lists hold the same.
func equalLists[E any](t T, a, b []E) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equal(t, a[i], b[i]) {
			return false
		}
	}
	return true
}
