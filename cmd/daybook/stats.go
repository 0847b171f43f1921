package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

func (p *program) statsCommand() *cobra.Command {
	var files bool
	command := &cobra.Command{
		Use:     "stats",
		GroupID: "keep",
		Short:   "Count what the store holds",
		Long: `Counts streams, changesets and records, and tells where the log ends.

--disk tells of the files of a directory instead: how much log, index and room
there is, what is not indexed, how much is free, who writes it, and what the
last opening that had something to recover did.`,
		Example: `  daybook stats
  daybook stats --json
  daybook stats --disk`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if files {
				return p.diskStats(command.Context())
			}
			return p.stats(command.Context())
		},
	}
	command.Flags().BoolVar(&files, "disk", false, "tell of the files")
	return command
}

func (p *program) stats(ctx context.Context) error {
	return p.with(ctx, reading, func(store *daybook.Store) error {
		stats, err := store.Stats(ctx)
		if err != nil {
			return err
		}
		if p.json {
			return json.NewEncoder(p.stdout).Encode(wire.Stats(stats))
		}
		for _, row := range []struct {
			name  string
			value int64
		}{
			{"streams", stats.Streams},
			{"changesets", stats.Changesets},
			{"records", stats.Records},
			{"longest stream", int64(stats.LongestStream)},
			{"last position", int64(stats.LastPosition)},
			{"bytes", stats.Bytes},
		} {
			if _, err := fmt.Fprintf(p.stdout, "%-15s %s\n", row.name, grouped(row.value)); err != nil {
				return err
			}
		}
		return nil
	})
}
