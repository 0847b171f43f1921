package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/azureblob"
)

// openAzureBlob opens the store in the append blobs of a container of Azure.
func (p *program) openAzureBlob(ctx context.Context, how opening) (*azureblob.Driver, error) {
	driver, err := azureblob.Open(ctx, how.address, &azureblob.Options{
		ReadOnly: how.access == reading, Compact: true, Logger: p.warnings(how.log),
	})
	if err != nil {
		return nil, azureFailure(err)
	}
	return driver, nil
}

// maintainBlobs is maintain for a store in append blobs: what is full goes into
// one blob. Like what only reads, it makes no store where there is none.
func (p *program) maintainBlobs(ctx context.Context) error {
	driver, err := azureblob.Open(ctx, p.address(), &azureblob.Options{MustExist: true, Logger: p.warnings(nil)})
	if err != nil {
		return azureFailure(err)
	}
	done, err := driver.Compact(ctx)
	if closing := driver.Close(); err == nil {
		err = closing
	}
	switch {
	case errors.Is(err, context.Canceled):
		return hinted(err, "run again: nothing is changed before all is copied")
	case errors.Is(err, daybook.ErrReadOnly):
		return hinted(err, "one blob can be made of several with the rights rlacw of a signature, or as Storage Blob Data Contributor")
	case err != nil:
		return err
	case p.json:
		return json.NewEncoder(p.stdout).Encode(struct {
			Changed bool   `json:"changed"`
			Blob    string `json:"blob,omitempty"`
			Bytes   int64  `json:"bytes,omitempty"`
		}{done.Blob != "", done.Blob, done.Bytes})
	case done.Blob == "":
		_, err = fmt.Fprintf(p.stdout, "%s: no blob is full and not in one with the others, nothing is to be done\n", printable(shown(p.address())))
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "all full blobs are in one: %s of %s\n", done.Blob, counted(done.Bytes, "byte"))
	return err
}

// backUpBlobs is backup for a log of append blobs, in a container or in a file.
func (p *program) backUpBlobs(ctx context.Context, to string) error {
	if err := takesStreamFile(to); err != nil {
		return err
	}
	driver, err := p.openDriver(ctx, opening{address: p.address(), access: reading})
	if err != nil {
		return err
	}
	done, err := driver.(*azureblob.Driver).Backup(ctx, to)
	if closing := driver.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return blobsCopyFailure(ctx, err, "--to names a new or empty directory, or an earlier backup of this store")
	}
	return p.tellBlobsCopied(done, shown(p.address()), to)
}

// restoreBlobs is restore into a container of Azure.
func (p *program) restoreBlobs(ctx context.Context, f *restoreFlags, from string) error {
	if f.toPosition != 0 || f.toTime != "" {
		return hinted(usagef("--to-position and --to-time are for stores in files: a log of append blobs is restored whole"),
			"daybook export writes a part of it: daybook export --store stream:%s", from)
	}
	switch {
	case !holdsStreamFile(from) && holdsDiskStore(from):
		return hinted(usagef("--from %q: is a store in files, not a backup of append blobs", from), "daybook import --from file:%s --store 'azureblob:…'", from)
	case !holdsStreamFile(from):
		return &failure{exit: exitStore, err: fmt.Errorf("there is no backup of append blobs in %s: it has no %s", from, streamFile)}
	}
	done, err := azureblob.Restore(ctx, from, f.to, &azureblob.Options{Logger: p.warnings(nil)})
	var damage *daybook.CorruptError
	switch {
	case errors.As(err, &damage) && damage.Position > 1:
		return hinted(err, "what stands in front of the damage is restored: up to position %d", damage.Position-1)
	case damage != nil:
		return err
	case errors.Is(err, daybook.ErrReadOnly):
		return hinted(err, "restoring takes the rights rlacw of a signature, or Storage Blob Data Contributor")
	case err != nil:
		return blobsCopyFailure(ctx, azureFailure(err), "--to names a container that holds no log: a new one is made")
	}
	return p.tellBlobsCopied(done, from, shown(f.to))
}

// tellBlobsCopied tells what a backup or a restore has done.
func (p *program) tellBlobsCopied(done azureblob.Copied, from, to string) error {
	if p.json {
		return json.NewEncoder(p.stdout).Encode(struct {
			From     string `json:"from"`
			To       string `json:"to"`
			Bytes    int64  `json:"bytes"`
			Kept     int64  `json:"kept_bytes"`
			Position int64  `json:"position"`
		}{from, to, done.Bytes - done.Kept, done.Kept, int64(done.LastPosition)})
	}
	line := fmt.Sprintf("%s copied from %s to %s, up to position %s", counted(done.Bytes-done.Kept, "byte"), from, to, grouped(int64(done.LastPosition)))
	if done.Kept > 0 {
		line += fmt.Sprintf("; %s were there", counted(done.Kept, "byte"))
	}
	_, err := fmt.Fprintln(p.stdout, printable(line))
	return err
}

// blobsCopyFailure puts the exit code and the hint to an error of a copy. The
// hint is for a place that holds something else.
func blobsCopyFailure(ctx context.Context, err error, occupied string) error {
	switch {
	case ctx.Err() != nil:
		return hinted(err, "run the same command again: what is there already is not lost")
	case errors.Is(err, daybook.ErrConflict):
		return hinted(usageError(err), "%s", occupied)
	case errors.As(err, new(*azureblob.LockedError)), errors.Is(err, fs.ErrPermission):
		return &failure{exit: exitStore, err: err}
	}
	return err
}
