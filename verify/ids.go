package verify

import (
	"encoding/binary"

	"github.com/daybook-go/daybook"
)

// idSet finds ids that come twice, holding no more than max of them at once.
// It looks at one share of all ids, those of one bucket; when even that is too
// much, it halves its share. Whoever fills it goes through the same ids again
// for each of the other buckets.
type idSet struct {
	max     int
	buckets uint64 // a power of two
	bucket  uint64 // the one looked at
	seen    map[daybook.ID]struct{}
}

func newIDSet(max int) *idSet {
	return &idSet{max: max, buckets: 1, seen: map[daybook.ID]struct{}{}}
}

// add reports whether the id was added before, of the ids in its share.
func (s *idSet) add(id daybook.ID) (twice bool) {
	if !s.holds(id) {
		return false
	}
	if _, twice = s.seen[id]; twice {
		return true
	}
	s.seen[id] = struct{}{}
	// Only the first pass may halve: the later ones must cover what it left
	// out, so their shares are settled.
	for s.bucket == 0 && len(s.seen) > s.max && s.buckets < 1<<32 {
		s.buckets *= 2
		for id := range s.seen {
			if !s.holds(id) {
				delete(s.seen, id)
			}
		}
	}
	return false
}

// holds mixes both halves of an id, since ids given in order share the bits of
// their times.
func (s *idSet) holds(id daybook.ID) bool {
	mixed := (binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])) * 0x9E3779B97F4A7C15
	return mixed>>32&(s.buckets-1) == s.bucket
}

// next turns to the next share. It reports false when there is none.
func (s *idSet) next() bool {
	s.bucket++
	clear(s.seen)
	return s.bucket < s.buckets
}
