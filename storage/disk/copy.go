package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// copying is a copy of a store on its way: a backup, or a restore.
type copying struct {
	ctx      context.Context
	fs       FS
	from, to string
	progress func(done, total int64)
	until    until // how far is copied

	found  survey
	lock   File
	end    int64            // of the last segment: that of an append
	last   daybook.Position // of the source; 0 where that was not read
	there  map[string]bool  // what the target holds
	stale  []string         // segments that it holds, of which the source has another generation
	mark   endMark          // of the target
	total  int64
	done   int64
	report Copied
	// prepares is set where nothing may be put in place before all of it is there;
	// prepared are the files that wait for that.
	prepares bool
	prepared []string
}

// until bounds what is copied: whole appends of which no record lies above the
// position, or was recorded after the time.
type until struct {
	position daybook.Position // 0: there is no bound
	time     time.Time        // zero: there is no bound
}

func (u until) bounds() bool { return u.position > 0 || !u.time.IsZero() }

// passed reports whether a frame stands behind the bound.
func (u until) passed(last daybook.Position, recorded time.Time) bool {
	return u.position > 0 && last > u.position || !u.time.IsZero() && recorded.After(u.time)
}

// run copies. Prepare looks at both directories, takes the lock of the target,
// and measures the end.
func (c *copying) run(prepare func() error) (err error) {
	if c.found, err = takeSurvey(c.fs, c.from, true); err != nil {
		return err
	}
	if err := durable.MakeDir(c.fs, c.to); err != nil {
		return err
	}
	defer func() {
		if c.lock != nil {
			err = errors.Join(err, c.lock.Close())
		}
	}()
	if err := prepare(); err != nil {
		return err
	}
	return c.copyAll()
}

func (c *copying) lockTarget() (err error) {
	c.lock, err = lockStore(c.fs, c.to, time.Now)
	return err
}

func (c *copying) lastFound() *foundSegment { return &c.found.found[len(c.found.found)-1] }

// listTarget notes what the target holds, and refuses what no store has, or
// what mayHave does not allow.
func (c *copying) listTarget(mayHave func(name string) bool) error {
	names, err := c.fs.List(c.to)
	if err != nil {
		return err
	}
	c.there = map[string]bool{}
	for _, name := range names {
		c.there[name] = true
		ours := isOurs(strings.TrimSuffix(name, durable.Unfinished))
		if name != lockName && (!ours || mayHave != nil && !mayHave(name)) {
			return &OccupiedError{Dir: c.to, Reason: "it holds " + name}
		}
	}
	return nil
}

