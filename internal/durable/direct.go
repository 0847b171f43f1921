package durable

import "unsafe"

// DirectOpener is offered by file systems that can write past the page cache:
// large writes cost little processor time so, and what was written is read
// from the disk when it is read next.
type DirectOpener interface {
	// OpenDirect opens a file that is there for writing. Offsets, lengths and
	// the memory that is written from must be multiples of BlockBytes; see
	// Blocks. Where the file cannot be written so, opening or writing fails
	// with an error that matches errors.ErrUnsupported, and nothing is written.
	OpenDirect(name string) (File, error)
}

// BlockBytes is what a disk writes as a whole, and a multiple of it where it
// writes less.
const BlockBytes = 4 << 10

// Blocks returns memory that begins at a multiple of BlockBytes.
func Blocks(size int) []byte {
	b := make([]byte, size+BlockBytes)
	over := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % BlockBytes)
	from := (BlockBytes - over) % BlockBytes
	return b[from : from+size : from+size]
}

// WholeBlocks returns size rounded up to whole blocks.
func WholeBlocks(size int) int { return (size + BlockBytes - 1) / BlockBytes * BlockBytes }
