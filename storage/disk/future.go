package disk

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/daybook-go/daybook/internal/logindex"
)

// A store may hold files that a newer program wrote. daybook.json says so first;
// but a copy may have been put together of files of two stores, so each file
// that tells its version is asked. Nothing of such a store is read or written.

// newer returns the format version of a file that begins with b, as long as a
// header of that magic is today, if it is sound and newer than this program.
func newer(b []byte, magic string) (version int, ok bool) {
	if string(b[:len(magic)]) != magic || binary.LittleEndian.Uint32(b[12:]) != headerChecksum(b) {
		return 0, false
	}
	version = int(binary.LittleEndian.Uint16(b[8:])) // of a segment, the generation follows
	return version, version > formatVersion
}

// refuseNewerIndexes returns a *FormatError if a newer program made one of the
// index files. What else is wrong with them is found when they are used.
func refuseNewerIndexes(fsys FS, dir string, names []string) error {
	for _, name := range names {
		file, err := fsys.Open(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // merged meanwhile
		}
		if err != nil {
			return err
		}
		header := make([]byte, logindex.HeaderBytes)
		n, err := file.ReadAt(header, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return errors.Join(err, file.Close())
		}
		version, newer := logindex.Newer(header[:n])
		if err := file.Close(); err != nil {
			return err
		}
		if newer {
			return &FormatError{Dir: dir, File: name, Version: version, Known: logindex.FormatVersion}
		}
	}
	return nil
}
