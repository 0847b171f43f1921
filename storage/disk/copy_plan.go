package disk

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
)

// wantedSegment is a segment that the copy has.
type wantedSegment struct {
	*foundSegment
	limit int64 // how much of it is wanted at most
	kept  bool  // it is there already
	stale bool  // another generation of it is there
}

// plan says which segments the copy has, and which of them must be copied.
func (c *copying) plan() (wanted []wantedSegment, err error) {
	changed := c.findStale()
	for i := range c.found.found {
		f := &c.found.found[i]
		// What follows the bound and has no position is wanted.
		if i > 0 && (c.until.passed(f.header.first-1, f.header.floor) ||
			c.until.position > 0 && f.header.first > c.until.position && f.sealed > 0 && f.size != f.sealed) {
			break
		}
		want := wantedSegment{foundSegment: f, limit: f.sealed, stale: c.isStale(f)}
		switch {
		case i < len(c.found.found)-1:
			if f.size != f.sealed {
				return nil, corruptAt(f, wrongSize(f), 0)
			}
		case c.found.fault != nil:
			want.limit = f.size
		default:
			want.limit = c.end
		}
		if want.kept, err = c.isThere(f, want.limit); err != nil {
			return nil, err
		}
		wanted = append(wanted, want)
	}
	if c.until.bounds() {
		wanted[len(wanted)-1].kept = false // the bound may lie in it
	}
	for i := range wanted {
		if !wanted[i].kept {
			c.total += wanted[i].limit
			changed = changed || c.there[filepath.Base(wanted[i].name)]
		}
	}
	c.prepares = c.there[identityName] && len(c.stale) > 0
	if changed {
		err = c.removeIndexes()
	}
	return wanted, err
}

// findStale finds the segments of the target of which the source has another
// generation. It reports whether there are any.
func (c *copying) findStale() bool {
	c.stale = nil
	for name := range c.there {
		first, ok := segmentFirst(name)
		if ok && slices.ContainsFunc(c.found.found, func(f foundSegment) bool {
			return f.header.first == first && filepath.Base(f.name) != name
		}) {
			c.stale = append(c.stale, name)
		}
	}
	return len(c.stale) > 0
}

func (c *copying) isStale(f *foundSegment) bool {
	return slices.ContainsFunc(c.stale, func(name string) bool {
		first, _ := segmentFirst(name)
		return first == f.header.first
	})
}

// comparedBlock is how much of the beginning, and of the end, of a segment is
// compared, at most.
const comparedBlock = 4 << 10

// isThere reports whether the target holds a segment as it is: of this size,
// with this beginning, where its header tells of the ones before it, and this
// end.
func (c *copying) isThere(f *foundSegment, limit int64) (bool, error) {
	if !c.there[filepath.Base(f.name)] {
		return false, nil
	}
	there, err := c.fs.Open(filepath.Join(c.to, filepath.Base(f.name)))
	if err != nil {
		return false, err
	}
	defer there.Close()
	if size, err := there.Size(); size != limit || err != nil {
		return false, err
	}
	from, err := c.fs.Open(f.name)
	if err != nil {
		return false, err
	}
	defer from.Close()
	block := min(limit, comparedBlock)
	for _, piece := range [][2]int64{{0, block}, {limit - block, block}} {
		a, b := make([]byte, piece[1]), make([]byte, piece[1])
		_, errA := there.ReadAt(a, piece[0])
		_, errB := from.ReadAt(b, piece[0])
		for _, err := range []error{errA, errB} {
			if err != nil && !errors.Is(err, io.EOF) {
				return false, err
			}
		}
		if !bytes.Equal(a, b) {
			return false, nil
		}
	}
	return true, nil
}

// removeIndexes removes the index files of the target: they tell of segments
// that are about to be replaced.
func (c *copying) removeIndexes() error {
	var names []string
	for name := range c.there {
		if _, _, ok := indexSpan(name); ok {
			names = append(names, name)
		}
	}
	return c.remove(names)
}

// remove removes files of the target.
func (c *copying) remove(names []string) error {
	for _, name := range names {
		if err := c.fs.Remove(filepath.Join(c.to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return c.fs.SyncDir(c.to)
}
