package disk

import (
	"errors"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/daybook-go/daybook/internal/durable"
)

// spareName, with durable.Unfinished behind it, is the file that becomes the
// next segment.
const spareName = "SPARE"

const (
	// largeRound is how large a round must be to want no room: writing the
	// room costs it more than it saves.
	largeRound = 512 << 10
	// roomAfter is how much a process writes into a segment before it makes
	// room ahead. Less is not worth it.
	roomAfter = 64 << 10
	// firstRoom is how much the first room has; each further one has twice as
	// much as the one before, up to that of a segment.
	firstRoom = 2 << 20
	// leastPiece and mostPiece bound how much is written at once: as much as the
	// log has come forward. Little at a time holds up the sync of the log less
	// than much; but each write costs.
	leastPiece = 64 << 10
	mostPiece  = 1 << 20
	// roomPace is how many bytes of the first room are written for each byte
	// of the log.
	roomPace = 32
)

// room makes the file of the next segment ready while the present one is
// written: full of zeros and on the disk. A write into such space changes
// nothing but the data, so that its sync is about half as long. It is done in
// small pieces, as the log grows, so that they are hardly felt.
type room struct {
	fs     FS
	name   string
	logger *slog.Logger

	mu      sync.Mutex // guards all below
	moved   *sync.Cond // allowed, closed or running has changed
	size    int64      // of the file that is being made, or is ready
	allowed int64      // so much of it may be written by now
	running bool       // a goroutine makes the file
	ready   bool       // the file is there
	taken   bool       // it is about to be renamed
	made    bool       // there may be something to remove
	closed  bool       // nothing more is made
	held    bool       // nothing is made for now: there is no room for it
}

func newRoom(fsys FS, name string, logger *slog.Logger) *room {
	r := &room{fs: fsys, name: name + durable.Unfinished, logger: logger}
	r.moved = sync.NewCond(&r.mu)
	return r
}

// allow lets room of a size be made, up to so many bytes of it.
func (r *room) allow(size, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.held || r.ready || r.taken {
		return
	}
	if !r.running {
		r.running, r.made, r.size, r.allowed = true, true, int64(durable.WholeBlocks(int(size))), 0
		go r.make()
	}
	if bytes >= r.allowed+leastPiece || bytes >= r.size {
		r.allowed = bytes
		r.moved.Broadcast()
	}
}

// isReady reports whether take would return room.
func (r *room) isReady() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ready
}

// take returns the size of the room if it is ready. No other is made before
// it is renamed.
func (r *room) take() (size int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ready {
		return 0, false
	}
	r.ready, r.taken = false, true
	return r.size, true
}

// rename makes the room that was taken the named file, and that durable.
func (r *room) rename(dir, name string) error {
	if err := r.fs.Rename(r.name, name); err != nil {
		return err
	}
	if err := r.fs.SyncDir(dir); err != nil {
		return err
	}
	r.mu.Lock()
	r.taken = false
	r.mu.Unlock()
	return nil
}

// make writes the file. Without room the log just grows, so a failure ends
// nothing else.
func (r *room) make() {
	err := r.fill()
	if err != nil {
		// What was made is in the way of the log. What cannot be removed is
		// removed by the next writer.
		_ = r.fs.Remove(r.name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && !r.closed && !r.held {
		r.logger.Warn("no room can be made ahead of the log: it is written into files that grow, which is slower",
			"file", r.name, "error", err)
	}
	r.running, r.ready = false, err == nil && !r.closed && !r.held
	r.held = r.held || err != nil
	r.moved.Broadcast()
}

// giveBack removes what was made, and lets nothing be made until resume. It
// reports whether there was anything.
func (r *room) giveBack() bool {
	r.mu.Lock()
	there := r.running || r.ready || r.taken
	r.held = true
	r.moved.Broadcast()
	for r.running {
		r.moved.Wait()
	}
	r.ready, r.taken = false, false
	r.mu.Unlock()
	if !there {
		return false
	}
	err := r.fs.Remove(r.name)
	return err == nil || errors.Is(err, fs.ErrNotExist)
}

// resume lets room be made again.
func (r *room) resume() {
	r.mu.Lock()
	r.held = r.held && r.running
	r.mu.Unlock()
}

// try reports whether there is room for so many bytes, which it writes and
// removes again. It must only be called while nothing is made.
func (r *room) try(bytes int) error {
	r.mu.Lock()
	r.made = true
	r.mu.Unlock()
	file, err := r.fs.Create(r.name)
	if err != nil {
		return err
	}
	zeros := durable.Blocks(min(durable.WholeBlocks(bytes), mostPiece))
	for written := 0; written < bytes && err == nil; written += len(zeros) {
		err = writeAll(file, zeros, int64(written))
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close(), r.fs.Remove(r.name))
}

// fill writes the zeros: past the page cache where it can, since nobody reads
// them. Otherwise each piece is synced, so that they do not pile up before the
// disk, and is a large one, since a small one takes as long to sync.
func (r *room) fill() (err error) {
	file, err := r.fs.Create(r.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	to, least := file, int64(mostPiece)
	direct := r.openDirect()
	if direct != nil {
		defer func() { err = errors.Join(err, direct.Close()) }()
		to, least = direct, leastPiece
	}
	zeros := durable.Blocks(mostPiece)
	for written := int64(0); written < r.size; {
		allowed, closed := r.await(min(written+least, r.size))
		if closed {
			return nil
		}
		if allowed >= r.size {
			allowed = written + mostPiece
		}
		piece := zeros[:min((allowed-written)/least*least, mostPiece, r.size-written)]
		err := writeAll(to, piece, written)
		switch {
		case to == direct && errors.Is(err, errors.ErrUnsupported):
			to, least = file, mostPiece
			continue
		case err == nil && to == file:
			err = file.Sync()
		}
		if err != nil {
			return err
		}
		written += int64(len(piece))
	}
	return file.Sync()
}

// openDirect opens the file past the page cache; nil where that cannot be.
func (r *room) openDirect() File {
	fsys, ok := r.fs.(durable.DirectOpener)
	if !ok {
		return nil
	}
	file, err := fsys.OpenDirect(r.name)
	if err != nil {
		return nil
	}
	return file
}

// await waits until so many bytes may be written. It returns how many may by
// then, or that nothing more is written.
func (r *room) await(bytes int64) (allowed int64, closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.closed && !r.held && r.allowed < bytes {
		r.moved.Wait()
	}
	return r.allowed, r.closed || r.held
}

// close ends the making of room and removes what was not used.
func (r *room) close() error {
	r.mu.Lock()
	r.closed = true
	r.moved.Broadcast()
	for r.running {
		r.moved.Wait()
	}
	r.ready = false
	made := r.made
	r.mu.Unlock()
	if !made {
		return nil
	}
	if err := r.fs.Remove(r.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
