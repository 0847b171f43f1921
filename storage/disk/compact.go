package disk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
)

// CompactOptions are options of Compact. Nil and zero fields mean the defaults.
type CompactOptions struct {
	// ScrubsOnly leaves alone what was deleted without a scrub.
	ScrubsOnly bool
	// After leaves alone what deletions up to this one took: the LastDeletion of
	// an earlier run with the same ScrubsOnly, which carried them out. So a run
	// looks only at what was deleted since. Default: it looks at all that ever was;
	// besides, that removes claims that streams have given back since.
	After daybook.DeletionNumber
	// Pace is told how many bytes were read and written since it was called last,
	// about every MiB, and may wait, for at most as long as ctx lasts: so others
	// get their share of the disk, and what is written is synced piece by piece.
	// Its error ends the run. Default: it is made as fast as it goes. Nothing is
	// locked meanwhile that an append, or a read, needs.
	Pace func(ctx context.Context, bytes int64) error
	// Progress is told after each segment how many of how many were looked at, in
	// the goroutine of the caller.
	Progress func(done, total int)
}

// CompactReport says what a compaction did.
type CompactReport struct {
	Segments   int   // that were written anew
	Changesets int64 // whose content was removed
	Bytes      int64 // by which the log is smaller; below 0 where hardly anything was removed
	// LastDeletion is the last deletion that was there when the run began. If the
	// run ended without an error, it has carried out all up to that.
	LastDeletion daybook.DeletionNumber
}

// Compact removes from the files the content of what was deleted, and so does
// the scrubs that were asked for. It runs beside readers and writers. Segments
// are written anew one by one, each beside the old one, which it replaces when it
// is on the disk: a crash, or the end of ctx, leaves what was done, and a second
// run does the rest. Where nothing is left to remove it changes nothing.
//
// When it returns nil no file of the store holds that content, but for what a
// read that began before still has open. Copies and backups keep theirs. Where
// there is no room for a new segment, the error matches daybook.ErrFull, and not
// daybook.ErrRefused: what was done stays.
func (d *Driver) Compact(ctx context.Context, options *CompactOptions) (report CompactReport, err error) {
	if d.writer == nil {
		return report, d.readOnly()
	}
	d.compacting.Lock()
	defer d.compacting.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.life, cancel)()
	c := compaction{driver: d, log: d.log, writer: d.writer}
	if options != nil {
		c.options = *options
	}
	if err = c.run(ctx); err != nil {
		// That the log could not be written is what must be known, also while it is closed.
		if d.life.Err() != nil && !errors.Is(err, daybook.ErrFailed) {
			err = daybook.ErrClosed
		}
		return c.report, fmt.Errorf("disk: compact %s: %w", d.log.dir, ofCompaction(err))
	}
	return c.report, nil
}

// compaction is one run of Compact.
type compaction struct {
	driver  *Driver
	log     *log
	writer  *writer
	options CompactOptions
	report  CompactReport
	until   daybook.DeletionNumber // the last that it carries out
	targets map[daybook.StreamID]daybook.Version
	unpaced int64 // bytes that Pace was not told of
	// Of the segment that is written anew:
	removed  int64 // changesets whose content was removed
	released bool  // a claim was removed that its changeset does not hold any more
}

func (c *compaction) run(ctx context.Context) error {
	c.writer.mu.Lock()
	c.writer.seekRoom(0)
	err := c.writer.usable()
	c.writer.mu.Unlock()
	if err != nil {
		return err
	}
	pending, err := c.findTargets(ctx)
	if err != nil || c.until == 0 {
		return err
	}
	if len(c.targets) == 0 && !pending {
		return c.removeLeft()
	}
	// Readers must know of a deletion before what it took is not there any more, also
	// those that come after a crash, while the next writer recovers.
	if err := c.writer.syncMark(ctx); err != nil {
		return err
	}
	segments, err := c.findSegments(ctx)
	if err != nil {
		return err
	}
	if err := c.each(ctx, segments); err != nil {
		return err
	}
	if err := c.removeLeft(); err != nil || !pending {
		return err
	}
	return c.writer.noteScrubbed(ctx, c.until)
}

