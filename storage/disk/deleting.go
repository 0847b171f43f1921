package disk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// DeleteStream implements daybook.Deleter. The deletion is on the disk when it
// returns. A scrub is done by Compact.
func (d *Driver) DeleteStream(ctx context.Context, deletion daybook.Deletion) (daybook.DeletionReceipt, error) {
	if d.writer == nil {
		return daybook.DeletionReceipt{}, d.readOnly()
	}
	if err := d.admit(ctx); err != nil {
		return daybook.DeletionReceipt{}, err
	}
	return d.writer.delete(ctx, deletion)
}

// delete decides, stores and waits.
func (w *writer) delete(ctx context.Context, asked daybook.Deletion) (daybook.DeletionReceipt, error) {
	now := daybook.Microseconds(w.now())
	w.mu.Lock()
	w.seekRoom(0)
	// Where there is no room, repeats and conflicts are answered as ever.
	if err := w.usable(); err != nil && err != error(w.full) {
		w.mu.Unlock()
		return daybook.DeletionReceipt{}, err
	}
	x := &w.log.index
	if known := x.deletionOf(asked.ID); known != nil {
		return w.repeatDeletion(ctx, &asked, known)
	}
	head := w.head(asked.Stream)
	made := &deletion{RecordedDeletion: daybook.RecordedDeletion{Deletion: asked}}
	made.Expect = daybook.ExpectAny()
	err := x.sealed.failure()
	if err == nil && !asked.Expect.Holds(head) {
		pending := w.hidden(head.Position) || !x.hidings.isSettled(asked.Stream)
		if err := w.unlockAfter(ctx, pending, daybook.DurabilityMemory); err != nil {
			return daybook.DeletionReceipt{}, err
		}
		return daybook.DeletionReceipt{}, &daybook.ConflictError{Stream: asked.Stream, Expect: asked.Expect, Found: head}
	}
	if err == nil {
		err = w.usable()
	}
	if err == nil {
		err = errors.Join(w.take(made, head), x.sealed.failure())
	}
	if err != nil {
		w.mu.Unlock()
		return daybook.DeletionReceipt{}, err
	}
	made.Receipt.RecordedAt = w.latest
	if now.After(w.latest) {
		made.Receipt.RecordedAt = now
	}
	made.Receipt.Number = x.deletions + 1
	w.acceptDeletion(made)
	level, err := w.unlockAndWait(ctx)
	if err != nil {
		return daybook.DeletionReceipt{}, err
	}
	receipt := made.Receipt
	receipt.Durability = level
	return receipt, nil
}

// take finds out what a deletion takes from a stream that ends at head.
func (w *writer) take(d *deletion, head daybook.Head) error {
	d.Stream = keptStream(d.Stream)
	r := &d.Receipt
	r.ID, r.Stream, r.Durability = d.ID, d.Stream, daybook.DurabilityDisk
	if head.Version == 0 {
		return nil
	}
	r.Through = head.First - 1
	if !head.Exists() || d.Deletion.Through > 0 && d.Deletion.Through < head.First {
		return nil
	}
	first, _, err := w.changesetOf(d.Stream, head.First)
	if err != nil {
		return err
	}
	through, next := head.Version, head.Changeset+1
	if d.Deletion.Through > 0 && d.Deletion.Through < head.Version {
		begins := daybook.Version(0)
		if next, begins, err = w.changesetOf(d.Stream, d.Deletion.Through+1); err != nil {
			return err
		}
		through = begins - 1
	}
	r.Through, r.Changesets, r.Records = through, int64(next-first), int64(through-head.First)+1
	d.emptied = through == head.Version
	return nil
}

