package disk

import (
	"errors"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// log is what can be read: the segments up to the last append that is visible,
// and the index over them. The writer adds to it, or, where another process
// writes, what watches its files.
type log struct {
	dir   string
	files *files
	// unwritten copies to b what stands at the offset of a segment and has not
	// been written to its file, and returns how far the file reaches. Nil where
	// everything visible is in the files.
	unwritten func(s *segment, b []byte, offset int64) (written int64)

	// seal is told that the segments below a number are sealed, on the disk and
	// shown. Nil where this process does not write.
	seal func(below int)

	mu       sync.RWMutex // guards all below
	index    index
	segments []*segment
	damage   *daybook.CorruptError // what stands behind the last append, if that is damaged
	grown    chan struct{}         // closed when the log has grown; nil while nobody waits
	eras     eras
	closed   bool
}

// segment is one file of the log.
type segment struct {
	number  int // in this process
	name    string
	seed    uint32
	header  segmentHeader
	written atomic.Int64 // how far its file reaches
	// attempted is the generation that a compaction tried to write last, guarded by
	// Driver.compacting. A later attempt takes another name: files are kept open by
	// theirs.
	attempted int

	// The rest is guarded by log.mu while the segment is the last, and does not
	// change afterwards.
	end   int64 // of the last append that is visible
	marks logindex.Marks
}

// mark adds a mark for a frame, where one is due: only the first may be of
// something else than a changeset.
func (s *segment) mark(offset int64, position daybook.Position, recorded time.Time, other bool) {
	if s.marks.Len() == 0 || !other && offset-s.marks.Last().Offset >= markEvery {
		s.marks.Add(logindex.Mark{Position: position, Offset: offset}, recorded)
	}
}

// mark says where a frame stands. A segment has one about every markEvery
// bytes.
type mark struct {
	logindex.Mark
	recorded time.Time
}

const markEvery = 4 << 10

// addition is an append or import as the log takes it in: whole.
type addition struct {
	segment   *segment
	end       int64 // in the segment
	summaries []*summary
}

func newLog(dir string, fsys FS) *log {
	l := &log{dir: dir, files: newFiles(fsys), eras: newEras()}
	l.index.sealed, l.index.hidings = newSealed(l, fsys), newHidings()
	return l
}

// add makes appends visible.
func (l *log) add(additions ...addition) {
	if len(additions) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	for _, a := range additions {
		if a.segment.number == len(l.segments) {
			l.segments = append(l.segments, a.segment)
		}
		for _, s := range a.summaries {
			a.segment.mark(s.place.offset(), s.firstPosition(), s.recorded, s.isOther())
		}
		a.segment.end = a.end
		l.index.add(a.summaries)
	}
	l.index.show(l.index.tally)
	l.tellLocked()
}

// showing is what the log shows of a segment from now on.
type showing struct {
	segment *segment
	end     int64
	marks   []mark // to be added
	tally   tally
}

// showLocked makes visible what the index has taken in before; l.mu must be
// held.
func (l *log) showLocked(s showing) {
	if s.segment.number == len(l.segments) {
		l.segments = append(l.segments, s.segment)
	}
	for _, m := range s.marks {
		s.segment.marks.Add(m.Mark, m.recorded)
	}
	s.segment.end = s.end
	l.index.show(s.tally)
}

// tellLocked wakes who waits for the log to grow; l.mu must be held.
func (l *log) tellLocked() {
	if l.grown != nil {
		close(l.grown)
		l.grown = nil
	}
}

// growing returns a channel that is closed when the log grows, or is closed
// itself, after the call.
func (l *log) growing() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grown == nil {
		l.grown = make(chan struct{})
	}
	if l.closed {
		l.tellLocked()
		return closedChannel
	}
	return l.grown
}

var closedChannel = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// drop lets the index forget in memory what index files have of the segments
// below a number.
func (l *log) drop(below int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index.drop(below)
}

// open adds an empty segment.
func (l *log) open(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.number == len(l.segments) {
		l.segments = append(l.segments, s)
	}
}

// close refuses further reads, and wakes who waits.
func (l *log) close() error {
	l.mu.Lock()
	closed := l.closed
	if !closed {
		l.closed = true
		l.tellLocked()
	}
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.endEras()
	return errors.Join(l.index.sealed.close(), l.files.close())
}

// extent is the log as a reader finds it when it begins.
type extent struct {
	segments []*segment
	end      int64          // in the last segment
	marks    logindex.Marks // of the last segment
	last     daybook.Position
	damage   *daybook.CorruptError
	era      *era
}

// extent returns the extent now.
func (l *log) extent() (extent, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return extent{}, daybook.ErrClosed
	}
	return l.extentLocked(), nil
}