// removeStray removes what an interrupted copy left unfinished, but for one
// file.
func (c *copying) removeStray(but string) error {
	for name := range c.there {
		if strings.HasSuffix(name, durable.Unfinished) && name != but {
			if err := c.fs.Remove(filepath.Join(c.to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// checkSegmentsThere refuses segments of another store.
func (c *copying) checkSegmentsThere() error {
	for name := range c.there {
		if _, isSegment := segmentFirst(name); !isSegment {
			continue
		}
		file, err := c.fs.Open(filepath.Join(c.to, name))
		if err != nil {
			return err
		}
		data, err := headerOf(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		if header, _, reason := decodeSegmentHeader(data); reason != "" || header.store != c.found.ID {
			return &OccupiedError{Dir: c.to, Reason: fmt.Sprintf("it holds %s, which belongs to another store", name)}
		}
	}
	return nil
}

// measureEnd finds out how much of the last segment can be copied: up to the
// end of an append.
func (c *copying) measureEnd() error {
	f := c.lastFound()
	limit := f.size
	if c.found.bounded() {
		limit = min(limit, c.found.mark.visible)
	}
	file, err := c.fs.Open(f.name)
	if err != nil {
		return err
	}
	defer file.Close()
	r := &frameReader{source: file, seed: f.seed, limit: limit, chunk: scanChunk}
	w := &copyWalk{last: f.header.first - 1}
	c.end, err = r.walk(segmentHeaderSize, func(fr *frame) error { return errors.Join(w.visit(fr), c.ctx.Err()) })
	c.last = w.last
	c.tellEnd(f, w)
	fault, damaged := errors.AsType[*frameError](err)
	if !damaged {
		return err
	}
	if c.found.bounded() {
		return corruptAt(f, fault, w.last+1)
	}
	torn, err := isTorn(r, c.end, fault, f, &c.found)
	if err != nil {
		return err
	}
	if !torn {
		return corruptAt(f, fault, w.last+1)
	}
	blank, err := r.blankFrom(c.end)
	if err == nil && !blank {
		c.report.LeftOut = &LeftOut{
			Bytes: f.size - c.end, From: w.last + 1, Reason: "an append that a crash cut short, which was never acknowledged",
		}
	}
	return err
}

// copyWalk follows the frames of a segment, and ends in front of the first
// append that passes a bound.
type copyWalk struct {
	until    until
	last     daybook.Position // of the last whole append
	recorded time.Time
	held     daybook.Position // of the append that is not whole yet
}

// errPassed ends a walk at the bound.
var errPassed = errors.New("the bound is passed")

func (w *copyWalk) visit(f *frame) error {
	last, recorded := lastPositionOf(f), fromMicros(f.recorded)
	if w.until.passed(last, recorded) {
		return errPassed
	}
	if w.held = last; !f.more() {
		w.last, w.recorded = w.held, recorded
	}
	return nil
}

// lastPositionOf returns the position of the last record of a frame.
func lastPositionOf(f *frame) daybook.Position {
	if f.flags&flagGaps != 0 {
		if c, ok := decodeChangeset(f); ok {
			return c.lastPosition()
		}
	}
	return f.position + daybook.Position(f.count) - 1
}

// corruptAt is the error for a fault in a segment of the source, in front of
// which the log ends below a position.
func corruptAt(f *foundSegment, fault *frameError, next daybook.Position) error {
	position := fault.position
	if position == 0 {
		position = max(next, f.header.first)
	}
	return &daybook.CorruptError{File: f.name, Offset: fault.offset, Position: position, Reason: fault.reason}
}

// copyAll copies the segments in order, then says where they end, and only
// then makes the directory a store.
func (c *copying) copyAll() error {
	wanted, err := c.plan()
	if err != nil {
		return err
	}
	c.advance(0)
	w := &copyWalk{until: c.until}
	end, last := int64(0), (*foundSegment)(nil)
	passed := false
	for _, f := range wanted {
		last = f.foundSegment
		w.last = max(w.last, f.header.first-1)
		if f.kept {
			c.report.KeptSegments++
			c.report.KeptBytes += f.limit
			end = f.limit
			continue
		}
		if end, passed, err = c.copyOne(f, w); err != nil {
			return err
		}
		if passed {
			break
		}
	}
	if fault := c.found.fault; fault != nil && !passed && last == c.lastFound() &&
		(c.until.position == 0 || c.until.position >= fault.Position) {
		return fault
	}
	return c.finish(last, end, w)
}

// copyOne copies one segment, checks the copy, and cuts it at the bound. It
// returns the end of the last append that was copied.
func (c *copying) copyOne(f wantedSegment, w *copyWalk) (end int64, passed bool, err error) {
	name := filepath.Join(c.to, filepath.Base(f.name))
	write := durable.Write
	if c.prepares {
		write = durable.Prepare
		c.prepared = append(c.prepared, name)
	}
	err = write(c.fs, name, func(file File) error {
		if err := c.copyBytes(f, file); err != nil {
			return err
		}
		r := &frameReader{source: file, seed: f.seed, limit: f.limit, chunk: scanChunk}
		var err error
		end, err = r.walk(segmentHeaderSize, func(fr *frame) error { return errors.Join(w.visit(fr), c.ctx.Err()) })
		fault, damaged := errors.AsType[*frameError](err)
		switch {
		case damaged && c.until.position > 0 && (w.last == c.until.position || fault.position > c.until.position):
			passed = true // nothing of what is damaged is wanted
		case damaged:
			return corruptAt(f.foundSegment, fault, w.last+1)
		case errors.Is(err, errPassed):
			passed = true
		case err != nil:
			return err
		}
		if end < f.limit {
			return file.Truncate(end)
		}
		return nil
	})
	if err != nil {
		return 0, false, err
	}
	c.report.Segments++
	c.report.Bytes += end
	if c.there[filepath.Base(f.name)] || f.stale {
		c.report.Replaced++
	}
	return end, passed, nil
}

func (c *copying) copyBytes(f wantedSegment, to File) error {
	from, err := c.fs.Open(f.name)
	if err != nil {
		return err
	}
	defer from.Close()
	buf := make([]byte, scanChunk)
	for offset := int64(0); offset < f.limit; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n, err := from.ReadAt(buf[:min(int64(len(buf)), f.limit-offset)], offset)
		if n == 0 {
			if errors.Is(err, io.EOF) {
				return corruptAt(f.foundSegment, &frameError{offset: offset, reason: "the file ends too early"}, 0)
			}
			return err
		}
		if err := writeAll(to, buf[:n], offset); err != nil {
			return err
		}
		offset += int64(n)
		c.advance(int64(n))
	}
	return nil
}

// finish says where the copy ends, and makes it a store.
func (c *copying) finish(last *foundSegment, end int64, w *copyWalk) error {
	behind := end
	if c.until.bounds() {
		var err error
		if behind, err = c.recordRemoval(last, end, w.last); err != nil {
			return err
		}
	}
	if err := c.putInPlace(); err != nil {
		return err
	}
	mark := endMark{store: c.found.ID, segment: last.header.first, visible: behind, synced: behind, clean: true}
	if err := durable.WriteFile(c.fs, filepath.Join(c.to, endName), mark.encode()); err != nil {
		return err
	}
	if len(c.stale) > 0 {
		if err := c.remove(c.stale); err != nil {
			return err
		}
	}
	if !c.there[identityName] {
		data, err := c.found.identity.encode()
		if err == nil {
			err = durable.WriteFile(c.fs, filepath.Join(c.to, identityName), data)
		}
		if err != nil {
			return err
		}
	}
	if c.until.bounds() {
		c.tellEnd(last, w)
		c.noteLeftOut(last, end, w.last)
	}
	return nil
}

// tellEnd notes where the copy ends, by what was walked of its last segment.
func (c *copying) tellEnd(last *foundSegment, w *copyWalk) {
	c.report.LastPosition, c.report.LastRecorded = w.last, w.recorded
	if w.recorded.IsZero() {
		c.report.LastRecorded = last.header.floor
	}
}

// noteLeftOut tells what stands behind a bound.
func (c *copying) noteLeftOut(last *foundSegment, end int64, position daybook.Position) {
	left := LeftOut{From: position + 1, Through: c.last, Reason: "it stands behind the bound"}
	for i := range c.found.found {
		f := &c.found.found[i]
		size := f.sealed
		if i == len(c.found.found)-1 {
			if size = c.end; c.found.fault != nil {
				size = f.size
			}
		}
		switch {
		case f.header.first == last.header.first:
			left.Bytes += size - end
		case f.header.first > last.header.first:
			left.Bytes += size
		}
	}
	if left.Bytes > 0 {
		c.report.LeftOut = &left
	}
}

func (c *copying) advance(more int64) {
	c.done += more
	if c.progress != nil {
		c.progress(c.done, c.total)
	}
}
