package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/dynamodb"
)

// openDynamoDB opens the store in a table of DynamoDB. The table is made only
// where something is to be written.
func (p *program) openDynamoDB(ctx context.Context, how opening) (*dynamodb.Driver, error) {
	options := &dynamodb.Options{Logger: p.warnings(how.log)}
	if how.access != reading && !p.noMigrate {
		options.Migrate = &dynamodb.Table{}
	}
	driver, err := dynamodb.Open(ctx, how.address, options)
	if err != nil {
		return nil, dynamoDBFailure(err)
	}
	return driver, nil
}

// dynamoDBFlags are the flags of migrate that say how a table is made.
type dynamoDBFlags struct {
	table dynamodb.Table
	tags  []string
}

var dynamoDBFlagNames = []string{"read-units", "write-units", "no-recovery", "streams", "tag"}

func (f *dynamoDBFlags) add(flags *pflag.FlagSet) {
	flags.Int64Var(&f.table.ReadUnits, "read-units", 0, "DynamoDB: provision so many read units for a new table (default billed on demand)")
	flags.Int64Var(&f.table.WriteUnits, "write-units", 0, "DynamoDB: provision so many write units for a new table (default billed on demand)")
	flags.BoolVar(&f.table.NoRecovery, "no-recovery", false, "DynamoDB: make the table without point-in-time recovery")
	flags.BoolVar(&f.table.Streams, "streams", false, "DynamoDB: make the table with DynamoDB Streams, for functions that they start")
	flags.StringArrayVar(&f.tags, "tag", nil, "DynamoDB: put a tag on a new table, as `KEY=VALUE`; may be repeated")
}

// migrateDynamoDB is migrate for a store in a table of DynamoDB. What the
// Elastic Event Store has left in the table is taken into the log.
func (p *program) migrateDynamoDB(ctx context.Context, f *dynamoDBFlags) error {
	table := f.table
	for _, tag := range f.tags {
		key, value, cut := strings.Cut(tag, "=")
		if !cut || key == "" {
			return usagef("--tag %q: must be KEY=VALUE", tag)
		}
		if table.Tags == nil {
			table.Tags = map[string]string{}
		}
		table.Tags[key] = value
	}
	made, err := dynamodb.Migrate(ctx, p.address(), &table, &dynamodb.Options{Logger: p.warnings(nil)})
	if err != nil {
		return dynamoDBFailure(err)
	}
	if !made {
		if err := p.with(ctx, reading, func(store *daybook.Store) error {
			_, err := store.End(ctx)
			return err
		}); err != nil {
			return fmt.Errorf("taking in what the Elastic Event Store has written: %w", err)
		}
	}
	found := dynamodb.Version
	if made {
		found = 0
	}
	return p.tellMigration(found, dynamodb.Version)
}

// dynamoDBFailure puts the exit code to an error of opening: what is wrong with
// the URL is wrong usage, else the store cannot be had.
func dynamoDBFailure(err error) error {
	if errors.Is(err, daybook.ErrInvalid) || errors.Is(err, context.Canceled) {
		return err
	}
	return &failure{exit: exitStore, err: err}
}
