package simulated

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/daybook-go/daybook/internal/durable"
)

var _ durable.DirectOpener = (*Mount)(nil)

// OpenDirect implements durable.DirectOpener. What is written so is as pending
// as any other write, until a sync of the file through any of its names. A write
// that is not of whole blocks, from memory that begins at one, fails with
// syscall.EINVAL, and not as one that is unsupported: it is a bug of the
// program, and must not be taken for a file system that cannot do it.
func (m *Mount) OpenDirect(name string) (durable.File, error) {
	file, err := m.OpenWrite(name)
	if err != nil {
		return nil, err
	}
	return directFile{file, m}, nil
}

// DirectWrites returns how many writes there were past the page cache.
func (m *Mount) DirectWrites() int {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	return m.direct
}

type directFile struct {
	durable.File
	mount *Mount
}

func (f directFile) WriteAt(b []byte, offset int64) (int, error) {
	address := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	if len(b)%durable.BlockBytes != 0 || offset%durable.BlockBytes != 0 || address%durable.BlockBytes != 0 {
		return 0, fmt.Errorf("%d bytes at %d, from memory at %x, are not whole blocks: %w", len(b), offset, address, syscall.EINVAL)
	}
	f.mount.disk.mu.Lock()
	f.mount.direct++
	f.mount.disk.mu.Unlock()
	return f.File.WriteAt(b, offset)
}
