package main

import (
	"context"

	"github.com/daybook-go/daybook/storage/azureblob"
)

// openAzureBlob opens the store in the append blobs of a container of Azure.
func (p *program) openAzureBlob(ctx context.Context, how opening) (*azureblob.Driver, error) {
	driver, err := azureblob.Open(ctx, how.address, &azureblob.Options{ReadOnly: how.access == reading, Logger: p.warnings(how.log)})
	if err != nil {
		return nil, azureFailure(err)
	}
	return driver, nil
}
