package azureblob

import (
	"context"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
)

// Append implements daybook.Driver.
func (d *Driver) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	if a.Durability > d.durability {
		return daybook.Receipt{}, d.unsupported(fmt.Sprintf("durability %s", a.Durability))
	}
	e := &entry{append: owned(&a)} // its caller may give up while it is on its way
	if err := d.queue.submit(ctx, e); err != nil {
		return daybook.Receipt{}, err
	}
	return e.receipt, nil
}

// Import implements daybook.Importer. What is given at once must fit into one
// block: 4 MiB, as it is stored.
func (d *Driver) Import(ctx context.Context, changesets []daybook.RecordedChangeset) error {
	if len(changesets) == 0 {
		return nil
	}
	imported := slices.Clone(changesets)
	for i := range imported {
		c := &imported[i]
		c.Metadata, c.Claims, c.Releases, c.References = slices.Clone(c.Metadata), slices.Clone(c.Claims), slices.Clone(c.Releases), slices.Clone(c.References)
		c.Records = slices.Clone(c.Records)
		for j := range c.Records {
			c.Records[j].Event = c.Records[j].Event.Clone()
		}
	}
	return d.queue.submit(ctx, &entry{imported: imported})
}

// owned returns an append in memory of its own.
func owned(a *daybook.Append) *daybook.Append {
	copied := *a
	copied.Changesets = slices.Clone(a.Changesets)
	for i := range copied.Changesets {
		c := &copied.Changesets[i]
		c.Metadata, c.Claims, c.Releases, c.References = slices.Clone(c.Metadata), slices.Clone(c.Claims), slices.Clone(c.Releases), slices.Clone(c.References)
		c.Events = slices.Clone(c.Events)
		for j := range c.Events {
			c.Events[j] = c.Events[j].Clone()
		}
	}
	if a.Condition != nil {
		condition := *a.Condition
		condition.Query.Items = slices.Clone(condition.Query.Items)
		for i := range condition.Query.Items {
			item := &condition.Query.Items[i]
			item.Types, item.Tags = slices.Clone(item.Types), slices.Clone(item.Tags)
		}
		copied.Condition = &condition
	}
	return &copied
}
