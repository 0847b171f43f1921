package disk

import "sync/atomic"

// eras keep the files of segments open that were compacted while reads run that
// began before: they go on in the files that they know. An era ends with a
// compaction.
type eras struct {
	oldest, now *era // guarded by log.mu
}

type era struct {
	readers atomic.Int64 // reads that began in it and have not ended
	ended   atomic.Bool
	files   []*openFile // what reads of this era, or of one before, may need
	next    *era
}

func newEras() eras {
	first := &era{}
	return eras{first, first}
}

// enter says that a read begins. log.mu must be held, to read or to write.
func (e *eras) enter() *era {
	e.now.readers.Add(1)
	return e.now
}

// leave says that a read of an era has ended; nil is none.
func (l *log) leave(e *era) {
	if e != nil && e.readers.Add(-1) == 0 && e.ended.Load() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.sweepEras()
	}
}

// endEra ends the present era, with files that its reads may need. l.mu must be
// held.
func (l *log) endEra(files []*openFile) {
	e := l.eras.now
	e.files, e.next = files, &era{}
	l.eras.now = e.next
	e.ended.Store(true)
	l.sweepEras()
}

// sweepEras lets go of the files that no read needs any more. l.mu must be held.
func (l *log) sweepEras() {
	for e := l.eras.oldest; e.ended.Load() && e.readers.Load() == 0; e = e.next {
		l.letGo(e)
		l.eras.oldest = e.next
	}
}

func (l *log) letGo(e *era) {
	for _, file := range e.files {
		l.files.retire(file)
	}
	e.files = nil
}

// endEras lets go of all files. Reads that run end with an error.
func (l *log) endEras() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for e := l.eras.oldest; e != nil; e = e.next {
		l.letGo(e)
	}
}
