package main

import (
	"context"
	"errors"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/postgres"
)

// openPostgres opens the store in a PostgreSQL database. Tables are made, or
// brought to the form of this program, only where something is to be written.
func (p *program) openPostgres(ctx context.Context, how opening) (*postgres.Driver, error) {
	driver, err := postgres.Open(ctx, how.address, &postgres.Options{
		NoMigration: how.access == reading || p.noMigrate, Logger: p.warnings(how.log),
	})
	if err != nil {
		return nil, postgresFailure(err)
	}
	return driver, nil
}

// postgresFailure puts the exit code to an error of opening: what is wrong with
// the URL is wrong usage, else the store cannot be had.
func postgresFailure(err error) error {
	if errors.Is(err, daybook.ErrInvalid) || errors.Is(err, context.Canceled) {
		return err
	}
	return &failure{exit: exitStore, err: err}
}
