package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
)

// What a compaction looks for, and how it sees to it that it stands in sealed
// segments, each with an index file.

// findTargets finds out of which streams content is to be removed, and through
// which version. It reports whether there are scrubs that were not done.
func (c *compaction) findTargets(ctx context.Context) (pending bool, err error) {
	c.targets, c.until = map[daybook.StreamID]daybook.Version{}, c.options.After
	defer func() { c.report.LastDeletion = c.until }()
	for deletion, err := range c.driver.ReadDeletions(ctx, daybook.DeletionRead{After: c.options.After}) {
		if err != nil {
			return false, err
		}
		c.until = deletion.Receipt.Number
		if !deletion.Scrub && c.options.ScrubsOnly || deletion.Receipt.Through == 0 {
			pending = pending || deletion.Scrub && !deletion.Receipt.Scrubbed
			continue
		}
		pending = pending || deletion.Scrub && !deletion.Receipt.Scrubbed
		through := deletion.Receipt.Through
		if c.options.ScrubsOnly && deletion.Deletion.Through > 0 {
			through = min(through, deletion.Deletion.Through)
		}
		c.targets[deletion.Stream] = max(c.targets[deletion.Stream], through)
	}
	return pending, nil
}

// findSegments returns the numbers of the segments in which frames of the
// targets stand, rising. If the one that is written is among them, another is
// begun.
func (c *compaction) findSegments(ctx context.Context) ([]int, error) {
	if recent := c.inMemory(); recent >= 0 {
		if err := c.seal(ctx, recent); err != nil {
			return nil, err
		}
	}
	x := c.log.index.sealed
	found := map[int]bool{}
	for id, through := range c.targets {
		var unreadable error // of the log, not of the index
		x.each(true, func(r *sealedRow) (done bool, err error) {
			for f, err := range r.Changesets(id, 0, through, true) {
				if err != nil {
					return false, err
				}
				if c.options.After > 0 {
					done, unreadable = c.isBare(r.span[f.Place.Segment()], f.Place.Offset())
					if done || unreadable != nil {
						return true, nil
					}
				}
				found[r.place(f.Place).segment()] = true
			}
			return false, nil
		})
		if err := errors.Join(ctx.Err(), x.failure(), unreadable); err != nil {
			return nil, err
		}
	}
	numbers := make([]int, 0, len(found))
	for number := range found {
		if number < x.next() {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// isBare reports whether a changeset has lost its content already. So have those
// before it in its stream: they go from the oldest on.
func (c *compaction) isBare(s *segment, offset int64) (bool, error) {
	var f frame
	err := c.log.reader(s, s.end, frameHeaderSize).skim(&f, offset)
	if err != nil {
		return false, c.explain(s, err)
	}
	return f.kind == kindBones, nil
}

// inMemory returns the number of the last segment with frames of the targets that
// the index has in memory; -1 if there is none.
func (c *compaction) inMemory() (last int) {
	c.log.mu.RLock()
	defer c.log.mu.RUnlock()
	last = -1
	for _, p := range c.log.index.parts {
		for n := range p.streams.all.n {
			if s := p.streams.all.at(n); s.begins <= c.targets[s.id] {
				last = p.segment
			}
		}
	}
	// Of what stands before them an index file may tell, as of a part.
	return max(last, c.inPartRow(c.log.index.sealed.next()))
}

// inPartRow returns the number of a segment if the index file of what it held when
// the store was closed has frames of the targets; else -1.
func (c *compaction) inPartRow(segment int) int {
	found := -1
	c.log.index.sealed.each(true, func(r *sealedRow) (bool, error) {
		if !r.part || r.first != segment {
			return true, nil
		}
		for id, through := range c.targets {
			for _, err := range r.Changesets(id, 0, through, false) {
				found = segment
				return true, err
			}
		}
		return true, nil
	})
	return found
}

// seal begins a new segment, if need be, and waits until there is an index file of
// one.
func (c *compaction) seal(ctx context.Context, number int) error {
	if err := c.writer.turn(ctx, number); err != nil {
		return err
	}
	s := c.driver.sealer
	s.mu.Lock()
	tried := s.tried
	s.mu.Unlock()
	s.seal(0) // what failed before may not fail any more
	for {
		s.mu.Lock()
		progress, failed := s.progress, s.failed
		if s.tried == tried {
			failed = nil
		}
		s.mu.Unlock()
		if c.log.index.sealed.next() > number {
			return nil
		}
		if failed != nil {
			return fmt.Errorf("an index file could not be made: %w", failed)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-progress:
		case <-s.stopped:
			return daybook.ErrClosed
		}
	}
}

// turn begins a new segment, unless another than one is written, and waits until
// the one before it is sealed: then who makes index files knows of it.
func (w *writer) turn(ctx context.Context, from int) error {
	w.mu.Lock()
	switch err := w.usable(); {
	case err != nil:
		w.mu.Unlock()
		return err
	case w.segment.number != from:
		return w.unlockAfter(ctx, len(w.queue) > 0, daybook.DurabilityMemory)
	}
	w.turns = true
	return w.noteLocked(ctx, 0)
}

// noteScrubbed writes into the log that all scrubs up to a deletion are done.
func (w *writer) noteScrubbed(ctx context.Context, until daybook.DeletionNumber) error {
	w.mu.Lock()
	if err := w.usable(); err != nil {
		w.mu.Unlock()
		return err
	}
	return w.noteLocked(ctx, until)
}

// noteLocked is noteScrubbed for who holds mu, which it unlocks. What was noted
// before stays true.
func (w *writer) noteLocked(ctx context.Context, until daybook.DeletionNumber) error {
	until = max(until, w.log.index.scrubbed)
	h := otherFrame(kindScrubbed, daybook.ChangesetNumber(until), w.last+1, w.ordinal, w.latest)
	w.acceptOther(&h, nil, nil)
	_, err := w.unlockAndWait(ctx)
	return err
}
