package disk

import (
	"math"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// How many frames of a stream are looked up at once: in index files few at
// first, more the longer a read goes on; in memory so many.
const (
	leastPlaces  = 64
	mostPlaces   = 4 << 10
	recentPlaces = 1 << 10
)

// streamPlaces finds the frames of a stream that a read can want, a page at a
// time: however many there are, few of them are in memory, and the lock of the
// log is never held for long, nor while files are read.
type streamPlaces struct {
	log       *log
	id        daybook.StreamID
	from, to  daybook.Version // what the read can want
	backwards bool
	end       place // of what it may see

	recent  []recentFrames  // what is in memory and not found yet, in the order of the read
	below   place           // index files answer for what stands below
	since   daybook.Version // and below this one, what is in memory begins with; 0: nothing is
	origins []*segment      // those of the log when the read began
	// replaced are the segments of page that were compacted since.
	replaced map[int]*segment
	drained  bool            // they have no more
	after    daybook.Version // forwards: what they have up to here was found
	size     int             // of the next page of them
	page     []streamFrame
}

// recentFrames are the frames of a stream that a part of the index has in
// memory. Each leads to the one before it.
type recentFrames struct {
	frames *pages[frameNode]
	next   uint32 // the number, plus one, of the node at which reading backwards goes on
	// For reading forwards: the nodes at which pages end. The first page is the
	// last of them.
	ends   []uint32
	marked bool
}

// stream returns the extent of the log, where a stream ends in it, and the
// places of the frames that a read can want.
func (l *log) stream(id daybook.StreamID, read daybook.StreamRead) (extent, daybook.Head, *streamPlaces, error) {
	for {
		p := &streamPlaces{log: l, id: id, from: read.From, to: read.To, backwards: read.Backwards, size: leastPlaces}
		l.mu.RLock()
		if l.closed {
			l.mu.RUnlock()
			return extent{}, daybook.Head{}, nil, daybook.ErrClosed
		}
		e, x := l.extentLocked(), &l.index
		head, known := x.recentHead(id)
		h := x.hidings.of(id, shownView)
		p.end = placeOf(len(e.segments)-1, e.end)
		p.recent, p.below, p.since = x.recentFramesOf(id, p.end)
		p.origins = e.segments
		l.mu.RUnlock()
		if !known {
			head = x.sealed.head(id)
		}
		if err := x.sealed.failure(); err != nil {
			l.leave(e.era)
			return extent{}, daybook.Head{}, nil, err
		}
		if head.Position > e.last || h.Through > head.Version {
			l.leave(e.era)
			continue // it was appended to, or deleted, and sealed, in between
		}
		head = headBehind(head, h)
		read.From = max(read.From, head.First)
		if p.from = lowest(read, head); p.to <= 0 {
			p.to = math.MaxInt64
		}
		if !p.backwards {
			slices.Reverse(p.recent)
		}
		return e, head, p, nil
	}
}

// lowest returns the lowest version that a read can want of a stream that ends
// at head. The versions of a stream have no gaps, so a read backwards that is
// limited needs no more of them than its limit.
func lowest(read daybook.StreamRead, head daybook.Head) daybook.Version {
	if !read.Backwards || read.Limit == 0 || !read.Until.IsZero() {
		return read.From
	}
	top := head.Version
	if read.To > 0 {
		top = min(top, read.To)
	}
	return max(read.From, top-daybook.Version(read.Limit)+1)
}

// next returns the next page, in the order of the versions; an empty one when
// there are no more. It is good until the next call.
func (p *streamPlaces) next() ([]streamFrame, error) {
	page, err := p.more()
	for err == nil && !p.backwards && len(page) > 0 && page[len(page)-1].first < p.from {
		// Whether the last one holds the version, the one behind it tells.
		last := page[len(page)-1]
		if page, err = p.more(); len(page) == 0 || page[0].first > p.from {
			page = slices.Insert(page, 0, last)
			break
		}
	}
	return page, err
}

// more is next with a last page that may end below what is wanted.
func (p *streamPlaces) more() ([]streamFrame, error) {
	p.page, p.replaced = p.page[:0], nil
	if p.backwards {
		p.nextRecent()
	}
	if len(p.page) == 0 && !p.drained {
		p.page = p.log.index.sealed.framesOf(p)
		p.drained = len(p.page) < p.size
		p.size = min(4*p.size, mostPlaces)
		switch n := len(p.page); {
		case n == 0:
		case p.backwards:
			p.to = p.page[0].first - 1
			p.drained = p.drained || p.to < 1
		default:
			p.after = p.page[n-1].first
		}
	}
	if len(p.page) == 0 && !p.backwards {
		p.nextRecent()
	}
	return p.page, p.log.index.sealed.failure()
}

// nextRecent makes page the next page of what is in memory.
func (p *streamPlaces) nextRecent() {
	for len(p.page) == 0 && len(p.recent) > 0 {
		r := &p.recent[0]
		if p.backwards {
			r.next = p.walk(r, r.next)
			if r.next == 0 {
				p.recent = p.recent[1:]
			}
			continue
		}
		for node := r.next; node > 0 && !r.marked; {
			r.ends = append(r.ends, node)
			node = p.walk(r, node)
			p.page = p.page[:0]
		}
		r.marked = true
		n := len(r.ends) - 1
		p.walk(r, r.ends[n])
		if r.ends = r.ends[:n]; n == 0 {
			p.recent = p.recent[1:]
		}
	}
	slices.Reverse(p.page)
}

// walk puts into page what is wanted of the nodes from one back. It returns the
// node at which it goes on; 0 if it does not.
func (p *streamPlaces) walk(r *recentFrames, node uint32) (next uint32) {
	p.log.mu.RLock()
	defer p.log.mu.RUnlock()
	for range recentPlaces {
		if node == 0 {
			break
		}
		f := r.frames.at(node - 1)
		if node = f.before; f.place < p.end && f.first <= p.to {
			p.page = append(p.page, f.streamFrame)
			if f.first <= p.from {
				return 0
			}
		}
	}
	return node
}

// recentHead returns where a stream ends for readers, if the parts in memory
// tell.
func (x *index) recentHead(id daybook.StreamID) (head daybook.Head, known bool) {
	for _, p := range slices.Backward(x.parts) {
		if n, ok := p.streams.find(id); ok {
			if end := x.shownEnd(p.streams.all.at(n)); end.position <= x.shown.last {
				return end.head(), true
			}
		}
	}
	return daybook.Head{}, false
}

// recentFramesOf returns what the parts in memory have of a stream, the newest
// first, and where they begin; end, if there are none.
func (x *index) recentFramesOf(id daybook.StreamID, end place) (recent []recentFrames, begin place, since daybook.Version) {
	for _, p := range slices.Backward(x.parts) {
		if n, ok := p.streams.find(id); ok {
			if s := p.streams.all.at(n); s.frames > 0 {
				recent, since = append(recent, recentFrames{frames: &p.streams.frames, next: s.frames}), s.begins
			}
		}
	}
	if len(x.parts) > 0 {
		return recent, x.parts[0].begin, since
	}
	return recent, end, since
}

// framesOf returns the next page of the frames of a stream that index files
// have, in the order of the versions.
func (x *sealed) framesOf(p *streamPlaces) []streamFrame {
	page := p.page[:0]
	x.each(p.backwards, func(r *sealedRow) (done bool, err error) {
		if r == x.rows[0] && !p.backwards || r == x.rows[len(x.rows)-1] && p.backwards {
			page, p.replaced = page[:0], nil // also if an earlier round met a damaged row
		}
		for f, err := range r.Changesets(p.id, max(p.from, p.after), p.to, p.backwards) {
			if err != nil {
				return false, err
			}
			at := r.place(f.Place)
			if !p.wants(r, f, at) || !p.backwards && f.First <= p.after {
				continue
			}
			if page = append(page, streamFrame{f.First, at}); len(page) == p.size {
				return true, nil
			}
		}
		n := len(page)
		return p.backwards && n > 0 && page[n-1].first <= p.from, nil
	})
	if p.backwards {
		slices.Reverse(page)
	}
	return page
}

// wants reports whether a frame that an index file has stands in what the read
// began with, and not in what was in memory then. Where its segment was compacted
// since, it says so, and places tell nothing any more: versions do.
func (p *streamPlaces) wants(r *sealedRow, f logindex.VersionPlace, at place) bool {
	number := at.segment()
	if number >= len(p.origins) || p.since > 0 && f.First >= p.since {
		return false
	}
	now := r.span[f.Place.Segment()]
	if now == p.origins[number] || r.part {
		return at < p.below
	}
	if now.header.generation > p.origins[number].header.generation {
		if p.replaced == nil {
			p.replaced = map[int]*segment{}
		}
		p.replaced[number] = now
		return true
	}
	return at < p.below
}
