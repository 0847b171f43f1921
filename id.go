package daybook

import (
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// ID identifies an event or an append. It is a UUID; ids given by the store
// are of version 7, so they rise with time.
type ID = uuid.UUID

// lastTick is the time in the newest id: milliseconds since 1970, and 4096ths
// of one in the lowest 12 bits.
var lastTick atomic.Int64

// NewID returns a fresh id of version 7. Those of one process rise. An id is
// unique, and no secret: where it must not be guessed, bring one.
func NewID() ID { return idAt(takeTicks(1)) }

// takeTicks takes so many ticks that follow one another, for ids that nothing
// else of this process has, and returns the first. The clock is asked once.
func takeTicks(n int64) (first int64) {
	now := time.Now().UnixNano()
	const milli = int64(time.Millisecond)
	first = now/milli<<12 | now%milli<<12/milli
	for {
		last := lastTick.Load()
		first = max(first, last+1)
		if lastTick.CompareAndSwap(last, first+n-1) {
			return first
		}
	}
}

// idAt returns an id with the time of a tick. Each append takes some, so they
// are drawn from the generator of the runtime, which was seeded by the system,
// rather than from the system each time.
func idAt(tick int64) (id ID) {
	const version, variant = 7 << 12, 1 << 63
	binary.BigEndian.PutUint64(id[:], uint64(tick>>12<<16|version|tick&0xfff))
	binary.BigEndian.PutUint64(id[8:], variant|rand.Uint64()>>2)
	return id
}

// IDOf returns the id that text stands for: the UUID itself where text is one,
// else a UUID of version 5 derived from it. It lets a command's own key serve
// as the id of its append; the same text always gives the same id, never the
// zero one.
func IDOf(text string) ID {
	if id, err := uuid.Parse(text); err == nil && id != (ID{}) {
		return id
	}
	return uuid.NewSHA1(idSpace, []byte(text))
}

// idSpace is the name space of the ids that IDOf derives.
var idSpace = uuid.MustParse("6f1d3c0a-4a63-5e0d-9d3b-da7b00c00001")
