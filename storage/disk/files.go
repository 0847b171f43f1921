package disk

import (
	"errors"
	"sync"
	"sync/atomic"
)

// maxOpenFiles bounds how many segments are held open for reading.
const maxOpenFiles = 128

// files keeps segments open for reading, those used last.
type files struct {
	fs FS

	closed atomic.Bool // set while mu is held

	mu    sync.Mutex // guards all below
	open  map[string]*openFile
	clock int64
}

// openFile is an open segment and who uses it.
type openFile struct {
	File
	users int
	used  int64 // files.clock when it was used last
	gone  bool  // it is in nobody's list any more: who lets go of it last closes it
}

func newFiles(fsys FS) *files { return &files{fs: fsys, open: map[string]*openFile{}} }

// readAt reads from the named file as io.ReaderAt does; from held, if that is
// not nil.
func (f *files) readAt(held *openFile, name string, b []byte, offset int64) (int, error) {
	if held != nil {
		if f.closed.Load() {
			return 0, errFilesClosed
		}
		return held.ReadAt(b, offset)
	}
	file, err := f.acquire(name)
	if err != nil {
		return 0, err
	}
	defer f.release(file)
	return file.ReadAt(b, offset)
}

// acquire returns a file that stays open until it is released.
func (f *files) acquire(name string) (*openFile, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed.Load() {
		return nil, errFilesClosed
	}
	file := f.open[name]
	if file == nil {
		opened, err := f.fs.Open(name)
		if err != nil {
			return nil, err
		}
		file = &openFile{File: opened}
		f.open[name] = file
		f.evict(file)
	}
	f.clock++
	file.used = f.clock
	file.users++
	return file, nil
}

// evict closes the file that nobody has used for longest, where there are too
// many. It spares the one that was just opened.
func (f *files) evict(spare *openFile) {
	if len(f.open) <= maxOpenFiles {
		return
	}
	var oldest string
	for name, file := range f.open {
		if file != spare && file.users == 0 && (oldest == "" || file.used < f.open[oldest].used) {
			oldest = name
		}
	}
	if oldest != "" {
		// It was only read from: there is nothing that closing could lose.
		_ = f.open[oldest].Close()
		delete(f.open, oldest)
	}
}

func (f *files) release(file *openFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	file.users--
	if (f.closed.Load() || file.gone) && file.users == 0 {
		_ = file.Close()
	}
}

// retire lets go of a file that was acquired and is not there any more.
func (f *files) retire(file *openFile) {
	f.mu.Lock()
	for name, open := range f.open {
		if open == file {
			delete(f.open, name)
		}
	}
	file.users--
	unused := file.users == 0
	file.gone = true
	f.mu.Unlock()
	if unused {
		_ = file.Close() // it was only read from
	}
}

// close closes the files; those in use, when they are let go.
func (f *files) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed.Store(true)
	var errs []error
	for _, file := range f.open {
		if file.users == 0 {
			errs = append(errs, file.Close())
		}
	}
	clear(f.open)
	return errors.Join(errs...)
}

var errFilesClosed = errors.New("the files of the store are closed")
