package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
)

// What tells a directory with a log of append blobs in one file from one with a
// store in files.
const (
	streamFile = "stream.bin"
	diskFile   = "daybook.json"
)

func holdsStreamFile(dir string) bool { return holds(dir, streamFile) }

func holdsDiskStore(dir string) bool { return holds(dir, diskFile) }

func holds(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// openStreamFile opens the log of append blobs in a file of a directory: for
// reading only where nothing is to be written, so that it works beside a server.
func (p *program) openStreamFile(ctx context.Context, dir string, how opening) (daybook.Driver, error) {
	switch {
	case dir == "":
		return nil, usagef("store %q: needs a directory, stream:DIR", how.address)
	case !holdsStreamFile(dir) && holdsDiskStore(dir):
		return nil, hinted(usagef("store %q: the directory holds a store in files, not %s", how.address, streamFile), "name it file:%s", dir)
	}
	driver, err := azureblob.OpenFile(ctx, dir, &azureblob.Options{ReadOnly: how.access == reading, Logger: p.warnings(how.log)})
	switch {
	case err == nil:
		return driver, nil
	case errors.Is(err, context.Canceled):
		return nil, err
	case errors.As(err, new(*azureblob.LockedError)):
		return nil, &failure{exit: exitStore, err: err, hint: "write through its server: --store http://127.0.0.1:7070"}
	case errors.Is(err, fs.ErrNotExist):
		return nil, &failure{exit: exitStore, err: fmt.Errorf("there is no %s in %s", streamFile, dir), hint: "daybook append and daybook serve make one; another is named by --store"}
	}
	return nil, &failure{exit: exitStore, err: err}
}

// takesStreamFile refuses a directory for a backup that holds other things.
func takesStreamFile(dir string) error {
	if isStoreURL(dir) {
		return usagef("--to %q: must be a directory", shown(dir))
	}
	found, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && (len(found) == 0 || holdsStreamFile(dir)) && !holdsDiskStore(dir) {
		return nil
	}
	if err != nil {
		return usageError(err)
	}
	return hinted(usagef("--to %q: the directory holds other files, and no backup of append blobs", dir),
		"--to names a new or empty directory, or an earlier backup of this store")
}