// changesetOf returns the number of the changeset that has a version of a
// stream, and the version at which it begins.
func (w *writer) changesetOf(id daybook.StreamID, version daybook.Version) (number daybook.ChangesetNumber, begins daybook.Version, err error) {
	found, ok := w.log.index.frameOf(id, version)
	if !ok {
		return 0, 0, errors.Join(w.log.index.sealed.failure(), fmt.Errorf("disk: version %d of stream %q is missing in the index", version, id))
	}
	segment := w.segmentAt(found.place.segment())
	r := frameReader{
		source: segmentSource{log: w.log, segment: segment, copy: w.unwrittenLocked},
		seed:   segment.seed, limit: math.MaxInt64, chunk: frameHeaderSize,
	}
	var f frame
	if err := r.skim(&f, found.place.offset()); err != nil {
		if fault, ok := errors.AsType[*frameError](err); ok {
			err = &daybook.CorruptError{File: segment.name, Offset: fault.offset, Position: segment.header.first, Reason: fault.reason}
		}
		return 0, 0, err
	}
	return f.number, found.first, nil
}

// segmentAt returns the segment of a number, shown or not.
func (w *writer) segmentAt(number int) *segment {
	for _, r := range w.queue {
		if r.segment.number == number {
			return r.segment
		}
	}
	if number == w.segment.number {
		return w.segment
	}
	w.log.mu.RLock()
	defer w.log.mu.RUnlock()
	return w.log.segments[number]
}

// frameOf returns the frame that holds a version of a stream, by all that is
// decided.
func (x *index) frameOf(id daybook.StreamID, version daybook.Version) (found streamFrame, ok bool) {
	for _, p := range slices.Backward(x.parts) {
		n, known := p.streams.find(id)
		if !known {
			continue
		}
		for node := p.streams.all.at(n).frames; node > 0; {
			f := p.streams.frames.at(node - 1)
			if f.first <= version {
				return f.streamFrame, true
			}
			node = f.before
		}
	}
	x.sealed.each(true, func(r *sealedRow) (bool, error) {
		for f, err := range r.Changesets(id, version, version, true) {
			if err == nil {
				found, ok = streamFrame{f.First, r.place(f.Place)}, true
			}
			return true, err
		}
		return false, nil
	})
	return found, ok
}

// acceptDeletion puts a deletion into the newest round.
func (w *writer) acceptDeletion(d *deletion) {
	body := d.body()
	h := d.header(w.last+1, w.ordinal, body)
	w.acceptOther(&h, body, d)
}

// acceptOther puts a frame that is not that of a changeset into the newest round,
// to be synced.
func (w *writer) acceptOther(h *frameHeader, body []byte, d *deletion) {
	r := w.roundFor(h.size())
	at := len(r.buf)
	var blank [frameHeaderSize]byte
	r.put(blank[:])
	r.put(body)
	offset := r.offset + int64(at)
	h.durable = r.durable
	h.put(r.buf[at:], r.segment.seed, offset)
	s := &summary{
		place: placeOf(r.segment.number, offset), kind: h.kind, number: h.number, ordinal: h.ordinal,
		recorded: fromMicros(h.recorded), selectors: []selectors{{position: h.position}}, deletion: d,
	}
	if w.marked == 0 {
		// Only so that no segment is without marks: reads begin at them.
		r.marks = append(r.marks, mark{logindex.Mark{Position: h.position, Offset: offset}, s.recorded})
		w.marked = offset
	}
	w.latest = s.recorded
	w.next += h.size()
	w.queued += h.size()
	w.log.mu.Lock()
	w.log.index.add([]*summary{s})
	r.note(daybook.DurabilityDisk, w.log.index.tally)
	w.showLocked()
	w.log.mu.Unlock()
}

// repeatDeletion answers a deletion whose id is known already. It unlocks.
func (w *writer) repeatDeletion(ctx context.Context, asked *daybook.Deletion, known *deletion) (daybook.DeletionReceipt, error) {
	pending := known.Receipt.Number > w.log.index.shown.deletions
	if err := w.unlockAfter(ctx, pending, daybook.DurabilityDisk); err != nil {
		return daybook.DeletionReceipt{}, err
	}
	if !known.Fits(asked) {
		return daybook.DeletionReceipt{}, &daybook.ReusedIDError{ID: asked.ID, Deletion: true}
	}
	w.log.mu.RLock()
	defer w.log.mu.RUnlock()
	receipt := known.told(w.log.index.shown.scrubbed).Receipt
	receipt.Repeated = true
	return receipt, nil
}

