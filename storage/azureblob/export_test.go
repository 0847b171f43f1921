package azureblob

import (
	"os"
	"syscall"

	"github.com/daybook-go/daybook/internal/durable"
)

// WithBlocks returns options for a service whose blobs take so many blocks.
func WithBlocks(options Options, blocks int) *Options {
	options.blocks = blocks
	return &options
}

// BreakCopy lets nothing be written to the copy of a log until mend is called.
func BreakCopy(d *Driver) (mend func()) {
	c := d.log.copy.(*fileCopy)
	whole := c.file
	d.log.mu.Lock()
	c.file = brokenFile{whole}
	d.log.mu.Unlock()
	return func() {
		d.log.mu.Lock()
		c.file = whole
		d.log.mu.Unlock()
	}
}

type brokenFile struct{ durable.File }

func (brokenFile) WriteAt([]byte, int64) (int, error) {
	return 0, &os.PathError{Op: "write", Path: fileName, Err: syscall.ENOSPC}
}

// Frame returns the frame of a payload.
func Frame(key uint32, payload []byte) []byte { return appendFrame(nil, key, payload) }
