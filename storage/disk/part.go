package disk

import (
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// part is what the index has in memory of one segment.
type part struct {
	postings
	segment int   // its number
	begin   place // of its first frame
	newest  place // of its last frame
	first   daybook.Position
	last    daybook.Position
	totals  logindex.Totals // but for the positions
	streams streams         // their ends are those of the whole log up to here
	appends appendIDs
	holders map[claimKey]holding // what was taken or released
	deletions
}

// claimKey is a claim where it is unique: in its partition.
type claimKey struct {
	partition string
	claim     daybook.Claim
}

// holding says who holds a claim, since the version of the first record of the
// changeset that took it; nobody if it was released. Who was left without records
// since holds nothing.
type holding struct {
	stream daybook.StreamID
	held   bool
	since  daybook.Version
}

func newPart(segment int) *part {
	return &part{
		segment: segment, postings: newPostings(), streams: newStreams(), appends: newAppendIDs(),
		holders: map[claimKey]holding{},
	}
}

// whole reports whether it tells of all that stands in its segment: when the
// store was opened, an index file may have told of the first of it.
func (p *part) whole() bool { return p.begin == placeOf(p.segment, segmentHeaderSize) }

// addAppend notes where an append begins. An import that was made in pieces
// may have cut one: the place that counts is that of its first frame.
func (p *part) addAppend(s *summary) {
	if !s.fresh {
		if _, known := p.appends.find(s.appendID); known {
			return
		}
	}
	p.appends.add(s.appendID, s.place)
}

// add takes in a changeset of a stream of the part, whose end must be that
// before the changeset.
func (p *part) add(st *stream, s *summary) {
	if st.end.version == 0 {
		st.end.first = s.first
	}
	if st.end.version == 0 || s.revives {
		p.totals.Streams++
	}
	st.end.version, st.end.changeset = s.last(), s.number
	st.end.position, st.end.recorded = s.lastPosition(), micros(s.recorded)
	p.streams.add(st, streamFrame{s.first, s.place})
	first := s.firstPosition()
	if p.last = s.lastPosition(); p.first == 0 {
		p.begin, p.first = s.place, first
	}
	p.newest = s.place
	if s.kind != kindBones {
		p.postings.addStream(first, st)
		for i := range s.selectors {
			r := &s.selectors[i]
			p.postings.add(r.position, r.eventType, r.tags)
		}
	}
	t := &p.totals
	t.Changesets++
	t.Records += int64(s.count)
	t.LongestStream = max(t.LongestStream, s.number)
	t.LastOrdinal, t.LastRecorded = s.ordinal, s.recorded
}

// settle carries out the releases of an append, then its claims. It tells of
// each first.
func (p *part) settle(summaries []*summary, changes func(claimKey)) {
	for _, s := range summaries {
		for _, claim := range s.releases {
			key := keptClaim(s.stream.Partition, claim)
			changes(key)
			p.holders[key] = holding{}
		}
	}
	for _, s := range summaries {
		for _, claim := range s.claims {
			key := keptClaim(s.stream.Partition, claim)
			changes(key)
			st, _ := p.streams.get(s.stream)
			p.holders[key] = holding{st.id, true, s.first}
		}
	}
}

// keptClaim is a claimKey in memory of its own.
func keptClaim(partition string, claim daybook.Claim) claimKey {
	return claimKey{strings.Clone(partition), daybook.Claim{Kind: strings.Clone(claim.Kind), Value: strings.Clone(claim.Value)}}
}
