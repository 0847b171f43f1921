package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// roundFor returns the round that takes n bytes more: the newest, or a new one
// where that is full or its segment is.
func (w *writer) roundFor(n int64) *round {
	// A segment is named by the lowest position that it can hold: one without
	// records goes on, however many deletions it has.
	overflows := n > 0 && w.last >= w.segment.header.first && (w.turns || w.next+n > w.segmentBytes || w.outgrows(n))
	var newest *round
	if len(w.queue) > 0 {
		newest = w.queue[len(w.queue)-1]
		if !newest.full && !overflows && (newest.added() == 0 || newest.added()+n <= roundBytes) {
			return newest
		}
		// What the next round knows about this one must stay true.
		newest.full = true
	}
	// The next round is written only when this one has been, so what this one
	// syncs is synced by then.
	synced := w.synced
	if newest != nil {
		synced = newest.durable
		if newest.level == daybook.DurabilityDisk {
			synced = newest.end()
		}
	}
	block := w.block
	if newest != nil {
		block = newest.lastBlock()
	}
	if overflows {
		w.segment = w.nextSegment()
		w.next, w.marked, w.small, synced, w.turns = segmentHeaderSize, 0, 0, segmentHeaderSize, false
		block = w.segment.header.encode()
	}
	r := newRound(w.segment, synced, w.next, block, w.spare)
	r.creates, w.spare = overflows, nil
	if overflows {
		w.roomy, r.takesRoom = w.room.take()
		w.room.resume()
	}
	w.queue = append(w.queue, r)
	return r
}

// outgrows reports whether n bytes more do not fit into the room that was made
// for the segment, while there is new room.
func (w *writer) outgrows(n int64) bool { return w.next+n > w.roomy && w.room.isReady() }

// wantsRoom returns the size of the room that is to be made next, and how much
// of it by now: for the first one fast, then as the one before is used up.
// Large rounds want none.
func (w *writer) wantsRoom() (size, bytes int64) {
	switch {
	case w.segmentBytes < 4*roomAfter:
		return 0, 0
	case w.roomy == 0:
		return min(firstRoom, w.segmentBytes), (w.small - roomAfter) * roomPace
	}
	// It is ready when four fifths of this one are used.
	size = min(2*w.roomy, w.segmentBytes)
	return size, int64(1.25 * float64(size) * float64(w.small) / float64(w.roomy))
}

// nextSegment returns the segment that follows the present one. Its file is
// made by who leads.
func (w *writer) nextSegment() *segment {
	s := &segment{
		number: w.segment.number + 1, name: w.log.path(segmentName(w.last + 1)), end: segmentHeaderSize,
		header: segmentHeader{
			store: w.store, first: w.last + 1, ordinal: w.ordinal + 1, floor: w.latest,
			previous: w.segment.header.first, previousBytes: w.next,
		},
	}
	s.seed = seedOf(s.header.encode())
	return s
}

// showLocked lets readers see what they may: appends in order, each as durable
// as it asks. log.mu must be held.
func (w *writer) showLocked() {
	shown := false
	for _, r := range w.queue {
		s, all := r.shows()
		if s.segment != nil {
			w.log.showLocked(s)
			shown = true
		}
		if !all {
			break
		}
	}
	if shown {
		w.log.tellLocked()
	}
}

func (w *writer) show() {
	w.log.mu.Lock()
	w.showLocked()
	w.log.mu.Unlock()
}

// unlockAndWait unlocks and waits until what was accepted last is visible. It
// returns how durable it is then.
func (w *writer) unlockAndWait(ctx context.Context) (daybook.Durability, error) {
	r, end := w.queue[len(w.queue)-1], w.next
	level, err := w.unlockAndWaitFor(ctx, r)
	if _, full := errors.AsType[*FullError](err); full && end <= r.kept {
		return daybook.DurabilityMemory, nil // it asked for no more, and waited for others
	}
	return level, err
}

// unlockAndWaitFor is unlockAndWait for the newest round.
func (w *writer) unlockAndWaitFor(ctx context.Context, r *round) (daybook.Durability, error) {
	level := r.level
	if level == daybook.DurabilityMemory && w.queued > queueBytes {
		level = daybook.DurabilityOS
	}
	switch {
	case level == daybook.DurabilityDisk:
		return level, w.unlockUntil(ctx, r, &r.finished)
	case level == daybook.DurabilityOS:
		return level, w.unlockUntil(ctx, r, &r.written)
	case w.hidden(w.last):
		// It waits for the rounds before its own.
		before := w.queue[len(w.queue)-2]
		return level, w.unlockUntil(ctx, before, &before.finished)
	}
	w.writeLater()
	w.mu.Unlock()
	return level, nil
}

