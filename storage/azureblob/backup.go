package azureblob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// Copied says what Backup or Restore has done.
type Copied struct {
	Bytes        int64            // of the log
	Kept         int64            // how many of them were there already
	LastPosition daybook.Position // where the log ends
}

// Backup writes the bytes of the log, as far as it goes now, into the file
// stream.bin of a directory, which is made: byte for byte what the blobs hold,
// one behind the other. OpenFile opens it, and so does Lokad's library. It may
// run beside writers. An older backup of the log in the directory is replaced
// once the new one is whole.
//
// It fails with an error that matches daybook.ErrConflict, and touches nothing,
// where the directory holds the bytes of another log, or of this one when it
// had gone further; with *LockedError where a process has it open.
func (d *Driver) Backup(ctx context.Context, dir string) (Copied, error) {
	if dir == "" {
		return Copied{}, &daybook.InvalidError{Field: "directory", Value: `""`, Reason: "must not be empty"}
	}
	if err := d.begin(); err != nil {
		return Copied{}, err
	}
	defer d.calls.Done()
	if err := d.refresh(ctx); err != nil {
		return Copied{}, err
	}
	path := filepath.Join(dir, fileName)
	if f, ok := d.log.copy.(*fileCopy); ok && filepath.Clean(f.path) == filepath.Clean(path) {
		return Copied{}, &daybook.InvalidError{Field: "directory", Value: dir, Reason: "must not be that of the store"}
	}
	if err := durable.MakeDir(durable.OS, dir); err != nil {
		return Copied{}, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return Copied{}, err
	}
	done, err := d.backUp(ctx, path)
	return done, errors.Join(err, lock.Close())
}

// backUp writes the file of a backup, whose directory is locked.
func (d *Driver) backUp(ctx context.Context, path string) (Copied, error) {
	d.log.mu.RLock()
	done := Copied{Bytes: d.log.size, LastPosition: d.log.state.last}
	d.log.mu.RUnlock()
	var err error
	if done.Kept, err = d.beginsWith(ctx, path); err != nil {
		return Copied{}, err
	}
	if done.Kept > done.Bytes {
		return Copied{}, goneFurther(path, done)
	}
	if done.Kept == done.Bytes && done.Bytes > 0 {
		return done, nil
	}
	err = durable.Write(durable.OS, path, func(to durable.File) error {
		return d.pieces(ctx, done.Bytes, func(piece []byte, at int64) error {
			_, err := to.WriteAt(piece, at)
			return err
		})
	})
	return done, err
}

func goneFurther(path string, log Copied) error {
	return fmt.Errorf("azureblob: %s goes further than the log, which has %d bytes: %w", path, log.Bytes, daybook.ErrConflict)
}

// beginsWith returns how many bytes a file has, which the log begins with; 0
// where there is no file. A file that is longer begins with the log.
func (d *Driver) beginsWith(ctx context.Context, path string) (size int64, err error) {
	file, err := durable.OS.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if size, err = file.Size(); err != nil {
		return 0, err
	}
	d.log.mu.RLock()
	both := min(size, d.log.size)
	d.log.mu.RUnlock()
	theirs := make([]byte, maxBlock)
	return size, d.pieces(ctx, both, func(piece []byte, at int64) error {
		if _, err := file.ReadAt(theirs[:len(piece)], at); err != nil {
			return err
		}
		if !bytes.Equal(piece, theirs[:len(piece)]) {
			return fmt.Errorf("azureblob: %s holds the bytes of another log: %w", path, daybook.ErrConflict)
		}
		return nil
	})
}

// pieces gives the first bytes of the log, one piece after the other.
func (d *Driver) pieces(ctx context.Context, size int64, do func(piece []byte, at int64) error) error {
	buffer := make([]byte, min(size, maxBlock))
	for at := int64(0); at < size; {
		piece := buffer[:min(size-at, maxBlock)]
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := d.log.copy.ReadAt(piece, at); err != nil {
			return err
		}
		if err := do(piece, at); err != nil {
			return err
		}
		at += int64(len(piece))
	}
	return nil
}

// Restore writes a backup into a container that holds no log: the file
// stream.bin of a directory, in blocks of whole writes up to 4 MiB. A part of a
// write that a crash has left at the end of the file is left out. The bytes are
// checked on the way; *daybook.CorruptError where they are damaged. What is
// damaged there is not written, what stands before it is.
//
// Where it was cut short it may be called again, and goes on: the container may
// hold the beginning of the backup, byte for byte. It fails with an error that
// matches daybook.ErrConflict, and writes nothing, where it holds another log,
// or one that goes further.
func Restore(ctx context.Context, dir, address string, options *Options) (done Copied, err error) {
	path := filepath.Join(dir, fileName)
	file, err := durable.OS.Open(path)
	if err != nil {
		return Copied{}, err
	}
	defer file.Close()
	d, err := Open(ctx, address, options)
	if err != nil {
		return Copied{}, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if d.readOnly {
		return Copied{}, daybook.ErrReadOnly
	}
	if err := d.refresh(ctx); err != nil {
		return Copied{}, err
	}
	r := restoring{driver: d, name: path, done: d.log.size}
	if r.length, err = d.beginsWith(ctx, path); err != nil {
		return Copied{}, err
	}
	kept := r.done
	if kept > r.length {
		return Copied{}, fmt.Errorf("azureblob: the container holds a log that goes further than %s: %w", path, daybook.ErrConflict)
	}
	err = r.all(ctx, file)
	return Copied{Bytes: r.done, Kept: kept, LastPosition: d.end()}, err
}

// restoring writes the bytes of a file to a container.
type restoring struct {
	driver *Driver
	name   string
	length int64
	done   int64
}

func (r *restoring) all(ctx context.Context, file io.ReaderAt) error {
	d := r.driver
	for r.done < r.length {
		if err := ctx.Err(); err != nil {
			return err
		}
		data := make([]byte, min(r.length-r.done, maxBlock))
		if _, err := file.ReadAt(data, r.done); err != nil {
			return err
		}
		writes, size, bad := cutWrites(data, r.done, d.log.state.key)
		if size > 0 {
			if err := r.block(ctx, data[:size]); err != nil {
				return err
			}
		}
		r.done += int64(size)
		if bad != nil {
			return &daybook.CorruptError{File: r.name, Offset: r.done + bad.at, Position: d.end() + 1, Reason: bad.reason}
		}
		if len(writes) == 0 {
			return nil // what a crash has left
		}
	}
	return nil
}

// block writes one block behind the others. Nobody else may.
func (r *restoring) block(ctx context.Context, data []byte) error {
	d := r.driver
	p := pauses{driver: d, doing: "restoring"}
	for {
		d.log.mu.RLock()
		b := &block{bytes: data, at: d.log.tail, absent: d.log.absent, full: d.log.full}
		size := d.log.size
		d.log.mu.RUnlock()
		if size == r.done+int64(len(data)) {
			return nil // an answer was lost
		}
		if size != r.done {
			return fmt.Errorf("azureblob: somebody else writes to %s: %w", d.origin.name(b.at.part), daybook.ErrConflict)
		}
		err := d.send(ctx, b, nil)
		if err == nil {
			return nil
		}
		if err = d.failed(ctx, err, b, &p); err == nil {
			err = d.refresh(ctx)
		}
		if err != nil {
			return err
		}
	}
}
