package azureblob

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/daybook-go/daybook/internal/durable"
)

// memoryCopy keeps the bytes of a log in memory, in pages that never move.
type memoryCopy struct {
	mu    sync.RWMutex // guards all below
	pages [][]byte
	size  int64
}

const pageSize = 64 << 10

func (c *memoryCopy) append(data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(data) > 0 {
		if c.size == int64(len(c.pages))*pageSize {
			c.pages = append(c.pages, make([]byte, pageSize))
		}
		n := copy(c.pages[c.size/pageSize][c.size%pageSize:], data)
		data, c.size = data[n:], c.size+int64(n)
	}
	return nil
}

// ReadAt implements byteCopy.
func (c *memoryCopy) ReadAt(data []byte, offset int64) (n int, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for n < len(data) && offset < c.size {
		end := min(c.size-offset/pageSize*pageSize, pageSize)
		read := copy(data[n:], c.pages[offset/pageSize][offset%pageSize:end])
		n, offset = n+read, offset+int64(read)
	}
	if n < len(data) {
		return n, io.EOF
	}
	return n, nil
}

func (c *memoryCopy) drop(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size -= int64(n)
}

func (c *memoryCopy) clear() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages, c.size = nil, 0
	return nil
}

func (c *memoryCopy) Close() error { return nil }

// The files of a directory that holds a log, or a copy of one.
const (
	fileName = "stream.bin"
	lockName = "lock"
)

// fileCopy keeps the bytes of a log in a file: the copy of one that lives
// elsewhere, or the log itself.
type fileCopy struct {
	lock durable.File // nil where the log is only read
	file durable.File
	path string
	own  bool  // the log lives here; what is appended is in the file already
	end  int64 // where the bytes ended that count, when it was loaded

	mu   sync.Mutex // guards size
	size int64
}

// openFileCopy opens the file in a directory, made where it is missing. Only
// one process can have it open.
func openFileCopy(dir string, own bool) (*fileCopy, error) {
	if err := durable.MakeDir(durable.OS, dir); err != nil {
		return nil, err
	}
	c := &fileCopy{path: filepath.Join(dir, fileName), own: own}
	var err error
	if c.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	c.file, err = durable.OS.OpenWrite(c.path)
	if errors.Is(err, os.ErrNotExist) {
		if c.file, err = durable.OS.Create(c.path); err == nil {
			err = durable.OS.SyncDir(dir)
		}
	}
	if err != nil {
		return nil, errors.Join(err, c.lock.Close())
	}
	return c, nil
}

// lockDir takes the lock on a directory, which lasts until it is closed.
func lockDir(dir string) (durable.File, error) {
	lock, err := durable.OS.Lock(filepath.Join(dir, lockName))
	if errors.Is(err, durable.ErrLocked) {
		err = &LockedError{Dir: dir}
	}
	return lock, err
}

// openForReading opens the file of a log that lives in a directory, beside
// anybody who has it open.
func openForReading(dir string) (*fileCopy, error) {
	c := &fileCopy{path: filepath.Join(dir, fileName), own: true}
	var err error
	c.file, err = durable.OS.Open(c.path)
	return c, err
}

func (c *fileCopy) append(data []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.own {
		if _, err := c.file.WriteAt(data, c.size); err != nil {
			return &fileError{err}
		}
	}
	c.size += int64(len(data))
	return nil
}

// ReadAt implements byteCopy.
func (c *fileCopy) ReadAt(data []byte, offset int64) (int, error) { return c.file.ReadAt(data, offset) }

func (c *fileCopy) drop(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size -= int64(n)
}

func (c *fileCopy) clear() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size = 0
	if c.own {
		return nil
	}
	return c.file.Truncate(0)
}

// cut forgets what stands behind the bytes that were folded.
func (c *fileCopy) cut() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.Truncate(c.size)
}

func (c *fileCopy) Close() error {
	if c.lock == nil {
		return c.file.Close()
	}
	return errors.Join(c.file.Close(), c.lock.Close())
}
