package disk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// identityName is the file that makes a directory a store.
const identityName = "daybook.json"

// identity is what identityName holds.
type identity struct {
	Format   int        `json:"format"`
	ID       daybook.ID `json:"id"`
	Created  time.Time  `json:"created"`
	Checksum string     `json:"crc32c"` // of the file as it is with an empty checksum
}

// encode returns the bytes of the file.
func (i identity) encode() ([]byte, error) {
	i.Checksum = ""
	plain, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return nil, err
	}
	i.Checksum = fmt.Sprintf("%08x", crc32.Checksum(plain, castagnoli))
	data, err := json.MarshalIndent(i, "", "  ")
	return append(data, '\n'), err
}

// readIdentity returns which store dir holds. The error matches
// fs.ErrNotExist if there is none.
func readIdentity(fsys FS, dir string) (identity, error) {
	name := filepath.Join(dir, identityName)
	data, err := readFile(fsys, name)
	if err != nil {
		return identity{}, err
	}
	damaged := func(reason string) (identity, error) {
		return identity{}, &daybook.CorruptError{File: name, Position: 1, Reason: reason}
	}
	var id identity
	if err := json.Unmarshal(data, &id); err != nil {
		return damaged("not JSON: " + err.Error())
	}
	if id.Format > formatVersion {
		return identity{}, &FormatError{Dir: dir, File: identityName, Version: id.Format, Known: formatVersion}
	}
	again, err := id.encode()
	if err != nil || id.Format != formatVersion || !bytes.Equal(data, again) {
		return damaged("the checksum of the file does not match")
	}
	return id, nil
}

// FormatError says that a store, or a file in it, was written by a newer
// program. Nothing of it was read or changed.
type FormatError struct {
	Dir     string
	File    string // in Dir, that tells its version
	Version int    // that it has
	Known   int    // the newest that this program knows
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("disk: the store in %s has format version %d (%s), this program knows versions up to %d: use a newer program",
		e.Dir, e.Version, e.File, e.Known)
}

// readFile returns what a small file holds.
func readFile(fsys FS, name string) ([]byte, error) {
	file, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	const longest = 1 << 20
	data := make([]byte, min(size, longest))
	n, err := file.ReadAt(data, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:n], nil
}

// newIdentity makes the files of an empty store in dir, identityName last: a
// directory without it is not a store yet, and may be made one again.
func newIdentity(fsys FS, dir string, now time.Time) (identity, error) {
	if err := removeUnborn(fsys, dir); err != nil {
		return identity{}, err
	}
	id := identity{Format: formatVersion, ID: daybook.NewID(), Created: daybook.Microseconds(now)}
	data, err := id.encode()
	if err != nil {
		return id, err
	}
	first := segmentHeader{store: id.ID, first: 1, ordinal: 1}
	if err := durable.WriteFile(fsys, filepath.Join(dir, segmentName(1)), first.encode()); err != nil {
		return id, err
	}
	mark := endMark{store: id.ID, segment: 1, visible: segmentHeaderSize, synced: segmentHeaderSize}
	if err := durable.WriteFile(fsys, filepath.Join(dir, endName), mark.encode()); err != nil {
		return id, err
	}
	return id, durable.WriteFile(fsys, filepath.Join(dir, identityName), data)
}

// removeUnborn removes what a crash left of a store that was being made. It
// fails if there is more: then the directory is a store that lost its
// identity.
func removeUnborn(fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == restoreName+durable.Unfinished {
			return fmt.Errorf("a restore into %s was interrupted: run it again, or empty the directory", dir)
		}
		first, ok := segmentFirst(name)
		if !ok {
			continue
		}
		data, err := readFile(fsys, filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if first != 1 || len(data) > segmentHeaderSize {
			return &daybook.CorruptError{
				File: filepath.Join(dir, identityName), Position: 1,
				Reason: fmt.Sprintf("the file is missing, but there are segments (%s)", name),
			}
		}
		if err := fsys.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
