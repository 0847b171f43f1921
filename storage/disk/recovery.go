package disk

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/daybook-go/daybook"
)

// Recovery tells what opening a store found and did.
type Recovery struct {
	At         time.Time     // when the store was opened
	Took       time.Duration // until it could be used
	Created    bool          // there was none; an empty one was made
	Clean      bool          // the last writer closed it, and nothing happened since
	Segments   int
	Changesets int64
	Records    int64
	// Cut is the end of the log that was dropped: an append that a crash cut
	// short before it was acknowledged. Nil if there was none. A store that is
	// opened for reading only leaves it in the file.
	Cut *Cut
	// Damage is what cannot be read although it was acknowledged. Nil if there
	// is none. What lies before it can be read, and nothing can be appended:
	// restore the store from a backup.
	Damage *daybook.CorruptError
	// Reindexed are the sealed segments that were read because their index files
	// were missing, damaged or of another version, and were made anew. It says
	// nothing about the log, and costs nothing but time. A store that is opened
	// for reading only makes none, and keeps those indexes in memory.
	Reindexed []Reindexed
}

// Reindexed is a segment whose index file was made anew.
type Reindexed struct {
	File   string // the segment
	Reason string
}

// Cut is a piece at the end of a file that was dropped.
type Cut struct {
	File   string
	Offset int64 // where it began
	Length int64 // in bytes
	Reason string
}

// report tells the logger what opening found.
func (r *Recovery) report(logger *slog.Logger, dir string) {
	if r.Created {
		logger.Info("store created", slog.String("dir", dir))
		return
	}
	level, what := slog.LevelInfo, "store opened"
	attributes := []slog.Attr{
		slog.String("dir", dir), slog.Bool("clean", r.Clean), slog.Int("segments", r.Segments),
		slog.Int64("changesets", r.Changesets), slog.Int64("records", r.Records), slog.String("took", r.Took.String()),
	}
	if n := len(r.Reindexed); n > 0 {
		attributes = append(attributes, slog.Int("reindexed", n), slog.String("because", r.Reindexed[0].Reason))
	}
	if r.Cut != nil {
		level, what = slog.LevelWarn, "store opened after a crash: an append that was never acknowledged was dropped"
		attributes = append(attributes, slog.String("file", r.Cut.File), slog.Int64("offset", r.Cut.Offset),
			slog.Int64("bytes", r.Cut.Length), slog.String("reason", r.Cut.Reason))
	}
	if r.Damage != nil {
		level, what = slog.LevelError, "store opened with damage: reads end before it, appends are refused"
		attributes = append(attributes, slog.String("damage", r.Damage.Error()))
	}
	logger.LogAttrs(context.Background(), level, what, attributes...)
}

// recoveryName is the file that holds what the last opening for writing that
// found something to recover did. It is there for people: nothing is decided by
// it, and it is written without a sync.
const recoveryName = "RECOVERY"

// keep writes the file, if there is something to tell.
func (r *Recovery) keep(fsys FS, dir string) (err error) {
	if r.Created || r.Clean && len(r.Reindexed) == 0 {
		return nil
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	file, err := fsys.Create(filepath.Join(dir, recoveryName))
	if err != nil {
		return err
	}
	return errors.Join(writeAll(file, append(data, '\n'), 0), file.Close())
}

// lastRecovery returns what the file holds; nil if there is none, or only a
// part of it.
func lastRecovery(fsys FS, dir string) (*Recovery, error) {
	data, err := readFile(fsys, filepath.Join(dir, recoveryName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r Recovery
	if json.Unmarshal(data, &r) != nil {
		return nil, nil
	}
	return &r, nil
}