// extentLocked returns the extent now; l.mu must be held. Who has it must leave
// its era.
func (l *log) extentLocked() extent {
	e := extent{segments: l.segments, last: l.index.shown.last, damage: l.damage, era: l.eras.enter()}
	if n := len(l.segments); n > 0 {
		e.end, e.marks = l.segments[n-1].end, l.segments[n-1].marks
	}
	return e
}

// limit returns how far the ith segment may be read.
func (e *extent) limit(i int) int64 {
	if i == len(e.segments)-1 {
		return e.end
	}
	return e.segments[i].end
}

func (e *extent) marksOf(i int) *logindex.Marks {
	if i == len(e.segments)-1 {
		return &e.marks
	}
	return &e.segments[i].marks
}

// find returns the last mark whose frame begins at the position or below it;
// where all lie above, the first of all. Not ok: there are no frames.
func (e *extent) find(position daybook.Position) (segment, nth int, ok bool) {
	n := len(e.segments)
	i := sort.Search(n, func(i int) bool {
		marks := e.marksOf(i)
		return marks.Len() == 0 || marks.At(0).Position > position
	}) - 1
	i = max(i, 0)
	if n == 0 || e.marksOf(i).Len() == 0 {
		return 0, 0, false
	}
	return i, max(e.marksOf(i).Find(position), 0), true
}

// recordedUpTo returns a position behind which everything was recorded after a
// time, as low as marks tell.
func (e *extent) recordedUpTo(at time.Time) daybook.Position {
	n := len(e.segments)
	i := sort.Search(n, func(i int) bool { return e.segments[i].header.floor.After(at) })
	if i > 0 {
		if position, ok := e.marksOf(i - 1).RecordedAfter(at); ok {
			return position - 1
		}
	}
	// A segment may still be empty.
	for ; i < n; i++ {
		if marks := e.marksOf(i); marks.Len() > 0 {
			return marks.At(0).Position - 1
		}
	}
	return e.last
}

// reader returns a reader of the frames of a segment up to a limit.
func (l *log) reader(s *segment, limit, chunk int64) *frameReader {
	return &frameReader{source: segmentSource{log: l, segment: s, copy: l.unwritten}, seed: s.seed, limit: limit, chunk: chunk}
}

// segmentSource reads the bytes of a segment, wherever they are.
type segmentSource struct {
	log     *log
	segment *segment
	held    *openFile // the file, for who reads often; else nil
	// copy is log.unwritten, or another way to the same bytes.
	copy func(s *segment, b []byte, offset int64) (written int64)
}

func (s segmentSource) ReadAt(b []byte, offset int64) (int, error) {
	inFile := int64(len(b))
	if written := s.segment.written.Load(); s.copy != nil && offset+inFile > written {
		inFile = min(s.copy(s.segment, b, offset)-offset, inFile)
	}
	if inFile <= 0 {
		return len(b), nil
	}
	n, err := s.log.files.readAt(s.held, s.segment.name, b[:inFile], offset)
	if errors.Is(err, errFilesClosed) {
		return 0, daybook.ErrClosed
	}
	if int64(n) < inFile {
		return n, err
	}
	return len(b), nil
}

// explain returns the error for readers of what went wrong while a frame of a
// segment was read.
func (l *log) explain(e *extent, segment int, err error) error {
	var fault *frameError
	if !errors.As(err, &fault) {
		return err
	}
	position := fault.position
	if position == 0 {
		position = l.positionAt(e, segment, fault.offset)
	}
	return &daybook.CorruptError{
		File: e.segments[segment].name, Offset: fault.offset, Position: position, Reason: fault.reason,
	}
}

// positionAt returns the lowest position that a frame at the offset can have:
// the one behind what can be read before it.
func (l *log) positionAt(e *extent, segment int, offset int64) daybook.Position {
	s := e.segments[segment]
	next, from := s.header.first, int64(segmentHeaderSize)
	marks := e.marksOf(segment)
	if n := sort.Search(marks.Len(), func(i int) bool { return marks.At(i).Offset > offset }); n > 0 {
		m := marks.At(n - 1)
		next, from = m.Position, m.Offset
	}
	r := l.reader(s, min(offset, e.limit(segment)), markEvery)
	for from < r.limit {
		f, err := r.at(from)
		if err != nil {
			break
		}
		next = f.position + daybook.Position(f.count)
		if c, ok := decodeChangeset(&f); ok {
			next = c.lastPosition() + 1
		}
		from += f.size()
	}
	return next
}

func (l *log) path(name string) string { return filepath.Join(l.dir, name) }
