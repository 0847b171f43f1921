package disk

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/daybook-go/daybook"
)

// watch follows a store that another process may be writing. That one may also
// compact it: then segments are gone, and what the log says of places in them is
// wrong. The log is read anew, as when the store was opened, and comes in place of
// the one before, which is closed when the last read of it has ended.
type watch struct {
	dir     string
	options *Options
	store   daybook.ID

	mu     sync.Mutex // guards all below
	closed bool
	log    *log
	reads  map[*log]int // how many there are of each
	mark   File         // END; nil until it is there
	seen   endMark      // what it said last
}

// openReader reads the log as far as it may be seen.
func (d *Driver) openReader(dir string) error {
	s, found, err := readStore(dir, &d.options)
	if err != nil {
		return opening(dir, err)
	}
	d.log = s.log
	d.recovery.Cut, d.recovery.Clean = s.cut, d.log.damage == nil && !found.live && found.clean(s)
	d.watch = &watch{dir: dir, options: &d.options, store: found.ID, log: d.log, reads: map[*log]int{}, seen: found.mark}
	return nil
}

// readStore reads the log of a store as far as it may be seen, whatever its writer
// does meanwhile.
func readStore(dir string, options *Options) (*scan, *survey, error) {
	fsys := options.FS
	for attempt := 1; ; attempt++ {
		found, err := takeSurvey(fsys, dir, true)
		if err != nil {
			return nil, nil, err
		}
		s, err := scanStore(dir, options, &found)
		if attempt < mostLists && (errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*frameError))) {
			continue // a segment was compacted in between, or a torn tail was cut off
		}
		if err != nil {
			return nil, nil, err
		}
		// A writer that came after the look for one may have been writing what
		// was just read: then only what it says can be trusted.
		now, err := takeSurvey(fsys, dir, true)
		if err != nil {
			return nil, nil, errors.Join(err, s.log.close())
		}
		if found.live || !now.live && now.ends(&found) || attempt == mostLists {
			return s, &found, nil
		}
		if err := s.log.close(); err != nil {
			return nil, nil, err
		}
	}
}

// ends reports whether the log ends where it did at another time, by what the files
// tell of it.
func (s *survey) ends(then *survey) bool {
	n := len(s.found)
	return n == len(then.found) && s.mark == then.mark && (n == 0 || s.found[n-1].name == then.found[n-1].name && s.found[n-1].size == then.found[n-1].size)
}

// hold returns the log, with what another process has appended since. It stays
// open until letGo is called with it.
func (d *Driver) hold() (*log, error) {
	if d.watch == nil {
		return d.log, nil
	}
	return d.watch.hold()
}

// letGo says that the log that hold returned is not read any more.
func (d *Driver) letGo(l *log) {
	if d.watch != nil {
		d.watch.letGo(l)
	}
}

// with calls do with the log as it is now. Where that fails because another
// process has compacted what do wanted to read, it is called again.
func (d *Driver) with(do func(*log) error) error {
	for attempt := 1; ; attempt++ {
		l, err := d.hold()
		if err != nil {
			return err
		}
		err = do(l)
		d.letGo(l)
		if !d.isOutdated(l, err, attempt) {
			return err
		}
	}
}

// isOutdated reports whether an error came of a file that was there when the log
// was read and is not any more, and the log was read anew since.
func (d *Driver) isOutdated(l *log, err error, attempt int) bool {
	return d.watch != nil && errors.Is(err, fs.ErrNotExist) && attempt < mostLists && d.watch.renew(l) == nil
}

// readOn ranges over a read. Where another process has compacted what it had not
// reached, it goes on behind the last record that was yielded, in the log as it is
// now: goOn says so to the read, and how many were yielded since, and reports
// whether there can be more. A frame is read at once, so no changeset is cut.
func (d *Driver) readOn(yield func(daybook.Record, error) bool, read func(*log, func(daybook.Record, error) bool), goOn func(last daybook.Record, n int) bool) {
	for attempt := 1; ; attempt++ {
		l, err := d.hold()
		if err != nil {
			yield(daybook.Record{}, err)
			return
		}
		var last daybook.Record
		outdated, n := false, 0
		func() {
			defer d.letGo(l)
			read(l, func(r daybook.Record, err error) bool {
				if outdated = d.isOutdated(l, err, attempt); outdated {
					return false
				}
				last.Position, last.Version = r.Position, r.Version
				n++
				return yield(r, err)
			})
		}()
		if !outdated {
			return
		}
		if n > 0 {
			if attempt = 1; !goOn(last, n) {
				return
			}
		}
	}
}

