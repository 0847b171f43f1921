package disk

import (
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// watch follows a store that another process may be writing.
type watch struct {
	log   *log
	fs    FS
	store daybook.ID
	every time.Duration

	mu     sync.Mutex // guards all below
	closed bool
	mark   File    // END; nil until it is there
	seen   endMark // what it said last
}

// openReader reads the log as far as it may be seen.
func (d *Driver) openReader(dir string) error {
	fsys := d.options.FS
	for {
		found, err := takeSurvey(fsys, dir, true)
		if err != nil {
			return opening(dir, err)
		}
		s, err := d.scan(dir, &found)
		if err != nil {
			return opening(dir, err)
		}
		// A writer that came after the look for one may have been writing what
		// was just read: then only what it says can be trusted.
		now, err := takeSurvey(fsys, dir, true)
		if err != nil {
			return opening(dir, err)
		}
		if now.live && !found.live {
			if err := d.log.close(); err != nil {
				return err
			}
			d.log = newLog(dir, fsys)
			continue
		}
		d.recovery.Cut, d.recovery.Clean = s.cut, d.log.damage == nil && !found.live && found.clean(s)
		d.watch = &watch{log: d.log, fs: fsys, store: found.ID, every: d.options.PollInterval, seen: found.mark}
		return nil
	}
}

// refresh takes in what another process has appended since. It does nothing
// where this process is the one that writes.
func (d *Driver) refresh() error {
	if d.watch == nil {
		return nil
	}
	return d.watch.refresh()
}

func (w *watch) refresh() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return daybook.ErrClosed
	}
	w.log.mu.RLock()
	damaged := w.log.damage != nil
	w.log.mu.RUnlock()
	if damaged {
		return nil
	}
	if w.mark == nil {
		file, err := w.fs.Open(w.log.path(endName))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		w.mark = file
	}
	mark, ok, err := readEndMark(w.mark, w.store)
	if err != nil || !ok || mark == w.seen || !w.ahead(mark) {
		return err
	}
	if err := w.read(mark); err != nil {
		return err
	}
	w.seen = mark
	return nil
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

// read reads on up to the mark.
func (w *watch) read(mark endMark) error {
	found := survey{identity: identity{ID: w.store}, live: true, mark: mark, marked: true}
	if err := found.list(w.fs, w.log.dir); err != nil {
		return err
	}
	return newScan(w.log).run(&found)
}

func (w *watch) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.mark == nil {
		return nil
	}
	return w.mark.Close()
}
