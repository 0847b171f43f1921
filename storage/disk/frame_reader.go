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
	offset int64
	body   []byte
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
	b, err := r.bytes(offset, frameHeaderSize)
	if err != nil {
		return err
	}
	if sound, reason := f.decode(b, r.seed, offset); reason != "" {
		return &frameError{offset: offset, reason: reason, sound: sound}
	}
	f.offset = offset
	if b, err = r.bytes(offset, f.size()); err != nil {
		if fault, ok := errors.AsType[*frameError](err); ok {
			fault.position = f.position
		}
		return err
	}
	f.body = b[frameHeaderSize:]
	if reason := f.checkBody(f.body); reason != "" {
		return &frameError{offset: offset, position: f.position, reason: reason}
	}
	return nil
}

// bytes returns n bytes from the offset on.
func (r *frameReader) bytes(offset, n int64) ([]byte, error) {
	if n > r.limit-offset {
		return nil, &frameError{offset: offset, reason: "the file ends within a frame"}
	}
	if from := offset - r.start; from >= 0 && from+n <= int64(len(r.window)) {
		return r.window[from : from+n], nil
	}
	size := min(max(n, r.chunk), r.limit-offset)
	if int64(cap(r.window)) < size {
		r.window = make([]byte, size)
	}
	r.window, r.start = r.window[:size], offset
	read, err := r.source.ReadAt(r.window, offset)
	r.window = r.window[:read]
	if int64(read) >= n {
		return r.window[:n], nil
	}
	if errors.Is(err, io.EOF) {
		return nil, &frameError{offset: offset, reason: "the file ends within a frame"}
	}
	return nil, err
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

// blankFrom reports whether there are only zeros from the offset on: space
// that was made ready and not used.
func (r *frameReader) blankFrom(offset int64) (bool, error) {
	for offset < r.limit {
		b, err := r.bytes(offset, min(r.chunk, r.limit-offset))
		if err != nil {
			return false, err
		}
		for _, c := range b {
			if c != 0 {
				return false, nil
			}
		}
		offset += int64(len(b))
	}
	return true, nil
}