// removeLeft removes the files that were replaced and could not be removed then,
// now or by who had replaced them, and makes sure that none comes back.
func (c *compaction) removeLeft() error {
	c.log.mu.RLock()
	inUse := func(name string) bool {
		return slices.ContainsFunc(c.log.segments, func(s *segment) bool { return s.name == name })
	}
	err := c.log.index.sealed.removeLeft(inUse)
	c.log.mu.RUnlock()
	if err != nil {
		return err
	}
	return c.writer.fs.SyncDir(c.log.dir)
}

// each compacts segments. Until all are done no indexes are merged: what is merged
// is taken apart again for the next one.
func (c *compaction) each(ctx context.Context, numbers []int) error {
	defer c.driver.sealer.seal(0)
	x := c.log.index.sealed
	x.making.Lock()
	defer x.making.Unlock()
	for i, number := range numbers {
		if err := errors.Join(ctx.Err(), c.segment(ctx, number)); err != nil {
			return err
		}
		if c.options.Progress != nil {
			c.options.Progress(i+1, len(numbers))
		}
	}
	return nil
}

// segment compacts a segment, if there is something to remove in it. An index of
// it and others is taken apart first, so that they need not be written anew
// together. If one turns out to be damaged, and another comes in its place
// meanwhile, it begins again.
func (c *compaction) segment(ctx context.Context, number int) error {
	x := c.log.index.sealed
	row := x.rowOf(number)
	if row == nil {
		return nil // it is only indexed as it was when the store was closed
	}
	due, err := c.isDue(ctx, row.span[number-row.first])
	for due && err == nil {
		if row = x.rowOf(number); len(row.span) > 1 {
			err = x.rebuild(row, c.paced(ctx))
			continue
		}
		if err = c.replace(ctx, row); !errors.Is(err, errStopped) || c.driver.life.Err() != nil {
			return err
		}
		err = ctx.Err()
	}
	return err
}

// replace writes the segment of a row anew, and an index of it, puts both in place
// of the old ones, and removes these.
func (c *compaction) replace(ctx context.Context, row *sealedRow) error {
	x, old := c.log.index.sealed, row.span[0]
	c.removed, c.released = 0, false
	s, err := c.rewrite(ctx, old)
	if err != nil {
		return err
	}
	var again *sealedRow
	p, err := x.readPaced(s, nil, c.paced(ctx))
	if err == nil {
		again, err = x.writePart(s, p)
	}
	if err == nil {
		err = c.swap(row, again, old, s)
	}
	if err != nil {
		return errors.Join(err, c.undo(s, again))
	}
	c.report.Segments++
	c.report.Changesets += c.removed
	c.report.Bytes += old.end - s.end
	return x.remove(old.name)
}

// undo removes a segment that was written in vain, and before it the index that
// tells of it: in place of the one that is in use, which is made anew when the
// store is opened next.
func (c *compaction) undo(s *segment, index *sealedRow) (err error) {
	x := c.log.index.sealed
	if index != nil {
		err = errors.Join(index.close(), x.remove(index.name))
	}
	return errors.Join(err, x.remove(s.name))
}

// swap puts a segment and its index in place of others. Reads that run keep the old
// file. That it does not come back after a crash is seen to in the end.
func (c *compaction) swap(row, again *sealedRow, old, s *segment) error {
	file, err := c.log.files.acquire(old.name)
	if err != nil {
		return err
	}
	c.writer.mu.Lock()
	defer c.writer.mu.Unlock()
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if err := c.log.index.sealed.replaceRow(row, again); err != nil {
		c.log.files.release(file)
		return err
	}
	segments := slices.Clone(c.log.segments)
	segments[s.number] = s
	c.log.segments = segments
	c.log.endEra([]*openFile{file})
	return nil
}