func (w *watch) hold() (*log, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, daybook.ErrClosed
	}
	if err := w.refresh(); err != nil {
		return nil, err
	}
	w.reads[w.log]++
	return w.log, nil
}

func (w *watch) letGo(l *log) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reads[l]--; w.reads[l] > 0 {
		return
	}
	delete(w.reads, l)
	if l != w.log {
		_ = l.close() // it was only read from
	}
}

// refresh takes in what another process has appended. w.mu must be held, as for
// what follows.
func (w *watch) refresh() error {
	for attempt := 1; ; attempt++ {
		again, err := w.lookOnce()
		if err != nil || !again || attempt == mostLists {
			return err
		}
	}
}

// lookOnce takes in what END tells. It reports whether segments were read that
// had been compacted: since the look at END comes before the one at them, the
// deletions that were carried out there may be behind what END told.
func (w *watch) lookOnce() (again bool, err error) {
	if errors.Is(w.log.index.sealed.failure(), fs.ErrNotExist) {
		return true, w.readAnew()
	}
	w.log.mu.RLock()
	damaged := w.log.damage != nil
	w.log.mu.RUnlock()
	if damaged {
		return false, nil
	}
	mark, ok, err := w.readMark()
	if err != nil || !ok || mark == w.seen || !w.ahead(mark) {
		return false, err
	}
	compacted, replaced, err := w.read(mark)
	if replaced || errors.Is(err, fs.ErrNotExist) {
		return true, w.readAnew()
	}
	if err == nil {
		w.seen = mark
	}
	return compacted, err
}

// readMark reads END; not ok if it is not there, or damaged. The next writer puts
// another file in the place of one that is damaged: that is the one to read then.
func (w *watch) readMark() (mark endMark, ok bool, err error) {
	for range 2 {
		if w.mark == nil {
			file, err := w.options.FS.Open(w.log.path(endName))
			if errors.Is(err, fs.ErrNotExist) {
				return mark, false, nil
			}
			if err != nil {
				return mark, false, err
			}
			w.mark = file
		}
		if mark, ok, err = readEndMark(w.mark, w.store); ok || err != nil {
			return mark, ok, err
		}
		_ = w.mark.Close() // it was only read from
		w.mark = nil
	}
	return mark, false, nil
}

// ahead reports whether the mark tells of more than was read.
func (w *watch) ahead(mark endMark) bool {
	w.log.mu.RLock()
	defer w.log.mu.RUnlock()
	if len(w.log.segments) == 0 {
		return true
	}
	last := w.log.segments[len(w.log.segments)-1]
	return mark.segment > last.header.first || mark.segment == last.header.first && mark.visible > last.end
}

// read reads on up to the mark, and reports whether what it reads was compacted.
// It reads nothing if segments that were read before were replaced since.
func (w *watch) read(mark endMark) (compacted, replaced bool, err error) {
	found := survey{identity: identity{ID: w.store}, live: true, mark: mark, marked: true}
	if err := found.list(w.options.FS, w.dir); err != nil {
		return false, false, err
	}
	for i := range found.found {
		f := &found.found[i]
		switch known := i < len(w.log.segments); {
		case known && w.log.segments[i].name != f.name:
			return false, true, nil
		case !known && f.header.generation > 0:
			compacted = true
		}
	}
	return compacted, false, newScan(w.log).run(&found)
}

// renew reads the log anew, unless that was done since l was.
func (w *watch) renew(l *log) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return daybook.ErrClosed
	case w.log != l:
		return nil
	}
	return w.readAnew()
}

func (w *watch) readAnew() error {
	s, found, err := readStore(w.dir, w.options)
	if err != nil {
		return err
	}
	before := w.log
	w.log, w.seen = s.log, found.mark
	if w.reads[before] == 0 {
		_ = before.close() // it was only read from
	}
	return nil
}

func (w *watch) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	errs := []error{w.log.close()}
	for l := range w.reads {
		if l != w.log {
			errs = append(errs, l.close())
		}
	}
	if w.mark != nil {
		errs = append(errs, w.mark.Close())
	}
	return errors.Join(errs...)
}
