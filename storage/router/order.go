package router

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// The order is one stream of entries. An entry takes one or more lines on: it
// says up to which position (or deletion) of a member the log of the router
// now reaches, and which positions of the router that makes. An entry is
// appended with the version of the one before it expected, so that of two
// routers that want to write the next one, one must look again. What an entry
// has said never changes.
//
// Between the entries lie no positions that belong to nobody: each position of
// a member has one in the router, also those that the member passes over. So
// where the log ends is the sum of where its lines end, and that is all that
// has to be known to write the next entry.

// orderStream is the stream of the order, in the store that keeps it.
const orderStream = "order"

// A line is what the order counts up: the records of a member by their
// positions, or its deletions by their numbers. Lines are numbered, two for
// each member.
const (
	records   = 0
	deletions = 1
	kinds     = 2
)

func line(member, kind int) int { return kinds*member + kind }

// entry is one step of the order.
type entry struct {
	version daybook.Version
	place   daybook.Position // in the store that keeps the order
	takes   []take
	ends    []int64   // how far each line has come, with this entry
	latest  time.Time // the recorded time of the last thing that was taken
}

// take is a piece of a line: what stands above after, up to through. There p
// is at+p-after in the router, and was recorded at floor, or later.
type take struct {
	line           int
	after, through int64
	at             int64
	floor          time.Time
}

// total returns where the records, or deletions, of the router end.
func (e *entry) total(kind int) int64 {
	var total int64
	for l := kind; l < len(e.ends); l += kinds {
		total += e.ends[l]
	}
	return total
}

// mark is a wish: that a line has come that far.
type mark struct {
	line    int
	through int64
	latest  time.Time // the recorded time of the last thing up to there; zero where there is none
}

// next returns the entry behind e that fulfils marks; without takes if they are
// fulfilled. A line that begins is taken in the order of the members.
func (e *entry) next(marks map[int]mark) (entry, error) {
	next := entry{version: e.version + 1, ends: slices.Clone(e.ends), latest: e.latest}
	for l := range next.ends {
		m, wanted := marks[l]
		if !wanted || m.through <= next.ends[l] {
			continue
		}
		at := next.total(l % kinds)
		if m.through-next.ends[l] > daybook.MaxPlace-at {
			return entry{}, fmt.Errorf("the positions of the stores add up to more than %d", int64(daybook.MaxPlace))
		}
		next.takes = append(next.takes, take{line: l, after: next.ends[l], through: m.through, at: at, floor: next.latest})
		next.ends[l] = m.through
		if m.latest.After(next.latest) {
			next.latest = m.latest
		}
	}
	return next, nil
}

// before returns how far the lines of a kind had come, each at its own place,
// where the router had come to at.
func (e *entry) before(kind int, at int64) []int64 {
	ends := make([]int64, len(e.ends)/kinds)
	for m := range ends {
		ends[m] = e.ends[line(m, kind)]
	}
	for _, t := range e.takes {
		if t.line%kinds == kind {
			ends[t.line/kinds] = min(t.through, t.after+max(0, at-t.at))
		}
	}
	return ends
}

// order is the order as this process knows it.
type order struct {
	keeper daybook.Driver
	store  *daybook.Store
	names  []string // of the members
	// maxBlocks is how many blocks are kept.
	maxBlocks int

	noters sync.WaitGroup // what writes entries; added to under mu

	mu     sync.Mutex // guards all below
	tail   entry      // the newest that is known
	blocks map[int64]*block
	uses   int64  // counts uses of blocks
	wanted *round // what the next entry is to hold
	noting bool   // entries are being written
}

func newOrder(keeper daybook.Driver, members []Member) *order {
	o := &order{keeper: keeper, store: daybook.New(keeper, nil), maxBlocks: maxBlocks, blocks: map[int64]*block{}}
	for _, m := range members {
		o.names = append(o.names, m.Name)
	}
	o.tail.ends = make([]int64, kinds*len(members))
	return o
}

// idle waits until nothing is being noted.
func (o *order) idle() { o.noters.Wait() }

// known returns the newest entry that is known.
func (o *order) known() entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tail
}

// refresh learns what other routers have noted.
func (o *order) refresh(ctx context.Context) error {
	known := o.known().version // before it is read: others go on meanwhile
	var newest entry
	read := daybook.StreamRead{Backwards: true, Limit: 1}
	for record, err := range o.keeper.ReadStream(ctx, daybook.Stream(orderStream), read) {
		if err == nil {
			newest, err = o.decode(&record)
		} else {
			err = fmt.Errorf("the order: %w", err)
		}
		if err != nil {
			return err
		}
	}
	if newest.version < known {
		return o.corrupt(known, "it is gone: the order ends at %d", newest.version)
	}
	o.learn(newest)
	return nil
}

// learn takes an entry for the newest, unless a newer one is known.
func (o *order) learn(e entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.version > o.tail.version {
		o.tail = e
	}
}

// corrupt is the error for an order that is not what routers write.
func (o *order) corrupt(version daybook.Version, format string, args ...any) error {
	return &daybook.CorruptError{
		File: "the order, in a store on " + o.keeper.Name(), Position: daybook.Position(version),
		Reason: fmt.Sprintf("entry %d: ", version) + fmt.Sprintf(format, args...),
	}
}
