package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
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
	room         *room

	// Owned by whoever leads; at Close, by Close.
	opened   *segment // the segment that was written last
	file     File     // its file
	direct   File     // the same, past the page cache; nil if it is not open
	fileName string
	// buffered is set where the file system has only the page cache.
	buffered bool
	mark     File // END
	lock     File // LOCK
	// markBuf is what mark is written from.
	markBuf [endSize]byte

	mu        sync.Mutex // guards all below
	idle      *sync.Cond // nobody leads
	later     bool       // what is queued is written in a while
	leading   bool
	closed    bool
	failed    error      // why nothing can be appended any more
	full      *FullError // why nothing can be appended until there is room
	tried     time.Time  // when there was none last
	queue     []*round   // the oldest is being written; the newest may take more
	queued    int64      // bytes in queue
	spare     []byte     // memory for the next round
	block     []byte     // what the last block holds of what was written last
	gathering gathering
	// The end of what is decided.
	segment *segment
	turns   bool  // the next frame begins a segment
	next    int64 // offset in segment
	marked  int64 // offset of its last mark; 0: it has none
	roomy   int64 // how much room was made for it; 0: its file grows
	small   int64 // how much of it this process has written in small rounds
	last    daybook.Position
	ordinal daybook.Ordinal
	latest  time.Time
	// The end of what is on the disk.
	syncedSegment *segment
	synced        int64 // in syncedSegment
	unmarked      error // why the mark tells of less than was written; nil: it does not
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
	return fmt.Sprintf("disk: writing failed, and nothing more can be appended until the store is opened again (restart the program); what was shown stays readable: %v", e.Err)
}

// Unwrap returns what the file system said.
func (e *FailedError) Unwrap() error { return e.Err }

// Is reports whether target is a question that e answers with yes.
func (e *FailedError) Is(target error) bool { return target == daybook.ErrFailed }

// usable returns why nothing can be appended, if so.
func (w *writer) usable() error {
	switch {
	case w.closed:
		return daybook.ErrClosed
	case w.failed != nil:
		return w.failed
	case w.full != nil:
		return w.full
	}
	return nil
}

// append decides, stores and waits.
func (w *writer) append(ctx context.Context, a *daybook.Append, level daybook.Durability) (daybook.Receipt, error) {
	d, err := draftAppend(a)
	if err != nil {
		return daybook.Receipt{}, err
	}
	defer d.free()
	now := daybook.Microseconds(w.now())
	var refusal error
	var pending bool
	for decided := false; !decided; {
		w.mu.Lock()
		w.seekRoom(len(d.buf))
		// Where there is no room, repeats and conflicts are answered as ever.
		if err := w.usable(); err != nil && err != error(w.full) {
			w.mu.Unlock()
			return daybook.Receipt{}, err
		}
		at, known := w.log.index.findAppend(a.ID)
		if known {
			return w.repeat(ctx, a, level, at)
		}
		refusal, pending = w.check(a, d)
		if decided = refusal != errUnsettled; !decided { //nolint:errorlint // it is never wrapped
			if err := w.unlockAfter(ctx, true, daybook.DurabilityMemory); err != nil {
				return daybook.Receipt{}, err
			}
		}
	}
	var recorded time.Time
	if refusal == nil {
		recorded = w.assign(d, now)
	}
	if err := w.log.index.sealed.failure(); err != nil {
		w.mu.Unlock()
		return daybook.Receipt{}, err
	}
	if err := w.usable(); err != nil && (refusal == nil || pending) {
		w.mu.Unlock()
		return daybook.Receipt{}, err
	}
	if refusal != nil {
		if err := w.unlockAfter(ctx, pending, daybook.DurabilityMemory); err != nil {
			return daybook.Receipt{}, err
		}
		return daybook.Receipt{}, refusal
	}
	w.accept(d, level)
	level, err = w.unlockAndWait(ctx)
	if err != nil {
		return daybook.Receipt{}, err
	}
	return daybook.Receipt{AppendID: a.ID, RecordedAt: recorded, Durability: level, Changesets: d.receipts}, nil
}

