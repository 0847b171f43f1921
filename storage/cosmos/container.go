package cosmos

import (
	"context"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// create makes the database and the container where they are missing.
func (d *Driver) create(ctx context.Context, at place) error {
	err := d.again(ctx, "create database", false, func() error {
		_, err := d.client.CreateDatabase(ctx, azcosmos.DatabaseProperties{ID: at.database}, nil)
		return unlessThere(err)
	})
	if err != nil {
		return err
	}
	database, err := d.client.NewDatabase(at.database)
	if err != nil {
		return err
	}
	return d.again(ctx, "create container", false, func() error {
		_, err := database.CreateContainer(ctx, azcosmos.ContainerProperties{
			ID:                     at.container,
			PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Paths: []string{"/PartitionId"}, Kind: azcosmos.PartitionKeyKindHash, Version: 2},
			IndexingPolicy:         indexing(),
		}, nil)
		return unlessThere(err)
	})
}

// unlessThere is err, unless that says that what was to be made is there.
func unlessThere(err error) error {
	if statusOf(err) == http.StatusConflict {
		return nil
	}
	return err
}

// indexed are the paths that queries of the driver, and of Finaps's library,
// select or order by. All others are left out: each indexed value makes a write
// dearer.
var indexed = []string{
	"/Kind/?", "/Type/?", "/AggregateType/?", "/AggregateId/?", "/Index/?", "/Timestamp/?", "/Hash/?",
	"/Daybook/Item/?", "/Daybook/Sort/?", "/Daybook/Position/?", "/Daybook/Place/?",
}

func indexing() *azcosmos.IndexingPolicy {
	policy := &azcosmos.IndexingPolicy{
		Automatic: true, IndexingMode: azcosmos.IndexingModeConsistent,
		ExcludedPaths: []azcosmos.ExcludedPath{{Path: "/*"}},
	}
	for _, path := range indexed {
		policy.IncludedPaths = append(policy.IncludedPaths, azcosmos.IncludedPath{Path: path})
	}
	return policy
}
