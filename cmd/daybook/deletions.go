package main

import (
	"bufio"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

func (p *program) deletionsCommand() *cobra.Command {
	var read daybook.DeletionRead
	command := &cobra.Command{
		Use:     "deletions",
		GroupID: "keep",
		Short:   "List who deleted what, when and why",
		Long: `Lists the deletions that were made, in their order: number, time, stream, the
version up to which nothing is left, how many records went, who and why.`,
		Example: `  daybook deletions
  daybook deletions --stream user-17 --json
  daybook deletions --after 100 --limit 20`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error { return p.deletions(command.Context(), read) },
	}
	flags := command.Flags()
	flags.StringVar(&read.Stream.Name, "stream", "", "only deletions of this stream")
	flags.StringVar(&read.Stream.Partition, "partition", "", "the partition of --stream")
	flags.Int64Var((*int64)(&read.After), "after", 0, "only deletions behind this number")
	flags.IntVar(&read.Limit, "limit", 0, "at most so many deletions")
	return command
}

func (p *program) deletions(ctx context.Context, read daybook.DeletionRead) error {
	return p.with(ctx, reading, func(store *daybook.Store) error {
		out := bufio.NewWriter(p.stdout)
		var line []byte
		for d, err := range store.ReadDeletions(ctx, read) {
			if err != nil {
				_ = out.Flush() // the first error is the one to tell
				return err
			}
			if p.json {
				line = append(wire.AppendDeletion(line[:0], &d), '\n')
			} else {
				line = deletionLine(line[:0], &d)
			}
			if _, err := out.Write(line); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}

func deletionLine(line []byte, d *daybook.RecordedDeletion) []byte {
	r := &d.Receipt
	line = fmt.Appendf(line, "%6d  %s  %-24s  through %-6d  %s", r.Number, r.RecordedAt.Format(timeLayout), printable(r.Stream.String()), r.Through, counted(r.Records, "record"))
	switch {
	case r.Scrubbed:
		line = append(line, "  scrubbed"...)
	case d.Scrub:
		line = append(line, "  to be scrubbed"...)
	}
	if d.Who != "" {
		line = append(line, "  by "+printable(d.Who)...)
	}
	if d.Why != "" {
		line = append(line, "  "+printable(d.Why)...)
	}
	return append(line, '\n')
}
