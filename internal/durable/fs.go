package durable

import (
	"errors"
	"io"
	"os"
)

// FS is a file system. Errors about files that are missing or there already
// match fs.ErrNotExist and fs.ErrExist.
type FS interface {
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenWrite opens a file that is there for reading and writing.
	OpenWrite(name string) (File, error)
	// Create opens a file for reading and writing, empty, made if need be.
	Create(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	Mkdir(dir string) error
	// List returns the names in a directory, sorted.
	List(dir string) ([]string, error)
	// SyncDir puts on the disk what was made, renamed and removed in dir.
	SyncDir(dir string) error
	// Lock opens a file for reading and writing, made if need be, and takes
	// the lock on it, which lasts until the file is closed or the process
	// ends. While another holds it, the error matches ErrLocked.
	Lock(name string) (File, error)
	// Locked reports whether somebody holds the lock on a file.
	Locked(name string) (bool, error)
}

// File is an open file. Its methods may be called by many goroutines at once.
type File interface {
	io.ReaderAt
	io.WriterAt
	Size() (int64, error)
	Truncate(size int64) error
	// Sync puts on the disk what was written, and what is needed to read it
	// back; times of last use may be missing.
	Sync() error
	Close() error
}

// ErrLocked is matched by the error of a lock that another holds.
var ErrLocked = errors.New("locked by another")

// OS is the file system of the machine.
var OS FS = system{}

type system struct{}

func (system) Open(name string) (File, error) {
	return opened(os.Open(name))
}

func (system) OpenWrite(name string) (File, error) {
	return opened(os.OpenFile(name, os.O_RDWR, 0))
}

func (system) Create(name string) (File, error) {
	return opened(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666))
}

func (system) Rename(from, to string) error { return os.Rename(from, to) }

func (system) Remove(name string) error { return os.Remove(name) }

func (system) Mkdir(dir string) error { return os.Mkdir(dir, 0o777) }

func (system) List(dir string) ([]string, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.Name()
	}
	return names, nil
}

func (system) SyncDir(dir string) error { return syncDir(dir) }

func (system) Lock(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := lock(f, true); err != nil {
		_ = f.Close()
		return nil, err
	}
	return file{f}, nil
}

func (system) Locked(name string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	switch err := lock(f, false); {
	case errors.Is(err, ErrLocked):
		return true, nil
	default:
		return false, err
	}
}

// file is a file of the machine.
type file struct{ *os.File }

func opened(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

func (f file) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f file) Sync() error { return syncData(f.File) }
