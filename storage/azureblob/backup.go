package azureblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// Backup writes the bytes of the log, as far as it goes now, into the file
// stream.bin of a directory, which is made: byte for byte what the blobs hold,
// one behind the other. OpenFile opens it, and so does Lokad's library. It may
// run beside writers. An older backup in the directory is replaced once the new
// one is whole. It returns how many bytes were written.
func (d *Driver) Backup(ctx context.Context, dir string) (int64, error) {
	if dir == "" {
		return 0, &daybook.InvalidError{Field: "directory", Value: `""`, Reason: "must not be empty"}
	}
	if err := d.begin(); err != nil {
		return 0, err
	}
	defer d.calls.Done()
	if err := d.refresh(ctx); err != nil {
		return 0, err
	}
	if err := durable.MakeDir(durable.OS, dir); err != nil {
		return 0, err
	}
	d.log.mu.RLock()
	size := d.log.size
	d.log.mu.RUnlock()
	path := filepath.Join(dir, fileName)
	if f, ok := d.log.copy.(*fileCopy); ok && filepath.Clean(f.path) == filepath.Clean(path) {
		return 0, &daybook.InvalidError{Field: "directory", Value: dir, Reason: "must not be that of the store"}
	}
	err := durable.Write(durable.OS, path, func(to durable.File) error {
		buffer := make([]byte, maxBlock)
		for at := int64(0); at < size; {
			piece := buffer[:min(size-at, maxBlock)]
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := d.log.copy.ReadAt(piece, at); err != nil {
				return err
			}
			if _, err := to.WriteAt(piece, at); err != nil {
				return err
			}
			at += int64(len(piece))
		}
		return nil
	})
	return size, err
}

// Restore writes a backup into a container that holds no log: the file
// stream.bin of a directory, in blocks of whole writes up to 4 MiB. A part of a
// write that a crash has left at the end of the file is left out. The bytes are
// checked on the way; *daybook.CorruptError where they are damaged.
//
// It fails with an error that matches daybook.ErrConflict where the container
// holds a log. Where it was cut short, remove the container and restore again.
func Restore(ctx context.Context, dir, address string, options *Options) (size int64, err error) {
	file, err := durable.OS.Open(filepath.Join(dir, fileName))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	d, err := Open(ctx, address, options)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	switch {
	case d.readOnly:
		return 0, daybook.ErrReadOnly
	case d.log.size > 0:
		return 0, fmt.Errorf("azureblob: the container holds a log already: %w", daybook.ErrConflict)
	}
	r := restoring{driver: d, name: filepath.Join(dir, fileName)}
	if r.length, err = file.Size(); err != nil {
		return 0, err
	}
	return r.all(ctx, file)
}

// restoring writes the bytes of a file to a container.
type restoring struct {
	driver *Driver
	name   string
	length int64
	done   int64
}

func (r *restoring) all(ctx context.Context, file io.ReaderAt) (int64, error) {
	d := r.driver
	for r.done < r.length {
		if err := ctx.Err(); err != nil {
			return r.done, err
		}
		data := make([]byte, min(r.length-r.done, maxBlock))
		if _, err := file.ReadAt(data, r.done); err != nil {
			return r.done, err
		}
		writes, size, bad := cutWrites(data, r.done, d.log.state.key)
		if bad != nil {
			return r.done, &daybook.CorruptError{File: r.name, Offset: r.done + bad.at, Position: d.end() + 1, Reason: bad.reason}
		}
		if len(writes) == 0 {
			return r.done, nil // what a crash has left
		}
		if err := r.block(ctx, data[:size]); err != nil {
			return r.done, err
		}
		r.done += int64(size)
	}
	return r.done, nil
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
