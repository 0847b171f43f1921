package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/sqlserver"
)

// openSQLServer opens the store in a SQL Server database. Tables are made, or
// brought to the form of this program, only where something is to be written.
func (p *program) openSQLServer(ctx context.Context, how opening) (*sqlserver.Driver, error) {
	driver, err := sqlserver.Open(ctx, how.address, &sqlserver.Options{
		NoMigration: how.access == reading || p.noMigrate, Logger: p.warnings(how.log),
	})
	if err != nil {
		return nil, sqlserverFailure(err)
	}
	return driver, nil
}

// migrateSQLServer is migrate for a store in a SQL Server database.
func (p *program) migrateSQLServer(ctx context.Context) error {
	found, err := sqlserver.Migrate(ctx, p.address(), &sqlserver.Options{Logger: p.warnings(nil)})
	if err != nil {
		return sqlserverFailure(err)
	}
	return p.tellMigration(found, sqlserver.Version)
}

// sqlserverFailure puts the exit code to an error of opening: what is wrong with
// the URL is wrong usage, else the store cannot be had.
func sqlserverFailure(err error) error {
	if errors.Is(err, daybook.ErrInvalid) || errors.Is(err, context.Canceled) {
		return err
	}
	return &failure{exit: exitStore, err: err}
}

// maintainSQLServer is maintain for a store in a SQL Server database. Like what
// only reads, it makes no store where there is none.
func (p *program) maintainSQLServer(ctx context.Context) error {
	driver, err := p.openSQLServer(ctx, opening{address: p.address(), access: reading})
	if err != nil {
		return err
	}
	rows, err := driver.Maintain(ctx)
	if closing := driver.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if p.json {
		return json.NewEncoder(p.stdout).Encode(struct {
			Changed bool  `json:"changed"`
			Rows    int64 `json:"rows"`
		}{rows > 0, rows})
	}
	_, err = fmt.Fprintf(p.stdout, "rows of deleted records removed: %d\n", rows)
	return err
}
