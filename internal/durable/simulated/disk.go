// Package simulated is a disk in memory under a durable.FS, for tests: it
// knows what was synced, and what a crash may take.
//
// A [Disk] holds two states of each file and directory: what running programs
// see, and what is on the disk for certain. What stands between is pending. A
// program runs on a [Mount]. [Mount.Kill] ends the program, and pending things
// stay, as they do in the memory of a machine; [Disk.Crash] ends the machine,
// and of what is pending a random part survives, whole or torn, what was written
// later also without what was written before. A [Fault] makes one call fail, or ends the program or the machine in
// the middle of it.
//
// What it promises a program is what POSIX does, and not more:
//
//  1. Sync of a file puts its bytes and its size on the disk, and not its name.
//  2. SyncDir puts on the disk what was made, renamed and removed in that
//     directory.
//  3. A rename is done or not; in between, both names or none are never seen.
//  4. Nothing else is ordered, between files, between directories, or between
//     the writes of one file. With [Journal] the changes of names in one
//     directory survive in the order in which they were made; with [NoOrder]
//     any of them may.
//  5. Bytes that were synced change only by [Disk.Flip].
//  6. A Sync that fails leaves the bytes readable and forgets that they are to
//     be written, as Linux does: the next Sync of the same file succeeds, and
//     they are not on the disk.
package simulated

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Disk is a simulated disk. It may be used by many goroutines at once.
type Disk struct {
	mu       sync.Mutex // guards everything that the disk holds, and its mounts
	root     *directory
	mounted  *Mount
	beside   []*Mount // other programs, which have not ended
	locks    map[*content]*file
	capacity int64 // in bytes; 0 is no limit
}

// ErrPowerOff is matched by the errors of a mount whose machine crashed, and
// ErrKilled by those of a mount whose program was killed.
var (
	ErrPowerOff = errors.New("the machine is off")
	ErrKilled   = errors.New("the program was killed")
)

// New returns an empty disk.
func New() *Disk {
	return &Disk{root: newDirectory(), locks: map[*content]*file{}}
}

// SetCapacity bounds what the files may hold together, in bytes; writes beyond
// it are cut short and fail with syscall.ENOSPC. 0 is no limit. What the files
// hold already stays.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// Used returns what the files hold together, in bytes.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.root.bytes()
}

// List returns the names of the files in a directory, sorted; none if there is
// no such directory.
func (d *Disk) List(dir string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, err := d.directory(dir)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(found.entries))
}

// Read returns what running programs see of a file, and what of it is on the
// disk for certain; nil for a file that is not there.
func (d *Disk) Read(name string) (seen, synced []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.file(name)
	if err != nil {
		return nil, nil
	}
	return slices.Clone(c.data), slices.Clone(c.stable)
}

// Copy returns a disk that holds the same, with nothing mounted.
func (d *Disk) Copy() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	copied := New()
	copied.root, copied.capacity = d.root.copy(map[any]any{}).(*directory), d.capacity
	return copied
}

// Flip turns one bit of a byte of a file, on the disk and in memory.
func (d *Disk) Flip(name string, offset int64, bit uint) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.file(name)
	switch {
	case err != nil:
		return err
	case offset >= int64(len(c.data)) || offset >= int64(len(c.stable)):
		return fmt.Errorf("%s has no synced byte at offset %d", name, offset)
	}
	c.data[offset] ^= 1 << bit
	c.stable[offset] ^= 1 << bit
	return nil
}

// content is a file, whatever its names are.
type content struct {
	data    []byte   // as programs see it
	stable  []byte   // as it is on the disk
	pending []change // what was done to data and not to stable, in order
}

// change is a write, or a change of size.
type change struct {
	offset int64
	data   []byte
	resize bool // to offset
}

// do makes a change as programs see it.
func (c *content) do(changed change) {
	c.data = changed.apply(c.data)
	c.pending = append(c.pending, changed)
}

