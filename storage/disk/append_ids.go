package disk

import (
	"bytes"
	"hash/maphash"

	"github.com/daybook-go/daybook"
)

// appendIDs leads from the id of an append to its first frame.
//
// Nearly every id that is asked for is new, and ids of version 7 rise. So what
// was added last stands in small tables, which stay in the processor's cache;
// an id that lies above all before them is not looked for any further. The
// large table takes in the others when one is asked for that it may hold.
type appendIDs struct {
	all    pages[appendPlace]
	small  [2]slots   // the second is filled
	passed uint32     // so many of all stand in neither of the small tables
	newest daybook.ID // of those that passed, of version 7
	large  slots
	filled uint32 // so many of all stand in the large table
}

type appendPlace struct {
	id    daybook.ID
	place place
}

// smallIDs is how many ids a small table takes.
const smallIDs = 512

func newAppendIDs() appendIDs {
	return appendIDs{large: newSlots(), small: [2]slots{newSlots(), newSlots()}}
}

func hashID(id daybook.ID) uint64 { return maphash.Bytes(hashSeed, id[:]) }

// rises reports whether an id is of the version that rises with time.
func rises(id *daybook.ID) bool { return id[6]>>4 == 7 }

// find returns the place of the first frame of an append.
func (t *appendIDs) find(id daybook.ID) (at place, ok bool) {
	hash := hashID(id)
	for i := range t.small {
		if at, ok = t.findIn(&t.small[i], hash, &id); ok {
			return at, true
		}
	}
	if rises(&id) && bytes.Compare(id[:], t.newest[:]) > 0 {
		return 0, false
	}
	for ; t.filled < t.passed; t.filled++ {
		t.large.put(hashID(t.all.at(t.filled).id), t.filled)
	}
	return t.findIn(&t.large, hash, &id)
}

func (t *appendIDs) findIn(table *slots, hash uint64, id *daybook.ID) (at place, ok bool) {
	n, probe, ok := table.next(hash, table.start(hash))
	for ; ok; n, probe, ok = table.next(hash, probe) {
		if found := t.all.at(n); found.id == *id {
			return found.place, true
		}
	}
	return 0, false
}

// add takes in an append that is not known yet.
func (t *appendIDs) add(id daybook.ID, at place) {
	if t.small[1].used == smallIDs {
		t.pass()
	}
	n, made := t.all.add()
	*made = appendPlace{id, at}
	t.small[1].put(hashID(id), n)
}

// pass empties the older of the small tables, to be filled next.
func (t *appendIDs) pass() {
	for end := t.passed + uint32(t.small[0].used); t.passed < end; t.passed++ {
		if id := &t.all.at(t.passed).id; rises(id) && bytes.Compare(id[:], t.newest[:]) > 0 {
			t.newest = *id
		}
	}
	t.small[0], t.small[1] = t.small[1], t.small[0]
	clear(t.small[1].table)
	t.small[1].used = 0
}
