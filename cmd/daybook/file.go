package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// openFile opens the store in a directory: for reading only where nothing is
// to be written, so that it works beside a server.
func (p *program) openFile(dir string, how opening) (daybook.Driver, error) {
	if dir == "" {
		return nil, usagef("store %q: needs a directory, file:DIR", how.address)
	}
	if holdsStreamFile(dir) && !holdsDiskStore(dir) {
		return nil, hinted(usagef("store %q: the directory holds %s, a log of append blobs", how.address, streamFile), "name it stream:%s", dir)
	}
	driver, err := disk.Open(dir, &disk.Options{ReadOnly: how.access == reading, Logger: p.warnings(how.log), FS: p.files})
	if err == nil {
		return driver, nil
	}
	var locked *disk.LockedError
	switch {
	case errors.As(err, new(*disk.UnwritableError)):
		return nil, &failure{exit: exitStore, err: err, hint: "reading works without writing: daybook log, read, streams, stats, verify"}
	case errors.As(err, &locked):
		return nil, &failure{exit: exitStore, err: err, hint: "write through its server: --store http://127.0.0.1:7070"}
	case errors.Is(err, fs.ErrNotExist):
		return nil, &failure{exit: exitStore, err: fmt.Errorf("there is no store in %s", dir), hint: "daybook append and daybook serve make one; another is named by --store"}
	default:
		return nil, &failure{exit: exitStore, err: err}
	}
}
