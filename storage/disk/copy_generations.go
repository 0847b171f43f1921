package disk

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// A segment that was compacted lacks what was deleted behind it. In a copy it must
// not stand without these deletions: so where one takes the place of another
// generation, all that is copied is prepared first, beside what is there.

// replacesGenerations reports whether a segment that is to be copied is there in
// another generation.
func (c *copying) replacesGenerations(wanted []wantedSegment) bool {
	there := map[daybook.Position]bool{}
	for name := range c.there {
		if first, ok := segmentFirst(name); ok {
			there[first] = true
		}
	}
	for i := range wanted {
		f := &wanted[i]
		if !f.kept && there[f.header.first] && !c.there[filepath.Base(f.name)] {
			return true
		}
	}
	return false
}

// putInPlace puts what is prepared in its place. Until all of it is, and the end is
// said, the directory is no store.
func (c *copying) putInPlace() error {
	if !c.prepares {
		return nil
	}
	// Its name is kept beside it, for whoever lost the store in this moment.
	identity := filepath.Join(c.to, identityName)
	if err := c.fs.Rename(identity, identity+durable.Unfinished); err != nil {
		return err
	}
	delete(c.there, identityName)
	if err := c.fs.SyncDir(c.to); err != nil {
		return err
	}
	for _, name := range c.prepared {
		if err := c.fs.Rename(name+durable.Unfinished, name); err != nil {
			return err
		}
	}
	return c.fs.SyncDir(c.to)
}

// removeGenerations removes the segments of the copy that others took the place of.
func (c *copying) removeGenerations() error {
	names, err := c.fs.List(c.to)
	if err != nil {
		return err
	}
	latest := latestGenerations(names)
	removed := false
	for _, name := range names {
		if first, ok := segmentFirst(name); ok && latest[first] != name {
			if err := c.fs.Remove(filepath.Join(c.to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			removed = true
		}
	}
	if !removed {
		return nil
	}
	return c.fs.SyncDir(c.to)
}
