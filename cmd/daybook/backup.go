package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook/internal/wire"
	"github.com/daybook-go/daybook/storage/disk"
)

func (p *program) backupCommand() *cobra.Command {
	var to string
	command := &cobra.Command{
		Use:     "backup",
		GroupID: "keep",
		Short:   "Copy the files of a store, also while it is written",
		Long: `Copies the files of a store into another directory, also while a server writes
it: the copy holds every append that was there when the backup began, each
whole. A later backup into the same directory copies only what is missing.

The copy is a store itself: look at it with --store file:DIR. It needs the
files, so --store must name a directory; of a server, take an export.`,
		Example: `  daybook backup --to /mnt/backup/daybook
  daybook verify --store file:/mnt/backup/daybook
  daybook restore --from /mnt/backup/daybook --to daybook-data`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			from, err := p.directory()
			if err != nil {
				return err
			}
			return p.copyStore(command.Context(), "backup", from, to, disk.Backup)
		},
	}
	command.Flags().StringVar(&to, "to", "", "the directory of the backup: new, empty, or an earlier backup of this store")
	must(command.MarkFlagRequired("to"))
	return command
}

// directory returns the directory of the store that the user means.
func (p *program) directory() (string, error) {
	dir, ok := strings.CutPrefix(p.address(), "file:")
	if dir = strings.TrimPrefix(dir, "//"); !ok || dir == "" {
		return "", hinted(usagef("store %q: must be file:DIR, its files are copied", p.address()), "daybook export writes the records of any store")
	}
	return dir, nil
}

// copyStore copies the files of a store by disk.Backup or disk.Restore.
func (p *program) copyStore(ctx context.Context, name, from, to string,
	copyFiles func(ctx context.Context, from, to string, progress func(done, total int64)) error,
) error {
	bar := p.newProgress()
	defer bar.done()
	var bytes int64
	err := copyFiles(ctx, from, to, func(done, total int64) {
		bytes = done
		bar.show(name, done, total)
	})
	bar.done()
	var occupied *disk.OccupiedError
	var locked *disk.LockedError
	switch {
	case errors.As(err, &occupied):
		return hinted(usageError(err), "--to names a new or empty directory")
	case errors.As(err, &locked):
		return &failure{exit: exitStore, err: err}
	case errors.Is(err, fs.ErrNotExist):
		return &failure{exit: exitStore, err: fmt.Errorf("there is no store in %s", from)}
	case err != nil:
		return err
	}
	if p.json {
		out := wire.AppendString(fmt.Appendf(nil, `{"bytes":%d,"from":`, bytes), valid(from))
		out = wire.AppendString(append(out, `,"to":`...), valid(to))
		_, err = p.stdout.Write(append(out, "}\n"...))
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s copied from %s to %s\n", counted(bytes, "byte"), from, to)
	return err
}

// must is for what only a mistake in this program can make fail.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
