package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
)

// sealer makes index files in the background: of each segment once it is
// sealed, and one of several when there are many. Then the index forgets what
// it has of these segments in memory.
type sealer struct {
	log    *log
	logger *slog.Logger
	// decide is held while what appends are decided by is changed.
	decide sync.Locker

	wake    chan struct{} // of one: there is something to do
	stopped chan struct{}
	ended   chan struct{}

	// bound is how many bytes of the log may be sealed while the index has them
	// in memory: then appends wait. A part takes up to about as much memory as
	// its segment has bytes, where the records are small.
	bound   int64
	behind  atomic.Int64 // how many there are
	waiting atomic.Int64 // appends that wait

	mu       sync.Mutex // guards all below
	below    int        // segments below this number are sealed
	tried    int        // how often files were made, or could not be
	failed   error      // why the last file could not be made; nil: it was
	progress chan struct{}
}

// How much may be sealed and not in files: so many segments, but not less than
// so many bytes.
const (
	segmentsBehind = 4
	leastBehind    = 16 << 20
)

// newSealer starts a sealer of segments, of which those below a number are
// sealed already.
func newSealer(l *log, logger *slog.Logger, decide sync.Locker, below int, segmentBytes int64) *sealer {
	s := &sealer{
		log: l, logger: logger, decide: decide, below: below, bound: max(leastBehind, segmentsBehind*segmentBytes),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), ended: make(chan struct{}), progress: make(chan struct{}),
	}
	go s.run()
	s.seal(below)
	return s
}

// seal says that the segments below a number are sealed, on the disk and
// shown.
func (s *sealer) seal(below int) {
	s.mu.Lock()
	s.below = max(s.below, below)
	s.mu.Unlock()
	s.measure()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// measure finds out how much is sealed and not in files.
func (s *sealer) measure() {
	next := s.log.index.sealed.next()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.mu.RLock()
	defer s.log.mu.RUnlock()
	var bytes int64
	for _, segment := range s.log.segments[min(next, s.below):s.below] {
		bytes += segment.end
	}
	s.behind.Store(bytes)
}

// admit waits until no more than the bound is sealed and not in files, or ctx
// ends: nothing has happened then. Where files cannot be made it waits for
// nothing: the log is taken further, at the cost of memory.
func (s *sealer) admit(ctx context.Context) error {
	for s.behind.Load() > s.bound {
		s.mu.Lock()
		progress, failed := s.progress, s.failed
		s.mu.Unlock()
		if failed != nil {
			return nil
		}
		if s.behind.Load() <= s.bound { // it may have told before
			return nil
		}
		s.waiting.Add(1)
		select {
		case <-ctx.Done():
		case <-progress:
		case <-s.stopped:
		}
		s.waiting.Add(-1)
		select {
		case <-s.stopped:
			return nil
		default:
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("disk: gave up waiting for index files to be made, nothing was stored: %w", err)
		}
	}
	return nil
}

// tell lets those look again who wait: a file was made, or could not be.
func (s *sealer) tell(failed error) {
	s.measure()
	s.mu.Lock()
	s.tried++
	s.failed = failed
	close(s.progress)
	s.progress = make(chan struct{})
	s.mu.Unlock()
}

func (s *sealer) run() {
	defer close(s.ended)
	for {
		select {
		case <-s.stopped:
			return
		case <-s.wake:
		}
		// What fails here is missing, not wrong: the index stays in memory, and
		// the files are made when the next segment is sealed.
		err := s.work()
		if err != nil && !errors.Is(err, errStopped) {
			s.tell(err)
			s.logger.Warn("an index file could not be made", "dir", s.log.dir, "error", err)
		}
	}
}

// work makes the files that are due.
func (s *sealer) work() error {
	x := s.log.index.sealed
	for {
		s.mu.Lock()
		below := s.below
		s.mu.Unlock()
		next := x.next()
		if next >= below {
			break
		}
		s.log.mu.RLock()
		segment := s.log.segments[next]
		part := s.log.index.partOf(segment)
		s.log.mu.RUnlock()
		row, err := x.build(segment, part)
		if err != nil {
			return err
		}
		if err := x.add(row); err != nil {
			return err
		}
		s.decide.Lock()
		s.log.drop(row.next())
		s.decide.Unlock()
		s.tell(nil)
	}
	for {
		if merged, err := x.merge(); !merged || err != nil {
			return err
		}
	}
}

// stop ends what is being done, and waits until it has ended.
func (s *sealer) stop() {
	close(s.stopped)
	x := s.log.index.sealed
	x.stopping.Store(true)
	<-s.ended
	x.stopping.Store(false)
}

// closed makes the index of the last segment, which nobody writes any more.
func (s *sealer) closed(last *segment, segmentBytes int64) {
	if err := s.log.index.sealed.buildPart(last, min(partAfter, segmentBytes/4)); err != nil {
		s.logger.Warn("an index file could not be made", "dir", s.log.dir, "error", err)
	}
}

// errStopped ends the writing of a file that nobody waits for any more.
var errStopped = errors.New("stopped")
