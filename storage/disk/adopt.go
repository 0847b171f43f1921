package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// adopt takes the index files that go on where those in use end, as far as
// there are any, and returns the number of the first segment that they do not
// cover.
func (s *scan) adopt(found *survey) (next int, err error) {
	x := s.log.index.sealed
	for {
		next = x.next()
		row, err := s.longest(found, next)
		if row == nil && err == nil {
			row, err = s.partOf(found, next)
		}
		if row == nil || err != nil {
			return next, err
		}
		if err := s.adoptRow(row); err != nil || row.part {
			return next, err
		}
	}
}

// longest opens the index file that covers most of the segments from a number
// on; nil if there is none that can be used.
func (s *scan) longest(found *survey, from int) (*sealedRow, error) {
	x := s.log.index.sealed
	if x.distrusted || from >= len(found.found) {
		return nil, nil
	}
	first := found.found[from].header.first
	for _, name := range slices.Backward(found.indexes) { // the longest of those that begin alike is the last
		begin, end, _ := indexSpan(name)
		if begin != first {
			continue
		}
		span, err := s.span(found, from, end)
		if err == nil {
			var row *sealedRow
			if row, err = s.openRow(s.log.path(name), span); err == nil {
				return row, nil
			}
		}
		if !errors.Is(err, logindex.ErrDamaged) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		s.missed[first] = err
	}
	return nil, nil
}

// openRow opens an index file, and gives the segments their marks that are not
// in the log yet.
func (s *scan) openRow(name string, span []*segment) (*sealedRow, error) {
	row, err := s.log.index.sealed.open(name, span)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(row.readMarks(len(s.log.segments)), row.readHidings()); err != nil {
		return nil, errors.Join(err, row.close())
	}
	return row, nil
}

// span returns the segments from a number to the one of a name, as they are if
// they are sealed and nothing is wrong with their sizes.
func (s *scan) span(found *survey, from int, last daybook.Position) (span []*segment, err error) {
	for i := from; i < len(found.found); i++ {
		f := &found.found[i]
		of := &segment{number: i, name: f.name, seed: f.seed, header: f.header, end: f.sealed}
		of.written.Store(f.sealed)
		if i < len(s.log.segments) {
			of = s.log.segments[i]
		}
		if f.sealed == 0 || f.size != f.sealed || of.end != f.sealed {
			break
		}
		span = append(span, of)
		if f.header.first == last {
			return span, nil
		}
	}
	return nil, fmt.Errorf("%w: it tells of segments that are not there", logindex.ErrDamaged)
}

// adoptRow uses an index in place of what it covers.
func (s *scan) adoptRow(row *sealedRow) error {
	l := s.log
	x := l.index.sealed
	if err := x.add(row); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, segment := range row.span {
		if segment.number < len(l.segments) {
			continue
		}
		if row.part {
			segment = segment.asItIs()
		}
		l.segments = append(l.segments, segment)
	}
	l.index.adoptHidings(row)
	if t := x.totals(); l.index.isBehind(t) {
		l.index.tally = tallyOf(t)
		l.index.adoptions++
		l.index.show(l.index.tally)
		l.tellLocked()
	}
	l.index.drop(row.next())
	return nil
}

// partOf opens the index of what the last segment held when the store was
// closed, unless the segment was read already; nil if there is none that can be
// used. What it covers was synced then, so it is no torn tail.
func (s *scan) partOf(found *survey, last int) (*sealedRow, error) {
	x := s.log.index.sealed
	if x.distrusted || last != len(found.found)-1 || last < len(s.log.segments) || found.fault != nil {
		return nil, nil
	}
	f := &found.found[last]
	limit := f.size
	if found.bounded() {
		limit = min(limit, found.mark.visible)
	}
	name := s.log.path(indexName(f.header.first, f.header.first))
	as := &segment{number: last, name: f.name, seed: f.seed, header: f.header}
	row, err := x.openPart(name, as, limit)
	if err == nil {
		if err = errors.Join(row.readMarks(last), row.readHidings()); err != nil {
			err = errors.Join(err, row.close())
		}
	}
	if errors.Is(err, logindex.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return row, nil
}

// reindex makes the index file of a sealed segment that was read because there
// is none. Where it may not, or cannot, the segment's index stays in memory.
func (s *scan) reindex(of *segment) {
	x := s.log.index.sealed
	if x.inMemory || x.distrusted || x.next() != of.number {
		return
	}
	told := Reindexed{File: of.name, Reason: "there is no index file of it"}
	if missed := s.missed[of.header.first]; missed != nil {
		told.Reason = missed.Error()
	}
	row, err := x.build(of, s.log.index.partOf(of))
	if err != nil {
		s.unmade = err
		told.Reason += fmt.Sprintf("; making it anew failed: %v", err)
	} else if err := s.adoptRow(row); err != nil {
		told.Reason += fmt.Sprintf("; closing the old one failed: %v", err)
	}
	s.reindexed = append(s.reindexed, told)
}
