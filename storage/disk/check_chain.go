package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/daybook-go/daybook"
)

// chain checks the headers and sizes of all segments, and that none is missing.
// A compaction may put files in place of others meanwhile: what is wrong must be
// wrong while the same files are there.
func (c *check) chain(found *survey) error {
	before := c.report
	for attempt := 1; ; attempt++ {
		c.report, c.segments = before, nil
		names, err := c.fs.List(c.dir)
		if err != nil {
			return err
		}
		err = c.chainOf(names, found)
		if err == nil && c.report.Found == before.Found {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) || attempt == mostLists {
			return err
		}
		now, listing := c.fs.List(c.dir)
		if listing != nil || err == nil && slices.Equal(now, names) {
			return listing
		}
	}
}

// chainOf is chain for the files of some names.
func (c *check) chainOf(names []string, found *survey) error {
	latest := latestGenerations(names)
	for _, name := range names {
		first, ok := segmentFirst(name)
		ok = ok && latest[first] == name
		// What was begun meanwhile may be listed in part.
		if !ok || found.bounded() && first > found.mark.segment {
			continue
		}
		if err := c.link(name, first); err != nil {
			return err
		}
	}
	c.report.Segments = len(c.segments)
	if n := len(c.segments); n > 0 && found.bounded() && c.segments[n-1].header.first == found.mark.segment {
		c.segments[n-1].limit = min(c.segments[n-1].limit, found.mark.visible)
	}
	return nil
}

// link looks at the segment of a name behind those that were looked at.
func (c *check) link(name string, first daybook.Position) error {
	f, reason, err := c.look(name, first)
	if err != nil {
		return err
	}
	f.limit, f.sound = f.size, reason == ""
	if n := len(c.segments); f.sound && n > 0 {
		c.follow(&c.segments[n-1], &f)
	} else if f.sound && f.header.previous != 0 {
		c.foundDamage(BrokenChain, missingSegment(c.dir, f.header.previous))
	}
	if reason != "" {
		c.found(Problem{Kind: BrokenChain, File: f.name, Position: first, Reason: reason})
	}
	c.segments = append(c.segments, f)
	c.report.SegmentBytes += f.size
	return nil
}

// look returns what the beginning of a segment tells, or why it cannot be right.
func (c *check) look(name string, first daybook.Position) (f checkedSegment, reason string, err error) {
	f.name = filepath.Join(c.dir, name)
	file, err := c.fs.Open(f.name)
	if err != nil {
		return f, "", err
	}
	defer file.Close()
	if f.size, err = file.Size(); err != nil {
		return f, "", err
	}
	b, err := headerOf(file)
	if err != nil {
		return f, "", err
	}
	f.header, f.seed, reason = decodeSegmentHeader(b)
	switch {
	case reason != "":
	case f.header.store != c.report.ID:
		reason = fmt.Sprintf("the segment belongs to another store, %s", f.header.store)
	case f.header.first != first:
		reason = fmt.Sprintf("the segment begins at position %d, not where its name says", f.header.first)
	case f.header.generation > 0:
		f.compacted, reason, err = readCompacted(file, f.seed)
	}
	return f, reason, err
}

// follow checks that a segment follows the one before it.
func (c *check) follow(before, f *checkedSegment) {
	first, _ := segmentFirst(filepath.Base(before.name))
	if f.header.previous != first {
		c.foundDamage(BrokenChain, missingSegment(c.dir, f.header.previous))
		return
	}
	before.sealed = before.compacted.sizeFor(f.header.previousBytes)
	if before.size != before.sealed {
		fault := wrongSize(&before.foundSegment)
		c.found(Problem{Kind: BrokenChain, File: before.name, Offset: fault.offset, Position: first, Reason: fault.reason})
	}
	before.limit = min(before.limit, before.sealed)
}

// lookAgain looks at a segment that is not there any more: a compaction has put
// another in its place. What index files say of it cannot be compared.
func (c *check) lookAgain(number int) error {
	f := &c.segments[number]
	for range mostLists {
		names, err := c.fs.List(c.dir)
		if err != nil {
			return err
		}
		now, reason, err := c.look(latestGenerations(names)[f.header.first], f.header.first)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if reason != "" {
			c.found(Problem{Kind: BrokenChain, File: now.name, Position: f.header.first, Reason: reason})
		}
		now.sound, now.limit, now.sealed = reason == "", now.size, now.size
		*f = now
		return nil
	}
	return fmt.Errorf("%s is put away again and again", f.name)
}
