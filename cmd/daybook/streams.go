package main

import (
	"bufio"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

func (p *program) streamsCommand() *cobra.Command {
	var list daybook.StreamList
	command := &cobra.Command{
		Use:     "streams",
		GroupID: "use",
		Short:   "List the streams",
		Long: `Lists the streams by partition and name, each with its last version, its last
changeset, and when that was recorded.`,
		Example: `  daybook streams
  daybook streams --stream-type account --limit 20
  daybook streams --after account-17 --json`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.streams(command.Context(), list) },
	}
	flags := command.Flags()
	flags.StringArrayVar(&list.Filter.StreamTypes, "stream-type", nil, "only streams of this type; may be given again")
	flags.StringArrayVar(&list.Filter.Partitions, "partition", nil, "only this partition; may be given again")
	flags.StringVar(&list.After.Name, "after", "", "only streams behind this name")
	flags.StringVar(&list.After.Partition, "after-partition", "", "the partition of --after")
	flags.IntVar(&list.Limit, "limit", 0, "at most so many streams")
	return command
}

func (p *program) streams(ctx context.Context, list daybook.StreamList) error {
	return p.with(ctx, reading, func(store *daybook.Store) error {
		out := bufio.NewWriter(p.stdout)
		var line []byte
		for head, err := range store.ListStreams(ctx, list) {
			if err != nil {
				_ = out.Flush() // the first error is the one to tell
				return err
			}
			if p.json {
				line = append(wire.AppendHead(line[:0], &head), '\n')
			} else {
				line = fmt.Appendf(line[:0], "%-32s  version %-6d  changeset %-6d  %s\n",
					printable(head.Stream.String()), head.Version, head.Changeset, head.RecordedAt.Format(timeLayout))
			}
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}
