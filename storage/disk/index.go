package disk

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
)

// place is where a frame stands: the number of its segment, counted from 0 as
// this process found them, and its offset in it.
type place uint64

func placeOf(segment int, offset int64) place {
	return place(segment)<<32 | place(offset/frameAlign)
}

func (p place) segment() int  { return int(p >> 32) }
func (p place) offset() int64 { return int64(uint32(p)) * frameAlign }

// maxSegmentBytes is the size that no segment may pass, so that a place holds
// every offset.
const maxSegmentBytes = (1<<32 - 1) * frameAlign

// summary is what the index learns of a frame.
type summary struct {
	place     place
	stream    daybook.StreamID
	appendID  daybook.ID
	number    daybook.ChangesetNumber
	ordinal   daybook.Ordinal
	first     daybook.Version
	count     int
	recorded  time.Time
	claims    []daybook.Claim
	releases  []daybook.Claim
	selectors []selectors
}

// selectors is what queries look at in a record.
type selectors struct {
	position  daybook.Position
	eventType string
	tags      []string
}

func (s *summary) firstPosition() daybook.Position { return s.selectors[0].position }
func (s *summary) lastPosition() daybook.Position {
	return s.selectors[len(s.selectors)-1].position
}

// last returns the version of the last record.
func (s *summary) last() daybook.Version { return s.first + daybook.Version(s.count) - 1 }

// head returns the head of the stream once the changeset is added to it.
func (s *summary) head(before daybook.Head) daybook.Head {
	if !before.Exists() {
		before.First = s.first
	}
	before.Version, before.Changeset = s.last(), s.number
	before.Position, before.RecordedAt = s.lastPosition(), s.recorded
	return before
}

// receipt returns where the changeset went.
func (s *summary) receipt() daybook.ChangesetReceipt {
	return daybook.ChangesetReceipt{
		Stream: s.stream, Number: s.number, Ordinal: s.ordinal, First: s.first, Last: s.last(),
		FirstPosition: s.firstPosition(), LastPosition: s.lastPosition(),
	}
}

// summarise decodes what the index learns of a frame.
func summarise(f *frame, segment int) (*summary, bool) {
	c, ok := decodeChangeset(f.frameHeader, f.body)
	if !ok {
		return nil, false
	}
	pieces, ok := c.pieces()
	if !ok {
		return nil, false
	}
	s := &summary{
		place: placeOf(segment, f.offset), stream: c.stream, appendID: c.appendID, number: c.number,
		ordinal: c.ordinal, first: c.first, count: c.count, recorded: fromMicros(c.recorded),
		claims: c.claims, releases: c.releases, selectors: make([]selectors, c.count),
	}
	for i := range pieces {
		eventType, tags, ok := pieces[i].selectors()
		if !ok {
			return nil, false
		}
		s.selectors[i] = selectors{c.positionOf(i), eventType, tags}
	}
	return s, true
}

// index answers what an append is decided by and where reads find their
// frames. It holds nothing that the segments do not, and is rebuilt from them.
//
// It takes in an append as soon as that is decided: the next one is decided by
// it. Readers must not see it before it is as durable as it asks, so the index
// remembers what was shown last, and how the streams and claims stood before
// what was not shown yet.
type index struct {
	postings
	streams streams
	appends appendIDs
	holders map[claimKey]daybook.StreamID
	tally         // of all that is decided
	shown   tally // of what readers may see

	hiddenEnds   []hiddenEnd   // in the order of the log
	hiddenClaims []hiddenClaim // in the order of the log
}

// tally is what stands in the log up to a place.
type tally struct {
	last       daybook.Position // of the last record
	ordinal    daybook.Ordinal  // of the last changeset
	latest     time.Time        // the recorded time of the last record
	streams    int64
	changesets int64
	records    int64
	longest    daybook.ChangesetNumber
}

// hiddenEnd is where a stream ended before a changeset that is not shown yet.
type hiddenEnd struct {
	stream   uint32
	before   streamEnd
	position daybook.Position // of the last record of the changeset
}

// hiddenClaim is who held a claim before an append that is not shown yet.
type hiddenClaim struct {
	key      claimKey
	before   holding
	position daybook.Position // of the last record of the append
}

// claimKey is a claim where it is unique: in its partition.
type claimKey struct {
	partition string
	claim     daybook.Claim
}

// holding says who holds a claim; nobody if it was released.
type holding struct {
	stream daybook.StreamID
	held   bool
}

func newIndex() index {
	return index{
		postings: newPostings(), streams: newStreams(), appends: newAppendIDs(),
		holders: map[claimKey]daybook.StreamID{},
	}
}

// head returns where a stream ends by all that is decided.
func (x *index) head(id daybook.StreamID) daybook.Head {
	if n, ok := x.streams.find(id); ok {
		return x.streams.all.at(n).end.head()
	}
	return daybook.Head{}
}

// shownHead returns where a stream ends for readers.
func (x *index) shownHead(id daybook.StreamID) daybook.Head {
	if n, ok := x.streams.find(id); ok {
		return x.shownEnd(n)
	}
	return daybook.Head{}
}

func (x *index) shownEnd(n uint32) daybook.Head {
	end := &x.streams.all.at(n).end
	if end.position > x.shown.last {
		for i := range x.hiddenEnds {
			if x.hiddenEnds[i].stream == n {
				end = &x.hiddenEnds[i].before
				break
			}
		}
	}
	return end.head()
}