// told returns the deletion as it is told when the scrubs up to one are done.
func (d *deletion) told(scrubbed daybook.DeletionNumber) daybook.RecordedDeletion {
	told := d.RecordedDeletion
	told.Receipt.Scrubbed = d.Scrub && told.Receipt.Number <= scrubbed
	return told
}

// ReadDeletions implements daybook.DeletionReader.
func (d *Driver) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	return func(yield func(daybook.RecordedDeletion, error) bool) {
		var recent []*deletion
		var shown tally
		l, err := d.hold()
		if err == nil {
			defer d.letGo(l)
			err = l.ask(func(l *log) { recent, shown = l.index.recentDeletions(read.After), l.index.shown })
		}
		if err != nil {
			yield(daybook.RecordedDeletion{}, err)
			return
		}
		left := read.Limit
		one := func(made *deletion) bool {
			if told := made.told(shown.scrubbed); read.Holds(&told) {
				left--
				return yield(told, nil) && left != 0
			}
			return true
		}
		until := shown.deletions + 1
		if len(recent) > 0 {
			until = recent[0].Receipt.Number
		}
		for after := read.After; after+1 < until; {
			page := l.index.sealed.deletions(after)
			if err := errors.Join(l.index.sealed.failure(), ctx.Err()); err != nil || len(page) == 0 {
				if err != nil {
					yield(daybook.RecordedDeletion{}, err)
					return
				}
				break
			}
			for _, made := range page {
				if after = made.Receipt.Number; after >= until {
					break
				}
				if !one(made) {
					return
				}
			}
		}
		for _, made := range recent {
			if err := ctx.Err(); err != nil {
				yield(daybook.RecordedDeletion{}, err)
				return
			}
			if !one(made) {
				return
			}
		}
	}
}

// errUnsettled says that nothing can be decided before all that was decided is
// shown.
var errUnsettled = errors.New("unsettled")

// lastMatch returns the highest position that breaks a condition; 0 if there is
// none. What the index selects below the last deletion may be deleted: its frame
// tells.
func (w *writer) lastMatch(c *daybook.Condition) (found daybook.Position, err error) {
	x := &w.log.index
	found = x.lastMatch(c.Query, c.After)
	if found == 0 || !x.hidings.mayHide(found) {
		return found, nil
	}
	if w.hidden(found) {
		return 0, errUnsettled
	}
	to := found
	found = 0
	r := logReader{
		recordReader: newRecordReader(context.Background(), func(record daybook.Record, e error) bool {
			found, err = record.Position, e
			return false
		}, 1, true, true),
		read: daybook.LogRead{After: c.After, To: to, Filter: daybook.Filter{Query: c.Query}, Backwards: true},
	}
	e, err := w.log.extent()
	if err != nil {
		r.release()
		return 0, err
	}
	r.log, r.extent, r.view, r.unwritten = w.log, &e, decidedView, w.unwrittenLocked
	defer r.release()
	r.walk()
	return found, err
}

// longestStream returns the highest changeset number of the streams that have
// records, so far as it is older than what the tally tells: after the stream that
// may have had it was left without records, by a look at all of them. It tells when
// it looked.
func (d *Driver) longestStream(ctx context.Context) (longest daybook.ChangesetNumber, at walkedAt, err error) {
	l, err := d.hold()
	if err != nil {
		return 0, at, err
	}
	defer d.letGo(l)
	known := false
	err = l.ask(func(l *log) {
		at = l.index.walkAt()
		known, longest = at.emptying == 0 || at == l.index.walked.walkedAt, l.index.walked.longest
	})
	if err != nil || known {
		return longest, at, err
	}
	longest = 0
	for head, err := range d.ListStreams(ctx, daybook.StreamList{}) {
		if err != nil {
			return 0, at, err
		}
		longest = max(longest, head.Changeset)
	}
	l.mu.Lock()
	l.index.walked = walkedLongest{at, longest}
	l.mu.Unlock()
	return longest, at, nil
}
