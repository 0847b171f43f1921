package disk

import (
	"errors"
	"fmt"

	"github.com/daybook-go/daybook/internal/durable"
)

// What the writer does with the file of the segment that it writes. All of it
// is done by who leads, or while nobody does.

// directBytes is how much a write must have to go past the page cache. Smaller
// ones stay in it, where they are likely to be read from soon; for larger ones,
// filling the cache costs several times as much as writing.
const directBytes = 128 << 10

// writeBlocks writes whole blocks, without a sync.
func (w *writer) writeBlocks(blocks []byte, offset int64) error {
	if len(blocks) >= directBytes && !w.buffered {
		err := w.writeDirect(blocks, offset)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		w.buffered = true
	}
	return writeAll(w.file, blocks, offset)
}

func (w *writer) writeDirect(blocks []byte, offset int64) error {
	if w.direct == nil {
		fsys, ok := w.fs.(durable.DirectOpener)
		if !ok {
			return errors.ErrUnsupported
		}
		file, err := fsys.OpenDirect(w.fileName)
		if err != nil {
			return err
		}
		w.direct = file
	}
	return writeAll(w.direct, blocks, offset)
}

// openFile opens the file of a segment.
func (w *writer) openFile(s *segment) (err error) {
	w.file, err = w.fs.OpenWrite(s.name)
	w.opened, w.fileName = s, s.name
	return err
}

func (w *writer) closeFile() error {
	err := w.file.Close()
	if w.direct != nil {
		err = errors.Join(err, w.direct.Close())
	}
	w.file, w.direct = nil, nil
	return err
}

// readBlock reads what the last block of the file holds of the log.
func (w *writer) readBlock() error {
	w.block = make([]byte, w.next%durable.BlockBytes)
	if n, err := w.file.ReadAt(w.block, w.next-int64(len(w.block))); n < len(w.block) {
		return fmt.Errorf("read the end of %s: %w", w.fileName, err)
	}
	return nil
}

// begin seals the segment that was written last and makes the file of s. All
// of the old one, and nothing behind it, is on the disk before the new one is:
// so in every segment but the last, nothing can be torn.
func (w *writer) begin(s *segment, takesRoom bool) error {
	if err := w.cutTo(s.header.previousBytes); err != nil {
		return err
	}
	if err := w.closeFile(); err != nil {
		return err
	}
	before := w.opened
	if err := w.makeFile(s, takesRoom); durable.IsFull(err) {
		return w.unmade(s, before, err)
	} else if err != nil {
		return err
	}
	if err := w.openFile(s); err != nil {
		return err
	}
	s.written.Store(segmentHeaderSize)
	w.log.seal(s.number)
	return nil
}

// cutTo syncs the file that is written, without the room behind its end.
func (w *writer) cutTo(end int64) error {
	size, err := w.file.Size()
	if err != nil {
		return err
	}
	if size > end {
		if err := w.file.Truncate(end); err != nil {
			return err
		}
	}
	return w.file.Sync()
}

// makeFile makes the file of s: of the room, or anew.
func (w *writer) makeFile(s *segment, takesRoom bool) error {
	if !takesRoom {
		return durable.WriteFile(w.fs, s.name, s.header.encode())
	}
	file, err := w.fs.OpenWrite(w.room.name)
	if err != nil {
		return err
	}
	err = writeAll(file, s.header.encode(), 0)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return w.room.rename(w.log.dir, s.name)
}
