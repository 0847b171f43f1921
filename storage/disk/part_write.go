package disk

import (
	"cmp"
	"io"
	"maps"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// write writes the index of a segment, of which the part must tell the whole.
func (p *part) write(to io.Writer, store daybook.ID, s *segment) (int64, error) {
	of := logindex.Segment{First: s.header.first, Bytes: s.end, Seed: s.seed}
	w := logindex.NewWriter(to, store, []logindex.Segment{of}, logindex.Counts{
		Streams: int64(p.streams.all.n),
		Others: int64(p.appends.all.n) + int64(len(p.holders)) + int64(p.tags.all.n) + int64(p.partitions.all.n) +
			int64(p.kinds.all.n) + int64(p.types.all.n) + int64(len(p.made)),
	})
	for _, n := range p.appends.inOrder() {
		a := p.appends.all.at(n)
		w.Append(a.id, logindex.PlaceOf(0, a.place.offset()))
	}
	for _, key := range slices.SortedFunc(maps.Keys(p.holders), compareClaims) {
		w.Claim(key.partition, key.claim, p.holders[key].stream.Name, p.holders[key].since)
	}
	p.deletions.write(w)
	p.tags.write(w, w.Tag)
	p.deletions.writeHidings(w)
	p.postings.partitions.write(w, w.Partition)
	p.streams.write(w)
	p.kinds.write(w, w.StreamType)
	p.types.write(w, w.Type)
	totals := p.totals
	totals.FirstPosition, totals.LastPosition = p.first, p.last
	return w.End(totals, &s.marks)
}

// write writes the positions of each term.
func (t *terms) write(w *logindex.Writer, begin func(text string)) {
	for _, r := range t.inOrder() {
		term := t.all.at(r.number)
		begin(term.text)
		term.pieces(w.Positions)
	}
}

// write writes where the streams end and where their changesets stand.
func (t *streams) write(w *logindex.Writer) {
	frames, ends := t.framesByStream()
	for _, r := range t.inOrder() {
		s := t.all.at(r.number)
		w.Stream(s.id, s.end.head())
		from := uint32(0)
		if r.number > 0 {
			from = ends[r.number-1]
		}
		for _, f := range frames[from:ends[r.number]] {
			w.Changeset(f.first, logindex.PlaceOf(0, f.place.offset()))
		}
	}
}

// framesByStream returns the frames of the first stream, then those of the
// second, and so on, and where those of each end. The nodes lead from each frame
// of a stream to the one before it, but that way through memory is a slow one.
func (t *streams) framesByStream() (frames []streamFrame, ends []uint32) {
	ends = make([]uint32, t.all.n+1)
	for n := range t.frames.n {
		ends[t.frames.at(n).stream+1]++
	}
	for i := 1; i < len(ends); i++ {
		ends[i] += ends[i-1]
	}
	frames = make([]streamFrame, t.frames.n)
	for n := range t.frames.n {
		node := t.frames.at(n)
		frames[ends[node.stream]] = node.streamFrame
		ends[node.stream]++
	}
	return frames, ends
}

func compareClaims(a, b claimKey) int {
	return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.claim.Kind, b.claim.Kind), cmp.Compare(a.claim.Value, b.claim.Value))
}
