package disk

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
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
	// before is the head that the changeset follows in its stream; looked: it is
	// known.
	before daybook.Head
	looked bool
	fresh  bool // it is known that the append is new

	revives  bool      // all that stood before in the stream was deleted
	kind     byte      // of its frame
	deletion *deletion // what a deletion tells; else nil
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
	if before.Version == 0 {
		before.First = s.first
	}
	before.Version, before.Changeset = s.last(), s.number
	before.Position, before.RecordedAt = s.lastPosition(), s.recorded
	return before
}

// isOther reports whether it is of something else than a changeset.
func (s *summary) isOther() bool { return s.deletion != nil || s.kind > kindBones }

// receipt returns where the changeset went.
func (s *summary) receipt() daybook.ChangesetReceipt {
	return daybook.ChangesetReceipt{
		Stream: s.stream, Number: s.number, Ordinal: s.ordinal, First: s.first, Last: s.last(),
		FirstPosition: s.firstPosition(), LastPosition: s.lastPosition(),
	}
}

// summarise decodes what the index learns of a frame.
func summarise(f *frame, segment int) (*summary, bool) {
	if !f.isChangeset() {
		return summariseOther(f, segment)
	}
	c, ok := decodeChangeset(f)
	if !ok {
		return nil, false
	}
	s := &summary{
		place: placeOf(segment, f.offset), stream: c.stream, appendID: c.appendID, number: c.number,
		ordinal: c.ordinal, first: c.first, count: c.count, recorded: fromMicros(c.recorded),
		claims: c.claims, releases: c.releases, selectors: make([]selectors, c.count),
		revives: f.flags&flagRevives != 0, kind: f.kind,
	}
	for i := range s.selectors {
		s.selectors[i].position = c.positionOf(i)
	}
	if f.kind == kindBones {
		return s, c.isPadding(c.records)
	}
	pieces, ok := c.pieces()
	for i := range pieces {
		if ok {
			s.selectors[i].eventType, s.selectors[i].tags, ok = pieces[i].selectors()
		}
	}
	return s, ok
}

// index answers what an append is decided by and where reads find their
// frames. It holds nothing that the segments do not, and is rebuilt from them.
//
// It takes in an append as soon as that is decided: the next one is decided by
// it. Readers must not see it before it is as durable as it asks, so the index
// remembers what was shown last, and how the streams and claims stood before
// what was not shown yet.
//
// It has a part in memory for each segment, from the newest back to those that
// index files cover; below them, these files answer.
type index struct {
	parts  []*part // by segment, rising
	sealed *sealed
	tally        // of all that is decided
	shown  tally // of what readers may see

	hiddenEnds   []hiddenEnd   // in the order of the log
	hiddenClaims []hiddenClaim // in the order of the log

	hidings      *hidings       // what deletions have hidden
	hiddenHiding []hiddenHiding // in the order of the log
	walked       walkedLongest
	// adoptions counts how often the tally was that of index files: they do not tell
	// what the longest stream is.
	adoptions int
}

// tally is what stands in the log up to a place.
type tally struct {
	last       daybook.Position // of the last record
	ordinal    daybook.Ordinal  // of the last changeset
	latest     time.Time        // the recorded time of the last record
	streams    int64
	changesets int64
	records    int64
	// longest is the highest changeset number since the deletion emptying, which
	// has left a stream without records that may have had the highest before; 0:
	// of all.
	longest   daybook.ChangesetNumber
	emptying  daybook.DeletionNumber
	deletions daybook.DeletionNumber // the last
	scrubbed  daybook.DeletionNumber // all scrubs up to it are done
}

// hiddenEnd is where a stream ended before a changeset that is not shown yet.
type hiddenEnd struct {
	stream   *stream
	before   streamEnd
	position daybook.Position // of the last record of the changeset
}

// hiddenClaim is who held a claim before an append that is not shown yet.
type hiddenClaim struct {
	key      claimKey
	before   holding
	position daybook.Position // of the last record of the append
}

// at returns the part of a segment, the newest or one behind it.
func (x *index) at(segment int) *part {
	if n := len(x.parts); n > 0 && x.parts[n-1].segment == segment {
		return x.parts[n-1]
	}
	p := newPart(segment)
	x.parts = append(x.parts, p)
	return p
}

// partOf returns the part of a segment, if it tells of the whole of it; else nil.
func (x *index) partOf(s *segment) *part {
	for _, p := range x.parts {
		if p.segment == s.number && p.whole() {
			return p
		}
	}
	return nil
}

// drop forgets the parts of segments below one: index files answer for them.
// All that stands in them must be shown.
func (x *index) drop(below int) {
	x.parts = slices.DeleteFunc(slices.Clone(x.parts), func(p *part) bool { return p.segment < below })
}

// head returns where a stream ends by all that is decided, as if nothing of it
// had ever been deleted.
func (x *index) head(id daybook.StreamID) daybook.Head {
	for _, p := range slices.Backward(x.parts) {
		if n, ok := p.streams.find(id); ok {
			return p.streams.all.at(n).end.head()
		}
	}
	return x.sealed.head(id)
}

