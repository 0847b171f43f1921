package codec

import (
	"fmt"
	"reflect"
)

// Sealed declares which events there are, so that New finds one that was
// forgotten: Set is an interface with a method for each event type, which
// takes that type and nothing else.
//
//	type AccountEvents interface {
//		Opened(Opened)
//		Deposited(Deposited)
//	}
//
// Every type must have its entry, and every event entry its method.
//
// Where the events accept such a set, declaring it is not needed, since New
// looks at the methods of E:
//
//	type AccountEvent interface{ accept(AccountEvents) }
//
//	func (e Opened) accept(to AccountEvents)    { to.Opened(e) }
//	func (e Deposited) accept(to AccountEvents) { to.Deposited(e) }
//
// Then a new event does not compile until the set has a method for it, what
// folds the events (an AccountEvents) does not compile until it handles it,
// and the codec is not built until it has a name.
func Sealed[Set any]() Entry { return sealed{reflect.TypeFor[Set]()} }

type sealed struct{ set reflect.Type }

// add makes a declared set an Entry.
func (s sealed) add(b *build) {
	if s.set.Kind() != reflect.Interface || s.set.NumMethod() == 0 {
		b.problem(s.set, "", "a set of events is an interface with a method for each")
		return
	}
	for i := range s.set.NumMethod() {
		if method := s.set.Method(i); method.Type.NumIn() != 1 || method.Type.IsVariadic() {
			b.problem(s.set, "", fmt.Sprintf("its method %s must take one event", method.Name))
			return
		}
	}
	b.sealed = append(b.sealed, s.set)
}

// checkSealed compares the events with the sets that were declared.
func (b *build) checkSealed() {
	sets := b.sealed
	if set := acceptedSet(b.set); set != nil {
		sets = append(sets, set)
	}
	for i, set := range sets {
		if i > 0 && set == sets[0] {
			continue // declared, and accepted by the events
		}
		members := map[reflect.Type]bool{}
		for i := range set.NumMethod() {
			method := set.Method(i)
			member := method.Type.In(0)
			members[member] = true
			if b.byType[member] == nil {
				b.problem(member, "", fmt.Sprintf("it has no entry, but a method in %s: %s", set, method.Name))
			}
		}
		for _, e := range b.events {
			if !members[e.kind] {
				b.problem(e.kind, e.name, fmt.Sprintf("no method of %s takes it", set))
			}
		}
	}
}

// acceptedSet returns the set of events that the methods of E tell: the
// parameter of one of them, if it is an interface with methods, each of which
// takes one value that is an E. Nothing else looks like that by chance.
func acceptedSet(of reflect.Type) reflect.Type {
	if of.Kind() != reflect.Interface {
		return nil
	}
	for i := range of.NumMethod() {
		method := of.Method(i).Type
		if method.NumIn() == 1 && isSetOf(method.In(0), of) {
			return method.In(0)
		}
	}
	return nil
}

func isSetOf(set, of reflect.Type) bool {
	if set.Kind() != reflect.Interface || set.NumMethod() == 0 {
		return false
	}
	for i := range set.NumMethod() {
		method := set.Method(i).Type
		if method.NumIn() != 1 || method.IsVariadic() || method.In(0) == of || !method.In(0).Implements(of) {
			return false
		}
	}
	return true
}
