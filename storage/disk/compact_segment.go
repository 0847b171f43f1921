package disk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/daybook-go/daybook"
)

// paceBytes is how much is read and written between two calls of Pace.
const paceBytes = 1 << 20

// pace counts bytes that were read, and waits if need be, or until ctx ends.
func (c *compaction) pace(ctx context.Context, bytes int64) error {
	if c.unpaced += bytes; c.options.Pace == nil || c.unpaced < paceBytes {
		return ctx.Err()
	}
	bytes, c.unpaced = c.unpaced, 0
	return errors.Join(ctx.Err(), c.options.Pace(ctx, bytes))
}

func (c *compaction) paced(ctx context.Context) func(bytes int64) error {
	return func(bytes int64) error { return c.pace(ctx, bytes) }
}

// paceWriting is pace for bytes that are on their way to a file. A sync of all of
// it at the end would hold up those of the log.
func (c *compaction) paceWriting(ctx context.Context, bytes int64, to *bufio.Writer, file File) error {
	if c.options.Pace != nil && c.unpaced+bytes >= paceBytes {
		if err := to.Flush(); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
	}
	return c.pace(ctx, bytes)
}

// rewrite writes a segment anew without the content of the targets.
func (c *compaction) rewrite(ctx context.Context, old *segment) (*segment, error) {
	s := &segment{number: old.number, header: old.header}
	s.header.generation = max(old.header.generation, old.attempted) + 1
	if s.header.generation > maxGeneration {
		return nil, fmt.Errorf("%s cannot be compacted any more", old.name)
	}
	old.attempted = s.header.generation
	s.name = c.log.path(generationName(s.header.first, s.header.generation))
	header := s.header.encode()
	s.seed = seedOf(header)
	err := c.log.index.sealed.writeFile(s.name, func(file File) error {
		to := bufio.NewWriterSize(&fileWriter{file: file, stopping: &c.log.index.sealed.stopping}, scanChunk)
		if _, err := to.Write(append(header, make([]byte, compactedSize)...)); err != nil {
			return err
		}
		size, err := c.copy(old, s, to, func(bytes int64) error { return c.paceWriting(ctx, bytes, to, file) })
		if err == nil {
			err = to.Flush()
		}
		if err != nil {
			return err
		}
		s.end = segmentHeaderSize + compactedSize + size.now
		size.now = s.end
		first := make([]byte, compactedSize)
		size.put(first, &s.header, s.seed)
		if err := writeAll(file, first, segmentHeaderSize); err != nil || !c.released {
			return err
		}
		// A claim is removed that was released, or taken again: a crash must not
		// leave the one without the other.
		return c.writer.syncAll(ctx)
	})
	s.written.Store(s.end)
	return s, err
}

// errDue ends the look for what is to be removed.
var errDue = errors.New("something is to be removed")

// isDue reports whether a segment has content that is to be removed.
func (c *compaction) isDue(ctx context.Context, old *segment) (bool, error) {
	_, err := c.log.reader(old, old.end, scanChunk).walk(segmentHeaderSize, func(f *frame) error {
		_, changed, err := c.after(f)
		if err == nil && changed {
			err = errDue
		}
		return errors.Join(err, c.pace(ctx, f.size()))
	})
	if errors.Is(err, errDue) {
		return true, nil
	}
	return false, c.explain(old, err)
}

// copy writes the frames of a segment behind the first of the new one. It returns
// what that must tell, with the size of what it wrote.
func (c *compaction) copy(old, s *segment, to io.Writer, pace func(bytes int64) error) (size compacted, err error) {
	c.writer.mu.Lock() // the next one may have been begun, and not be shown yet
	size.original = c.writer.segmentAt(old.number + 1).header.previousBytes
	c.writer.mu.Unlock()
	offset := int64(segmentHeaderSize + compactedSize)
	s.mark(segmentHeaderSize, s.header.first, s.header.floor, true)
	header := make([]byte, frameHeaderSize)
	_, err = c.log.reader(old, old.end, scanChunk).walk(segmentHeaderSize, func(f *frame) error {
		if f.kind == kindCompacted {
			return nil
		}
		body, changed, err := c.after(f)
		if err != nil {
			return err
		}
		h := f.frameHeader
		if changed {
			if h.kind == kindChangeset {
				c.removed++
			}
			h.kind, h.bodyBytes, h.bodySum = kindBones, int64(len(body)), crc32.Checksum(body, castagnoli)
		}
		h.durable = segmentHeaderSize
		h.put(header, s.seed, offset)
		s.mark(offset, h.position, fromMicros(h.recorded), !h.isChangeset())
		if _, err := to.Write(header); err != nil {
			return err
		}
		_, err = to.Write(body)
		offset += h.size()
		return errors.Join(err, pace(f.size()+h.size()))
	})
	size.now = offset - segmentHeaderSize - compactedSize
	return size, c.explain(old, err)
}

// after returns the body of a frame as it is to be, and whether that is another.
func (c *compaction) after(f *frame) (body []byte, changed bool, err error) {
	if !f.isChangeset() {
		return f.body, false, nil
	}
	parts, ok := decodeChangeset(f)
	if !ok {
		return nil, false, &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error(), sound: true}
	}
	last := f.first + daybook.Version(f.count) - 1
	if f.kind == kindChangeset && last > c.targets[parts.stream] {
		return f.body, false, nil
	}
	if f.kind == kindBones && len(parts.claims) == 0 {
		return f.body, false, nil
	}
	body, ok = bones(f, func(id daybook.StreamID, claim daybook.Claim) bool {
		c.log.mu.RLock()
		defer c.log.mu.RUnlock()
		x := &c.log.index
		h := x.shownTaken(claimKey{id.Partition, claim})
		held := h.held && h.stream == id && h.since == f.first && x.hidings.of(id, shownView).Emptied < h.since
		c.released = c.released || !held
		return held
	})
	if !ok {
		return nil, false, &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error(), sound: true}
	}
	return body, f.kind == kindChangeset || len(body) != len(f.body) || string(body) != string(f.body), nil
}

// explain returns the error for what is wrong in a segment.
func (c *compaction) explain(s *segment, err error) error {
	if fault, ok := errors.AsType[*frameError](err); ok {
		return &daybook.CorruptError{File: s.name, Offset: fault.offset, Position: max(fault.position, s.header.first), Reason: fault.reason}
	}
	return err
}
