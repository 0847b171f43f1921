package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
)

func (p *program) readCommand() *cobra.Command {
	var partition, until string
	var read daybook.StreamRead
	command := &cobra.Command{
		Use:     "read STREAM",
		GroupID: "use",
		Short:   "Read the records of one stream",
		Long: `Reads the records of one stream, in the order of their versions. A line shows
version, recorded time, type, data, tags and who; --json gives everything, a
record a line.

A stream without records is "not found": exit code 4.`,
		Example: `  daybook read account-1
  daybook read account-1 --from 10 --to 20
  daybook read account-1 --backwards --limit 1        # the newest
  daybook read account-1 --until 2026-01-31T12:00:00Z # as of then
  daybook read account-1 --partition acme --json`,
		Args: oneStream,
		RunE: func(command *cobra.Command, args []string) error {
			var err error
			if read.Until, err = parseTime("until", until); err != nil {
				return err
			}
			return p.read(command.Context(), daybook.StreamID{Partition: partition, Name: args[0]}, read)
		},
	}
	flags := command.Flags()
	flags.StringVar(&partition, "partition", "", "the partition of the stream")
	flags.Int64Var((*int64)(&read.From), "from", 0, "the lowest version")
	flags.Int64Var((*int64)(&read.To), "to", 0, "the highest version")
	flags.StringVar(&until, "until", "", "only what was recorded at this time or before: 2026-01-31T12:00:00Z, or 2026-01-31 for its end")
	flags.BoolVar(&read.Backwards, "backwards", false, "newest first")
	flags.IntVar(&read.Limit, "limit", 0, "at most so many records")
	return command
}

func (p *program) read(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) error {
	return p.with(ctx, reading, func(store *daybook.Store) error {
		out := p.recordWriter(streamColumns)
		found := false
		for record, err := range store.ReadStream(ctx, id, read) {
			if err == nil {
				found = true
				err = out.write(&record)
			}
			if err != nil {
				_ = out.flush() // the first error is the one to tell
				return err
			}
		}
		if err := out.flush(); err != nil || found {
			return err
		}
		head, err := store.Head(ctx, id)
		if err == nil && !head.Exists() {
			err = &failure{exit: exitNotFound, err: fmt.Errorf("stream %q has no records", id), hint: "daybook streams lists those that have"}
		}
		return err
	})
}
