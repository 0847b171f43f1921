package disk

import (
	"errors"
	"log/slog"
	"sync"
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

	mu    sync.Mutex // guards all below
	below int        // segments below this number are sealed
}

// newSealer starts a sealer of segments, of which those below a number are
// sealed already.
func newSealer(l *log, logger *slog.Logger, decide sync.Locker, below int) *sealer {
	s := &sealer{
		log: l, logger: logger, decide: decide, below: below,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), ended: make(chan struct{}),
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
	select {
	case s.wake <- struct{}{}:
	default:
	}
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
		if err := s.work(); err != nil && !errors.Is(err, errStopped) {
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
