package disk_test

import (
	"strings"
	"sync/atomic"

	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/storage/disk"
)

// faultyFS is the file system of the machine with something in front of each
// write and sync of the log: it may fail them, hold them up, or count them.
type faultyFS struct {
	disk.FS
	beforeWrite atomic.Pointer[func() error]
	beforeSync  atomic.Pointer[func() error]
	syncs       atomic.Int64
}

func newFaultyFS() *faultyFS { return &faultyFS{FS: durable.OS} }

func (f *faultyFS) onWrite(do func() error) { f.beforeWrite.Store(&do) }
func (f *faultyFS) onSync(do func() error)  { f.beforeSync.Store(&do) }

func (f *faultyFS) OpenWrite(name string) (disk.File, error) {
	file, err := f.FS.OpenWrite(name)
	if err != nil || !strings.HasSuffix(name, ".segment") {
		return file, err
	}
	return faultyFile{file, f}, nil
}

type faultyFile struct {
	disk.File
	fs *faultyFS
}

func (f faultyFile) WriteAt(b []byte, offset int64) (int, error) {
	if do := f.fs.beforeWrite.Load(); do != nil {
		if err := (*do)(); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(b, offset)
}

func (f faultyFile) Sync() error {
	f.fs.syncs.Add(1)
	if do := f.fs.beforeSync.Load(); do != nil {
		if err := (*do)(); err != nil {
			return err
		}
	}
	return f.File.Sync()
}

// lazyFS is the file system of the machine without any sync, for tests in
// which the machine lives on: many stores are opened in little time.
type lazyFS struct{ disk.FS }

func lazily(f disk.File, err error) (disk.File, error) {
	if err != nil {
		return nil, err
	}
	return lazyFile{f}, nil
}

func (l lazyFS) OpenWrite(name string) (disk.File, error) { return lazily(l.FS.OpenWrite(name)) }
func (l lazyFS) Create(name string) (disk.File, error)    { return lazily(l.FS.Create(name)) }
func (l lazyFS) SyncDir(string) error                     { return nil }

type lazyFile struct{ disk.File }

func (lazyFile) Sync() error { return nil }

var lazy = lazyFS{durable.OS}

// gate holds up who passes through it, until it is opened.
type gate struct {
	arrived chan struct{} // somebody waits
	opened  chan struct{}
}

func newGate() *gate { return &gate{arrived: make(chan struct{}, 1), opened: make(chan struct{})} }

func (g *gate) pass() error {
	select {
	case g.arrived <- struct{}{}:
	default:
	}
	<-g.opened
	return nil
}

func (g *gate) open() { close(g.opened) }
