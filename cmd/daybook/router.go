package main

import (
	"context"
	"errors"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/router"
)

// openRouter opens the store that a file makes of several. Its storages are
// opened as they would be by themselves.
func (p *program) openRouter(ctx context.Context, how opening) (*router.Driver, error) {
	open := func(ctx context.Context, address string) (daybook.Driver, error) {
		if isRouter(address) {
			return nil, usagef("a router in a router: name its stores themselves")
		}
		return p.openDriver(ctx, opening{address: address, access: how.access, log: how.log})
	}
	driver, err := router.Open(ctx, how.address, open, &router.Options{ReadOnly: how.access == reading})
	if err != nil {
		return nil, routerFailure(err)
	}
	return driver, nil
}

// routerFailure puts the exit code to an error of opening: what is wrong with
// the file is wrong usage, what a storage says keeps its own.
func routerFailure(err error) error {
	var invalid *daybook.InvalidError
	switch {
	case errors.As(err, new(*failure)), !errors.As(err, &invalid):
		return err
	case invalid.Field == "configuration", invalid.Field == "order", invalid.Field == "stores":
		return hinted(err, "docs/router.md shows a file")
	}
	return err
}

// isRouter reports whether a URL names a file that makes one store of several.
func isRouter(address string) bool {
	kind, _ := kindOf(address)
	return kind == "router"
}