// shownEnd returns where a stream ended before all of its part that is not
// shown.
func (x *index) shownEnd(s *stream) *streamEnd {
	if s.end.position > x.shown.last {
		for i := range x.hiddenEnds {
			if x.hiddenEnds[i].stream == s {
				return &x.hiddenEnds[i].before
			}
		}
	}
	return &s.end
}

// findAppend returns the place of the first frame of an append. The oldest
// counts: an import that was made in pieces may have cut one.
func (x *index) findAppend(id daybook.ID) (at place, known bool) {
	if at, known = x.sealed.findAppend(id); known {
		return at, true
	}
	for _, p := range x.parts {
		if at, known = p.appends.find(id); known {
			return at, true
		}
	}
	return 0, false
}

// holder returns who holds a claim by all that is decided.
func (x *index) holder(key claimKey) (holder daybook.StreamID, held bool) {
	h := x.taken(key)
	return h.stream, h.held && x.hidings.of(h.stream, decidedView).Emptied < h.since
}

// taken returns who took a claim last and has not released it.
func (x *index) taken(key claimKey) holding {
	for _, p := range slices.Backward(x.parts) {
		if h, ok := p.holders[key]; ok {
			return h
		}
	}
	return x.sealed.holder(key)
}

// shownHolder returns who holds a claim for readers.
func (x *index) shownHolder(key claimKey) (holder daybook.StreamID, held bool) {
	h := x.shownTaken(key)
	if !h.held || x.hidings.of(h.stream, shownView).Emptied >= h.since {
		return daybook.StreamID{}, false
	}
	return h.stream, true
}

func (x *index) shownTaken(key claimKey) holding {
	for i := range x.hiddenClaims {
		if x.hiddenClaims[i].key == key {
			return x.hiddenClaims[i].before
		}
	}
	return x.taken(key)
}

// hidesClaim reports whether who holds a claim hangs on what is not shown yet.
func (x *index) hidesClaim(key claimKey) bool {
	return slices.ContainsFunc(x.hiddenClaims, func(c hiddenClaim) bool { return c.key == key })
}

// lastMatch returns the highest position above after that query selects; 0 if
// there is none.
func (x *index) lastMatch(query daybook.Query, after daybook.Position) daybook.Position {
	if x.last <= after {
		return 0
	}
	if !logindex.Narrow(query) {
		return x.last
	}
	for _, p := range slices.Backward(x.parts) {
		if p.last <= after {
			return 0
		}
		if found := p.lastMatch(query, after, p.last); found > 0 {
			return found
		}
	}
	return x.sealed.lastMatch(query, after)
}

// add takes in the frames of one append, or of one import. It keeps no memory
// of theirs. Readers see them when they are shown.
func (x *index) add(summaries []*summary) {
	claims := false
	for i, s := range summaries {
		if s.isOther() {
			x.addOther(s)
			continue
		}
		if i == 0 || s.appendID != summaries[i-1].appendID {
			x.at(s.place.segment()).addAppend(s)
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

func (x *index) addFrame(s *summary) {
	p := x.at(s.place.segment())
	st, made := p.streams.get(s.stream)
	switch {
	case made && s.looked:
		st.end = endOf(s.before)
	case made:
		st.end = endOf(x.headBelow(s.stream))
	}
	x.hiddenEnds = append(x.hiddenEnds, hiddenEnd{st, st.end, s.lastPosition()})
	if st.end.version == 0 || s.revives {
		x.tally.streams++
	}
	p.add(st, s)
	x.last, x.ordinal, x.latest = s.lastPosition(), s.ordinal, s.recorded
	x.changesets++
	x.records += int64(s.count)
	x.tally.longest = max(x.tally.longest, s.number)
}

// headBelow returns where a stream ends below the newest part.
func (x *index) headBelow(id daybook.StreamID) daybook.Head {
	below := index{parts: x.parts[:len(x.parts)-1], sealed: x.sealed}
	return below.head(id)
}

// settle carries out the releases of an append, then its claims.
func (x *index) settle(summaries []*summary) {
	last := summaries[len(summaries)-1].lastPosition()
	x.at(summaries[0].place.segment()).settle(summaries, func(key claimKey) {
		x.hiddenClaims = append(x.hiddenClaims, hiddenClaim{key, x.taken(key), last})
	})
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
	x.showHidings()
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
	// deletions is the last one.
	deletions daybook.DeletionNumber
}

// refuses returns why s cannot be what was written next. A frame whose
// checksums match and that does not follow is in the wrong place.
func (f *succession) refuses(x *index, s *summary) (reason string) {
	if s.isOther() {
		return f.refusesOther(s)
	}
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
	case head.Version > 0 && (s.first != head.Version+1 || s.number != head.Changeset+1):
		return fmt.Sprintf("version %d, changeset %d of stream %q do not follow version %d, changeset %d",
			s.first, s.number, s.stream, head.Version, head.Changeset)
	}
	f.last, f.ordinal, f.latest = s.lastPosition(), s.ordinal, s.recorded
	s.before, s.looked = head, true
	f.heads[s.stream] = s.head(head)
	return ""
}
