// Package durable writes files so that a crash leaves the old file or the new
// one, never a half: write beside it, sync, rename, sync the directory. FS is
// the part of a file system that this and the storages need, so that a test
// can put a disk that fails underneath.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// Unfinished ends the name of a file that is being written. One that is found
// without its writer is left over from a crash and may be removed.
const Unfinished = ".new"

// WriteFile puts data into the named file, in place of what it held. When it
// returns nil the file is on the disk; after an error it is the old one or the
// new one.
func WriteFile(fsys FS, name string, data []byte) error {
	return Write(fsys, name, func(file File) error {
		_, err := file.WriteAt(data, 0)
		return err
	})
}

// Write is WriteFile for a file that fill writes. Where fill fails, the file
// stays what it was.
func Write(fsys FS, name string, fill func(File) error) error {
	if err := Prepare(fsys, name, fill); err != nil {
		return err
	}
	if err := fsys.Rename(name+Unfinished, name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// Prepare is Write but for its end: what fill writes is on the disk beside the
// named file, and waits to be renamed.
func Prepare(fsys FS, name string, fill func(File) error) error {
	file, err := fsys.Create(name + Unfinished)
	if err != nil {
		return err
	}
	err = fill(file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err != nil {
		// What is left over is removed by whoever opens the directory next.
		_ = fsys.Remove(name + Unfinished)
	}
	return err
}

// MakeDir makes a directory with its parents where they are missing, each on
// the disk before the next is made.
func MakeDir(fsys FS, dir string) error {
	dir = filepath.Clean(dir)
	if _, err := fsys.List(dir); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MakeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := fsys.SyncDir(parent); err != nil {
		return fmt.Errorf("sync %s: %w", parent, err)
	}
	return nil
}
