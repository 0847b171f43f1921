package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// What happens when there is no room on the disk. A write that found none has
// stored nothing that anybody was told of: it is cut off the file again, the
// appends in it and behind it are taken out of the index, and are refused. What
// was shown already, since it asked for memory only, stays in its round, and is
// written when there is room.

// FullError says that there was no room for an append or a deletion, on the disk or
// in what may be taken of it. Nothing of it was stored. Reading goes on; make room, and
// append again: the store need not be opened anew. It matches daybook.ErrFull
// and daybook.ErrRefused.
type FullError struct{ Err error }

func (e *FullError) Error() string {
	return fmt.Sprintf("disk: there is no room, nothing was stored, and appends are refused until there is: %v", e.Err)
}

// Unwrap returns what the file system said.
func (e *FullError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *FullError) Is(target error) bool {
	return target == daybook.ErrFull || target == daybook.ErrRefused
}

// compactionFullError says that there was no room for a compaction. What it did
// stays done, so it was not refused: run it again when there is room.
type compactionFullError struct{ error }

func (e compactionFullError) Error() string {
	return fmt.Sprintf("there is no room for it, and it must be run again when there is: %v", e.error)
}

func (e compactionFullError) Unwrap() error { return e.error }

// Is reports whether target is a question that e answers with yes.
func (e compactionFullError) Is(target error) bool { return target == daybook.ErrFull }

// ofCompaction returns the error of a compaction: one that says so if there was
// no room for it.
func ofCompaction(err error) error {
	full, ok := errors.AsType[*FullError](err)
	switch {
	case ok:
		return compactionFullError{full.Err}
	case durable.IsFull(err) && !errors.Is(err, daybook.ErrFailed):
		return compactionFullError{err}
	default:
		return err
	}
}

const (
	// roomTriedEvery is how long appends are refused before one of them looks
	// for room again.
	roomTriedEvery = 200 * time.Millisecond
	// roomTried is how much room there must be at least.
	roomTried = 256 << 10
)

// lackError is the error of a write that found no room, where everything that
// it may have left is behind the end of the log in the file that is open.
type lackError struct{ error }

func (e lackError) Unwrap() error { return e.error }

// lacking returns err as a lackError if it says that there is no room.
func lacking(err error) error {
	if durable.IsFull(err) {
		return lackError{err}
	}
	return err
}

// writeOrFail writes a round. Where there is no room, that which was made ahead
// is given back first. Not ok: nobody leads any more.
func (w *writer) writeOrFail(r *round) (ok bool) {
	err := w.write(r)
	lack, lacks := errors.AsType[lackError](err)
	if lacks && w.giveBack() {
		err = w.write(r)
		lack, lacks = errors.AsType[lackError](err)
	}
	switch {
	case err == nil:
		return true
	case lacks:
		w.takeBack(lack.error)
	default:
		w.fail(err)
	}
	return false
}

