package disk

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// hidings says how far the beginnings of streams are hidden, since they were
// deleted: by all that is decided, and by what is shown. It stands in memory for
// every stream that was ever deleted from, so that a read asks for each frame
// with one look at a flat table, and not even that above the last deletion.
type hidings struct {
	// below is where the log ended when the last deletion was made: nothing that
	// stands above it is hidden. 0: there never was one.
	below atomic.Int64

	mu    sync.RWMutex // guards all below
	slots slots
	all   pages[hiding]
	names texts
}

type hiding struct {
	stream         daybook.StreamID
	decided, shown logindex.Hiding
}

// perspective is one of the two ways to look at what is hidden.
type perspective int

const (
	shownView perspective = iota
	decidedView
)

func newHidings() *hidings { return &hidings{slots: newSlots()} }

// none reports whether nothing was ever deleted.
func (t *hidings) none() bool { return t.below.Load() == 0 }

// mayHide reports whether a record at a position may be hidden.
func (t *hidings) mayHide(position daybook.Position) bool { return int64(position) <= t.below.Load() }

// find returns what is known of a stream; nil if nothing of it was deleted. mu
// must be held.
func (t *hidings) find(id daybook.StreamID) *hiding {
	hash := hashStream(id)
	n, at, ok := t.slots.next(hash, t.slots.start(hash))
	for ; ok; n, at, ok = t.slots.next(hash, at) {
		if h := t.all.at(n); h.stream == id {
			return h
		}
	}
	return nil
}

// of returns what is hidden of a stream.
func (t *hidings) of(id daybook.StreamID, by perspective) logindex.Hiding {
	if t.none() {
		return logindex.Hiding{}
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	h := t.find(id)
	switch {
	case h == nil:
		return logindex.Hiding{}
	case by == decidedView:
		return h.decided
	default:
		return h.shown
	}
}

// isSettled reports whether readers see as much hidden of a stream as is decided.
func (t *hidings) isSettled(id daybook.StreamID) bool {
	return t.of(id, decidedView) == t.of(id, shownView)
}

// add takes in what a deletion hides, decided and not shown yet, and where the
// log ended when it was made. It keeps no memory of the id.
func (t *hidings) add(id daybook.StreamID, more logindex.Hiding, below daybook.Position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.find(id)
	if h == nil && more != (logindex.Hiding{}) {
		var n uint32
		n, h = t.all.add()
		h.stream = daybook.StreamID{Partition: t.names.keep(id.Partition), Name: t.names.keep(id.Name)}
		t.slots.put(hashStream(id), n)
	}
	if h != nil {
		h.decided.Add(more)
	}
	t.below.Store(max(t.below.Load(), int64(below)))
}

// show lets readers see what is hidden of a stream.
func (t *hidings) show(id daybook.StreamID, more logindex.Hiding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.find(id); h != nil {
		h.shown.Add(more)
	}
}

// forgetDecided takes back what is decided and not shown.
func (t *hidings) forgetDecided() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n := range t.all.n {
		h := t.all.at(n)
		h.decided = h.shown
	}
}

// headBehind returns the head of a stream behind what is hidden of it.
func headBehind(head daybook.Head, h logindex.Hiding) daybook.Head {
	if h.Through > 0 {
		head.First = max(head.First, h.Through+1)
	}
	return head
}

// keptStream is a StreamID in memory of its own.
func keptStream(id daybook.StreamID) daybook.StreamID {
	return daybook.StreamID{Partition: strings.Clone(id.Partition), Name: strings.Clone(id.Name)}
}

// hides reports whether the changeset whose frame was read is hidden, or is none.
// It reports besides whether to go on with the read.
func (r *recordReader) hides() (hidden, ok bool) {
	f := &r.frame
	if f.kind != kindChangeset {
		return true, r.sound()
	}
	table := r.log.index.hidings
	if !table.mayHide(f.position) {
		return false, true
	}
	if !r.sound() { // a wrong name must not hide it
		return false, false
	}
	if !r.parts.begin(f) {
		return false, r.broken(errUndecodable.Error())
	}
	partition, name, named := r.parts.stored()
	if !named {
		return false, r.broken(errUndecodable.Error())
	}
	h := table.of(daybook.StreamID{Partition: view(partition), Name: view(name)}, r.view)
	return f.first <= h.Through, true
}
