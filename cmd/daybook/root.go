package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
)

// run carries out a command line and returns the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	p.stdin = &interruptible{ctx: ctx, in: p.stdin}
	root := p.rootCommand()
	root.SetArgs(args)
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	// What goes wrong before a subcommand has begun is wrong usage.
	begun := false
	noteBeginning(root, &begun)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if !begun {
		p.json = p.json || slices.Contains(args, "--json")
		err = wrongUsage(command, err)
	}
	return p.report(ctx, err)
}

// noteBeginning sets begun when a subcommand begins.
func noteBeginning(of *cobra.Command, begun *bool) {
	for _, command := range of.Commands() {
		if do := command.RunE; do != nil {
			command.RunE = func(command *cobra.Command, args []string) error {
				*begun = true
				return do(command, args)
			}
		}
		noteBeginning(command, begun)
	}
}

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "daybook",
		Short: "An event store: serve it, append to it, read it",
		Long: `Daybook is an event store. Events are appended to streams, and read back as
records, in the order of their stream or of the whole log.

A store is named by --store, or by the environment variable DAYBOOK_STORE:
"file:DIR" is a directory (the default is file:daybook-data), "postgres://HOST/DB"
a PostgreSQL database, "http://HOST" a server; see "daybook help stores". One
process at a time writes a directory; everybody else goes through its server.
Reading a directory always works.

Every subcommand writes for people, or with --json for programs: one JSON
document a line. "daybook help exit-codes" tells what scripts can rely on.`,
		Example: `  daybook serve &
  daybook append account-1 --store http://127.0.0.1:7070 --type opened --data '{"owner":"Ann"}'
  daybook read account-1
  daybook log --follow`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.store, "store", "", `the store: file:DIR, postgres://HOST/DATABASE, http://HOST or mem: (default $DAYBOOK_STORE, else "`+defaultStore+`")`)
	flags.BoolVar(&p.noMigrate, "no-migrate", false, "never make or change the tables of a database: leave that to daybook migrate")
	flags.BoolVar(&p.json, "json", false, "write JSON for programs, one document a line; errors too")
	root.AddGroup(
		&cobra.Group{ID: "use", Title: "Append and read:"},
		&cobra.Group{ID: "keep", Title: "Run and keep:"},
		&cobra.Group{ID: "move", Title: "Move:"},
	)
	root.AddCommand(
		p.appendCommand(), p.readCommand(), p.logCommand(), p.streamsCommand(),
		p.serveCommand(), p.statsCommand(), p.verifyCommand(), p.backupCommand(), p.restoreCommand(), p.reindexCommand(),
		p.deleteCommand(), p.retainCommand(), p.deletionsCommand(), p.compactCommand(),
		p.migrateCommand(), p.maintainCommand(), p.lambdaCommand(), p.azureFunctionsCommand(), p.deadLettersCommand(),
		p.exportCommand(), p.importCommand(), p.versionCommand(),
		storesTopic(), exitCodesTopic(),
	)
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}
