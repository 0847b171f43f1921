package peer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// zeroedSpace is how much of a file of the bounds is written with zeros and
// synced before anything is measured. Behind its end the bounds begin again at
// the start: the bound is what the disk takes, not what making room costs.
const zeroedSpace = 128 << 20

// groupBytes is where a group of the bound takes no more callers.
const groupBytes = 4 << 20

// zeroedFile is a file of a fixed size that was written before, and the place
// in it where the next write goes.
type zeroedFile struct {
	file *os.File
	size int64
	end  int64 // where the next write goes
	last int64 // where the writes ended before they began again at the start
}

// openZeroed opens the log of a bound: a fresh one of the size, or with keep
// the one that is there.
func openZeroed(dir string, size int64, keep bool) (*zeroedFile, error) {
	name := filepath.Join(dir, "log")
	if keep {
		file, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		z := &zeroedFile{file: file, size: size}
		err = scanFrames(file, func(f frame) error {
			z.end += int64(frameHeader + len(f.data))
			return nil
		})
		return z, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	zeros := bufio.NewWriterSize(file, 1<<20)
	_, err = io.CopyN(zeros, zeroReader{}, size)
	if err = errors.Join(err, zeros.Flush(), file.Sync()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &zeroedFile{file: file, size: size}, nil
}

// write puts bytes behind those of the last write and syncs them.
func (z *zeroedFile) write(bytes []byte) error {
	if int64(len(bytes)) > z.size {
		return fmt.Errorf("%d bytes at once, the space has %d", len(bytes), z.size)
	}
	if z.end+int64(len(bytes)) > z.size {
		z.last, z.end = z.end, 0
	}
	if _, err := z.file.WriteAt(bytes, z.end); err != nil {
		return err
	}
	z.end += int64(len(bytes))
	return unix.Fdatasync(int(z.file.Fd()))
}

// scan hands over every frame, from the first that was written. It refuses
// where the beginning was written over.
func (z *zeroedFile) scan(visit func(f frame) error) error {
	if z.last > 0 {
		return errors.New("the beginning of the log was written over")
	}
	return scanFrames(io.NewSectionReader(z.file, 0, z.end), visit)
}

// readStream is ReadStream of the bounds: they have no index.
func (z *zeroedFile) readStream(stream string, visit func(version int64, data []byte) error) error {
	hash := streamHash(stream)
	return z.scan(func(f frame) error {
		if f.stream != hash {
			return nil
		}
		return visit(f.version, f.data)
	})
}

// zeroReader reads as zeros.
type zeroReader struct{}

func (zeroReader) Read(into []byte) (int, error) {
	clear(into)
	return len(into), nil
}

// bound is the physical bound of all that is durable: callers that share a
// write and a sync, and nothing else. It knows no heads and has no index.
type bound struct {
	committer[frames]
	log *zeroedFile

	// Guarded by committer.mu.
	position int64
}

// frames is what one sync of the bound stores.
type frames struct{ bytes []byte }

func openBound(_ context.Context, place Place) (Peer, error) {
	return newBound(place.Dir, zeroedSpace, place.Keep)
}

func newBound(dir string, size int64, keep bool) (*bound, error) {
	log, err := openZeroed(dir, size, keep)
	if err != nil {
		return nil, err
	}
	b := &bound{log: log}
	b.commit = func(group *frames) error { return log.write(group.bytes) }
	b.full = func(group *frames) bool { return len(group.bytes) >= groupBytes }
	b.empty = func(group *frames) { group.bytes = group.bytes[:0] }
	return b, nil
}

// Append implements Peer.
func (b *bound) Append(_ context.Context, appends ...Append) error {
	return b.do(func(group *frames) {
		for i := range appends {
			group.bytes = appendFrames(group.bytes, &b.position, &appends[i])
		}
	})
}

// appendFrames appends the events of an append, at the positions behind the
// one that is given.
func appendFrames(buffer []byte, position *int64, a *Append) []byte {
	stream := streamHash(a.Stream)
	for i := range a.Events {
		*position++
		buffer = appendFrame(buffer, *position, a.First+int64(i), stream, a.Events[i].Data)
	}
	return buffer
}

// ReadStream implements Peer.
func (b *bound) ReadStream(_ context.Context, stream string, visit func(version int64, data []byte) error) error {
	return b.log.readStream(stream, visit)
}

// ReadLog implements LogReader.
func (b *bound) ReadLog(_ context.Context, visit func(data []byte) error) error {
	return b.log.scan(func(f frame) error { return visit(f.data) })
}

// Close implements Peer.
func (b *bound) Close() error { return b.log.file.Close() }

// bare is what one writer does at best: a write and a sync an append.
type bare struct {
	mu       sync.Mutex // guards all below
	log      *zeroedFile
	position int64
	buffer   []byte
}

func openBare(_ context.Context, place Place) (Peer, error) {
	log, err := openZeroed(place.Dir, zeroedSpace, place.Keep)
	if err != nil {
		return nil, err
	}
	return &bare{log: log}, nil
}

// Append implements Peer.
func (b *bare) Append(_ context.Context, appends ...Append) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buffer = b.buffer[:0]
	for i := range appends {
		b.buffer = appendFrames(b.buffer, &b.position, &appends[i])
	}
	return b.log.write(b.buffer)
}

// ReadStream implements Peer.
func (b *bare) ReadStream(_ context.Context, stream string, visit func(version int64, data []byte) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.readStream(stream, visit)
}

// Close implements Peer.
func (b *bare) Close() error { return b.log.file.Close() }
