package disk

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
)

// How what stands in the tables of a part is put into the order of an index
// file: by numbers, in a few large pieces of memory, without a comparison of
// whole keys where a few of their bytes tell.

// inOrder returns the numbers of the appends in the order of their ids. Ids
// mostly rise with time, or are random: in both cases they lie about evenly
// between the least and the greatest, so that each has its place nearly right
// when it is put where it would be if they did.
func (t *appendIDs) inOrder() []uint32 {
	n := t.all.n
	least, most := ^uint64(0), uint64(0)
	for i := range n {
		front := idFront(&t.all.at(i).id)
		least, most = min(least, front), max(most, front)
	}
	if n == 0 {
		return nil
	}
	// About two ids share a bucket.
	shift := max(0, bits.Len64(most-least)-max(1, bits.Len32(n)-1))
	starts := make([]uint32, (most-least)>>shift+2)
	bucket := func(i uint32) uint64 { return (idFront(&t.all.at(i).id) - least) >> shift }
	for i := range n {
		starts[bucket(i)+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	order := make([]uint32, n)
	for i := range n {
		at := &starts[bucket(i)]
		order[*at] = i
		*at++
	}
	// Now each start is the end of its bucket.
	from := uint32(0)
	for _, to := range starts[:len(starts)-1] {
		t.sort(order[from:to])
		from = to
	}
	return order
}

func idFront(id *daybook.ID) uint64 { return binary.BigEndian.Uint64(id[:]) }

// sort sorts the numbers of some appends by their ids.
func (t *appendIDs) sort(some []uint32) {
	compare := func(a, b uint32) int {
		x, y := &t.all.at(a).id, &t.all.at(b).id
		return bytes.Compare(x[:], y[:])
	}
	if len(some) > 16 {
		slices.SortFunc(some, compare)
		return
	}
	for i := 1; i < len(some); i++ {
		for j := i; j > 0 && compare(some[j-1], some[j]) > 0; j-- {
			some[j-1], some[j] = some[j], some[j-1]
		}
	}
}

// ranked is a thing with a text, and the first bytes of that behind those that
// all texts begin with.
type ranked struct {
	front  uint64
	number uint32
}

// rank returns n things in the order of their texts. Those whose texts begin
// with other bytes are told apart by these; compare decides about the others.
func rank(n uint32, text func(uint32) string, compare func(a, b uint32) int) []ranked {
	all := make([]ranked, n)
	if n == 0 {
		return all
	}
	shared := text(0)
	for i := range n {
		other := text(i)
		shared = shared[:min(len(shared), len(other))]
		for !strings.HasPrefix(other, shared) {
			shared = shared[:len(shared)-1]
		}
	}
	for i := range n {
		var front [8]byte
		copy(front[:], text(i)[len(shared):])
		all[i] = ranked{binary.BigEndian.Uint64(front[:]), i}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		if a.front != b.front {
			return cmp.Compare(a.front, b.front)
		}
		return compare(a.number, b.number)
	})
	return all
}

// inOrder returns the terms in the order of their texts.
func (t *terms) inOrder() []ranked {
	text := func(n uint32) string { return t.all.at(n).text }
	return rank(t.all.n, text, func(a, b uint32) int { return strings.Compare(text(a), text(b)) })
}

// inOrder returns the streams by partition and name.
func (t *streams) inOrder() []ranked {
	id := func(n uint32) daybook.StreamID { return t.all.at(n).id }
	text := func(n uint32) string { return id(n).Name }
	if len(t.partitions) > 1 {
		text = func(n uint32) string { return id(n).Partition }
	}
	return rank(t.all.n, text, func(a, b uint32) int { return id(a).Compare(id(b)) })
}
