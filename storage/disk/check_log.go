package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/daybook-go/daybook"
)

// logCheck reads every frame of the log, and compares the index files with
// what it reads.
type logCheck struct {
	*check
	chain succession
	none  index // of a log without anything
	// holders has who holds each claim that was ever taken.
	holders map[claimKey]holding
	rows    []checkedRow
	row     *agreement // of the row that the present segment stands in; nil: there is none
	// broken is set once something could not be read: what index files say of
	// what follows cannot be told right or wrong any more.
	broken bool
}

// checkLog reads every frame of every segment.
func (c *check) checkLog() error {
	l := &logCheck{check: c, none: newLog(c.dir, c.fs).index, holders: map[claimKey]holding{}, rows: c.rows()}
	l.chain.heads = map[daybook.StreamID]daybook.Head{}
	l.advance(int64(len(l.segments)) * segmentHeaderSize)
	for i := range c.segments {
		if err := l.segment(i); err != nil {
			return err
		}
	}
	if !l.broken {
		c.report.End = l.chain.last // a writer may have gone on since opening
	} else {
		c.skip("whether index files agree with the log, from the first damage on")
	}
	return nil
}

// segment checks one segment, and what index files say of it.
func (l *logCheck) segment(number int) error {
	f := &l.segments[number]
	if !f.sound {
		l.broken = true
		l.advance(f.limit - segmentHeaderSize)
		return nil
	}
	if number > 0 && f.header.previous != l.segments[number-1].header.first || number == 0 && f.header.previous != 0 {
		l.lose() // one is missing in between
	}
	file, err := l.fs.Open(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		if err := l.lookAgain(number); err != nil {
			return err
		}
		l.without(number)
		return l.segment(number)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	limit := f.limit
	for i := range l.rows {
		if row := &l.rows[i]; row.from == number {
			l.row = newAgreement(l, row)
		}
	}
	if l.row != nil && l.row.part(l.check) {
		limit = l.row.run.Segments()[0].Bytes
	}
	r := &frameReader{source: file, seed: f.seed, limit: limit, chunk: scanChunk}
	if err := l.stretch(number, r, segmentHeaderSize); err != nil {
		return err
	}
	if limit < f.limit { // what was added since the index was made
		r.limit = f.limit
		return l.stretch(number, r, limit)
	}
	return nil
}

// without takes away the index file of a segment that was compacted meanwhile.
func (l *logCheck) without(number int) {
	l.rows = slices.DeleteFunc(l.rows, func(r checkedRow) bool {
		if r.from > number || r.to < number {
			return false
		}
		l.note("%s was not compared with the log: a compaction has put another in its place", r.name)
		return true
	})
	l.row = nil
}

// stretch checks a segment from an offset to the limit of its reader, and ends
// with what the row of index files says of it.
func (l *logCheck) stretch(number int, r *frameReader, from int64) error {
	w := &segmentCheck{logCheck: l, number: number, part: newPart(number), reader: r}
	for from < r.limit {
		whole, err := r.walk(from, func(f *frame) error { return w.take(f) })
		l.advance(whole - from)
		fault, damaged := errors.AsType[*frameError](err)
		if err != nil && !damaged {
			return err
		}
		if !damaged {
			break
		}
		if from, err = w.resume(fault); err != nil {
			return err
		}
		l.advance(from - whole)
	}
	if l.row == nil || l.broken {
		return l.ctx.Err()
	}
	if err := l.row.compare(w.part, w.marked, r.limit); err != nil {
		return err
	}
	if number == l.row.to {
		err := l.row.end()
		l.row = nil
		return err
	}
	return nil
}

// lose forgets what the log was like: what follows cannot be compared with it.
func (l *logCheck) lose() {
	l.broken, l.row = true, nil
	clear(l.chain.heads)
}

// segmentCheck is the check of one segment on its way.
type segmentCheck struct {
	*logCheck
	number int
	reader *frameReader
	part   *part
	held   []*summary // of the append that is not whole yet
	// marked has the positions of the frames, by their offsets.
	marked map[int64]daybook.Position
}

// take takes in a frame.
func (w *segmentCheck) take(f *frame) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	s, ok := summarise(f, w.number)
	if !ok {
		return &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error(), sound: true}
	}
	if reason := w.chain.refuses(&w.none, s); reason != "" {
		w.found(Problem{Kind: BrokenOrder, File: w.segments[w.number].name, Offset: f.offset, Position: f.position, Reason: reason})
		w.lose()
		w.chain.last, w.chain.ordinal, w.chain.latest = s.lastPosition(), s.ordinal, s.recorded
	}
	if s.isOther() {
		if w.row != nil {
			w.part.addOther(s)
			if w.marked == nil {
				w.marked = map[int64]daybook.Position{}
			}
			w.marked[f.offset] = f.position
		}
		return nil
	}
	w.report.Changesets++
	w.report.Records += int64(s.count)
	if w.row == nil {
		w.held = w.held[:0]
		return nil
	}
	if w.marked == nil {
		w.marked = map[int64]daybook.Position{}
	}
	w.marked[f.offset] = f.position
	if w.held = append(w.held, s); f.more() {
		return nil
	}
	err := w.part.take(w.held, func(s *summary) (daybook.Head, error) { return s.before, nil })
	w.held = w.held[:0]
	return err
}

// resume tells of damage, and returns where the next frame stands behind it.
// Behind the log there may be room in the last segment, which is none.
func (w *segmentCheck) resume(fault *frameError) (int64, error) {
	if blank, err := w.reader.blankFrom(fault.offset); err != nil || blank && w.number == len(w.segments)-1 {
		return w.reader.limit, err
	}
	w.lose()
	w.held = w.held[:0]
	name := w.segments[w.number].name
	position := fault.position
	if position == 0 {
		position = max(w.chain.last+1, w.segments[w.number].header.first)
	}
	next := w.reader.limit
	for at := fault.offset + frameAlign; at+frameHeaderSize <= w.reader.limit; at += frameAlign {
		b, err := w.reader.bytes(at, frameHeaderSize)
		if err != nil {
			return 0, err
		}
		if _, _, reason := decodeFrameHeader(b, w.reader.seed, at); reason == "" {
			next = at
			break
		}
	}
	reason := fmt.Sprintf("%s; the %d bytes up to offset %d are lost", fault.reason, next-fault.offset, next)
	for i := range w.report.Problems {
		// Opening met it before.
		if p := &w.report.Problems[i]; p.File == name && p.Offset == fault.offset && p.Kind == BrokenFrame {
			p.Reason = reason
			return next, nil
		}
	}
	w.found(Problem{Kind: BrokenFrame, File: name, Offset: fault.offset, Position: position, Reason: reason})
	return next, nil
}

// settle keeps who holds the claims that a part tells of.
func (l *logCheck) settle(p *part) { maps.Copy(l.holders, p.holders) }
