package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook/storage/disk"
)

func (p *program) restoreCommand() *cobra.Command {
	var from, to string
	command := &cobra.Command{
		Use:     "restore",
		GroupID: "keep",
		Short:   "Make a store of a backup",
		Long: `Copies a backup into a new directory, checks every byte of it, and leaves a
store there. Nothing is overwritten: the directory must be new or empty.`,
		Example: `  daybook restore --from /mnt/backup/daybook --to daybook-data
  mv daybook-data damaged && daybook restore --from /mnt/backup/daybook --to daybook-data`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return p.copyStore(command.Context(), "restore", strings.TrimPrefix(from, "file:"), strings.TrimPrefix(to, "file:"), disk.Restore)
		},
	}
	flags := command.Flags()
	flags.StringVar(&from, "from", "", "the directory of the backup")
	flags.StringVar(&to, "to", "", "the directory of the store: new or empty")
	must(command.MarkFlagRequired("from"))
	must(command.MarkFlagRequired("to"))
	return command
}
