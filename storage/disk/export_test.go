package disk

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/daybook-go/daybook/internal/durable"
)

// ForgeIndex puts an index file into the store in dir that fits its first
// segment in everything, and tells of the first segment of another store.
func ForgeIndex(dir, other string) error {
	from, err := Open(other, &Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := Open(dir, &Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer to.Close()
	told, err := from.log.index.sealed.read(from.log.segments[0], nil)
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(dir, "*"+indexSuffix))
	for _, name := range old {
		err = errors.Join(err, os.Remove(name))
	}
	if err != nil {
		return err
	}
	own := to.log.segments[0]
	return durable.Write(durable.OS, to.log.path(indexName(1, 1)), func(file File) error {
		_, err := told.write(&fileWriter{file: file, stopping: &to.log.index.sealed.stopping}, to.log.index.sealed.store, own)
		return err
	})
}
