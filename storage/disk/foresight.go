package disk

import (
	"encoding/binary"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// foresight keeps what index files answered last about the ends of streams, the
// ids of appends and the queries of conditions. Appends to streams that stand only in files look there
// before they take the lock under which they are decided, so that it is not held
// while a file is read; then they are decided by what was found.
type foresight struct {
	// eager is how many appends more look ahead: some, whenever one had to be
	// looked up in a file. Where all streams are in memory nobody does.
	eager atomic.Int32

	mu      sync.Mutex // guards all below
	round   int        // rises when files tell more than before
	heads   [foreseenHeads]foreseenHead
	appends [foreseenAppends]foreseenAppend
	matches [foreseenMatches]foreseenMatch
}

const (
	foreseenHeads   = 1024
	foreseenAppends = 256
	foreseenMatches = 1024
	eagerness       = 64
)

type foreseenHead struct {
	round int // of which it is true; those of others are no answers
	id    daybook.StreamID
	head  daybook.Head
}

type foreseenAppend struct {
	round int
	id    daybook.ID
	at    place
	known bool
}

// foreseenMatch is the highest position that a query selects; 0: none.
type foreseenMatch struct {
	round int
	query string // as appendQuery writes it
	found daybook.Position
}

func newForesight() *foresight { return &foresight{round: 1} }

// forget makes all answers no answers.
func (f *foresight) forget() {
	f.mu.Lock()
	f.round++
	f.mu.Unlock()
}

// now returns the round of what is asked now.
func (f *foresight) now() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.round
}

func (f *foresight) headOf(id daybook.StreamID) (daybook.Head, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := &f.heads[hashStream(id)%foreseenHeads]; h.round == f.round && h.id == id {
		return h.head, true
	}
	return daybook.Head{}, false
}

func (f *foresight) keepHead(round int, id daybook.StreamID, head daybook.Head) {
	f.eager.Store(eagerness)
	kept := daybook.StreamID{Partition: strings.Clone(id.Partition), Name: strings.Clone(id.Name)}
	f.mu.Lock()
	f.heads[hashStream(id)%foreseenHeads] = foreseenHead{round, kept, head}
	f.mu.Unlock()
}

func (f *foresight) appendOf(id daybook.ID) (at place, known, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := &f.appends[hashID(id)%foreseenAppends]; a.round == f.round && a.id == id {
		return a.at, a.known, true
	}
	return 0, false, false
}

func (f *foresight) keepAppend(round int, id daybook.ID, at place, known bool) {
	f.eager.Store(eagerness)
	f.mu.Lock()
	f.appends[hashID(id)%foreseenAppends] = foreseenAppend{round, id, at, known}
	f.mu.Unlock()
}

func (f *foresight) matchOf(query []byte) (found daybook.Position, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := &f.matches[maphash.Bytes(hashSeed, query)%foreseenMatches]; m.round == f.round && m.query == string(query) {
		return m.found, true
	}
	return 0, false
}

func (f *foresight) keepMatch(round int, query []byte, found daybook.Position) {
	f.eager.Store(eagerness)
	f.mu.Lock()
	f.matches[maphash.Bytes(hashSeed, query)%foreseenMatches] = foreseenMatch{round, string(query), found}
	f.mu.Unlock()
}

// foreseenQuery is how long a query may be, written out, to be kept, in bytes.
const foreseenQuery = 512

// appendQuery writes a query so that no two are written alike.
func appendQuery(b []byte, query *daybook.Query) []byte {
	for i := range query.Items {
		item := &query.Items[i]
		b = binary.AppendUvarint(b, uint64(len(item.Types)))
		b = binary.AppendUvarint(b, uint64(len(item.Tags)))
		for _, texts := range [...][]string{item.Types, item.Tags} {
			for _, text := range texts {
				b = appendText(b, text)
			}
		}
	}
	return b
}

// foresee looks up what an append will be decided by and stands in files only,
// if appends had to be of late.
func (l *log) foresee(a *daybook.Append) {
	x := l.index.sealed
	if x.foresight.eager.Load() <= 0 {
		return
	}
	x.foresight.eager.Add(-1)
	x.findAppend(a.ID)
	if a.Condition != nil && logindex.Narrow(a.Condition.Query) {
		x.lastMatch(a.Condition.Query, a.Condition.After)
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		if !l.inMemory(c.Stream) {
			x.head(c.Stream)
		}
		for _, reference := range c.References {
			if !l.inMemory(reference) {
				x.head(reference)
			}
		}
	}
}

// inMemory reports whether the index in memory knows a stream.
func (l *log) inMemory(id daybook.StreamID) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, p := range l.index.parts {
		if _, ok := p.streams.find(id); ok {
			return true
		}
	}
	return false
}
