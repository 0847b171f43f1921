package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// BackupOptions of a backup. Nil and zero fields mean the defaults.
type BackupOptions struct {
	// Progress is told how many bytes of how many are copied.
	Progress func(done, total int64)
	// FS is the file system of both directories. Default: that of the machine.
	FS FS
}

// Copied tells what a backup or a restore did.
type Copied struct {
	Segments int   // copied
	Bytes    int64 // of these
	// KeptSegments were in the target already, as they are in the store, and
	// were not copied again; KeptBytes is how large they are.
	KeptSegments int
	KeptBytes    int64
	// Replaced are those of Segments that stood in the target as the store had
	// them before: the last segment of an earlier backup, which has grown, and
	// segments that were rewritten.
	Replaced int
	// LastPosition is that of the last record of the copy, and LastRecorded when
	// it was recorded; zero if it has none.
	LastPosition daybook.Position
	LastRecorded time.Time
	// LeftOut is what stands behind the end of the copy; nil if nothing does.
	LeftOut *LeftOut
	// Deletions are those that a restore to a position or a time recorded at the
	// end of the copy: one for each stream of which a compaction had removed
	// content in front of the bound, by a deletion behind it.
	Deletions int
}

// LeftOut is a piece at the end of a log that was not copied.
type LeftOut struct {
	Bytes   int64
	From    daybook.Position // nothing below it was left out
	Through daybook.Position // the end of what was left out; below From if it holds no records; 0 where that was not read
	Reason  string
}

// Backup copies the store in dir to the directory target, as it is at one
// moment, also while it is open and written: by this process or another.
// Nothing is written into dir, which may lie on a medium that cannot be
// written. The copy is a store. Index files are not copied: they are made
// anew when the copy is opened for writing.
//
// Target must be missing or empty, or hold an earlier backup of the same
// store. Then a segment is copied only if it is not there, or not the same:
// its size, its first and its last block are compared. What a backup holds
// that went another way than the store, because one of them was restored and
// written since, is an *OccupiedError.
//
// Every frame that is copied is checked: damage is a *daybook.CorruptError. An
// interrupted backup may be repeated. Until the first backup into a directory
// has ended, what is there does not open; an interrupted later one leaves what
// an earlier one left, or more: each file is replaced whole, or not. Where the
// store was compacted since, all is copied beside what is there first, and then
// put in its place: in that moment the directory does not open either, and
// daybook.json has the name daybook.json.new.
func Backup(ctx context.Context, dir, target string, options *BackupOptions) (Copied, error) {
	var o BackupOptions
	if options != nil {
		o = *options
	}
	for attempt := 1; ; attempt++ {
		c := newCopying(ctx, o.FS, dir, target, o.Progress)
		err := c.run(c.prepareBackup)
		if err == nil {
			return c.report, nil
		}
		// The writer may have put another file in the place of one that was read.
		if c.hasChanged(err) && mayRepeat(err, attempt) {
			continue
		}
		return Copied{}, fmt.Errorf("disk: back up %s to %s: %w", dir, target, err)
	}
}

// copyAttempts is how often a copy is begun of a store whose files are
// replaced while they are read.
const copyAttempts = 5

// mayRepeat reports whether a copy is begun once more. What was copied stays, so
// where files were compacted each attempt has less to do.
func mayRepeat(err error, attempt int) bool {
	return attempt < copyAttempts || attempt < mostLists && errors.Is(err, fs.ErrNotExist)
}

// OccupiedError says that a directory holds something that a copy must not be
// put among. Nothing in it was touched: name another, or empty it.
type OccupiedError struct {
	Dir    string
	Reason string // "it holds letter.txt"
}

func (e *OccupiedError) Error() string {
	return fmt.Sprintf("the directory %s cannot take the copy: %s", e.Dir, e.Reason)
}

// prepareBackup refuses a target that is neither empty nor an earlier backup.
func (c *copying) prepareBackup() (err error) {
	if c.found.fault != nil {
		return c.found.fault
	}
	if err := c.listTarget(nil); err != nil {
		return err
	}
	if err := c.lockTarget(); err != nil {
		return err
	}
	// Nobody else writes there any more.
	if err := c.listTarget(nil); err != nil {
		return err
	}
	if err := c.lookAtTarget(); err != nil {
		return err
	}
	if err := c.removeStray(""); err != nil {
		return err
	}
	if err := c.measureEnd(); err != nil {
		return err
	}
	last := c.lastFound()
	if c.mark.segment > last.header.first || c.mark.segment == last.header.first && c.mark.visible > c.end {
		return c.ahead()
	}
	return nil
}

