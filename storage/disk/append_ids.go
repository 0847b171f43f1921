package disk

import (
	"bytes"
	"hash/maphash"

	"github.com/daybook-go/daybook"
)

// appendIDs leads from the id of an append to its first frame.
//
// What was added last stands in small tables of its own. Nearly every id that
// is asked for is new, and ids of version 7 rise, so that most lie above all
// that the large table holds of them: they are answered by the small ones, which
// stay in the processor's cache.
type appendIDs struct {
	all   pages[appendPlace] // of the large table, and behind them those of the small ones
	large slots
	least daybook.ID // ids of version 7 above it do not stand in the large table
	small [2]slots   // the second is filled
	moved uint32     // so many of all stand in the large table
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

func rises(id *daybook.ID) bool { return id[6]>>4 == 7 }

// find returns the place of the first frame of an append.
func (t *appendIDs) find(id daybook.ID) (at place, ok bool) {
	hash := maphash.Bytes(hashSeed, id[:])
	for i := range t.small {
		if at, ok = t.findIn(&t.small[i], hash, &id); ok {
			return at, true
		}
	}
	if rises(&id) && bytes.Compare(id[:], t.least[:]) > 0 {
		return 0, false
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
		t.move()
	}
	n, made := t.all.add()
	*made = appendPlace{id, at}
	t.small[1].put(maphash.Bytes(hashSeed, id[:]), n)
}

// move puts what stands in the older of the small tables into the large one.
func (t *appendIDs) move() {
	for end := t.moved + uint32(t.small[0].used); t.moved < end; t.moved++ {
		id := &t.all.at(t.moved).id
		if rises(id) && bytes.Compare(id[:], t.least[:]) > 0 {
			t.least = *id
		}
		t.large.put(maphash.Bytes(hashSeed, id[:]), t.moved)
	}
	t.small[0], t.small[1] = t.small[1], t.small[0]
	clear(t.small[1].table)
	t.small[1].used = 0
}
