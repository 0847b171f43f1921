package disk

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"unsafe"

	"github.com/daybook-go/daybook"
)

// recordMemory is where a read puts what its records point to. Records that
// are kept keep the blocks that they lie in, so blocks are small. A nil
// *recordMemory gives each thing memory of its own.
type recordMemory struct {
	// lent is set when records may be reused at the next step: then bytes stay
	// where they were read, and there is one header.
	lent    bool
	bytes   []byte // a block
	used    int    // of it
	headers []daybook.ChangesetHeader
	given   int // of them
	// The blocks of a read begin small, and grow as it goes on.
	byteBlock, headerBlock int
	*readBuffers
}

// How much the blocks hold at first and at most. The largest fill what the
// allocator of Go gives for their size: 6,784 bytes, six of which share a span.
// Sizes of which a span has one or two cost up to a fifth of a replay more.
const (
	leastBytes, mostBytes     = 512, 6784
	leastHeaders, mostHeaders = 1, 47
)

// readBuffers are what reads use one after the other.
type readBuffers struct {
	texts     textCache
	selectors selectorCache
	prologues prologueCache
	window    []byte // of the frameReader
	spans     []span
	views     []string // tags that are only looked at
}

var sparedBuffers = sync.Pool{New: func() any { return new(readBuffers) }}

func newRecordMemory(lent bool) recordMemory {
	return recordMemory{
		lent: lent, byteBlock: leastBytes, headerBlock: leastHeaders,
		readBuffers: sparedBuffers.Get().(*readBuffers),
	}
}

// release lets other reads use the buffers.
func (m *recordMemory) release() {
	const most = 1 << 20 // what one large frame needed is not kept for all
	if cap(m.window) > most {
		m.window = nil
	}
	clear(m.views)
	sparedBuffers.Put(m.readBuffers)
	m.readBuffers = nil
}

// keep returns b as a record may hold it; nil where it is empty.
func (m *recordMemory) keep(b []byte) []byte {
	switch {
	case len(b) == 0:
		return nil
	case m == nil || !m.lent && len(b) > mostBytes/4:
		return append([]byte(nil), b...)
	case m.lent:
		return b[:len(b):len(b)]
	}
	if len(b) > len(m.bytes)-m.used {
		m.bytes, m.used = make([]byte, max(m.byteBlock, len(b))), 0
		m.byteBlock = min(2*m.byteBlock, mostBytes)
	}
	from := m.used
	m.used += len(b)
	kept := m.bytes[from:m.used:m.used]
	copy(kept, b)
	return kept
}

// text returns b as a string that may be kept for ever.
func (m *recordMemory) text(b []byte) string {
	if m == nil {
		return string(b)
	}
	return m.texts.of(b)
}

// header returns room for what the records of a changeset share. Where it was
// not lent before, it is zero.
func (m *recordMemory) header() *daybook.ChangesetHeader {
	if m.given == len(m.headers) {
		m.headers, m.given = make([]daybook.ChangesetHeader, m.headerBlock), 0
		m.headerBlock = min(2*m.headerBlock, mostHeaders)
	}
	header := &m.headers[m.given]
	if !m.lent {
		m.given++
	}
	return header
}

// newSelectors decodes a type and tags that were not seen lately. What is long
// is not looked for again.
func (m *recordMemory) newSelectors(encoded []byte) selectorTexts {
	var s selectorTexts
	d := decoder{bytes: encoded}
	s.eventType = m.text(d.text())
	if n := d.count(1); n > 0 {
		s.tags = make([]string, n)
	}
	for i := range s.tags {
		s.tags[i] = m.text(d.text())
	}
	if len(encoded) <= 2*longestText {
		s.encoded = m.texts.put(encoded)
	}
	return s
}

// selectorCache keeps the types and tags that were decoded lately, as textCache
// keeps texts.
type selectorCache struct {
	lately [1 << 8][2]selectorTexts
}

type selectorTexts struct {
	encoded   string // as they stand in a frame
	eventType string
	tags      []string
}

// find returns the place where a type and tags stand, or may be put.
func (c *selectorCache) find(encoded []byte) (at *selectorTexts, found bool) {
	if len(encoded) == 0 {
		return &c.lately[0][0], false
	}
	pair := &c.lately[spread(encoded)%uint64(len(c.lately))]
	if pair[0].encoded == string(encoded) {
		return &pair[0], true
	}
	if pair[1].encoded == string(encoded) {
		return &pair[1], true
	}
	pair[1] = pair[0]
	return &pair[0], false
}

// prologueCache keeps the streams of the plain prologues that were decoded
// lately, as textCache keeps texts.
type prologueCache struct {
	lately [1 << 9][2]plainPrologue
}

type plainPrologue struct {
	encoded string // as it stands in a frame
	stream  daybook.StreamID
}

// at returns where a prologue may stand.
func (c *prologueCache) at(encoded []byte) *[2]plainPrologue {
	// They end alike. What tells them apart stands before that: the name.
	name := encoded[:max(1, len(encoded)-len(nothingMore))]
	return &c.lately[spread(name)%uint64(len(c.lately))]
}

// find returns the stream of a prologue; nil if it was not decoded lately.
func (c *prologueCache) find(encoded []byte) *daybook.StreamID {
	if len(encoded) == 0 {
		return nil
	}
	pair := c.at(encoded)
	if pair[0].encoded == string(encoded) {
		return &pair[0].stream
	}
	if pair[1].encoded == string(encoded) {
		return &pair[1].stream
	}
	return nil
}

// textCache gives strings for bytes. Those that it gave lately it gives again: the
// types, tags and names of a log are few, or come in bursts.
type textCache struct {
	lately [1 << 10][2]string // those that meet at a place share it, the last two
	block  []byte             // what is left of the block that short ones are put into
}

const (
	textBlock   = 2 << 10
	longestText = 128 // a longer one has memory of its own and is not looked for
)

func (t *textCache) of(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > longestText {
		return string(b)
	}
	pair := &t.lately[spread(b)%uint64(len(t.lately))]
	if pair[0] == string(b) {
		return pair[0]
	}
	if pair[1] != string(b) {
		pair[0], pair[1] = t.put(b), pair[0]
		return pair[0]
	}
	return pair[1]
}

// put returns a string in a block that is never written again.
func (t *textCache) put(b []byte) string {
	if len(b) > len(t.block) {
		t.block = make([]byte, textBlock)
	}
	n := copy(t.block, b)
	s := unsafe.String(&t.block[0], n)
	t.block = t.block[n:]
	return s
}

// spread gives different texts different numbers, mostly. It looks at the ends
// only; texts that share them share a place, and that costs no more than a
// copy.
func spread(b []byte) uint64 {
	var front, back uint64
	switch n := len(b); {
	case n >= 8:
		front, back = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		front, back = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	default:
		front, back = uint64(b[0]), uint64(b[n-1])|uint64(b[n/2])<<8
	}
	high, low := bits.Mul64(front^0x9e3779b97f4a7c15, back^uint64(len(b))^0xd1b54a32d192ed03)
	return high ^ low
}

// view returns b as a string that is good until b changes, for comparing.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
