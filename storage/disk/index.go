package disk

import (
	"fmt"
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

// head returns the head of the stream once the changeset is added to it.
func (s *summary) head(before daybook.Head) daybook.Head {
	if !before.Exists() {
		before.First = s.first
	}
	before.Version, before.Changeset = s.first+daybook.Version(s.count)-1, s.number
	before.Position, before.RecordedAt = s.lastPosition(), s.recorded
	return before
}

// receipt returns where the changeset went.
func (s *summary) receipt() daybook.ChangesetReceipt {
	return daybook.ChangesetReceipt{
		Stream: s.stream, Number: s.number, Ordinal: s.ordinal, First: s.first,
		Last:          s.first + daybook.Version(s.count) - 1,
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
type index struct {
	postings
	streams    map[daybook.StreamID]*stream
	appends    map[daybook.ID]place // of the first frame of each append
	holders    map[claimKey]daybook.StreamID
	ordinal    daybook.Ordinal // of the last changeset
	latest     time.Time       // the recorded time of the last record
	changesets int64
	records    int64
	longest    daybook.ChangesetNumber
}

// stream is one stream: where it ends, and where its frames stand.
type stream struct {
	head   daybook.Head
	frames []streamFrame // in order
}

type streamFrame struct {
	first daybook.Version // of its first record
	place place
}

// claimKey is a claim where it is unique: in its partition.
type claimKey struct {
	partition string
	claim     daybook.Claim
}

func newIndex() index {
	return index{
		postings: newPostings(),
		streams:  map[daybook.StreamID]*stream{},
		appends:  map[daybook.ID]place{},
		holders:  map[claimKey]daybook.StreamID{},
	}
}

func (x *index) head(id daybook.StreamID) daybook.Head {
	if s := x.streams[id]; s != nil {
		return s.head
	}
	return daybook.Head{}
}

// add takes in the frames of one append, or of one import.
func (x *index) add(summaries []*summary) {
	for _, s := range summaries {
		st := x.streams[s.stream]
		if st == nil {
			st = &stream{}
			x.streams[s.stream] = st
		}
		st.head = s.head(st.head)
		st.frames = append(st.frames, streamFrame{s.first, s.place})
		x.longest = max(x.longest, s.number)
		// An import that was made in pieces may have cut an append: the place
		// that counts is that of its first frame.
		if _, known := x.appends[s.appendID]; !known {
			x.appends[s.appendID] = s.place
		}
		for _, r := range s.selectors {
			x.postings.add(r.position, r.eventType, r.tags)
		}
		x.ordinal, x.latest = s.ordinal, s.recorded
		x.changesets++
		x.records += int64(s.count)
	}
	for one := range byAppend(summaries) {
		settle(x.holders, one)
	}
}

// settle carries out the releases of an append, then its claims.
func settle(holders map[claimKey]daybook.StreamID, summaries []*summary) {
	for _, s := range summaries {
		for _, claim := range s.releases {
			delete(holders, claimKey{s.stream.Partition, claim})
		}
	}
	for _, s := range summaries {
		for _, claim := range s.claims {
			holders[claimKey{s.stream.Partition, claim}] = s.stream
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