// lookAtTarget refuses a target that holds another store, or another history of
// this one.
func (c *copying) lookAtTarget() error {
	if !c.there[identityName] {
		// What segments there are come from a copy that was interrupted.
		return c.checkSegmentsThere()
	}
	there, err := takeSurvey(c.fs, c.to, false)
	if err != nil {
		return err
	}
	if there.ID != c.found.ID {
		return &OccupiedError{Dir: c.to, Reason: fmt.Sprintf("it holds another store, %s, not %s", there.ID, c.found.ID)}
	}
	c.mark = there.mark
	if err := c.reachTarget(); err != nil {
		return err
	}
	return c.checkHistory(&there)
}

// reachTarget looks as far into the source as the target reaches. A backup that was
// made while nobody wrote has what a recovery keeps, and a writer that has just
// taken the lock may not have said yet that it is there.
func (c *copying) reachTarget() error {
	m := &c.found.mark
	if !c.found.bounded() || c.mark.segment < m.segment || c.mark.segment == m.segment && c.mark.visible <= m.visible {
		return nil
	}
	m.segment, m.visible, m.synced = c.mark.segment, c.mark.visible, c.mark.synced
	if err := c.found.list(c.fs, c.from); err != nil {
		return err
	}
	if c.found.fault != nil {
		return c.ahead()
	}
	return nil
}

func (c *copying) ahead() error {
	return &OccupiedError{Dir: c.to, Reason: "the copy in it has records that the store has not"}
}

// checkHistory looks in the source for the last changeset, or deletion, of an
// earlier backup. Both go on from one beginning, and only there can they have
// parted.
func (c *copying) checkHistory(there *survey) error {
	var last frameHeader
	for i := len(there.found) - 1; i >= 0 && last.position == 0; i-- {
		f := &there.found[i]
		limit := f.size
		if there.marked && f.header.first == there.mark.segment {
			limit = min(limit, there.mark.visible)
		}
		if err := c.eachFrame(f, limit, func(fr *frame) bool {
			if fr.isChangeset() || fr.kind == kindDeletion { // the others have no ids
				last = fr.frameHeader
			}
			return true
		}); err != nil {
			return err
		}
	}
	if last.position == 0 {
		return nil
	}
	same := false
	for i := range c.found.found {
		f := &c.found.found[i]
		// A deletion at the end of a segment has the position that the next begins with.
		if i+1 < len(c.found.found) && c.found.found[i+1].header.first < last.position || f.header.first > last.position {
			continue
		}
		err := c.eachFrame(f, f.size, func(fr *frame) bool {
			if fr.position == last.position && fr.appendID == last.appendID && fr.ordinal == last.ordinal {
				same = true
			}
			return fr.position <= last.position
		})
		if err != nil {
			return err
		}
	}
	if !same {
		return &OccupiedError{Dir: c.to, Reason: fmt.Sprintf(
			"the copy in it has another changeset at position %d than the store: one of them was restored and written since", last.position)}
	}
	return nil
}

// eachFrame visits the headers of the frames of a segment, up to the first that
// cannot be read, or until visit says that it is enough.
func (c *copying) eachFrame(f *foundSegment, limit int64, visit func(*frame) (more bool)) error {
	file, err := c.fs.Open(f.name)
	if err != nil {
		return err
	}
	defer file.Close()
	r := &frameReader{source: file, seed: f.seed, limit: limit, chunk: scanChunk}
	var fr frame
	for offset := int64(segmentHeaderSize); offset < limit; offset += fr.size() {
		err := r.skim(&fr, offset)
		if _, damaged := errors.AsType[*frameError](err); damaged {
			return nil // whoever copies the segment, or opens the copy, tells of it
		}
		if err != nil {
			return err
		}
		if !visit(&fr) {
			return nil
		}
	}
	return c.ctx.Err()
}

// hasChanged reports whether an error may come from a file of the source that
// was replaced after the copy began, or cut by a writer that came since.
func (c *copying) hasChanged(err error) bool {
	_, unread := errors.AsType[*frameError](err)
	if !unread && !errors.Is(err, daybook.ErrCorrupt) && !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	now, err := takeSurvey(c.fs, c.from, true)
	if err != nil || len(now.found) < len(c.found.found) {
		return err == nil
	}
	if last := len(c.found.found) - 1; last >= 0 && (now.found[last].size < c.found.found[last].size || now.live && !c.found.live) {
		return true
	}
	for i := range c.found.found {
		a, b := &c.found.found[i], &now.found[i]
		grows := i == len(c.found.found)-1
		if a.name != b.name || !grows && (a.seed != b.seed || a.size != b.size || a.sealed != b.sealed) {
			return true
		}
	}
	return false
}

func newCopying(ctx context.Context, fsys FS, from, to string, progress func(done, total int64)) *copying {
	if fsys == nil {
		fsys = durable.OS
	}
	return &copying{ctx: ctx, fs: fsys, from: from, to: to, progress: progress}
}
