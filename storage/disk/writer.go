package disk

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// writer decides appends and writes them. Appends are decided one after the
// other under mu, and gathered in rounds; one goroutine at a time leads: it
// writes and syncs the oldest round while the next one fills. Who finds nobody
// leading leads himself, so that a lone append never waits for another
// goroutine.
type writer struct {
	log          *log
	fs           FS
	logger       *slog.Logger
	now          func() time.Time
	store        daybook.ID
	segmentBytes int64

	// Owned by whoever leads; at Close, by Close.
	file File // of the segment that was written last
	mark File // END
	lock File // LOCK

	mu      sync.Mutex // guards all below
	idle    *sync.Cond // nobody leads
	leading bool
	closed  bool
	failed  error    // why nothing can be appended any more
	queue   []*round // the oldest is being written; the newest may take more
	queued  int64    // bytes in queue
	spare   []byte   // memory for the next round
	visible daybook.Position
	// The end of what is decided.
	segment *segment
	next    int64 // offset in segment
	last    daybook.Position
	ordinal daybook.Ordinal
	latest  time.Time
	// The end of what is on the disk.
	syncedSegment *segment
	synced        int64 // in syncedSegment
}

const (
	// roundBytes is how large a round may grow.
	roundBytes = 8 << 20
	// queueBytes is how much may be waiting before appends that ask for no
	// more than memory have to wait for the file too.
	queueBytes = 32 << 20
)

// FailedError says that a write to the disk failed. It is not known how much
// of it was done, so the store takes no more appends until it is opened again,
// which finds out. The outcome of the append that it answers is unknown; what
// was readable can still be read. It matches daybook.ErrFailed.
type FailedError struct{ Err error }

func (e *FailedError) Error() string {
	return fmt.Sprintf("disk: writing failed, and nothing more can be appended until the store is opened again: %v", e.Err)
}

// Unwrap returns what the file system said.
func (e *FailedError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *FailedError) Is(target error) bool { return target == daybook.ErrFailed }

// usable returns why nothing can be appended, if so.
func (w *writer) usable() error {
	if w.closed {
		return daybook.ErrClosed
	}
	return w.failed
}

// append decides, stores and waits.
func (w *writer) append(ctx context.Context, a *daybook.Append, level daybook.Durability) (daybook.Receipt, error) {
	d, err := draftAppend(a)
	if err != nil {
		return daybook.Receipt{}, err
	}
	defer d.free()
	w.mu.Lock()
	if err := w.usable(); err != nil {
		w.mu.Unlock()
		return daybook.Receipt{}, err
	}
	if pending, at, known := w.known(a.ID); known {
		return w.repeat(ctx, a, level, pending, at)
	}
	if refusal, pending := w.check(a); refusal != nil {
		if err := w.unlockAfter(ctx, pending, daybook.DurabilityMemory); err != nil {
			return daybook.Receipt{}, err
		}
		return daybook.Receipt{}, refusal
	}
	w.assign(a, d)
	receipt := w.accept(d, level)
	receipt.Durability, err = w.unlockAndWait(ctx)
	if err != nil {
		return daybook.Receipt{}, err
	}
	return receipt, nil
}

// repeat answers an append that is known already. It unlocks.
func (w *writer) repeat(ctx context.Context, a *daybook.Append, level daybook.Durability, pending *pendingAppend, at place) (daybook.Receipt, error) {
	var receipt daybook.Receipt
	var err error
	if pending != nil {
		receipt, level = pending.receipt, max(level, pending.level)
		receipt.Changesets = slices.Clone(receipt.Changesets)
		err = w.unlockAfter(ctx, true, level)
	} else {
		reached := w.reached(at)
		err = w.unlockAfter(ctx, level > reached, level)
		level = max(level, reached)
		if err == nil {
			receipt, err = w.log.receipt(at)
		}
	}
	switch {
	case err != nil:
		return daybook.Receipt{}, err
	case !receipt.Fits(a):
		return daybook.Receipt{}, &daybook.ReusedIDError{ID: a.ID}
	}
	receipt.Repeated, receipt.Durability = true, level
	return receipt, nil
}

// reached returns how durable a visible frame is by now.
func (w *writer) reached(at place) daybook.Durability {
	w.log.mu.RLock()
	written := w.log.segments[at.segment()].written.Load()
	w.log.mu.RUnlock()
	switch {
	case at < placeOf(w.syncedSegment.number, w.synced):
		return daybook.DurabilityDisk
	case at.offset() < written:
		return daybook.DurabilityOS
	default:
		return daybook.DurabilityMemory
	}
}

// assign gives the changesets of a what follows from the end of the log.
func (w *writer) assign(a *daybook.Append, d *draft) {
	recorded := w.latest
	if now := daybook.Microseconds(w.now()); now.After(recorded) {
		recorded = now
	}
	ordinal, position := w.ordinal, w.last
	for i := range d.frames {
		s := d.frames[i].summary
		head := w.head(a.Changesets[i].Stream)
		ordinal++
		s.number, s.ordinal, s.first, s.recorded = head.Changeset+1, ordinal, head.Version+1, recorded
		for j := range s.selectors {
			position++
			s.selectors[j].position = position
		}
	}
}

// accept puts a draft, whose summaries are complete, into the newest round,
// and returns the receipt of the first append in it.
func (w *writer) accept(d *draft, level daybook.Durability) daybook.Receipt {
	r := w.roundFor(int64(len(d.buf)))
	stored := accepted{level: level, addition: addition{segment: r.segment}}
	base := len(r.buf)
	r.buf = append(r.buf, d.buf...)
	for i := range d.frames {
		h, s := &d.frames[i].header, d.frames[i].summary
		at := base + d.frames[i].at
		offset := r.offset + int64(at)
		h.durable, h.position, h.ordinal, h.number = r.durable, s.firstPosition(), s.ordinal, s.number
		h.first, h.recorded = s.first, s.recorded.UnixMicro()
		h.put(r.buf[at:], r.segment.seed, offset)
		s.place = placeOf(r.segment.number, offset)
		r.note(s, s.head(w.head(s.stream)))
		stored.summaries = append(stored.summaries, s)
		w.last, w.ordinal, w.latest = s.lastPosition(), s.ordinal, s.recorded
	}
	for one := range byAppend(stored.summaries) {
		r.settle(one, level)
	}
	w.next += int64(len(d.buf))
	w.queued += int64(len(d.buf))
	stored.end = w.next
	r.accepted = append(r.accepted, stored)
	r.level = max(r.level, level)
	w.advance()
	receipt := r.ids[d.frames[0].header.appendID].receipt
	receipt.Changesets = slices.Clone(receipt.Changesets)
	return receipt
}
