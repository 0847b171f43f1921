package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// RestoreOptions of a restore. Nil and zero fields mean the defaults.
type RestoreOptions struct {
	// ToPosition leaves out every append with a record above it. Default: none.
	ToPosition daybook.Position
	// ToTime leaves out every append that was recorded after it. Default: none.
	ToTime time.Time
	// Progress is told how many bytes of how many are copied.
	Progress func(done, total int64)
	// FS is the file system of both directories. Default: that of the machine.
	FS FS
}

// Restore copies a backup into the directory dir, which must be missing or
// empty, or hold what an interrupted restore of the same backup left: then it
// goes on. Every frame is checked on the way; damage is a
// *daybook.CorruptError. What lies behind ToPosition is not read further than
// to the end of its segment, so that what stands in front of damage can be
// restored. Any store will do for a backup, also one that is written meanwhile.
//
// The log is cut between appends: one of which a part would have to go is left
// out whole. A ToPosition behind the end of the backup is a *BeyondEndError. A
// deletion has no position: it is restored with what stands in front of it.
//
// What a compaction has removed is gone, also from what stood in front of the
// deletion that asked for it. Where that deletion lies behind the bound, the
// copy records one of its own (Copied.Deletions).
//
// The copy is the same store at an earlier time: it has the id of the backup,
// and gives the positions and versions behind its end again. Readers that were
// further must begin anew, and the store that it was copied from must not be
// written any more, or not as the same.
func Restore(ctx context.Context, backup, dir string, options *RestoreOptions) (Copied, error) {
	var o RestoreOptions
	if options != nil {
		o = *options
	}
	for attempt := 1; ; attempt++ {
		c := newCopying(ctx, o.FS, backup, dir, o.Progress)
		c.until = until{o.ToPosition, o.ToTime}
		err := c.run(c.prepareRestore)
		if err == nil {
			if err = removeNote(c.fs, dir); err == nil {
				return c.report, nil
			}
		} else if c.hasChanged(err) && mayRepeat(err, attempt) {
			continue // it goes on, with what is there now
		}
		return Copied{}, fmt.Errorf("disk: restore %s to %s: %w", backup, dir, err)
	}
}

// BeyondEndError says that a store cannot be restored to a position that its
// backup does not reach. Leave the position out to restore all that there is,
// or take a later backup.
type BeyondEndError struct {
	Asked daybook.Position
	End   daybook.Position // of the backup
}

func (e *BeyondEndError) Error() string {
	return fmt.Sprintf("position %d lies behind the end of the backup, position %d", e.Asked, e.End)
}

// restoreName, with durable.Unfinished behind it, is the note that a directory
// holds part of a restored store, and of which. Without it only an empty
// directory is restored into.
const restoreName = "RESTORE"

// prepareRestore refuses a target that is not empty, but for what an
// interrupted restore left.
func (c *copying) prepareRestore() error {
	if c.found.fault != nil && !c.until.bounds() {
		return c.found.fault
	}
	note, err := json.Marshal(map[string]any{"store": c.found.ID, "to_position": c.until.position, "to_time": micros(c.until.time)})
	if err != nil {
		return err
	}
	begun, err := readFile(c.fs, filepath.Join(c.to, restoreName+durable.Unfinished))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	goesOn := err == nil
	// With the same note, only that was left to be removed.
	mayHave := func(name string) bool { return goesOn && (name != identityName || bytes.Equal(begun, note)) }
	if err := c.listTarget(mayHave); err != nil {
		return err
	}
	if err := c.lockTarget(); err != nil {
		return err
	}
	if err := c.listTarget(mayHave); err != nil {
		return err
	}
	if err := c.checkSegmentsThere(); err != nil {
		return err
	}
	if err := c.beginRestore(begun, note); err != nil || c.found.fault != nil {
		return err
	}
	return c.measureForRestore()
}

// beginRestore makes the target ready, of which a note may tell what was begun
// there.
func (c *copying) beginRestore(begun, note []byte) error {
	if bytes.Equal(begun, note) {
		return c.removeStray(restoreName + durable.Unfinished)
	}
	if begun != nil {
		if err := c.removeSegments(); err != nil {
			return err
		}
	}
	return c.writeNote(note)
}

func (c *copying) measureForRestore() error {
	err := c.measureEnd()
	if damage, ok := errors.AsType[*daybook.CorruptError](err); ok && c.until.bounds() {
		// What is wanted may stand in front of it: copying tells.
		c.found.fault, c.last, c.report.LeftOut = damage, 0, nil
		return nil
	}
	if err == nil && c.until.position > c.last {
		return &BeyondEndError{Asked: c.until.position, End: c.last}
	}
	return err
}

// writeNote says that what stands in the target from now on is part of a
// restore. It must be there before anything else is.
func (c *copying) writeNote(note []byte) error {
	file, err := c.fs.Create(filepath.Join(c.to, restoreName+durable.Unfinished))
	if err != nil {
		return err
	}
	err = writeAll(file, note, 0)
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return c.fs.SyncDir(c.to)
}

// removeSegments removes what a restore to another place left. The note stays
// until all is gone.
func (c *copying) removeSegments() error {
	for name := range c.there {
		if name == lockName || name == restoreName+durable.Unfinished {
			continue
		}
		if err := c.fs.Remove(filepath.Join(c.to, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		delete(c.there, name)
	}
	return c.fs.SyncDir(c.to)
}

func removeNote(fsys FS, dir string) error {
	if err := fsys.Remove(filepath.Join(dir, restoreName+durable.Unfinished)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fsys.SyncDir(dir)
}
