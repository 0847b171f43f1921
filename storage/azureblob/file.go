package azureblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// OpenFile opens the store in the file stream.bin of a directory, made where it
// is not there: the form that Lokad.AzureEventStore gives a log on a disk. One
// process can have it open at a time. Every append is on the disk when it
// returns.
//
// What a crash has left of an append that nobody was told of is removed, and
// Options.Logger is told of that. The fields of options that speak of requests
// mean nothing here.
//
// With Options.ReadOnly nothing is made and nothing removed. It opens beside a
// process that writes, and shows the log as it was when it was opened.
func OpenFile(ctx context.Context, dir string, options *Options) (*Driver, error) {
	if dir == "" {
		return nil, &daybook.InvalidError{Field: "directory", Value: `""`, Reason: "must not be empty"}
	}
	d := newDriver(options)
	if d.options.Directory != "" || d.options.Blob != "" {
		return nil, &daybook.InvalidError{Field: "options", Value: "directory or blob", Reason: "a file has no copy and no blobs"}
	}
	var c *fileCopy
	var err error
	if d.options.ReadOnly {
		c, err = openForReading(dir)
	} else {
		c, err = openFileCopy(dir, true)
	}
	if err != nil {
		return nil, err
	}
	d.name, d.durability, d.readOnly = "azureblob file", daybook.DurabilityDisk, d.options.ReadOnly
	origin := &fileOrigin{copy: c}
	d.log.copy, d.origin = c, origin
	if err = c.load(d); err == nil {
		err = ctx.Err()
	}
	origin.stored.Store(c.end)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return d, nil
}

// load folds what the file holds. What is not whole at its end is cut off; where
// the log is damaged before that, the copy of one ends there, while a log that
// lives here is left as it is.
func (c *fileCopy) load(d *Driver) error {
	size, err := c.file.Size()
	if err != nil {
		return err
	}
	// The bytes are there: folding them must not write them again.
	was := c.own
	c.own, c.end = true, size
	rest, err := d.fold(io.NewSectionReader(c.file, 0, size), c.path, place{})
	c.own = was
	switch {
	case errors.As(err, new(*daybook.CorruptError)) && c.own:
		return nil // every call says so
	case errors.As(err, new(*daybook.CorruptError)):
		d.options.Logger.Warn("the copy of the log is damaged and is read again from there", "error", err)
		return c.cut()
	case err != nil || rest == 0 && d.log.size == size:
		return err
	}
	c.end = d.log.size
	if d.readOnly && c.own {
		return nil
	}
	d.options.Logger.Warn("what was not whole is removed", "file", c.path, "bytes", size-d.log.size)
	return c.cut()
}

// fileOrigin is a log that lives in the file of a directory.
type fileOrigin struct {
	copy   *fileCopy
	stored atomic.Int64 // how many bytes are on the disk, or were there when it was opened
	failed error        // of a write; only the goroutine that appends has it
}

func (f *fileOrigin) name(int) string { return f.copy.path }

func (f *fileOrigin) last() int { return 0 }

func (f *fileOrigin) survey(context.Context) ([]extent, error) { return nil, nil }

func (f *fileOrigin) create(context.Context, int) error { return nil }

// read implements origin. Nobody else writes, so there is nothing new: but what
// stands behind damage.
func (f *fileOrigin) read(_ context.Context, _ string, offset int64) (*piece, error) {
	size := f.stored.Load()
	return &piece{ReadCloser: io.NopCloser(io.NewSectionReader(f.copy.file, offset, size-offset)), length: size}, nil
}

// append implements origin.
func (f *fileOrigin) append(_ context.Context, _ int, offset int64, block []byte) (bool, error) {
	if f.failed != nil {
		return false, f.failed // what a disk holds after that nobody knows
	}
	if f.stored.Load() != offset {
		return false, errMoved // there is something behind what could be read
	}
	size, err := f.copy.file.Size()
	if err == nil && size != offset {
		// Programs that do not know of the lock; theirs must not be written over.
		f.failed = &fileError{fmt.Errorf("another program has written to %s, which has %d bytes and had %d: open it again", f.copy.path, size, offset)}
		return false, f.failed
	}
	if err == nil {
		_, err = f.copy.file.WriteAt(block, offset)
	}
	if err == nil {
		err = f.copy.file.Sync()
	}
	if err == nil {
		f.stored.Add(int64(len(block)))
		return false, nil
	}
	if undone := f.copy.file.Truncate(offset); undone == nil && durable.IsFull(err) && f.copy.file.Sync() == nil {
		return false, fmt.Errorf("%s: %w: %v", f.copy.path, daybook.ErrFull, err)
	}
	f.failed = &fileError{err}
	return false, f.failed
}

// Close closes the file.
func (f *fileOrigin) Close() error { return f.copy.Close() }

// fileError says that the file could not be read or written. What was being
// written may be there.
type fileError struct{ err error }

func (e *fileError) Error() string { return "azureblob: the file failed: " + e.err.Error() }

// Unwrap returns what went wrong underneath.
func (e *fileError) Unwrap() error { return e.err }

// Is reports whether target is a question that e answers with yes.
func (e *fileError) Is(target error) bool { return target == daybook.ErrFailed }
