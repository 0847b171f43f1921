package disk

import (
	"path/filepath"

	"github.com/daybook-go/daybook/internal/durable"
)

// A segment that was compacted lacks what was deleted behind it. In a copy it must
// not stand without these deletions: so where one takes the place of another
// generation, all that is copied is prepared first, beside what is there.

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
