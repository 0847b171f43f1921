package disk_test

import (
	"errors"
	"sync/atomic"

	"github.com/daybook-go/daybook/storage/disk"
)

var errDied = errors.New("the process has ended")

// dyingFS is a file system under a process that ends at the nth call that
// changes something: half of that is done if it is a write, and nothing after.
// What it leaves is what a kill leaves.
type dyingFS struct {
	disk.FS
	at    int64 // 0: never
	calls atomic.Int64
}

// alive counts a call, and reports whether it is done whole, or half.
func (d *dyingFS) alive() (whole, half bool) {
	n := d.calls.Add(1)
	return d.at == 0 || n < d.at, n == d.at
}

func (d *dyingFS) do(call func() error) error {
	if whole, _ := d.alive(); !whole {
		return errDied
	}
	return call()
}

func (d *dyingFS) Rename(from, to string) error {
	return d.do(func() error { return d.FS.Rename(from, to) })
}

func (d *dyingFS) Remove(name string) error { return d.do(func() error { return d.FS.Remove(name) }) }
func (d *dyingFS) Mkdir(dir string) error   { return d.do(func() error { return d.FS.Mkdir(dir) }) }

func (d *dyingFS) Create(name string) (file disk.File, err error) {
	err = d.do(func() error { file, err = d.FS.Create(name); return err })
	return dyingFile{file, d}, err
}

func (d *dyingFS) OpenWrite(name string) (disk.File, error) {
	file, err := d.FS.OpenWrite(name)
	return dyingFile{file, d}, err
}

func (d *dyingFS) Lock(name string) (disk.File, error) {
	file, err := d.FS.Lock(name)
	return dyingFile{file, d}, err
}

type dyingFile struct {
	disk.File
	fs *dyingFS
}

func (f dyingFile) WriteAt(b []byte, offset int64) (int, error) {
	whole, half := f.fs.alive()
	if whole {
		return f.File.WriteAt(b, offset)
	}
	if half {
		n, err := f.File.WriteAt(b[:len(b)/2], offset)
		return n, errors.Join(errDied, err)
	}
	return 0, errDied
}

func (f dyingFile) Truncate(size int64) error {
	return f.fs.do(func() error { return f.File.Truncate(size) })
}

// readOnlyFS is a medium that cannot be written: every call that would change
// something fails.
func readOnlyFS(under disk.FS) disk.FS {
	fsys := &dyingFS{FS: under, at: 1}
	return lockless{fsys}
}

// lockless refuses to lock, as what makes a file does.
type lockless struct{ disk.FS }

func (lockless) Lock(string) (disk.File, error)      { return nil, errDied }
func (lockless) OpenWrite(string) (disk.File, error) { return nil, errDied }
