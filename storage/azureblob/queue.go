package azureblob

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// queue gathers what is to be written. While a block is on its way, what comes
// waits for the next one: the log ends in one place, so a second block could
// only be refused.
type queue struct {
	driver *Driver

	mu      sync.Mutex // guards all below
	waiting []*entry
	writing bool
}

// entry is an append or an import in the queue.
type entry struct {
	append   *daybook.Append
	imported []daybook.RecordedChangeset

	// Only the goroutine that writes has these, until answered is closed.
	unsure  bool // a block with it may be stored, or be stored later
	lost    bool // there was such a block: if it is stored, then perhaps by that
	inBlock bool // it is in the block that was made last
	receipt daybook.Receipt
	err     error

	answered chan struct{} // closed when the entry is done with
}

// alone reports whether the entry has a block of its own.
func (e *entry) alone() bool { return e.append == nil }

// submit writes an entry, with others that come meanwhile.
func (q *queue) submit(ctx context.Context, e *entry) error {
	d := q.driver
	if err := d.begin(); err != nil {
		return err
	}
	defer d.calls.Done()
	if d.readOnly {
		return daybook.ErrReadOnly
	}
	e.answered = make(chan struct{})
	q.mu.Lock()
	q.waiting = append(q.waiting, e)
	if !q.writing {
		q.writing = true
		d.calls.Add(1) // Close waits for this call, so it has not begun to wait for none
		go q.write()
	}
	q.mu.Unlock()
	select {
	case <-e.answered:
		return e.err
	case <-ctx.Done():
	}
	if q.leave(e) {
		return fmt.Errorf("%w before it was sent: %w", daybook.ErrRefused, ctx.Err())
	}
	select {
	case <-e.answered:
		return e.err
	default:
		return fmt.Errorf("azureblob: gave up waiting for the append to be stored, its outcome is unknown: %w", ctx.Err())
	}
}

// leave takes an entry out of the queue. It reports whether it still was there:
// then nothing of it is stored.
func (q *queue) leave(e *entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, e)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// write writes what waits, until nothing does.
func (q *queue) write() {
	defer q.driver.calls.Done()
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.writing = false
			q.mu.Unlock()
			return
		}
		n := 1
		for !q.waiting[0].alone() && n < len(q.waiting) && !q.waiting[n].alone() {
			n++
		}
		entries := slices.Clone(q.waiting[:n])
		q.waiting = slices.Delete(q.waiting, 0, n)
		q.mu.Unlock()
		// It is stored for several callers, so none of their contexts ends it.
		left := q.driver.store(q.driver.life, entries)
		q.mu.Lock()
		q.waiting = append(left, q.waiting...)
		q.mu.Unlock()
	}
}

// store writes as many of the entries as one block holds, answers them, and
// returns the others.
func (d *Driver) store(ctx context.Context, entries []*entry) (left []*entry) {
	answer := func(entries []*entry) {
		for _, e := range entries {
			close(e.answered)
		}
	}
	fresh := false // the log was read to its end since the entries were taken
	pauses := pauses{driver: d, doing: "appending"}
	for {
		block := d.decide(entries)
		left, entries = entries[block.decided:], entries[:block.decided]
		if len(block.bytes) == 0 && (fresh || block.final) {
			answer(entries)
			return left
		}
		var err error
		if len(block.bytes) > 0 {
			if err = d.send(ctx, block, entries); err == nil {
				answer(entries)
				return left
			}
			err = d.failed(ctx, err, block, &pauses)
		}
		if err == nil {
			if err = d.refresh(ctx); err == nil {
				fresh = true
				d.settled(block, entries)
			}
		}
		if err != nil {
			d.fail(entries, err)
			answer(entries)
			return left
		}
		entries, left = slices.Concat(entries, left), nil
	}
}

