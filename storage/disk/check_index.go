package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/logindex"
)

// checkedIndex is an index file, open.
type checkedIndex struct {
	name  string
	first daybook.Position // of its first segment
	last  daybook.Position // of its last segment
	file  File
	size  int64
	run   *logindex.Run // nil if it cannot be opened
	err   error         // why
	tally logindex.Tally
	bad   bool // something in it cannot be right
}

// openIndexes opens all index files. A writer may remove one that it has
// merged: that is none any more.
func (c *check) openIndexes() error {
	names, err := c.fs.List(c.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		first, last, ok := indexSpan(name)
		if !ok {
			continue
		}
		x := checkedIndex{name: filepath.Join(c.dir, name), first: first, last: last}
		if x.file, err = c.fs.Open(x.name); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return err
		}
		if x.size, err = x.file.Size(); err != nil {
			return errors.Join(err, x.file.Close())
		}
		if x.run, x.err = logindex.Open(x.file, x.size, c.report.ID); x.err != nil {
			x.run = nil
			if !damaged(x.err) {
				return errors.Join(x.err, x.file.Close())
			}
		}
		c.indexes = append(c.indexes, x)
		c.report.IndexFiles++
		c.report.IndexBytes += x.size
	}
	return nil
}

func (c *check) closeIndexes() {
	for i := range c.indexes {
		_ = c.indexes[i].file.Close() // it was only read from
	}
}

// checkIndexes checks each index file by itself, and that it was made of the
// segments that are there.
func (c *check) checkIndexes() error {
	for i := range c.indexes {
		x := &c.indexes[i]
		problem := func(offset int64, reason string) {
			x.bad = true
			c.found(Problem{Kind: BrokenIndex, File: x.name, Offset: offset, Position: x.first, Reason: reason})
		}
		if x.run == nil {
			problem(0, x.err.Error())
		} else {
			var err error
			x.tally, err = x.run.Check(c.ctx, func(f logindex.Fault) { problem(f.Offset, f.Reason) })
			if err != nil {
				return err
			}
			switch reason := c.misfit(x); {
			case reason == "":
			case c.isOutdated(x):
				x.bad = true
				c.note("%s tells of segments as they were before: the next writer makes it anew", filepath.Base(x.name))
			default:
				problem(0, reason)
			}
		}
		c.advance(x.size)
	}
	covered := 0
	for _, row := range c.rows() {
		if !row.part(c) {
			covered = row.to + 1
		}
	}
	if sealed := len(c.segments) - 1; covered < sealed {
		c.note("%d of %d sealed segments are in no index file that can be used: the next writer makes them anew", sealed-covered, sealed)
	}
	return nil
}

// misfit returns why an index file was not made of the segments that its name
// tells.
func (c *check) misfit(x *checkedIndex) string {
	from := c.numberOf(x.first)
	of := x.run.Segments()
	if from < 0 || from+len(of) > len(c.segments) || of[0].First != x.first || of[len(of)-1].First != x.last {
		return "it tells of segments that are not there"
	}
	for i, s := range of {
		f := &c.segments[from+i]
		part := len(of) == 1 && from == len(c.segments)-1
		if s.First != f.header.first || s.Seed != f.seed || s.Bytes != f.limit && (!part || s.Bytes > f.limit) {
			return fmt.Sprintf("it was made of another %s: of %d bytes, not %d", filepath.Base(f.name), s.Bytes, f.limit)
		}
	}
	return ""
}

// isOutdated reports whether an index file was made of the segments that are
// there, before they were sealed, or in another generation of them: a crash, or a
// compaction that met a fault, may leave one.
func (c *check) isOutdated(x *checkedIndex) bool {
	of := x.run.Segments()
	from := c.numberOf(x.first)
	if from < 0 || from+len(of) > len(c.segments) {
		return false
	}
	for i, s := range of {
		f := &c.segments[from+i]
		smaller := len(of) == 1 && s.Bytes < f.limit
		if s.First != f.header.first || s.Seed == f.seed && s.Bytes != f.limit && !smaller || s.Seed != f.seed && !isGeneration(f.header, s.Seed) {
			return false
		}
	}
	return true
}

// isGeneration reports whether the header of a segment has a seed in another
// generation: an earlier one, or one that was attempted.
func isGeneration(h segmentHeader, seed uint32) bool {
	const attempts = 64
	last := min(h.generation+attempts, maxGeneration)
	for h.generation = 0; h.generation <= last; h.generation++ {
		if seedOf(h.encode()) == seed {
			return true
		}
	}
	return false
}

// numberOf returns the number of the segment of a name; -1 if there is none.
func (c *check) numberOf(first daybook.Position) int {
	return slices.IndexFunc(c.segments, func(f checkedSegment) bool { return f.sound && f.header.first == first })
}

// checkedRow is an index file in use, and the segments that it covers.
type checkedRow struct {
	*checkedIndex
	from, to int // numbers of segments
}

// part reports whether it covers what the last segment held once.
func (r *checkedRow) part(c *check) bool { return r.to == len(c.segments)-1 }

// rows returns the index files that opening would use: the longest first, from
// the first segment on, without gaps.
func (c *check) rows() (rows []checkedRow) {
	for next := 0; ; {
		var longest *checkedRow
		for i := range c.indexes {
			x := &c.indexes[i]
			if x.bad || x.run == nil || c.numberOf(x.first) != next {
				continue
			}
			if to := next + len(x.run.Segments()) - 1; longest == nil || to > longest.to {
				longest = &checkedRow{x, next, to}
			}
		}
		if longest == nil {
			return rows
		}
		rows = append(rows, *longest)
		next = longest.to + 1
	}
}
