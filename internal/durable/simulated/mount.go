package simulated

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/daybook-go/daybook/internal/durable"
)

var (
	_ durable.FS           = (*Mount)(nil)
	_ durable.DirectOpener = (*Mount)(nil)
)

// file is an open file.
type file struct {
	mount    *Mount
	name     string
	content  *content
	readOnly bool
	closed   bool
}

// opened opens a file by a call that finds its content. A call that is struck
// opens nothing.
func (m *Mount) opened(kind Kind, name string, readOnly bool, find func() (*content, error)) (durable.File, error) {
	var f *file
	err := m.call(kind, name, func() error {
		c, err := find()
		if err != nil {
			return err
		}
		f = &file{mount: m, name: name, content: c, readOnly: readOnly}
		return nil
	}, func() {
		m.open++
		if kind == Lock {
			m.disk.locks[f.content] = f
		}
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Open implements durable.FS.
func (m *Mount) Open(name string) (durable.File, error) {
	return m.opened(Open, name, true, func() (*content, error) { return m.disk.file(name) })
}

// OpenWrite implements durable.FS.
func (m *Mount) OpenWrite(name string) (durable.File, error) {
	return m.opened(Open, name, false, func() (*content, error) { return m.disk.file(name) })
}

// Create implements durable.FS.
func (m *Mount) Create(name string) (durable.File, error) {
	return m.opened(Create, name, false, func() (*content, error) {
		c, err := m.disk.made(name)
		if err == nil && len(c.data) > 0 {
			c.do(change{resize: true})
		}
		return c, err
	})
}

// made returns the file of a name, made if need be.
func (d *Disk) made(name string) (*content, error) {
	c, err := d.file(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	dir, err := d.directory(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	c = new(content)
	dir.do(naming{to: filepath.Base(name), what: c})
	return c, nil
}

// Rename implements durable.FS. Both names must be in one directory.
func (m *Mount) Rename(from, to string) error {
	return m.call(Rename, from, func() error {
		if filepath.Dir(from) != filepath.Dir(to) {
			return errors.ErrUnsupported
		}
		c, err := m.disk.file(from)
		if err != nil {
			return err
		}
		dir, err := m.disk.directory(filepath.Dir(from))
		if err == nil {
			dir.do(naming{from: filepath.Base(from), to: filepath.Base(to), what: c})
		}
		return err
	})
}

// Remove implements durable.FS.
func (m *Mount) Remove(name string) error {
	return m.call(Remove, name, func() error {
		if _, err := m.disk.file(name); err != nil {
			return err
		}
		dir, err := m.disk.directory(filepath.Dir(name))
		if err == nil {
			dir.do(naming{from: filepath.Base(name)})
		}
		return err
	})
}

// Mkdir implements durable.FS.
func (m *Mount) Mkdir(name string) error {
	return m.call(Mkdir, name, func() error {
		dir, err := m.disk.directory(filepath.Dir(name))
		if err != nil {
			return err
		}
		if dir.entries[filepath.Base(name)] != nil {
			return fs.ErrExist
		}
		dir.do(naming{to: filepath.Base(name), what: newDirectory()})
		return nil
	})
}

// List implements durable.FS.
func (m *Mount) List(name string) (names []string, err error) {
	err = m.call(List, name, func() error {
		dir, err := m.disk.directory(name)
		if err == nil {
			names = slices.Sorted(maps.Keys(dir.entries))
		}
		return err
	})
	return names, err
}

// SyncDir implements durable.FS.
func (m *Mount) SyncDir(name string) error {
	m.lock()
	defer m.disk.mu.Unlock()
	f, err := m.enter(SyncDir, name)
	if err != nil {
		return err
	}
	dir, err := m.disk.directory(name)
	if err == nil {
		dir.sync(f.part(len(dir.pending)))
	}
	return m.leave(f, SyncDir, name, err)
}

// Lock implements durable.FS.
func (m *Mount) Lock(name string) (durable.File, error) {
	return m.opened(Lock, name, false, func() (*content, error) {
		c, err := m.disk.made(name)
		if err == nil && m.disk.locks[c] != nil {
			err = durable.ErrLocked
		}
		return c, err
	})
}

// Locked implements durable.FS.
func (m *Mount) Locked(name string) (held bool, err error) {
	err = m.call(Open, name, func() error {
		c, err := m.disk.file(name)
		held = err == nil && m.disk.locks[c] != nil
		return err
	})
	return held, err
}

// part returns how many of n are done when the fault strikes; all, if there is
// none.
func (f *Fault) part(n int) int {
	if f == nil || f.Part >= 1 {
		return n
	}
	return int(f.Part * float64(n))
}

func (f *file) ReadAt(b []byte, offset int64) (n int, err error) {
	err = f.call(Read, func() error {
		if offset < 0 {
			return syscall.EINVAL
		}
		if offset < int64(len(f.content.data)) {
			n = copy(b, f.content.data[offset:])
		}
		return nil
	})
	if err == nil && n < len(b) {
		err = io.EOF // as it is: callers of io.ReaderAt compare it
	}
	return n, err
}

func (f *file) WriteAt(b []byte, offset int64) (n int, err error) {
	m := f.mount
	m.lock()
	defer m.disk.mu.Unlock()
	fault, err := m.enter(Write, f.name)
	if err == nil {
		err = f.usable(Write)
	}
	if err != nil {
		return 0, err
	}
	n = fault.part(len(b))
	if m.disk.capacity > 0 {
		free := max(0, m.disk.capacity-m.disk.root.bytes())
		if fit := max(0, int64(len(f.content.data))+free-offset); int64(n) > fit {
			n, err = int(fit), syscall.ENOSPC
		}
	}
	if n > 0 {
		f.content.do(change{offset: offset, data: slices.Clone(b[:n])})
	}
	return n, m.leave(fault, Write, f.name, err)
}

func (f *file) Size() (size int64, err error) {
	err = f.call(Read, func() error {
		size = int64(len(f.content.data))
		return nil
	})
	return size, err
}

func (f *file) Truncate(size int64) error {
	return f.call(Truncate, func() error {
		f.content.do(change{offset: size, resize: true})
		return nil
	})
}

func (f *file) Sync() error {
	m := f.mount
	m.lock()
	defer m.disk.mu.Unlock()
	fault, err := m.enter(Sync, f.name)
	if err == nil {
		err = f.usable(Sync)
	}
	if err != nil {
		return err
	}
	c := f.content
	c.sync(fault.part(len(c.pending)))
	if fault != nil && fault.ends() == nil {
		// Only the size is still known to be pending.
		c.pending = append(c.pending[:0], change{offset: int64(len(c.data)), resize: true})
	}
	return m.leave(fault, Sync, f.name, nil)
}

func (f *file) Close() error {
	f.mount.disk.mu.Lock()
	defer f.mount.disk.mu.Unlock()
	if f.closed {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.closed = true
	f.mount.open--
	if f.mount.disk.locks[f.content] == f {
		delete(f.mount.disk.locks, f.content)
	}
	return nil
}

// call is one call on the file.
func (f *file) call(kind Kind, do func() error) error {
	return f.mount.call(kind, f.name, func() error {
		if err := f.usable(kind); err != nil {
			return err
		}
		return do()
	})
}

// usable returns why a call on the file cannot be.
func (f *file) usable(kind Kind) error {
	switch {
	case f.closed:
		return fs.ErrClosed
	case f.readOnly && kind != Read:
		return fs.ErrPermission
	default:
		return nil
	}
}
