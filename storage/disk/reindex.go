package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// ReindexOptions of a reindex. Nil and zero fields mean the defaults.
type ReindexOptions struct {
	// Progress is told how many bytes of how many of the log are read.
	Progress func(done, total int64)
	// FS is the file system. Default: that of the machine.
	FS FS
}

// Reindexing tells what a reindex did.
type Reindexing struct {
	Removed    int              // index files that were there
	IndexFiles int              // that are there now
	IndexBytes int64            // of these
	Segments   int              // that they tell of
	Changesets int64            // of the whole log
	Records    int64            // in these
	End        daybook.Position // of the log
	Resumed    bool             // it went on where an interrupted one ended
}

// reindexName, with durable.Unfinished behind it, is the note that the index
// files in a directory were made since a reindex began.
const reindexName = "REINDEX"

// Reindex removes the index files of the store in dir and makes them anew from
// the segments, every frame of which it checks on the way. It takes the lock:
// with a *LockedError it refuses while the store is open for writing; a writer
// makes a damaged index file anew itself. The segments are not changed.
//
// It may be interrupted at any moment: the store opens as it is then, and
// makes what is missing, or Reindex is called again, and goes on where it was.
// Damage to a segment ends it with a *daybook.CorruptError; the files of the
// segments in front of that are made.
func Reindex(ctx context.Context, dir string, options *ReindexOptions) (Reindexing, error) {
	r := &reindexing{ctx: ctx, dir: dir}
	if options != nil {
		r.options = *options
	}
	if r.options.FS == nil {
		r.options.FS = durable.OS
	}
	r.fs = r.options.FS
	if err := r.run(); err != nil {
		return r.report, fmt.Errorf("disk: reindex %s: %w", dir, err)
	}
	return r.report, nil
}

type reindexing struct {
	ctx     context.Context
	dir     string
	fs      FS
	options ReindexOptions
	report  Reindexing
	done    int64
	total   int64
}

func (r *reindexing) run() (err error) {
	// Before a lock file is made where no store is.
	if _, err := readIdentity(r.fs, r.dir); err != nil {
		return err
	}
	lock, err := lockStore(r.fs, r.dir, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	found, err := takeSurvey(r.fs, r.dir, false)
	if err != nil {
		return err
	}
	if err := r.begin(&found); err != nil {
		return err
	}
	for i := range found.found {
		r.total += found.found[i].size
	}
	l := newLog(r.dir, r.fs)
	err = r.build(l, &found)
	return errors.Join(err, l.close())
}

// begin removes the index files, unless an interrupted reindex has. The note
// says so only once all are gone.
func (r *reindexing) begin(found *survey) error {
	note := filepath.Join(r.dir, reindexName+durable.Unfinished)
	_, err := sizeOf(r.fs, note)
	if err == nil {
		r.report.Resumed = true
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range found.indexes {
		if err := r.fs.Remove(filepath.Join(r.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		r.report.Removed++
	}
	found.indexes = nil
	if err := r.fs.SyncDir(r.dir); err != nil {
		return err
	}
	file, err := r.fs.Create(note)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), r.fs.SyncDir(r.dir))
}

// build makes the index files that are missing.
func (r *reindexing) build(l *log, found *survey) error {
	x := l.index.sealed
	x.store = found.ID
	defer context.AfterFunc(r.ctx, func() { x.stopping.Store(true) })()
	s := newScan(l)
	s.step = func(bytes int64) error {
		r.advance(bytes)
		return r.ctx.Err()
	}
	if err := s.run(found); err != nil {
		return err
	}
	if err := errors.Join(r.ctx.Err(), s.unmade); err != nil {
		return err
	}
	for {
		merged, err := x.merge()
		if err != nil {
			return errors.Join(r.ctx.Err(), err)
		}
		if !merged {
			break
		}
	}
	if l.damage != nil {
		return errors.Join(l.damage, x.remove(l.path(reindexName+durable.Unfinished)))
	}
	if err := x.failure(); err != nil {
		return err
	}
	if last := l.segments[len(l.segments)-1]; found.clean(s) {
		if err := x.buildPart(last, min(partAfter, last.end)); err != nil {
			return err
		}
	}
	r.advance(r.total - r.done)
	t := &l.index.tally
	r.report.Changesets, r.report.Records, r.report.End = t.changesets, t.records, t.last
	return r.end(x)
}

// end removes the note, and what merging left, and tells what there is.
func (r *reindexing) end(x *sealed) error {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return err
	}
	var indexes []string
	for _, name := range names {
		if _, _, ok := indexSpan(name); ok {
			indexes = append(indexes, name)
		}
	}
	for _, name := range append(x.unused(indexes), reindexName+durable.Unfinished) {
		if err := x.remove(filepath.Join(r.dir, name)); err != nil {
			return err
		}
	}
	for _, row := range x.rows {
		size, err := row.file.Size()
		if err != nil {
			return err
		}
		r.report.IndexFiles++
		r.report.IndexBytes += size
		r.report.Segments += len(row.span)
	}
	return r.fs.SyncDir(r.dir)
}

func (r *reindexing) advance(more int64) {
	if r.done = min(r.done+more, r.total); r.options.Progress != nil {
		r.options.Progress(r.done, r.total)
	}
}
