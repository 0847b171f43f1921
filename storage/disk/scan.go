package disk

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
)

// scan reads the segments of a survey into the log.
type scan struct {
	log   *log
	chain succession
	held  []*summary // of the append that is not whole yet
	ready []addition // not yet in the log
	bytes int64      // of the frames in ready
	cut   *Cut
	// missed is why index files that there are were not taken, by the position
	// at which they begin.
	missed    map[daybook.Position]error
	reindexed []Reindexed
	unmade    error // why an index file that is missing could not be made
	// step is told of each frame that was read, if it is not nil. An error ends
	// the scan.
	step func(bytes int64) error
}

func newScan(l *log) *scan {
	return &scan{log: l, missed: map[daybook.Position]error{}}
}

// scanChunk is how much of a file a scan reads at once, and how many bytes of
// frames it gathers before it takes the lock of the log.
const scanChunk = 1 << 20

// run reads on from where it stopped before, as far as the survey allows. What
// index files cover it does not read. What is damaged it leaves in log.damage;
// an error is one of the file system.
func (s *scan) run(found *survey) error {
	s.cut = nil
	for i := max(0, len(s.log.segments)-1); i < len(found.found); i++ {
		next, err := s.adopt(found)
		if err != nil {
			return err
		}
		if i = max(i, next); i == len(found.found) {
			break
		}
		f, index := &found.found[i], &s.log.index
		if i == len(s.log.segments) {
			s.log.open(&segment{number: i, name: f.name, seed: f.seed, header: f.header, end: segmentHeaderSize})
		}
		s.chain = succession{index.last, index.ordinal, index.latest, map[daybook.StreamID]daybook.Head{}, index.deletions}
		last := i == len(found.found)-1 && found.fault == nil
		damage, err := s.segment(s.log.segments[i], f, found, last)
		if err != nil || damage != nil {
			s.damaged(damage)
			return err
		}
		if f.sealed > 0 {
			s.reindex(s.log.segments[i])
		}
	}
	s.damaged(found.fault)
	return nil
}

func (s *scan) damaged(damage *daybook.CorruptError) {
	s.flush()
	if damage != nil {
		s.log.mu.Lock()
		s.log.damage = damage
		s.log.mu.Unlock()
	}
}

// segment reads one segment. It returns the damage that it finds; the torn
// tail of the last segment is none.
func (s *scan) segment(target *segment, f *foundSegment, found *survey, last bool) (*daybook.CorruptError, error) {
	limit := f.size
	bounded := last && found.bounded() && found.mark.segment == f.header.first
	switch {
	case bounded:
		limit = found.mark.visible
	case f.sealed > 0:
		limit = min(limit, f.sealed)
	}
	target.written.Store(limit)
	r := s.log.reader(target, limit, scanChunk)
	whole, err := r.walk(target.end, func(fr *frame) error { return s.take(target, fr) })
	s.held = nil
	s.flush()
	var fault *frameError
	switch {
	case err != nil && !errors.As(err, &fault):
		return nil, err
	case fault == nil && f.sealed > 0 && f.size != f.sealed:
		fault = wrongSize(f)
	case fault == nil && last && found.acknowledges(f, f.size):
		fault = &frameError{offset: f.size, reason: "the log ends"}
	}
	if fault == nil {
		return nil, nil
	}
	if bounded && !fault.sound && whole >= found.mark.synced {
		// The writer may have come after a crash that took what was visible and
		// not synced, and not have said so yet. Its next mark tells.
		return nil, nil
	}
	if last && !bounded && !fault.sound && !found.acknowledges(f, whole) {
		// Room that was made for what did not come.
		if blank, err := r.blankFrom(whole); err != nil || blank {
			return nil, err
		}
	}
	if last && !bounded {
		torn, err := isTorn(r, whole, fault, f, found)
		if err != nil {
			return nil, err
		}
		if torn {
			s.cut = &Cut{File: f.name, Offset: whole, Length: f.size - whole, Reason: fault.reason}
			return nil, nil
		}
	}
	position := fault.position
	if position == 0 || whole < fault.offset {
		position = s.log.index.last + 1
	}
	if found.acknowledges(f, f.size) {
		fault.reason += fmt.Sprintf(", although %d bytes of the file were synced once; where the files are a copy that was made "+
			"without daybook backup while the store was in use, remove %s from the copy to accept what it holds", found.mark.synced, endName)
	}
	return &daybook.CorruptError{File: f.name, Offset: fault.offset, Position: position, Reason: fault.reason}, nil
}

// wrongSize is the fault of a segment that is cut, or grew, after the next one
// was begun.
func wrongSize(f *foundSegment) *frameError {
	return &frameError{
		offset: min(f.size, f.sealed),
		reason: fmt.Sprintf("the file has %d bytes, the segment behind it says %d", f.size, f.sealed),
	}
}

// acknowledges reports whether the mark says that more than so many bytes of a
// segment were synced.
func (s *survey) acknowledges(f *foundSegment, bytes int64) bool {
	return s.marked && s.mark.segment == f.header.first && s.mark.synced > bytes
}

// isTorn decides about a fault at the end of the log, behind what is whole: is
// it what a crash leaves of writes that had not been synced, or damage to what
// was? It is damage if the mark or a frame behind it says that it was synced.
func isTorn(r *frameReader, whole int64, fault *frameError, f *foundSegment, found *survey) (bool, error) {
	if fault.sound || found.acknowledges(f, whole) {
		return false, nil
	}
	proven, err := r.provesBeyond(fault.offset, whole)
	return !proven, err
}

// take holds a frame until its append is whole.
func (s *scan) take(target *segment, f *frame) error {
	reason := "the checksums match, but the body cannot be decoded"
	summary, ok := summarise(f, target.number)
	if ok {
		reason = s.chain.refuses(&s.log.index, summary)
	}
	if err := s.log.index.sealed.failure(); err != nil {
		return err
	}
	if f.position < target.header.first {
		reason = "the position lies below those of the segment"
	}
	if reason != "" {
		return &frameError{offset: f.offset, position: f.position, reason: reason, sound: true}
	}
	s.held = append(s.held, summary)
	s.bytes += f.size()
	if s.step != nil {
		if err := s.step(f.size()); err != nil {
			return err
		}
	}
	if f.more() {
		return nil
	}
	s.ready = append(s.ready, addition{segment: target, end: f.offset + f.size(), summaries: s.held})
	s.held = nil
	if s.bytes >= scanChunk {
		s.flush()
	}
	return nil
}

// flush adds to the log what is ready.
func (s *scan) flush() {
	s.log.add(s.ready...)
	s.ready, s.bytes = nil, 0
	clear(s.chain.heads)
}