const (
	// laterBy is how long an append may stay in memory that asks for no more,
	// and laterBytes how much of such appends: a write for each would cost
	// several times what the append costs.
	laterBy    = time.Millisecond
	laterBytes = 256 << 10
)

// writeLater sees to it that what is queued is written, though nobody waits for
// it. w.mu must be held.
func (w *writer) writeLater() {
	switch {
	case w.leading:
	case w.queued >= laterBytes:
		w.leading = true
		go w.drain()
	case !w.later:
		w.later = true
		time.AfterFunc(laterBy, w.writeQueued)
	}
}

// writeQueued writes what is queued, if nobody does.
func (w *writer) writeQueued() {
	w.mu.Lock()
	w.later = false
	idle := !w.leading && len(w.queue) > 0 && w.failed == nil
	w.leading = w.leading || idle
	w.mu.Unlock()
	if idle {
		w.drain()
	}
}

// unlockAfter unlocks and, if need be, waits until everything that is decided
// is visible and as durable as level.
func (w *writer) unlockAfter(ctx context.Context, need bool, level daybook.Durability) error {
	if !need {
		w.mu.Unlock()
		return nil
	}
	if w.full != nil {
		defer w.mu.Unlock()
		return w.full
	}
	var r *round
	if n := len(w.queue); n > 0 && w.queue[n-1].level >= level {
		r = w.queue[n-1]
	} else {
		r = w.roundFor(0)
		r.level = level
	}
	return w.unlockUntil(ctx, r, &r.finished)
}

// syncAll waits until everything that is decided is on the disk.
func (w *writer) syncAll(ctx context.Context) error {
	w.mu.Lock()
	if err := w.usable(); err != nil {
		w.mu.Unlock()
		return err
	}
	need := placeOf(w.segment.number, w.next) > placeOf(w.syncedSegment.number, w.synced)
	return w.unlockAfter(ctx, need, daybook.DurabilityDisk)
}

// unlockUntil unlocks and waits for a signal of a round. If nobody leads, it
// leads: then the round is the only one there is, and the first step sends the
// signal.
func (w *writer) unlockUntil(ctx context.Context, r *round, s *signal) error {
	if r.waiting++; r == w.queue[0] && !r.full {
		w.gathering.joins(r.waiting)
	}
	if !w.leading {
		w.leading = true
		w.mu.Unlock()
		if w.step() {
			go w.drain()
		}
		w.mu.Lock()
	}
	if s.sent {
		defer w.mu.Unlock()
		return s.err
	}
	done := s.wait()
	w.mu.Unlock()
	if ctx.Done() == nil {
		<-done
		return s.err
	}
	select {
	case <-done:
		return s.err
	case <-ctx.Done():
	}
	select {
	case <-done:
		return s.err
	default:
		return fmt.Errorf("disk: gave up waiting for the append to be written, its outcome is unknown: %w", ctx.Err())
	}
}

// drain leads until nothing is left to write.
func (w *writer) drain() {
	for w.step() {
	}
}

// step writes the oldest round. It reports whether there is another to write;
// if not, its caller leads no longer.
func (w *writer) step() bool {
	r := w.gather()
	began := time.Now()
	if !w.writeOrFail(r) {
		return false
	}
	now := time.Now()
	w.mu.Lock()
	r.reached = max(r.level, daybook.DurabilityOS)
	w.unmarked = r.unmarked
	w.syncedSegment, w.synced = r.segment, r.durable
	if r.level == daybook.DurabilityDisk {
		w.synced = r.end()
	}
	w.show()
	w.queue = slices.Delete(w.queue, 0, 1)
	w.queued -= r.added()
	if len(r.buf) < largeRound && r.segment == w.segment {
		w.small += r.added()
	}
	w.block = append(w.block[:0], r.lastBlock()...)
	if cap(r.buf) <= durable.WholeBlocks(roundBytes) {
		w.spare = r.buf
	}
	r.buf = nil
	written, finished := r.written.send(nil), r.finished.send(nil)
	more := len(w.queue) > 0
	waiting := 0
	if more {
		waiting = w.queue[0].waiting
	}
	w.gathering.expect(r.waiting, waiting, now.Sub(began), now)
	if !more {
		w.leading = false
		w.idle.Broadcast()
	}
	size, bytes := w.wantsRoom()
	w.mu.Unlock()
	wake(written, finished)
	if bytes > 0 {
		w.room.allow(size, bytes)
	}
	return more
}

