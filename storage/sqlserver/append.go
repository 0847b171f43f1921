package sqlserver

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
)

// Append implements daybook.Driver. Appends that run at once in this process
// are stored by one transaction.
//
// An append whose connection is lost is sent again, with its id, for as long
// as Options.Patience allows: it is stored once, and answered with its receipt.
func (d *Driver) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	if a.Durability > daybook.DurabilityDisk {
		return daybook.Receipt{}, d.unsupported(fmt.Sprintf("durability %s", a.Durability))
	}
	if err := d.calls.Begin(); err != nil {
		return daybook.Receipt{}, err
	}
	defer d.calls.Done()
	return d.queue.append(ctx, &a)
}
