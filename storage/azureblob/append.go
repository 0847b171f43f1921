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
	a = a.Clone() // its caller may give up while it is on its way
	e := &entry{append: &a}
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
