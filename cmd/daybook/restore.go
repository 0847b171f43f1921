package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// restoreFlags are the flags of the restore subcommand.
type restoreFlags struct {
	from, to   string
	toPosition int64
	toTime     string
}

func (p *program) restoreCommand() *cobra.Command {
	var f restoreFlags
	command := &cobra.Command{
		Use:     "restore",
		GroupID: "keep",
		Short:   "Make a store of a backup",
		Long: `Copies a backup into a new directory, checks every byte of it, and leaves a
store there. Nothing is overwritten: the directory must be new or empty.
Interrupted, it is run again and goes on.

--to-position and --to-time leave out what came later: every append of which
a record stands above the position, or that was recorded after the time. What
was left out is told.

The store that is made is the same one, with the same id, at an earlier time:
positions go on where it ends. Do not go on writing the store that it was
copied from, and let readers that were further begin anew.

With --to azureblob:… a backup of append blobs is written into a container,
which must hold no log, and is made where it is missing. Cut short, it is run
again and goes on.`,
		Example: `  daybook restore --from /mnt/backup/daybook --to daybook-data
  daybook restore --from /mnt/backup/daybook --to before --to-time 2026-01-31T12:00:00Z
  daybook restore --from damaged --to daybook-data --to-position 8000
  daybook restore --from /mnt/backup/log --to azureblob://shop.blob.core.windows.net/again`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.restore(command.Context(), &f) },
	}
	flags := command.Flags()
	flags.StringVar(&f.from, "from", "", "the directory of the backup")
	flags.StringVar(&f.to, "to", "", "the directory of the store: new or empty; or azureblob:ACCOUNT")
	flags.Int64Var(&f.toPosition, "to-position", 0, "leave out every append with a record above this position")
	flags.StringVar(&f.toTime, "to-time", "", "leave out every append that was recorded after this time: 2026-01-31T12:00:00Z, or a date, to its end")
	must(command.MarkFlagRequired("from"))
	must(command.MarkFlagRequired("to"))
	return command
}

func (p *program) restore(ctx context.Context, f *restoreFlags) error {
	if f.toPosition < 0 {
		return usagef("--to-position: must not be negative")
	}
	toTime, err := parseTime("to-time", f.toTime)
	if err != nil {
		return err
	}
	from, to := strings.TrimPrefix(strings.TrimPrefix(f.from, "file:"), "stream:"), strings.TrimPrefix(f.to, "file:")
	switch kind, _ := kindOf(to); {
	case isStoreURL(from):
		return usagef("--from %q: must be the directory of a backup", shown(from))
	case kind == "azureblob" && isStoreURL(to):
		return p.restoreBlobs(ctx, f, from)
	case isStoreURL(to):
		return hinted(usagef("--to %q: must be a directory, or azureblob:ACCOUNT", shown(to)), "daybook import --from takes the records of one store into any other")
	case holdsStreamFile(from) && !holdsDiskStore(from):
		return hinted(usagef("--from %q: holds %s, a log of append blobs", from, streamFile),
			"it is restored with --to azureblob:…, and is a store itself: --store stream:%s", from)
	}
	return p.copyStore(ctx, "restore", from, to, func(ctx context.Context, progress func(done, total int64)) (disk.Copied, error) {
		return disk.Restore(ctx, from, to, &disk.RestoreOptions{ToPosition: daybook.Position(f.toPosition), ToTime: toTime, Progress: progress})
	})
}
