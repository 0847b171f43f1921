package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/daybook-go/daybook/internal/durable"
)

// Usage tells what the files of a store are, and what room they take.
type Usage struct {
	Files int   // all that the store has
	Bytes int64 // of these

	SealedSegments int   // nothing is appended to them any more
	SealedBytes    int64 // of the log in them
	LastBytes      int64 // of the log in the segment that is written
	RoomBytes      int64 // made ahead of the log, or behind its end
	IndexFiles     int
	IndexBytes     int64
	// Unindexed are the sealed segments that no usable index file tells of, and
	// UnindexedBytes how much log they hold: opening reads it, and has its index
	// in memory, until the next writer has made the files.
	Unindexed      int
	UnindexedBytes int64
	OtherBytes     int64    // of END and other small files, and of what a compaction that was cut short left
	Foreign        []string // names that no store has

	// Free is how many bytes can still be written where the store is; -1 where
	// nobody knows.
	Free int64
	// Open tells who has the store open for writing; nil if nobody has.
	Open *Holder
	// Clean says that the last writer closed the store.
	Clean bool
	// LastRecovery is what the last opening that found something to recover did;
	// nil if there was none, or that is not known.
	LastRecovery *Recovery
}

// Measure tells what the files of the store in dir are. It reads little of
// them, changes nothing, and may be asked while the store is written; then the
// numbers are those of about one moment. The error matches fs.ErrNotExist if
// there is no store. FS is the file system; nil is that of the machine.
func Measure(ctx context.Context, dir string, fsys FS) (Usage, error) {
	if fsys == nil {
		fsys = durable.OS
	}
	u, err := measure(ctx, dir, fsys)
	if err != nil {
		return Usage{}, fmt.Errorf("disk: measure %s: %w", dir, err)
	}
	return u, nil
}

func measure(ctx context.Context, dir string, fsys FS) (u Usage, err error) {
	id, err := readIdentity(fsys, dir)
	if err != nil {
		return u, err
	}
	c := &check{ctx: ctx, dir: dir, fs: fsys}
	c.report.ID = id.ID
	defer c.closeIndexes()
	if err := c.openIndexes(); err != nil {
		return u, err
	}
	found, err := takeSurvey(fsys, dir, true)
	if err == nil {
		err = c.chain(&found)
	}
	if err != nil {
		return u, err
	}
	if err := u.sizes(ctx, fsys, dir); err != nil {
		return u, err
	}
	u.segments(c, &found)
	if u.LastRecovery, err = lastRecovery(fsys, dir); err != nil {
		return u, err
	}
	u.Clean = found.marked && found.mark.clean
	if found.live {
		u.Open = &Holder{}
		if data, err := readFile(fsys, filepath.Join(dir, lockName)); err == nil {
			_ = json.Unmarshal(data, u.Open) // it may be on its way
		}
	}
	u.Free = -1
	if spacer, ok := fsys.(durable.Spacer); ok {
		free, err := spacer.Free(dir)
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return u, err
		}
		if err == nil {
			u.Free = free
		}
	}
	return u, nil
}

// segments divides what the segments take into log and room.
func (u *Usage) segments(c *check, found *survey) {
	covered := 0
	for i := range c.indexes {
		x := &c.indexes[i]
		x.bad = x.run == nil || c.misfit(x) != ""
	}
	for _, row := range c.rows() {
		covered = max(covered, row.to+1)
	}
	for i := range c.segments {
		f := &c.segments[i]
		if i < len(c.segments)-1 {
			u.SealedSegments++
			u.SealedBytes += f.limit
			if i >= covered {
				u.Unindexed++
				u.UnindexedBytes += f.limit
			}
			continue
		}
		u.LastBytes = f.size
		if found.marked && found.mark.segment == f.header.first {
			u.LastBytes = min(f.size, found.mark.visible)
		}
		u.RoomBytes += f.size - u.LastBytes
	}
}

// sizes adds up what is in the directory.
func (u *Usage) sizes(ctx context.Context, fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	latest := latestGenerations(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !isOurs(strings.TrimSuffix(name, durable.Unfinished)) {
			u.Foreign = append(u.Foreign, name)
			continue
		}
		size, err := sizeOf(fsys, filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return err
		}
		u.Files++
		u.Bytes += size
		first, isSegment := segmentFirst(name)
		_, _, isIndex := indexSpan(name)
		switch {
		case isSegment && latest[first] == name:
		case isIndex:
			u.IndexFiles++
			u.IndexBytes += size
		case name == spareName+durable.Unfinished:
			u.RoomBytes += size
		default:
			u.OtherBytes += size
		}
	}
	return nil
}

func sizeOf(fsys FS, name string) (size int64, err error) {
	file, err := fsys.Open(name)
	if err != nil {
		return 0, err
	}
	size, err = file.Size()
	return size, errors.Join(err, file.Close())
}
