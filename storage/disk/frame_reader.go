package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/daybook-go/daybook"
)

// frame is a frame that was read. Its body is valid until the next is read.
type frame struct {
	frameHeader
	offset  int64
	body    []byte
	checked bool // the checksum of the body matches
}

// check compares the body with its checksum, unless that was done before.
func (f *frame) check() error {
	if f.checked {
		return nil
	}
	if reason := f.checkBody(f.body); reason != "" {
		return &frameError{offset: f.offset, position: f.position, reason: reason}
	}
	f.checked = true
	return nil
}

// frameError says why no frame can be read at an offset of a segment.
type frameError struct {
	offset   int64
	position daybook.Position // of the frame; 0 where its header cannot be read
	reason   string
	// sound is set when the bytes are as they were written, and still cannot
	// be right. No crash does that.
	sound bool
}

func (e *frameError) Error() string { return fmt.Sprintf("offset %d: %s", e.offset, e.reason) }

// frameReader reads the frames of one segment through a window, and checks
// each. It holds one window, as large as chunk or as the largest frame.
type frameReader struct {
	source io.ReaderAt
	seed   uint32
	limit  int64 // no frame reaches beyond it
	chunk  int64 // read at least so much at once
	// grow is how large chunk may become: it doubles with each read that goes
	// on where the one before it ended. 0: it stays.
	grow   int64
	window []byte
	start  int64 // offset of the window
}

// at returns the frame at an offset. A *frameError says that there is none.
func (r *frameReader) at(offset int64) (f frame, err error) {
	err = r.read(&f, offset)
	return f, err
}

// read is at with the frame put into f.
func (r *frameReader) read(f *frame, offset int64) error {
	if err := r.take(f, offset); err != nil {
		return err
	}
	return f.check()
}

// take is read, but leaves it to the caller to check the body. What is made of
// the body must not be shown before that.
func (r *frameReader) take(f *frame, offset int64) error {
	b := r.ahead(offset)
	if int64(len(b)) < frameHeaderSize {
		var err error
		if b, err = r.bytes(offset, frameHeaderSize); err != nil {
			return err
		}
	}
	f.offset, f.checked = offset, false
	if sound, reason := f.decode(b, r.seed, offset); reason != "" {
		return &frameError{offset: offset, reason: reason, sound: sound}
	}
	size := f.size()
	if int64(len(b)) < size {
		var err error
		if b, err = r.bytes(offset, size); err != nil {
			if fault, ok := errors.AsType[*frameError](err); ok {
				fault.position = f.position
			}
			return err
		}
	}
	f.body = b[frameHeaderSize:size:size]
	return nil
}

// skim is read without the body.
func (r *frameReader) skim(f *frame, offset int64) error {
	b, err := r.bytes(offset, frameHeaderSize)
	if err != nil {
		return err
	}
	if sound, reason := f.decode(b, r.seed, offset); reason != "" {
		return &frameError{offset: offset, reason: reason, sound: sound}
	}
	f.offset, f.body, f.checked = offset, nil, false
	return nil
}

// ahead returns what the window holds from the offset on.
func (r *frameReader) ahead(offset int64) []byte {
	if from := offset - r.start; from >= 0 && from <= int64(len(r.window)) {
		return r.window[from:]
	}
	return nil
}

// hop returns where the last frame begins that stands between two offsets and
// does not begin above a position. It goes by lengths that it does not check,
// so whoever reads the frame must look whether it is the one.
func (r *frameReader) hop(from, until int64, position daybook.Position) int64 {
	found := from
	for offset := from; offset < until; {
		b, err := r.bytes(offset, frameHeaderSize)
		if err != nil {
			break
		}
		size, first := peekFrameHeader(b)
		if first > position || size%frameAlign != 0 {
			break
		}
		found = offset
		offset += size
	}
	return found
}

// bytes returns n bytes from the offset on.
func (r *frameReader) bytes(offset, n int64) ([]byte, error) {
	if n > r.limit-offset {
		return nil, &frameError{offset: offset, reason: "the file ends within a frame"}
	}
	if from := offset - r.start; from >= 0 && from+n <= int64(len(r.window)) {
		return r.window[from : from+n], nil
	}
	return r.move(offset, n)
}

// move is bytes for what the window does not hold.
func (r *frameReader) move(offset, n int64) ([]byte, error) {
	if r.chunk < r.grow && len(r.window) > 0 && offset > r.start && offset <= r.start+int64(len(r.window)) {
		r.chunk = min(2*r.chunk, r.grow)
	}
	if err := r.fetch(offset, max(n, r.chunk)); err != nil && int64(len(r.window)) < n {
		if errors.Is(err, io.EOF) {
			return nil, &frameError{offset: offset, reason: "the file ends within a frame"}
		}
		return nil, err
	}
	return r.window[:n], nil
}

// fetch moves the window to an offset, and makes it hold so many bytes, or all
// that there are below the limit.
func (r *frameReader) fetch(offset, size int64) error {
	size = min(size, r.limit-offset)
	if int64(cap(r.window)) < size {
		r.window = make([]byte, size)
	}
	r.window, r.start = r.window[:size], offset
	n, err := r.source.ReadAt(r.window, offset)
	r.window = r.window[:n]
	if int64(n) < size && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// cover makes the window hold what stands between two offsets, so that it can
// be read in any order. It may fail to; then reading tells why.
func (r *frameReader) cover(from, to int64) {
	if from < r.start || min(to, r.limit) > r.start+int64(len(r.window)) {
		_ = r.fetch(from, to-from)
	}
}

// walk visits the frames from an offset up to the limit. It returns where the
// last append ended whose frames were all visited; at the limit, without an
// error. The offset must be one at which an append begins.
func (r *frameReader) walk(from int64, visit func(*frame) error) (whole int64, err error) {
	whole = from
	for offset := from; offset < r.limit; {
		f, err := r.at(offset)
		if err != nil {
			return whole, err
		}
		if err := visit(&f); err != nil {
			return whole, err
		}
		offset += f.size()
		if !f.more() {
			whole = offset
		}
	}
	if whole < r.limit {
		return whole, &frameError{offset: r.limit, reason: "the log ends within an append"}
	}
	return whole, nil
}

// provesBeyond looks behind a damaged offset for the header of a frame that
// was written when more than so many bytes of the segment were known to be
// synced. A header alone is proof: it has a checksum of its own, and its place
// is part of it.
func (r *frameReader) provesBeyond(damaged, synced int64) (bool, error) {
	for at := damaged + frameAlign; at+frameHeaderSize <= r.limit; at += frameAlign {
		b, err := r.bytes(at, frameHeaderSize)
		if err != nil {
			return false, err
		}
		if binary.LittleEndian.Uint32(b) != frameMagic {
			continue
		}
		if header, _, reason := decodeFrameHeader(b, r.seed, at); reason == "" && header.durable > synced {
			return true, nil
		}
	}
	return false, nil
}

// blankFrom reports whether there are only zeros from the offset on: room that
// was made for what did not come.
func (r *frameReader) blankFrom(offset int64) (bool, error) {
	for offset < r.limit {
		b, err := r.bytes(offset, min(r.chunk, r.limit-offset))
		if err != nil {
			return false, err
		}
		for len(b) >= 8 {
			if binary.LittleEndian.Uint64(b) != 0 {
				return false, nil
			}
			b, offset = b[8:], offset+8
		}
		for _, c := range b {
			if c != 0 {
				return false, nil
			}
			offset++
		}
	}
	return true, nil
}
