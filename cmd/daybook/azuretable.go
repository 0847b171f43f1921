package main

import (
	"context"

	"github.com/daybook-go/daybook/storage/azurefunctions"
	"github.com/daybook-go/daybook/storage/azuretable"
)

// openAzureTable opens the store in a table of Azure.
func (p *program) openAzureTable(ctx context.Context, how opening) (*azuretable.Driver, error) {
	driver, err := azuretable.Open(ctx, how.address, &azuretable.Options{ReadOnly: how.access == reading})
	if err != nil {
		return nil, azureFailure(err)
	}
	return driver, nil
}

// openAzureFunctions reads what EventsSourcing on Azure Functions has written.
func (p *program) openAzureFunctions(ctx context.Context, how opening) (*azurefunctions.Driver, error) {
	if how.access != reading {
		return nil, hinted(usagef("store %q: it can only be read", shown(how.address)), "daybook import --from takes it into another store")
	}
	bar := p.newProgress()
	defer bar.done()
	driver, err := azurefunctions.Open(ctx, how.address, &azurefunctions.Options{
		Progress: func(events int64) { bar.show("read", events, 0) },
	})
	if err != nil {
		return nil, azureFailure(err)
	}
	return driver, nil
}
