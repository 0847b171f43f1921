package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook/storage/disk"
)

// serverCompacts is what to do where a server has the files.
const serverCompacts = "a server compacts its files itself: daybook serve --compact 1d"

func (p *program) compactCommand() *cobra.Command {
	var options disk.CompactOptions
	command := &cobra.Command{
		Use:     "compact",
		GroupID: "keep",
		Short:   "Remove the content of what was deleted from the files of a store",
		Long: `Writes the files of a store anew that hold content of deleted records: that of
every deletion, or with --scrubs-only that of those which asked for a scrub. When
it is done no file of the store holds it any more. Versions, positions and all
other records stay as they are; backups keep what they have.

It may be interrupted at any moment, and killed: run again, it does the rest. Where
nothing is left to remove it changes nothing. It needs the files, so --store must
name a directory, and no server may write it: a server does it by itself, with
"daybook serve --compact".`,
		Example: `  daybook compact
  daybook compact --scrubs-only --json`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			dir, err := p.directory(serverCompacts)
			if err != nil {
				return err
			}
			return p.compact(command.Context(), dir, options)
		},
	}
	command.Flags().BoolVar(&options.ScrubsOnly, "scrubs-only", false, "leave alone what was deleted without --scrub")
	return command
}

func (p *program) compact(ctx context.Context, dir string, options disk.CompactOptions) error {
	driver, err := p.openFile(dir, opening{address: p.address(), access: writing})
	if locked := new(disk.LockedError); errors.As(err, &locked) {
		return hinted(err, serverCompacts)
	}
	if err != nil {
		return err
	}
	bar := p.newProgress()
	options.Progress = func(done, total int) { bar.show("segments", int64(done), int64(total)) }
	report, err := driver.(*disk.Driver).Compact(ctx, &options)
	bar.done()
	if closing := driver.Close(); err == nil {
		err = closing
	}
	if errors.Is(err, context.Canceled) {
		err = hinted(err, "run again, it does the rest")
	}
	if err != nil {
		return err
	}
	if p.json {
		return json.NewEncoder(p.stdout).Encode(struct {
			Segments   int   `json:"segments"`
			Changesets int64 `json:"changesets"`
			Bytes      int64 `json:"bytes"`
		}{report.Segments, report.Changesets, report.Bytes})
	}
	freed := ""
	if report.Bytes > 0 {
		freed = ", " + counted(report.Bytes, "byte") + " less"
	}
	_, err = fmt.Fprintf(p.stdout, "content of %s removed: %s written anew%s\n", counted(report.Changesets, "changeset"),
		counted(int64(report.Segments), "segment"), freed)
	return err
}
