// Package disk keeps a store in the files of a directory: the embedded
// default. [Open] it, and put a daybook.Store around it.
//
// The log is a row of segment files of checksummed frames, one frame for each
// changeset; docs/format.md draws the bytes. Appends that come together share
// one write and one sync. What is acknowledged has been synced, unless the
// append asked for less. Everything else, the indexes, can be rebuilt from the
// segments: of the last one it is in memory, of the others in files beside them,
// so that neither opening nor memory grows with the log.
//
// One process writes; any number may read besides (Options.ReadOnly). After a
// crash, opening drops what was never acknowledged and says so (Recovery).
// What was acknowledged and cannot be read is never passed over: reads end in
// front of it with a *daybook.CorruptError.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// Driver is an open store. It implements daybook.Driver and offers everything
// that a driver may offer; its default durability, and its highest, is
// daybook.DurabilityDisk.
type Driver struct {
	options  Options
	log      *log // of a store opened for reading only: as it was opened
	recovery Recovery
	writer   *writer // nil in a store opened for reading only
	sealer   *sealer // nil besides while the log is damaged
	watch    *watch  // nil in a store opened for writing
	closing  sync.Once
	// compacting is held by a compaction; life ends when the store is closed.
	compacting sync.Mutex
	life       context.Context
	end        context.CancelFunc
	closeErr   error
}

// Open opens the store in dir, and makes an empty one where there is none.
//
// It fails with *LockedError while the store is open for writing elsewhere,
// with *UnwritableError where its files cannot be written (read-only media),
// with *FormatError if a newer program wrote it, and, if it is to be read
// only, with an error that matches fs.ErrNotExist where there is none. Damage
// to the log is no error of Open: see Recovery.Damage.
func Open(dir string, options *Options) (*Driver, error) {
	d := &Driver{options: options.withDefaults()}
	d.life, d.end = context.WithCancel(context.Background())
	d.recovery.At = d.options.Now()
	open := d.openWriter
	if d.options.ReadOnly {
		open = d.openReader
	}
	if err := open(dir); err != nil {
		if d.log != nil {
			err = errors.Join(err, d.log.close())
		}
		return nil, err
	}
	index := &d.log.index
	d.recovery.Segments, d.recovery.Damage = len(d.log.segments), d.log.damage
	d.recovery.Changesets, d.recovery.Records = index.changesets, index.records
	d.recovery.Took = max(0, d.options.Now().Sub(d.recovery.At))
	d.recovery.report(d.options.Logger, dir)
	if d.writer != nil {
		if err := d.recovery.keep(d.options.FS, dir); err != nil {
			d.options.Logger.Warn("what opening did could not be kept in a file", "file", d.log.path(recoveryName), "error", err)
		}
	}
	return d, nil
}

// openWriter takes the lock, recovers the log and makes ready to write.
func (d *Driver) openWriter(dir string) (err error) {
	fsys := d.options.FS
	if err := durable.MakeDir(fsys, dir); err != nil {
		return fmt.Errorf("disk: make %s: %w", dir, unwritable(dir, err))
	}
	lock, err := lockStore(fsys, dir, d.options.Now)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
		}
	}()
	found, err := takeSurvey(fsys, dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		d.recovery.Created = true
		if err := syncParent(fsys, dir); err != nil {
			return opening(dir, err)
		}
		if _, err = newIdentity(fsys, dir, d.options.Now()); err == nil {
			found, err = takeSurvey(fsys, dir, false)
		}
	}
	if err != nil {
		return opening(dir, err)
	}
	s, err := scanStore(dir, &d.options, &found)
	if err != nil {
		return opening(dir, err)
	}
	d.log = s.log
	d.recovery.Cut, d.recovery.Reindexed = s.cut, s.reindexed
	d.recovery.Clean = d.log.damage == nil && found.clean(s)
	d.writer, err = newWriter(d, &found, lock)
	if err != nil {
		return opening(dir, err)
	}
	d.log.unwritten = d.writer.unwritten
	if d.writer.failed == nil {
		d.sealer = newSealer(d.log, d.options.Logger, &d.writer.mu, d.writer.segment.number, d.options.SegmentBytes)
		d.log.seal = d.sealer.seal
	}
	return nil
}

