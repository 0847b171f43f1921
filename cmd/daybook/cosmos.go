package main

import (
	"context"
	"strings"

	"github.com/daybook-go/daybook/storage/cosmos"
)

// openCosmos opens the store in a container of Cosmos DB. What only reads leaves
// there what it finds; what writes makes the database and the container where
// they are missing, which takes the key of the account.
func (p *program) openCosmos(ctx context.Context, how opening) (*cosmos.Driver, error) {
	_, rest := kindOf(how.address)
	driver, err := cosmos.Open(ctx, how.address, &cosmos.Options{
		Create:     how.access == writing && !p.noMigrate && !strings.HasPrefix(rest, "//"),
		NoAdoption: how.access == reading, Logger: p.warnings(how.log),
	})
	if err != nil {
		return nil, azureFailure(err)
	}
	return driver, nil
}
