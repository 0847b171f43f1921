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
	// Progress is told after each segment how many of how many were looked at, in
	// the goroutine of the caller.
	Progress func(done, total int)
}

// CompactReport says what a compaction did.
type CompactReport struct {
	Segments   int   // that were written anew
	Changesets int64 // whose content was removed
	Bytes      int64 // by which the log is smaller; below 0 where hardly anything was removed
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
		if d.life.Err() != nil {
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
	removed int64 // changesets, from the segments of the present row
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
	segments, err := c.findSegments(ctx)
	if err != nil {
		return err
	}
	total := len(segments)
	for len(segments) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, err := c.row(ctx, segments)
		if err != nil {
			return err
		}
		segments = segments[slices.IndexFunc(append(segments, next), func(n int) bool { return n >= next }):]
		if c.options.Progress != nil {
			c.options.Progress(total-len(segments), total)
		}
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

// row compacts segments that an index file covers: the first that are wanted and
// have one in common. It returns the number of the segment behind it.
func (c *compaction) row(ctx context.Context, wanted []int) (next int, err error) {
	x := c.log.index.sealed
	x.making.Lock()
	defer x.making.Unlock()
	x.mu.RLock()
	var row *sealedRow
	for _, r := range x.rows {
		if r.first <= wanted[0] && wanted[0] < r.next() {
			row = r
		}
	}
	x.mu.RUnlock()
	if row == nil {
		return wanted[0] + 1, nil // it is only indexed as it was when the store was closed
	}
	span := slices.Clone(row.span)
	c.removed = 0
	var retired []*segment
	for i, s := range row.span {
		if !slices.Contains(wanted, s.number) {
			continue
		}
		again, err := c.rewrite(ctx, s)
		if err != nil {
			return 0, errors.Join(err, c.undo(row, span, nil))
		}
		if again != nil {
			span[i], retired = again, append(retired, s)
		}
	}
	if len(retired) == 0 {
		return row.next(), nil
	}
	var rows []*sealedRow
	for _, s := range span {
		p, err := x.read(s, rows)
		var again *sealedRow
		if err == nil {
			again, err = x.writePart(s, p)
		}
		if err != nil {
			return 0, errors.Join(err, c.undo(row, span, rows))
		}
		rows = append(rows, again)
	}
	err = c.swap(row, rows, span, retired)
	if errors.Is(err, errStopped) && c.driver.life.Err() == nil {
		return wanted[0], nil // it was damaged, and another came in its place: once more
	}
	if err != nil {
		return 0, err
	}
	for i, s := range row.span {
		if span[i] != s {
			c.report.Bytes += s.end - span[i].end
		}
	}
	c.report.Segments += len(retired)
	c.report.Changesets += c.removed
	return row.next(), c.removeOld(row, rows, retired)
}

// undo removes the segments that were written in vain, and before them the indexes
// that tell of them: in place of the one that is in use, perhaps, which is made
// anew when the store is opened next.
func (c *compaction) undo(row *sealedRow, span []*segment, rows []*sealedRow) error {
	x := c.log.index.sealed
	err := closeRows(rows)
	for _, r := range rows {
		err = errors.Join(err, x.remove(r.name))
	}
	for i, s := range row.span {
		if span[i] != s {
			err = errors.Join(err, x.remove(span[i].name))
		}
	}
	return err
}

// swap puts the new segments and their indexes in place of the old ones. Reads
// that run keep the old files.
func (c *compaction) swap(row *sealedRow, rows []*sealedRow, span, retired []*segment) error {
	var files []*openFile
	for _, s := range retired {
		file, err := c.log.files.acquire(s.name)
		if err != nil {
			for _, file := range files {
				c.log.files.release(file)
			}
			return errors.Join(err, c.undo(row, span, rows))
		}
		files = append(files, file)
	}
	c.writer.mu.Lock()
	defer c.writer.mu.Unlock()
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if err := c.log.index.sealed.replaceRow(row, rows...); err != nil {
		for _, file := range files {
			c.log.files.release(file)
		}
		return errors.Join(err, c.undo(row, span, rows))
	}
	segments := slices.Clone(c.log.segments)
	for _, s := range span {
		segments[s.number] = s
	}
	c.log.segments = segments
	c.log.endEra(files)
	return nil
}

// removeOld removes the files that were replaced. That none comes back after a
// crash is seen to in the end.
func (c *compaction) removeOld(row *sealedRow, rows []*sealedRow, retired []*segment) (err error) {
	x := c.log.index.sealed
	if !slices.ContainsFunc(rows, func(r *sealedRow) bool { return r.name == row.name }) {
		err = x.remove(row.name)
	}
	for _, s := range retired {
		err = errors.Join(err, x.remove(s.name))
	}
	return err
}