// syncParent puts the name of the directory on the disk. Whoever made it may
// have been killed before. Where it was made by somebody with more rights, that
// was for him to do.
func syncParent(fsys FS, dir string) error {
	err := fsys.SyncDir(filepath.Dir(filepath.Clean(dir)))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// scanStore takes in the log as far as a survey allows. Where an index file is
// damaged and so is what it was made of, the log is read whole: it tells what
// is left.
func scanStore(dir string, options *Options, found *survey) (*scan, error) {
	for distrusted := false; ; distrusted = true {
		l := newLog(dir, options.FS)
		x := l.index.sealed
		x.store, x.inMemory, x.distrusted = found.ID, options.ReadOnly, distrusted
		s := newScan(l)
		err := s.run(found)
		switch trusted := distrusted || x.failure() == nil; {
		case trusted && err == nil:
			return s, nil
		case trusted:
			return nil, errors.Join(err, l.close())
		}
		if err := l.close(); err != nil {
			return nil, err
		}
	}
}

func opening(dir string, err error) error { return fmt.Errorf("disk: open %s: %w", dir, err) }

// clean reports whether the last writer closed, and the log ends where it left
// it.
func (s *survey) clean(scanned *scan) bool {
	n := len(s.found)
	return scanned.cut == nil && n > 0 && s.marked && s.mark.clean && s.mark.visible == s.found[n-1].size &&
		s.mark.segment == s.found[n-1].header.first
}

// newWriter makes ready to write behind what was recovered.
func newWriter(d *Driver, found *survey, lock File) (*writer, error) {
	l := d.log
	w := &writer{
		log: l, fs: d.options.FS, logger: d.options.Logger, now: d.options.Now, store: found.ID,
		segmentBytes: min(d.options.SegmentBytes, maxSegmentBytes-maxAppendBytes), lock: lock,
	}
	w.idle = sync.NewCond(&w.mu)
	w.gathering = newGathering()
	w.room = newRoom(w.fs, l.path(spareName), w.logger)
	if l.damage != nil {
		w.failed = fmt.Errorf("disk: nothing can be appended while the log is damaged: %w", l.damage)
		return w, nil
	}
	w.segment = l.segments[len(l.segments)-1]
	w.next, w.last = w.segment.end, l.index.last
	w.ordinal, w.latest = l.index.ordinal, l.index.latest
	w.syncedSegment, w.synced = w.segment, w.next
	w.segment.written.Store(w.next)
	w.marked = w.segment.marks.Last().Offset
	if err := w.removeUnused(slices.Concat(found.stray, l.index.sealed.unused(found.indexes))); err != nil {
		return nil, err
	}
	var err error
	if err = w.openFile(w.segment); err != nil {
		return nil, err
	}
	err = w.settle(&d.recovery, found)
	if err == nil {
		err = w.readBlock()
	}
	if err == nil {
		err = w.openMark(found.marked)
	}
	if err != nil {
		return nil, errors.Join(err, w.closeFile())
	}
	return w, nil
}

// removeUnused removes files that are in no use, so that none comes back: one may
// hold what is scrubbed.
func (w *writer) removeUnused(names []string) error {
	for _, name := range names {
		if err := w.fs.Remove(w.log.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(names) == 0 {
		return nil
	}
	return w.fs.SyncDir(w.log.dir)
}

// settle makes what was recovered durable before anyone reads it, and cuts what
// stands behind it: a torn tail, or room that was made ahead. The writer before
// may have been killed between a change and its sync.
func (w *writer) settle(r *Recovery, found *survey) error {
	if r.Clean {
		return nil
	}
	synced := int64(segmentHeaderSize)
	if found.marked && found.mark.segment == w.segment.header.first {
		synced = max(synced, found.mark.synced)
	}
	if err := w.rewrite(synced); err != nil {
		return err
	}
	if err := w.cutTo(w.next); err != nil {
		return err
	}
	return w.fs.SyncDir(w.log.dir)
}

// rewrite writes again what is not known to be on the disk. A sync that failed
// may have left it in memory, where it can be read, as if it had been written:
// then no sync writes it any more.
func (w *writer) rewrite(from int64) error {
	buf := make([]byte, min(scanChunk, max(0, w.next-from)))
	for from < w.next {
		piece := buf[:min(int64(len(buf)), w.next-from)]
		if n, err := w.file.ReadAt(piece, from); n < len(piece) {
			return fmt.Errorf("read %s: %w", w.segment.name, err)
		}
		if err := writeAll(w.file, piece, from); err != nil {
			return err
		}
		from += int64(len(piece))
	}
	return nil
}

// openMark opens the mark and writes that there is a writer.
func (w *writer) openMark(there bool) (err error) {
	name := w.log.path(endName)
	mark := endMark{store: w.store, segment: w.segment.header.first, visible: w.next, synced: w.next}
	if !there {
		if err := durable.WriteFile(w.fs, name, mark.encode()); err != nil {
			return err
		}
	}
	if w.mark, err = w.fs.OpenWrite(name); err != nil {
		return err
	}
	if err := writeAll(w.mark, mark.encode(), 0); err != nil {
		return errors.Join(err, w.mark.Close())
	}
	return nil
}

// Name returns "disk".
func (d *Driver) Name() string { return "disk" }

// Recovery tells what Open found and did.
func (d *Driver) Recovery() Recovery { return d.recovery }

// Close waits for running appends and leaves everything on the disk, also what
// was appended with a lower durability. Sequences that are being ranged over
// end with daybook.ErrClosed.
func (d *Driver) Close() error {
	d.closing.Do(func() {
		var errs []error
		d.end()
		d.compacting.Lock()
		defer d.compacting.Unlock()
		if d.writer != nil {
			errs = append(errs, d.writer.close())
		}
		clean := d.writer != nil && d.writer.failed == nil && errs[0] == nil
		if d.sealer != nil {
			d.sealer.stop()
			if clean {
				d.sealer.closed(d.writer.segment, d.writer.segmentBytes)
			}
		}
		if d.watch != nil {
			errs = append(errs, d.watch.close())
		} else {
			errs = append(errs, d.log.close())
		}
		d.closeErr = errors.Join(errs...)
	})
	return d.closeErr
}

// Append implements daybook.Driver. While more than four sealed segments (and 16
// MiB) are not in index files yet, it waits for these, so that memory is bounded.
// If the context ends while the append is being written, the error is that of the context, and the append is stored
// nevertheless, or fails, later.
func (d *Driver) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	level := a.Durability
	switch {
	case d.writer == nil:
		return daybook.Receipt{}, d.readOnly()
	case level == daybook.DurabilityDefault:
		level = daybook.DurabilityDisk
	case level > daybook.DurabilityDisk:
		return daybook.Receipt{}, &daybook.UnsupportedError{Driver: d.Name(), Feature: fmt.Sprintf("durability %s", level)}
	}
	if err := d.admit(ctx); err != nil {
		return daybook.Receipt{}, err
	}
	d.log.foresee(&a)
	return d.writer.append(ctx, &a, level)
}

// admit waits, before anything is decided, until the index files are not too
// far behind the log.
func (d *Driver) admit(ctx context.Context) error {
	if d.sealer == nil { // the log is damaged: the writer says so
		return nil
	}
	return d.sealer.admit(ctx)
}

// readOnly is the answer to a write in a store that is only read.
func (d *Driver) readOnly() error {
	if d.life.Err() != nil {
		return daybook.ErrClosed
	}
	return daybook.ErrReadOnly
}

var _ interface {
	daybook.Driver
	daybook.HeadReader
	daybook.EndReader
	daybook.Waiter
	daybook.StreamLister
	daybook.StatsReader
	daybook.ClaimReader
	daybook.Importer
	daybook.Deleter
	daybook.DeletionReader
} = (*Driver)(nil)