// shownHolder returns who holds a claim for readers.
func (x *index) shownHolder(key claimKey) (holder daybook.StreamID, held bool) {
	for i := range x.hiddenClaims {
		if x.hiddenClaims[i].key == key {
			return x.hiddenClaims[i].before.stream, x.hiddenClaims[i].before.held
		}
	}
	holder, held = x.holders[key]
	return holder, held
}

// hidesClaim reports whether who holds a claim hangs on what is not shown yet.
func (x *index) hidesClaim(key claimKey) bool {
	return slices.ContainsFunc(x.hiddenClaims, func(c hiddenClaim) bool { return c.key == key })
}

// add takes in the frames of one append, or of one import. It keeps no memory
// of theirs. Readers see them when they are shown.
func (x *index) add(summaries []*summary) {
	claims := false
	for i, s := range summaries {
		if i == 0 || s.appendID != summaries[i-1].appendID {
			x.addAppend(s)
		}
		x.addFrame(s)
		claims = claims || len(s.claims)+len(s.releases) > 0
	}
	if claims {
		for one := range byAppend(summaries) {
			x.settle(one)
		}
	}
}

// addAppend notes where an append begins. An import that was made in pieces
// may have cut one: the place that counts is that of its first frame.
func (x *index) addAppend(s *summary) {
	if _, known := x.appends.find(s.appendID); !known {
		x.appends.add(s.appendID, s.place)
	}
}

func (x *index) addFrame(s *summary) {
	n, st := x.streams.get(s.stream)
	x.hiddenEnds = append(x.hiddenEnds, hiddenEnd{n, st.end, s.lastPosition()})
	if st.end.version == 0 {
		st.end.first = s.first
		x.tally.streams++
	}
	st.end.version, st.end.changeset = s.last(), s.number
	st.end.position, st.end.recorded = s.lastPosition(), micros(s.recorded)
	x.streams.add(st, streamFrame{s.first, s.place})
	for i := range s.selectors {
		r := &s.selectors[i]
		x.postings.add(r.position, r.eventType, r.tags)
	}
	x.last, x.ordinal, x.latest = s.lastPosition(), s.ordinal, s.recorded
	x.changesets++
	x.records += int64(s.count)
	x.longest = max(x.longest, s.number)
}

// settle carries out the releases of an append, then its claims.
func (x *index) settle(summaries []*summary) {
	last := summaries[len(summaries)-1].lastPosition()
	hide := func(key claimKey) {
		stream, held := x.holders[key]
		x.hiddenClaims = append(x.hiddenClaims, hiddenClaim{key, holding{stream, held}, last})
	}
	for _, s := range summaries {
		for _, claim := range s.releases {
			key := keptClaim(s.stream.Partition, claim)
			hide(key)
			delete(x.holders, key)
		}
	}
	for _, s := range summaries {
		for _, claim := range s.claims {
			key := keptClaim(s.stream.Partition, claim)
			hide(key)
			_, st := x.streams.get(s.stream)
			x.holders[key] = st.id
		}
	}
}

// keptClaim is a claimKey in memory of its own.
func keptClaim(partition string, claim daybook.Claim) claimKey {
	return claimKey{strings.Clone(partition), daybook.Claim{Kind: strings.Clone(claim.Kind), Value: strings.Clone(claim.Value)}}
}

// show lets readers see what stands in the log up to a place.
func (x *index) show(t tally) {
	x.shown = t
	ends := 0
	for ends < len(x.hiddenEnds) && x.hiddenEnds[ends].position <= t.last {
		ends++
	}
	x.hiddenEnds = slices.Delete(x.hiddenEnds, 0, ends)
	claims := 0
	for claims < len(x.hiddenClaims) && x.hiddenClaims[claims].position <= t.last {
		claims++
	}
	x.hiddenClaims = slices.Delete(x.hiddenClaims, 0, claims)
}

// byAppend yields the summaries of each append; those of one stand together.
func byAppend(summaries []*summary) iter.Seq[[]*summary] {
	return func(yield func([]*summary) bool) {
		for from := 0; from < len(summaries); {
			to := from + 1
			for to < len(summaries) && summaries[to].appendID == summaries[from].appendID {
				to++
			}
			if !yield(summaries[from:to]) {
				return
			}
			from = to
		}
	}
}

// succession is what the next frame must follow, while frames of an append
// that is not whole yet are held back from the index.
type succession struct {
	last    daybook.Position
	ordinal daybook.Ordinal
	latest  time.Time
	heads   map[daybook.StreamID]daybook.Head // where they differ from the index
}

// refuses returns why s cannot be what was written next. A frame whose
// checksums match and that does not follow is in the wrong place.
func (f *succession) refuses(x *index, s *summary) (reason string) {
	head, seen := f.heads[s.stream]
	if !seen {
		head = x.head(s.stream)
	}
	switch {
	case s.firstPosition() <= f.last:
		return fmt.Sprintf("position %d does not lie above %d", s.firstPosition(), f.last)
	case s.ordinal <= f.ordinal:
		return fmt.Sprintf("ordinal %d does not lie above %d", s.ordinal, f.ordinal)
	case s.recorded.Before(f.latest):
		return "the recorded time falls"
	case head.Exists() && (s.first != head.Version+1 || s.number != head.Changeset+1):
		return fmt.Sprintf("version %d, changeset %d of stream %q do not follow version %d, changeset %d",
			s.first, s.number, s.stream, head.Version, head.Changeset)
	}
	f.last, f.ordinal, f.latest = s.lastPosition(), s.ordinal, s.recorded
	f.heads[s.stream] = s.head(head)
	return ""
}
