package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// Backup copies the store in dir to the directory target, as it is at one
// moment, also while it is open and written: by this process or another. The
// copy is a store. Target must be missing or empty, or hold an earlier backup
// of the same store; then only what is new is copied.
//
// Every frame that is copied is checked: damage is a *daybook.CorruptError. An
// interrupted backup may be repeated. Until the first backup into a directory
// has ended, what is there does not open; an interrupted later one leaves what
// an earlier one left, or more.
//
// Progress, unless it is nil, is told how many bytes of how many are copied.
func Backup(ctx context.Context, dir, target string, progress func(done, total int64)) error {
	c := &copying{ctx: ctx, fs: durable.OS, from: dir, to: target, progress: progress}
	if err := c.run(false); err != nil {
		return fmt.Errorf("disk: back up %s to %s: %w", dir, target, err)
	}
	return nil
}

// Restore copies a backup into the directory dir, which must be missing or
// empty, and checks every frame of it. It is Backup otherwise.
func Restore(ctx context.Context, backup, dir string, progress func(done, total int64)) error {
	c := &copying{ctx: ctx, fs: durable.OS, from: backup, to: dir, progress: progress}
	if err := c.run(true); err != nil {
		return fmt.Errorf("disk: restore %s to %s: %w", backup, dir, err)
	}
	return nil
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

// copying is a copy of a store on its way.
type copying struct {
	ctx      context.Context
	fs       FS
	from, to string
	progress func(done, total int64)

	found survey
	end   int64           // of the last segment
	there map[string]bool // what the target holds
	mark  endMark         // of the target
	done  int64
	total int64
}

func (c *copying) run(fresh bool) (err error) {
	if c.found, err = takeSurvey(c.fs, c.from, true); err != nil {
		return err
	}
	if c.found.fault != nil {
		return c.found.fault
	}
	if err := durable.MakeDir(c.fs, c.to); err != nil {
		return err
	}
	// Before the lock file is made in it.
	if err := c.listTarget(fresh); err != nil {
		return err
	}
	lock, err := lockStore(c.fs, c.to, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := c.listTarget(fresh); err != nil {
		return err
	}
	if err := c.lookAtTarget(); err != nil {
		return err
	}
	if c.end, err = c.endOfLast(); err != nil {
		return err
	}
	return c.copyAll()
}

// listTarget notes what the target holds, and refuses one that is not empty
// or, unless it must be fresh, holds what no copy does.
func (c *copying) listTarget(fresh bool) error {
	names, err := c.fs.List(c.to)
	if err != nil {
		return err
	}
	c.there = map[string]bool{}
	for _, name := range names {
		c.there[name] = true
		ours := isOurs(strings.TrimSuffix(name, durable.Unfinished))
		if name != lockName && (fresh || !ours) {
			return &OccupiedError{Dir: c.to, Reason: "it holds " + name}
		}
	}
	return nil
}

// lookAtTarget refuses a target that is not empty and not an earlier copy.
func (c *copying) lookAtTarget() error {
	id, err := readIdentity(c.fs, c.to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// What segments there are come from a copy that was interrupted.
		return c.checkSegmentsThere()
	case err != nil:
		return err
	case id.ID != c.found.ID:
		return &OccupiedError{Dir: c.to, Reason: fmt.Sprintf("it holds another store, %s, not %s", id.ID, c.found.ID)}
	}
	c.mark, _, err = loadEndMark(c.fs, c.to, id.ID)
	if err != nil {
		return err
	}
	if last := c.found.found[len(c.found.found)-1]; c.mark.segment > last.header.first {
		return c.ahead()
	}
	return nil
}

func (c *copying) ahead() error {
	return &OccupiedError{Dir: c.to, Reason: "the copy in it has records that the store has not"}
}

// checkSegmentsThere refuses segments of another store.
func (c *copying) checkSegmentsThere() error {
	for name := range c.there {
		if _, isSegment := segmentFirst(name); !isSegment {
			continue
		}
		file, err := c.fs.Open(filepath.Join(c.to, name))
		if err != nil {
			return err
		}
		data, err := headerOf(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		if header, _, reason := decodeSegmentHeader(data); reason != "" || header.store != c.found.ID {
			return &OccupiedError{Dir: c.to, Reason: fmt.Sprintf("it holds %s, which belongs to another store", name)}
		}
	}
	return nil
}

// endOfLast returns how much of the last segment is copied: up to the end of
// an append.
func (c *copying) endOfLast() (int64, error) {
	f := &c.found.found[len(c.found.found)-1]
	end := c.found.mark.visible
	if !c.found.bounded() {
		file, err := c.fs.Open(f.name)
		if err != nil {
			return 0, err
		}
		defer file.Close()
		r := &frameReader{source: file, seed: f.seed, limit: f.size, chunk: scanChunk}
		var fault *frameError
		end, err = r.walk(segmentHeaderSize, func(*frame) error { return nil })
		if errors.As(err, &fault) {
			var torn bool
			if torn, err = isTorn(r, end, fault, f, &c.found); err == nil && !torn {
				err = corrupt(f, fault)
			}
		}
		if err != nil {
			return 0, err
		}
	}
	if c.mark.segment == f.header.first && c.mark.visible > end {
		return 0, c.ahead()
	}
	return end, nil
}

// corrupt is the error for a fault in a segment of the source.
func corrupt(f *foundSegment, fault *frameError) error {
	return &daybook.CorruptError{
		File: f.name, Offset: fault.offset, Position: max(fault.position, f.header.first), Reason: fault.reason,
	}
}

// copyAll copies the segments in order, then says where they end, and only
// then makes the directory a store.
func (c *copying) copyAll() error {
	var wanted []*foundSegment
	for i := range c.found.found {
		f := &c.found.found[i]
		if i == len(c.found.found)-1 {
			f.sealed = c.end
		} else if f.size != f.sealed {
			return corrupt(f, wrongSize(f))
		}
		// Below the mark of an earlier copy, all is there. What the mark lies in
		// is copied anew.
		if !c.there[filepath.Base(f.name)] || f.header.first >= c.mark.segment {
			wanted = append(wanted, f)
			c.total += f.sealed
		}
	}
	c.report(0)
	for _, f := range wanted {
		name := filepath.Join(c.to, filepath.Base(f.name))
		if err := durable.Write(c.fs, name, func(file File) error { return c.copySegment(f, file) }); err != nil {
			return err
		}
	}
	mark := endMark{
		store: c.found.ID, segment: c.found.found[len(c.found.found)-1].header.first,
		visible: c.end, synced: c.end, clean: true,
	}
	if err := durable.WriteFile(c.fs, filepath.Join(c.to, endName), mark.encode()); err != nil {
		return err
	}
	data, err := c.found.identity.encode()
	if err != nil || c.there[identityName] {
		return err
	}
	return durable.WriteFile(c.fs, filepath.Join(c.to, identityName), data)
}

// copySegment copies one segment and checks the copy.
func (c *copying) copySegment(f *foundSegment, to File) error {
	from, err := c.fs.Open(f.name)
	if err != nil {
		return err
	}
	defer from.Close()
	buf := make([]byte, scanChunk)
	for offset := int64(0); offset < f.sealed; {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n, err := from.ReadAt(buf[:min(int64(len(buf)), f.sealed-offset)], offset)
		if err != nil && (n == 0 || !errors.Is(err, io.EOF)) {
			if errors.Is(err, io.EOF) {
				return corrupt(f, &frameError{offset: offset, reason: "the file ends too early"})
			}
			return err
		}
		if err := writeAll(to, buf[:n], offset); err != nil {
			return err
		}
		offset += int64(n)
		c.report(int64(n))
	}
	r := &frameReader{source: to, seed: f.seed, limit: f.sealed, chunk: scanChunk}
	var fault *frameError
	_, err = r.walk(segmentHeaderSize, func(*frame) error { return c.ctx.Err() })
	if errors.As(err, &fault) {
		return corrupt(f, fault)
	}
	return err
}

func (c *copying) report(more int64) {
	c.done += more
	if c.progress != nil {
		c.progress(c.done, c.total)
	}
}