// repeat answers an append that is known already, and whose first frame stands
// at a place. It unlocks.
func (w *writer) repeat(ctx context.Context, a *daybook.Append, level daybook.Durability, at place) (daybook.Receipt, error) {
	shown := w.log.segments[len(w.log.segments)-1]
	pending := at >= placeOf(shown.number, shown.end)
	if err := w.unlockAfter(ctx, pending || level > w.reached(at), level); err != nil {
		return daybook.Receipt{}, w.whetherStored(a.ID, err)
	}
	receipt, err := w.receipt(a.ID)
	switch {
	case err != nil:
		return daybook.Receipt{}, err
	case !receipt.Fits(a):
		return daybook.Receipt{}, &daybook.ReusedIDError{ID: a.ID}
	}
	w.mu.Lock()
	if at, _ = w.log.index.findAppend(a.ID); w.closed {
		w.mu.Unlock()
		return daybook.Receipt{}, daybook.ErrClosed
	}
	receipt.Repeated, receipt.Durability = true, w.reached(at)
	w.mu.Unlock()
	return receipt, nil
}

// whetherStored is the error of a repeat that had to wait. Where there is no
// room, the first one may be stored, but not as durably as was asked: then the
// repeat was not refused.
func (w *writer) whetherStored(id daybook.ID, err error) error {
	full, ok := errors.AsType[*FullError](err)
	if !ok {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.log.index.findAppend(id); !known {
		return err
	}
	return fmt.Errorf("disk: the append is stored, and there is no room to make it as durable as was asked: %w", full.Err)
}

// receipt returns the receipt of an append that is shown.
func (w *writer) receipt(id daybook.ID) (daybook.Receipt, error) {
	w.mu.Lock()
	at, _ := w.log.index.findAppend(id) // again: its segment may have been compacted
	e, err := w.log.extent()
	w.mu.Unlock()
	if err != nil {
		return daybook.Receipt{}, err
	}
	defer w.log.leave(e.era)
	return w.log.receipt(e, at)
}

// reached returns how durable a frame is by now.
func (w *writer) reached(at place) daybook.Durability {
	switch {
	case at < placeOf(w.syncedSegment.number, w.synced):
		return daybook.DurabilityDisk
	case at.segment() < len(w.log.segments) && at.offset() < w.log.segments[at.segment()].written.Load():
		return daybook.DurabilityOS
	default:
		return daybook.DurabilityMemory
	}
}

// assign gives the changesets of an append what follows from the end of the
// log. No stream stands in it twice.
func (w *writer) assign(d *draft, now time.Time) (recorded time.Time) {
	recorded = w.latest
	if now.After(recorded) {
		recorded = now
	}
	ordinal, position := w.ordinal, w.last
	for i, s := range d.summaries {
		head := s.before
		s.fresh = true
		ordinal++
		s.number, s.ordinal, s.first, s.recorded = head.Changeset+1, ordinal, head.Version+1, recorded
		for j := range s.selectors {
			position++
			s.selectors[j].position = position
		}
		d.receipts[i] = s.receipt()
	}
	return recorded
}

// accept puts a draft, whose summaries are complete, into the newest round.
func (w *writer) accept(d *draft, level daybook.Durability) {
	r := w.roundFor(int64(len(d.buf)))
	base := len(r.buf)
	r.put(d.buf)
	for i := range d.frames {
		h, s := &d.frames[i].header, &d.frames[i].summary
		at := base + d.frames[i].at
		offset := r.offset + int64(at)
		h.durable, h.position, h.ordinal, h.number = r.durable, s.firstPosition(), s.ordinal, s.number
		h.first, h.recorded = s.first, s.recorded.UnixMicro()
		if s.revives {
			h.flags |= flagRevives
		}
		h.put(r.buf[at:], r.segment.seed, offset)
		s.place = placeOf(r.segment.number, offset)
		if offset-w.marked >= markEvery || w.marked == 0 {
			r.marks = append(r.marks, mark{logindex.Mark{Position: s.firstPosition(), Offset: offset}, s.recorded})
			w.marked = offset
		}
		w.last, w.ordinal, w.latest = s.lastPosition(), s.ordinal, s.recorded
	}
	w.next += int64(len(d.buf))
	w.queued += int64(len(d.buf))
	w.log.mu.Lock()
	w.log.index.add(d.summaries)
	r.note(level, w.log.index.tally)
	w.showLocked()
	w.log.mu.Unlock()
}