// giveBack gives back the room that was made ahead. It reports whether there
// was any.
func (w *writer) giveBack() bool {
	if !w.room.giveBack() {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.queue {
		r.takesRoom = false
	}
	w.roomy = 0
	return true
}

// takeBack refuses what is decided and not shown, and takes it out of the index
// and the file. Where that cannot be proven, writing has failed.
func (w *writer) takeBack(cause error) {
	w.logger.Error("there is no room: appends are refused until there is", "dir", w.log.dir, "error", cause)
	w.mu.Lock()
	// From now on nothing is decided: what is to be taken back does not change.
	w.full, w.tried = &FullError{Err: cause}, time.Now()
	w.mu.Unlock()
	end := w.opened.written.Load()
	err := w.cutTo(end)
	var again *part
	if err == nil {
		again, err = w.log.partAsShown()
	}
	if err != nil {
		w.fail(fmt.Errorf("%w; cutting it off again: %w", cause, err))
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.syncedSegment, w.synced = w.opened, end
	w.log.mu.Lock()
	shown := w.log.forgetHiddenLocked(again)
	w.log.mu.Unlock()
	queue := w.queue
	w.queue, w.queued = nil, 0
	for _, r := range queue {
		if kept := r.keep(shown); kept != nil {
			w.queue = append(w.queue, kept)
			w.queued += kept.added()
		}
	}
	w.resume(shown)
	for _, r := range queue {
		r.full = true
		wake(r.written.send(w.full), r.finished.send(w.full))
	}
	w.leading = false
	w.idle.Broadcast()
}

// keep returns what of a round is shown and must still be written, nil if that
// is nothing, and notes it for those who wait for it.
func (r *round) keep(shown place) *round {
	begin := r.offset + int64(r.began)
	if r.added() == 0 || placeOf(r.segment.number, begin) >= shown {
		return nil
	}
	r.kept = r.end()
	if placeOf(r.segment.number, r.end()) > shown {
		r.kept = shown.offset()
	}
	kept := *r
	kept.buf = r.buf[:r.kept-r.offset]
	kept.steps, kept.marks = nil, nil
	kept.full, kept.waiting = true, 0
	kept.written, kept.finished = signal{}, signal{}
	return &kept
}

// resume goes on deciding behind what is shown. mu must be held.
func (w *writer) resume(shown place) {
	w.segment, w.next = w.opened, w.opened.written.Load()
	switch n := len(w.queue); {
	case n > 0:
		last := w.queue[n-1]
		w.segment, w.next = last.segment, last.end()
	case w.opened.number > shown.segment():
		w.block = w.opened.header.encode()
	}
	w.marked = w.segment.marks.Last().Offset
	w.roomy, w.gathering.awaited = 0, 0
	t := &w.log.index.shown
	w.last, w.ordinal, w.latest = t.last, t.ordinal, t.latest
}

// partAsShown returns what the index would have in memory of the last segment
// that is shown if there were no more than that; nil if it has no more, or
// nothing of it is shown.
func (l *log) partAsShown() (*part, error) {
	l.mu.RLock()
	of := l.segments[len(l.segments)-1]
	end := placeOf(of.number, of.end)
	n := slices.IndexFunc(l.index.parts, func(p *part) bool { return p.segment == of.number })
	below := index{sealed: l.index.sealed}
	var p *part
	if n >= 0 {
		p, below.parts = l.index.parts[n], slices.Clone(l.index.parts[:n])
	}
	l.mu.RUnlock()
	if p == nil || !p.tellsMore(end) || p.begin >= end {
		return nil, nil
	}
	again := newPart(of.number)
	err := l.readPart(again, of, p.begin.offset(), end.offset(), func(id daybook.StreamID) (daybook.Head, error) {
		l.mu.RLock()
		defer l.mu.RUnlock()
		return below.head(id), nil
	}, unpaced)
	return again, err
}

// forgetHiddenLocked makes the index one of what is shown, with a part of the
// last segment in place of the one that told of more. It returns where that
// ends. Who decides, and l.mu, must be held.
func (l *log) forgetHiddenLocked(again *part) place {
	of := l.segments[len(l.segments)-1]
	x := &l.index
	end := placeOf(of.number, of.end)
	x.parts = slices.DeleteFunc(slices.Clone(x.parts), func(p *part) bool { return p.tellsMore(end) })
	if again != nil {
		x.parts = append(x.parts, again)
	}
	x.tally = x.shown
	x.hiddenEnds, x.hiddenClaims, x.hiddenHiding = nil, nil, nil
	x.hidings.forgetDecided()
	return end
}

// seekRoom looks whether there is room again, for so many bytes more, if that
// was not done just now. mu is held, and let go meanwhile.
func (w *writer) seekRoom(bytes int) {
	if w.full == nil || w.leading || w.usable() != w.full || time.Since(w.tried) < roomTriedEvery {
		return
	}
	w.leading = true // nobody writes, and Close waits
	size := max(roomTried, 2*bytes) + int(w.queued)
	w.mu.Unlock()
	err := w.room.try(size)
	w.mu.Lock()
	w.tried = time.Now()
	if err == nil {
		w.logger.Info("there is room again", "dir", w.log.dir)
		w.full = nil
		if len(w.queue) > 0 {
			go w.drain()
			return
		}
	}
	w.leading = false
	w.idle.Broadcast()
}

// unmade makes sure that a segment could not be made for want of room and
// nothing of it is left, and opens the one before it again.
func (w *writer) unmade(s, before *segment, cause error) error {
	file, err := w.fs.Open(s.name)
	switch {
	case err == nil:
		return errors.Join(cause, file.Close())
	case !errors.Is(err, fs.ErrNotExist):
		return errors.Join(cause, err)
	}
	if err := w.openFile(before); err != nil {
		return errors.Join(cause, err)
	}
	return lacking(cause)
}