// settled takes in that the log was read behind a block that was sent: where it
// has gone on, by that block or another, the block is there or never will be.
func (d *Driver) settled(block *block, entries []*entry) {
	d.log.mu.RLock()
	defer d.log.mu.RUnlock()
	if d.log.tail == block.at {
		return
	}
	for _, e := range entries {
		e.unsure = false
	}
}

// failed takes in why a block was not stored. It returns nil if it can be sent
// again once the log was read to its end, also where it may be stored: it can
// only be stored where the log ended before it, once.
func (d *Driver) failed(ctx context.Context, err error, block *block, pauses *pauses) error {
	switch {
	case errors.Is(err, errMoved), errors.Is(err, errMissing) && block.at.offset > 0:
		return nil
	case errors.Is(err, errMissing):
		return d.again(ctx, "making a blob", func(ctx context.Context) error { return d.origin.create(ctx, block.at.part) })
	case errors.Is(err, errFull):
		if block.at.part == d.origin.last() {
			return fmt.Errorf("azureblob: %s takes no more blocks: %w", d.origin.name(block.at.part), daybook.ErrFull)
		}
		return d.rollOver(ctx, block.at.part)
	case isTransient(err):
		return pauses.wait(ctx, err)
	}
	return explained(err)
}

// rollOver goes on behind a part that is full. What others have written to it is
// read first; the next part is made where nobody has made it.
func (d *Driver) rollOver(ctx context.Context, part int) error {
	l := &d.log
	l.mu.Lock()
	if l.tail.part == part {
		l.full = false // what is behind the known end must be read to the end
	}
	l.mu.Unlock()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	l.mu.RLock()
	tail := l.tail
	l.mu.RUnlock()
	if tail.part > part {
		return nil
	}
	if err := d.again(ctx, "making a blob", func(ctx context.Context) error { return d.origin.create(ctx, part+1) }); err != nil {
		return err
	}
	// It is full, and was read to its end after it was: nothing can come behind.
	l.moveTo(part + 1)
	d.compactBeside()
	return nil
}

// send sends a block and folds it.
func (d *Driver) send(ctx context.Context, block *block, entries []*entry) error {
	l := &d.log
	switch {
	case l.damaged != nil: // the log may go on behind the damage
		return l.damaged
	case block.full:
		return errFull
	case block.absent:
		return errMissing
	}
	full, err := d.origin.append(ctx, block.at.part, block.at.offset, block.bytes)
	if err != nil {
		for _, e := range entries {
			e.unsure = e.unsure || e.inBlock && !isRefusal(err)
			e.lost = e.lost || e.unsure
		}
		return err
	}
	if _, err := l.take(block.at, d.origin.name(block.at.part), block.bytes); err != nil {
		// It is stored, and cannot be kept here: nobody may hear that it is not.
		for _, e := range entries {
			e.unsure, e.lost = e.unsure || e.inBlock, e.lost || e.inBlock
		}
		return err
	}
	l.mu.Lock()
	l.full = l.full || full && l.tail.part == block.at.part
	l.mu.Unlock()
	return nil
}

// fail answers entries that could not be written.
func (d *Driver) fail(entries []*entry, err error) {
	for _, e := range entries {
		switch {
		case e.err == nil && !e.inBlock: // it was stored before
		case e.unsure && errors.Is(err, daybook.ErrRefused):
			e.err = &unknownError{err}
		case e.unsure:
			e.err = err
		default:
			e.err = notSent(err)
		}
		if e.err != nil {
			e.receipt = daybook.Receipt{}
		}
	}
}

// notSent says that nothing of an append was stored, because it was not sent.
func notSent(err error) error {
	if errors.Is(err, daybook.ErrRefused) || errors.As(err, new(*daybook.CorruptError)) {
		return err
	}
	return fmt.Errorf("%w before it was sent: %w", daybook.ErrRefused, err)
}

// clock returns the time to record at.
func (d *Driver) clock(latest time.Time) time.Time {
	if now := daybook.Microseconds(d.options.Now()); now.After(latest) {
		return now
	}
	return latest
}
