package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

func (p *program) migrateCommand() *cobra.Command {
	var partitionSize int64
	var table dynamoDBFlags
	command := &cobra.Command{
		Use:     "migrate",
		GroupID: "keep",
		Short:   "Bring the tables of a store to the form of this program",
		Long: `Makes the tables of a store in a database, or brings those that an older
program has made to the form of this one: in one transaction, so that it is done
or not, and one at a time. It says from which version to which. Tables of a
newer program are refused: exit code 5.

Subcommands that write do the same when they open a store. Give them --no-migrate
where the user of the program may not change tables, and run migrate as their
owner before a new release.

--partition-size splits the log of a store that is made now into tables of so many
positions; one that is there stays as it was made. docs/postgres-partitions.md
says what that is good for.

A store in Azure has one form: its container or table is made where there is none.
Of a store in DynamoDB it makes the table, and then waits until it can be used.
One that is there is left as it is; what the Elastic Event Store has written into
it is taken into the log. The other flags say how a table is made.

A store in files needs none of this: nothing is to be done.`,
		Example: `  daybook migrate --store postgres://owner@db.example.org/shop
  daybook migrate --store postgres://owner@db.example.org/shop --partition-size 50000000
  daybook migrate --store dynamodb://eu-central-1/shop --tag team=orders
  daybook serve --no-migrate --store postgres://app@db.example.org/shop`,
		Args: noArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if kind, _ := kindOf(p.address()); kind == "dynamodb" && !p.noMigrate {
				if partitionSize != 0 {
					return usagef("--partition-size: only a store in PostgreSQL can have its log split")
				}
				return p.migrateDynamoDB(command.Context(), &table)
			}
			for _, name := range dynamoDBFlagNames {
				if command.Flags().Changed(name) {
					return usagef("--%s: is for a store in DynamoDB", name)
				}
			}
			return p.migrate(command.Context(), partitionSize)
		},
	}
	command.Flags().Int64Var(&partitionSize, "partition-size", 0, "split the log of a new store into tables of so many positions (default one table)")
	table.add(command.Flags())
	return command
}

func (p *program) migrate(ctx context.Context, partitionSize int64) error {
	if p.noMigrate {
		return usagef("--no-migrate: forbids what migrate does")
	}
	if partitionSize != 0 && !isDatabase(p.address()) {
		return usagef("--partition-size: only a store in PostgreSQL can have its log split")
	}
	switch kind, _ := kindOf(p.address()); {
	case kind == "sqlserver":
		return p.migrateSQLServer(ctx)
	case isAzure(p.address()):
		return p.makeReady(ctx)
	case !isDatabase(p.address()):
		return p.nothingToDo(ctx, "it has no tables")
	}
	found, err := postgres.Migrate(ctx, p.address(), &postgres.Options{PartitionSize: partitionSize, Logger: p.warnings(nil)})
	if err != nil {
		return postgresFailure(err)
	}
	return p.tellMigration(found, postgres.Version)
}

// makeReady makes what holds a store that has only one form, a container or a
// table, where it is not there: whoever writes does that when he opens it.
func (p *program) makeReady(ctx context.Context) error {
	return p.with(ctx, writing, func(*daybook.Store) (err error) {
		if p.json {
			_, err = fmt.Fprintln(p.stdout, `{"changed":false}`)
			return err
		}
		_, err = fmt.Fprintf(p.stdout, "%s: it is there, and ready to be written\n", printable(shown(p.address())))
		return err
	})
}

// tellMigration says what a migration to a version has found.
func (p *program) tellMigration(found, version int) (err error) {
	if p.json {
		return json.NewEncoder(p.stdout).Encode(struct {
			Changed bool `json:"changed"`
			From    int  `json:"from"`
			To      int  `json:"to"`
		}{found != version, found, version})
	}
	switch found {
	case version:
		_, err = fmt.Fprintf(p.stdout, "the store has version %d, that of this program: nothing is to be done\n", found)
	case 0:
		_, err = fmt.Fprintf(p.stdout, "the store was made, in version %d\n", version)
	default:
		_, err = fmt.Fprintf(p.stdout, "the store was brought from version %d to %d\n", found, version)
	}
	return err
}

// nothingToDo says of a store that is no database that it needs no upkeep, and
// why. Of one behind a server that cannot be said.
func (p *program) nothingToDo(ctx context.Context, why string) error {
	if kind, _ := kindOf(p.address()); kind == "http" || kind == "https" {
		return hinted(usagef("store %q: this does not work through a server", shown(p.address())), "give the --store that the server was started with")
	}
	if isRouter(p.address()) {
		return hinted(usagef("store %q: it stands for several", shown(p.address())), "give the URL of each store in the file that needs it")
	}
	return p.with(ctx, reading, func(*daybook.Store) error {
		if p.json {
			_, err := fmt.Fprintln(p.stdout, `{"changed":false}`)
			return err
		}
		_, err := fmt.Fprintf(p.stdout, "%s: %s, nothing is to be done\n", printable(shown(p.address())), why)
		return err
	})
}
