package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
)

func (p *program) logCommand() *cobra.Command {
	var until string
	var types, tags []string
	var follow bool
	var read daybook.LogRead
	command := &cobra.Command{
		Use:     "log",
		GroupID: "use",
		Short:   "Read the whole log, and follow it",
		Long: `Reads the records of all streams, in the order of their positions. A line shows
position, recorded time, stream and version, type, data, tags and who; --json
gives everything, a record a line.

Filters: of several --type any one must fit, of several --tag all; of several
--stream-type or --partition any one. The type of a stream is what stands
before the first "-" of its name: "account" of "account-123".

With --follow the command does not end: it waits for more records, until it is
interrupted. A server that goes away meanwhile is waited for, half a minute or
so. Positions rise but may have gaps; to go on later, give the last position as
--after.`,
		Example: `  daybook log
  daybook log --after 1000 --limit 100
  daybook log --stream-type account --type deposited --type withdrawn
  daybook log --tag student:7 --json
  daybook log --follow
  daybook log --backwards --limit 5                   # the newest five`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			var err error
			if read.Until, err = parseTime("until", until); err != nil {
				return err
			}
			if len(types)+len(tags) > 0 {
				read.Filter.Query.Items = []daybook.QueryItem{{Types: types, Tags: tags}}
			}
			if follow {
				return p.follow(command.Context(), read)
			}
			return p.log(command.Context(), read)
		},
	}
	flags := command.Flags()
	flags.Int64Var((*int64)(&read.After), "after", 0, "only positions above this one")
	flags.Int64Var((*int64)(&read.To), "to", 0, "only positions up to this one")
	flags.StringVar(&until, "until", "", "only what was recorded at this time or before: 2026-01-31T12:00:00Z, or 2026-01-31 for its end")
	flags.StringArrayVar(&types, "type", nil, "only events of this type; may be given again")
	flags.StringArrayVar(&tags, "tag", nil, "only events with this tag; may be given again")
	flags.StringArrayVar(&read.Filter.StreamTypes, "stream-type", nil, "only streams of this type; may be given again")
	flags.StringArrayVar(&read.Filter.Partitions, "partition", nil, "only this partition; may be given again")
	flags.BoolVar(&read.Backwards, "backwards", false, "newest first")
	flags.IntVar(&read.Limit, "limit", 0, "at most so many records")
	flags.BoolVar(&follow, "follow", false, "wait for more records at the end")
	command.MarkFlagsMutuallyExclusive("follow", "backwards")
	command.MarkFlagsMutuallyExclusive("follow", "until")
	return command
}

func (p *program) log(ctx context.Context, read daybook.LogRead) error {
	return p.with(ctx, reading, func(store *daybook.Store) error {
		out := p.recordWriter(logColumns)
		for record, err := range store.ReadLog(ctx, read) {
			if err == nil {
				err = out.write(&record)
			}
			if err != nil {
				_ = out.flush() // the first error is the one to tell
				return err
			}
		}
		return out.flush()
	})
}