// apply returns b with the change made.
func (c change) apply(b []byte) []byte {
	if c.resize {
		return resized(b, c.offset)
	}
	end := c.offset + int64(len(c.data))
	if end > int64(len(b)) {
		b = resized(b, end)
	}
	copy(b[c.offset:end], c.data)
	return b
}

// resized returns b cut, or with zeros behind it.
func resized(b []byte, size int64) []byte {
	if old := int64(len(b)); size > old {
		b = slices.Grow(b, int(size-old))[:size]
		clear(b[old:])
	}
	return b[:size]
}

// sync puts the first n pending changes on the disk; with all of them the size
// too.
func (c *content) sync(n int) {
	for _, changed := range c.pending[:n] {
		c.stable = changed.apply(c.stable)
	}
	c.pending = slices.Delete(c.pending, 0, n)
	if len(c.pending) == 0 {
		c.stable = resized(c.stable, int64(len(c.data)))
	}
}

// directory holds files and directories by name.
type directory struct {
	entries map[string]any // *content or *directory
	stable  map[string]any
	pending []naming
}

// naming is a change of names: to is made to mean what, if that is not nil;
// from is removed, if it means that.
type naming struct {
	from, to string
	what     any
}

func newDirectory() *directory {
	return &directory{entries: map[string]any{}, stable: map[string]any{}}
}

func (d *directory) do(n naming) {
	n.apply(d.entries)
	d.pending = append(d.pending, n)
}

func (n naming) apply(entries map[string]any) {
	if n.from != "" && (n.to == "" || entries[n.from] == n.what) {
		delete(entries, n.from)
	}
	if n.to != "" {
		entries[n.to] = n.what
	}
}

// sync puts the first n pending changes of names on the disk.
func (d *directory) sync(n int) {
	for _, changed := range d.pending[:n] {
		changed.apply(d.stable)
	}
	d.pending = slices.Delete(d.pending, 0, n)
}

// copy returns the directory with everything in it. What has several names, now
// or pending, is one thing in the copy too.
func (d *directory) copy(copies map[any]any) any {
	if d, ok := copies[d]; ok {
		return d
	}
	copied := newDirectory()
	copies[d] = copied
	one := func(entry any) any {
		switch e := entry.(type) {
		case *directory:
			return e.copy(copies)
		case *content:
			if copies[e] == nil {
				copies[e] = &content{data: slices.Clone(e.data), stable: slices.Clone(e.stable), pending: slices.Clone(e.pending)}
			}
			return copies[e]
		default:
			return nil
		}
	}
	for name, entry := range d.entries {
		copied.entries[name] = one(entry)
	}
	for name, entry := range d.stable {
		copied.stable[name] = one(entry)
	}
	for _, n := range d.pending {
		n.what = one(n.what)
		copied.pending = append(copied.pending, n)
	}
	return copied
}

func (d *directory) bytes() (sum int64) {
	for _, entry := range d.entries {
		switch e := entry.(type) {
		case *content:
			sum += int64(len(e.data))
		case *directory:
			sum += e.bytes()
		}
	}
	return sum
}

// directory returns the directory of a name.
func (d *Disk) directory(name string) (*directory, error) {
	at := d.root
	for part := range strings.SplitSeq(filepath.ToSlash(filepath.Clean(name)), "/") {
		if part == "" || part == "." {
			continue
		}
		switch entry := at.entries[part].(type) {
		case *directory:
			at = entry
		case *content:
			return nil, syscall.ENOTDIR
		default:
			return nil, fs.ErrNotExist
		}
	}
	return at, nil
}

// file returns the file of a name.
func (d *Disk) file(name string) (*content, error) {
	dir, err := d.directory(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	switch entry := dir.entries[filepath.Base(name)].(type) {
	case *content:
		return entry, nil
	case *directory:
		return nil, syscall.EISDIR
	default:
		return nil, fs.ErrNotExist
	}
}