// write writes and syncs a round. In between it lets those go who wait for the
// write alone.
func (w *writer) write(r *round) error {
	if r.creates && w.opened != r.segment {
		if err := w.begin(r.segment, r.takesRoom); err != nil {
			return fmt.Errorf("begin %s: %w", r.segment.name, err)
		}
	}
	if r.added() > 0 {
		if err := w.writeBlocks(r.blocks(), r.offset); err != nil {
			return lacking(fmt.Errorf("write %s: %w", r.segment.name, err))
		}
	}
	r.segment.written.Store(r.end())
	if r.early {
		w.mu.Lock()
		r.reached = daybook.DurabilityOS
		w.show()
		written := r.written.send(nil)
		w.mu.Unlock()
		wake(written)
	}
	mark := endMark{store: w.store, segment: r.segment.header.first, visible: r.end(), synced: r.durable}
	if r.level == daybook.DurabilityDisk {
		if err := w.file.Sync(); err != nil {
			return fmt.Errorf("sync %s: %w", r.segment.name, err)
		}
		mark.synced = r.end()
	}
	// Without room for the mark, where a file system makes some for what is
	// overwritten, it stays older than the log, until the next one is written.
	r.unmarked = writeAll(w.mark, mark.encodeInto(&w.markBuf), 0)
	if err := r.unmarked; err != nil && !durable.IsFull(err) {
		return fmt.Errorf("write %s: %w", endName, err)
	}
	return nil
}

// syncMark makes sure that the mark on the disk tells of all that is shown now.
func (w *writer) syncMark(ctx context.Context) error {
	if err := w.markAgain(ctx); err != nil {
		return err
	}
	err := w.mark.Sync()
	if err == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unmarked = err // no later sync writes what this one has forgotten
	return fmt.Errorf("sync %s: %w", endName, err)
}

// markAgain writes the mark if it tells of less than is shown.
func (w *writer) markAgain(ctx context.Context) error {
	w.mu.Lock()
	if w.unmarked == nil {
		w.mu.Unlock()
		return nil
	}
	if err := w.usable(); err != nil {
		w.mu.Unlock()
		return err
	}
	r := w.roundFor(0)
	r.level = daybook.DurabilityDisk
	if err := w.unlockUntil(ctx, r, &r.finished); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unmarked != nil {
		return fmt.Errorf("write %s: %w", endName, w.unmarked)
	}
	return nil
}

// fail ends all writing. What is visible stays readable, from the memory of
// the rounds where it was never written.
func (w *writer) fail(err error) {
	w.logger.Error("writing failed: nothing more can be appended until the store is opened again", "dir", w.log.dir, "error", err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = &FailedError{Err: err}
	for _, r := range w.queue {
		r.full = true
		wake(r.written.send(w.failed), r.finished.send(w.failed))
	}
	w.leading = false
	w.idle.Broadcast()
}

// unwritten copies to b what stands at the offset of s and is not in its file
// yet, and returns how far the file reaches.
func (w *writer) unwritten(s *segment, b []byte, offset int64) (written int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unwrittenLocked(s, b, offset)
}

// unwrittenLocked is unwritten for who holds mu.
func (w *writer) unwrittenLocked(s *segment, b []byte, offset int64) (written int64) {
	written = s.written.Load()
	for _, r := range w.queue {
		from := max(r.offset, offset, written)
		if r.segment == s && from < min(r.end(), offset+int64(len(b))) {
			copy(b[from-offset:], r.buf[from-r.offset:])
		}
	}
	return written
}

// close waits for running appends, and leaves the exact end of the log in the
// mark, on the disk.
func (w *writer) close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	w.mu.Unlock()
	w.writeQueued()
	w.mu.Lock()
	for w.leading {
		w.idle.Wait()
	}
	failed, left := w.failed, len(w.queue)
	w.mu.Unlock()
	errs := []error{w.room.close()}
	switch _, writing := errors.AsType[*FailedError](failed); {
	case failed == nil && left > 0:
		errs = append(errs, fmt.Errorf("disk: there is no room for what was acknowledged in memory: %w", w.full.Err))
	case failed == nil:
		errs = append(errs, w.closeCleanly())
	case writing && w.showsUnsynced():
		errs = append(errs, failed)
	}
	for _, file := range []File{w.file, w.direct, w.mark, w.lock} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// showsUnsynced reports whether there is something that was acknowledged with a
// lower durability and is not on the disk.
func (w *writer) showsUnsynced() bool {
	w.log.mu.RLock()
	defer w.log.mu.RUnlock()
	last := w.log.segments[len(w.log.segments)-1]
	return placeOf(last.number, last.end) > placeOf(w.syncedSegment.number, w.synced)
}

func (w *writer) closeCleanly() error {
	if err := w.cutTo(w.next); err != nil {
		return fmt.Errorf("disk: sync %s: %w", w.segment.name, err)
	}
	mark := endMark{store: w.store, segment: w.segment.header.first, visible: w.next, synced: w.next, clean: true}
	if err := writeAll(w.mark, mark.encode(), 0); err != nil {
		return fmt.Errorf("disk: write %s: %w", endName, err)
	}
	return w.mark.Sync()
}
