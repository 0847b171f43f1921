package disk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
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
// read that began before still has open. Copies and backups keep theirs.
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
		return c.report, fmt.Errorf("disk: compact %s: %w", d.log.dir, err)
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
}

func (c *compaction) run(ctx context.Context) error {
	c.writer.mu.Lock()
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
	if !pending {
		return nil
	}
	return c.writer.noteScrubbed(ctx, c.until, false)
}

// findTargets finds out of which streams content is to be removed, and through
// which version. It reports whether there are scrubs that were not done.
func (c *compaction) findTargets(ctx context.Context) (pending bool, err error) {
	c.targets = map[daybook.StreamID]daybook.Version{}
	for deletion, err := range c.driver.ReadDeletions(ctx, daybook.DeletionRead{}) {
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
		x.each(false, func(r *sealedRow) (bool, error) {
			for f, err := range r.Changesets(id, 0, through, false) {
				if err != nil {
					return false, err
				}
				found[r.place(f.Place).segment()] = true
			}
			return false, nil
		})
		if err := errors.Join(ctx.Err(), x.failure()); err != nil {
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
	if err := c.writer.noteScrubbed(ctx, 0, true, number); err != nil {
		return err
	}
	s := c.driver.sealer
	for {
		s.mu.Lock()
		progress, failing := s.progress, s.failing
		s.mu.Unlock()
		if c.log.index.sealed.next() > number {
			return nil
		}
		if failing {
			return fmt.Errorf("the index file of %s could not be made", c.log.path(""))
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

// noteScrubbed writes into the log that all scrubs up to a deletion are done; 0:
// as many as before. If turn is given, it begins a new segment for that, unless
// another than these is written.
func (w *writer) noteScrubbed(ctx context.Context, until daybook.DeletionNumber, turn bool, only ...int) error {
	w.mu.Lock()
	if err := w.usable(); err != nil || turn && !slices.Contains(only, w.segment.number) {
		w.mu.Unlock()
		return err
	}
	until = max(until, w.log.index.scrubbed)
	recorded := w.latest
	h := otherFrame(kindScrubbed, daybook.ChangesetNumber(until), w.last+1, w.ordinal, recorded)
	w.turns = turn
	w.acceptOther(&h, nil, nil)
	_, err := w.unlockAndWait(ctx)
	return err
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
	var retired []*segment
	for i, s := range row.span {
		if !slices.Contains(wanted, s.number) {
			continue
		}
		again, err := c.rewrite(ctx, s)
		if err != nil {
			return 0, errors.Join(err, c.undo(row.span, span))
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
			return 0, errors.Join(err, closeRows(rows), c.undo(row.span, span))
		}
		rows = append(rows, again)
	}
	if err := c.swap(row, rows, span, retired); err != nil {
		return 0, err
	}
	for i, s := range row.span {
		if span[i] != s {
			c.report.Bytes += s.end - span[i].end
		}
	}
	c.report.Segments += len(retired)
	return row.next(), c.removeOld(row, rows, retired)
}

// undo removes the segments that were written in vain.
func (c *compaction) undo(before, after []*segment) (err error) {
	for i := range before {
		if after[i] != before[i] {
			err = errors.Join(err, c.writer.fs.Remove(after[i].name))
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
			return errors.Join(err, closeRows(rows), c.undo(row.span, span))
		}
		files = append(files, file)
	}
	c.writer.mu.Lock()
	defer c.writer.mu.Unlock()
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	if _, err := c.log.index.sealed.replaceRow(row, rows...); err != nil {
		for _, file := range files {
			c.log.files.release(file)
		}
		return errors.Join(err, c.undo(row.span, span))
	}
	segments := slices.Clone(c.log.segments)
	for _, s := range span {
		segments[s.number] = s
	}
	c.log.segments = segments
	c.log.endEra(files)
	return nil
}

// removeOld removes the files that were replaced.
func (c *compaction) removeOld(row *sealedRow, rows []*sealedRow, retired []*segment) error {
	var names []string
	if !slices.ContainsFunc(rows, func(r *sealedRow) bool { return r.name == row.name }) {
		names = append(names, row.name)
	}
	for _, s := range retired {
		names = append(names, s.name)
	}
	for _, name := range names {
		if err := c.writer.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return c.writer.fs.SyncDir(c.log.dir)
}

// errSame ends the writing of a segment that would be what it is.
var errSame = errors.New("nothing is to be removed")

// rewrite writes a segment anew without the content of the targets; nil: there is
// none in it.
func (c *compaction) rewrite(ctx context.Context, old *segment) (*segment, error) {
	due, err := c.isDue(ctx, old)
	if !due || err != nil {
		return nil, err
	}
	s := &segment{number: old.number, header: old.header}
	if s.header.generation++; s.header.generation > maxGeneration {
		return nil, fmt.Errorf("%s cannot be compacted any more", old.name)
	}
	s.name = c.log.path(generationName(s.header.first, s.header.generation))
	header := s.header.encode()
	s.seed = seedOf(header)
	err = durable.Write(c.writer.fs, s.name, func(file File) error {
		to := bufio.NewWriterSize(&fileWriter{file: file, stopping: &c.log.index.sealed.stopping}, scanChunk)
		if _, err := to.Write(append(header, make([]byte, compactedSize)...)); err != nil {
			return err
		}
		size, err := c.copy(ctx, old, s, to)
		if err == nil {
			err = to.Flush()
		}
		if err != nil {
			return err
		}
		s.end = segmentHeaderSize + compactedSize + size.now
		size.now = s.end
		first := make([]byte, compactedSize)
		size.put(first, &s.header, s.seed)
		return writeAll(file, first, segmentHeaderSize)
	})
	s.written.Store(s.end)
	return s, err
}

// isDue reports whether a segment has content that is to be removed.
func (c *compaction) isDue(ctx context.Context, old *segment) (bool, error) {
	_, err := c.log.reader(old, old.end, scanChunk).walk(segmentHeaderSize, func(f *frame) error {
		_, changed, err := c.after(f)
		if err == nil && changed {
			err = errSame
		}
		return errors.Join(err, ctx.Err())
	})
	if errors.Is(err, errSame) {
		return true, nil
	}
	return false, c.explain(old, err)
}

// copy writes the frames of a segment behind the first of the new one. It returns
// what that must tell, with the size of what it wrote.
func (c *compaction) copy(ctx context.Context, old, s *segment, to io.Writer) (size compacted, err error) {
	size.original = old.end
	offset := int64(segmentHeaderSize + compactedSize)
	s.mark(segmentHeaderSize, s.header.first, s.header.floor, true)
	header := make([]byte, frameHeaderSize)
	_, err = c.log.reader(old, old.end, scanChunk).walk(segmentHeaderSize, func(f *frame) error {
		if f.kind == kindCompacted {
			before, _ := decodeCompacted(f)
			size.original = before.original
			return ctx.Err()
		}
		body, changed, err := c.after(f)
		if err != nil {
			return err
		}
		h := f.frameHeader
		if changed {
			if h.kind == kindChangeset {
				c.report.Changesets++
			}
			h.kind, h.bodyBytes, h.bodySum = kindBones, int64(len(body)), crc32.Checksum(body, castagnoli)
		}
		h.durable = segmentHeaderSize
		h.put(header, s.seed, offset)
		s.mark(offset, h.position, fromMicros(h.recorded), !h.isChangeset())
		if _, err := to.Write(header); err != nil {
			return err
		}
		_, err = to.Write(body)
		offset += h.size()
		return errors.Join(err, ctx.Err())
	})
	size.now = offset - segmentHeaderSize - compactedSize
	return size, c.explain(old, err)
}

// after returns the body of a frame as it is to be, and whether that is another.
func (c *compaction) after(f *frame) (body []byte, changed bool, err error) {
	if !f.isChangeset() {
		return f.body, false, nil
	}
	parts, ok := decodeChangeset(f)
	if !ok {
		return nil, false, &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error(), sound: true}
	}
	last := f.first + daybook.Version(f.count) - 1
	if f.kind == kindChangeset && last > c.targets[parts.stream] {
		return f.body, false, nil
	}
	if f.kind == kindBones && len(parts.claims) == 0 {
		return f.body, false, nil
	}
	body, ok = bones(f, func(id daybook.StreamID, claim daybook.Claim) bool {
		c.log.mu.RLock()
		defer c.log.mu.RUnlock()
		x := &c.log.index
		h := x.shownTaken(claimKey{id.Partition, claim})
		return h.held && h.stream == id && h.since == f.first && x.hidings.of(id, shownView).Emptied < h.since
	})
	if !ok {
		return nil, false, &frameError{offset: f.offset, position: f.position, reason: errUndecodable.Error(), sound: true}
	}
	return body, f.kind == kindChangeset || len(body) != len(f.body) || string(body) != string(f.body), nil
}

// explain returns the error for what is wrong in a segment.
func (c *compaction) explain(s *segment, err error) error {
	if fault, ok := errors.AsType[*frameError](err); ok {
		return &daybook.CorruptError{File: s.name, Offset: fault.offset, Position: max(fault.position, s.header.first), Reason: fault.reason}
	}
	return err
}
