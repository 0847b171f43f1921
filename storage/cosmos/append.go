package cosmos

import (
	"context"
	"fmt"

	"github.com/daybook-go/daybook"
)

// The limits of a batch.
// https://learn.microsoft.com/azure/cosmos-db/transactional-batch
const (
	maxOperations = 100
	maxBatchBytes = 2<<20 - 16<<10 // with room for what the service counts besides
)

// fixedOperations are those of every append: the head of the partition, and the
// append itself.
const fixedOperations = 2

// Limits implements daybook.Limiter. An append is one batch: 100 operations
// and 2 MB. Each event, stream and claim of it is an operation.
func (d *Driver) Limits() daybook.Limits {
	return daybook.Limits{
		AppendBytes: 1<<20 + 256<<10,
		EventBytes:  1<<20 + 128<<10,
		Events:      maxOperations - fixedOperations - 1,
		Changesets:  (maxOperations - fixedOperations) / 2,
	}
}

// Append implements daybook.Driver. Appends to one partition that run at once
// in this process are stored by one batch, as far as they fit into it.
//
// All streams of an append must be of one partition; a reference may lead
// anywhere. An append whose answer is lost is looked for by its id, and sent
// again only if it cannot have been stored.
func (d *Driver) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	if a.Durability > daybook.DurabilityCloud {
		return daybook.Receipt{}, d.unsupported(fmt.Sprintf("durability %s", a.Durability))
	}
	if err := checkOperations(&a); err != nil {
		return daybook.Receipt{}, err
	}
	if err := d.begin(); err != nil {
		return daybook.Receipt{}, err
	}
	defer d.calls.Done()
	partition := a.Changesets[0].Stream.Partition
	for i := range a.Changesets {
		if a.Changesets[i].Stream.Partition != partition {
			return d.acrossPartitions(ctx, &a)
		}
	}
	a = a.Clone() // its caller may give up while it is on its way
	j := &job{append: &a}
	if partition != "" {
		receipt, known, err := d.knownInLog(ctx, partition, &a)
		if known || err != nil {
			return receipt, err
		}
	}
	if err := d.checkForeignReferences(ctx, j, partition); err != nil {
		return daybook.Receipt{}, err
	}
	if err := d.queue(partition).do(ctx, j); err != nil {
		return daybook.Receipt{}, err
	}
	d.bell.ring(j.receipt.Position())
	return j.receipt, nil
}

// acrossPartitions answers an append to several partitions, which no batch can
// store: with the receipt of what has its id, if that fits, else with why not.
func (d *Driver) acrossPartitions(ctx context.Context, a *daybook.Append) (daybook.Receipt, error) {
	var stored item[appendBody]
	found, err := d.read(ctx, "", appendID(a.ID), &stored)
	switch {
	case err != nil:
		return daybook.Receipt{}, err
	case found:
		return daybook.Receipt{}, &daybook.ReusedIDError{ID: a.ID} // none was ever stored across partitions
	}
	return daybook.Receipt{}, d.unsupported("an append to several partitions")
}

// checkOperations returns a *daybook.LimitError for an append that has more
// operations than a batch.
func checkOperations(a *daybook.Append) error {
	count := fixedOperations
	claims := map[daybook.Claim]bool{}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		count += 1 + len(c.Events)
		for _, claim := range c.Claims {
			claims[claim] = true
		}
		for _, claim := range c.Releases {
			claims[claim] = true
		}
	}
	if count += len(claims); count > maxOperations {
		return &daybook.LimitError{Field: "append", Value: int64(count), Limit: maxOperations, Unit: "operations of a batch (each event, stream and claim is one)"}
	}
	return nil
}

// knownInLog looks in the log for the id of an append to another partition than
// the default one. It answers if that was used.
func (d *Driver) knownInLog(ctx context.Context, partition string, a *daybook.Append) (daybook.Receipt, bool, error) {
	var stub item[appendBody]
	found, err := d.read(ctx, "", appendID(a.ID), &stub)
	if err != nil || !found {
		return daybook.Receipt{}, false, err
	}
	if stub.Daybook.Partition != partition {
		return daybook.Receipt{}, true, &daybook.ReusedIDError{ID: a.ID}
	}
	return d.known(ctx, partition, a)
}

// known looks in a partition for the id of an append, and answers if it was
// used.
func (d *Driver) known(ctx context.Context, partition string, a *daybook.Append) (daybook.Receipt, bool, error) {
	var stored item[appendBody]
	found, err := d.read(ctx, partition, appendID(a.ID), &stored)
	if err != nil || !found {
		return daybook.Receipt{}, false, err
	}
	body := &stored.Daybook
	if body.Partition != partition {
		return daybook.Receipt{}, true, &daybook.ReusedIDError{ID: a.ID}
	}
	receipt, err := d.receiptOf(ctx, partition, a.ID, body)
	if err != nil {
		return daybook.Receipt{}, false, err
	}
	if !receipt.Fits(a) {
		return daybook.Receipt{}, true, &daybook.ReusedIDError{ID: a.ID}
	}
	return receipt, true, nil
}

// receiptOf returns the receipt of an append that is stored in a partition, and
// puts it into the log if that is missing.
func (d *Driver) receiptOf(ctx context.Context, partition string, id daybook.ID, body *appendBody) (daybook.Receipt, error) {
	receipt := daybook.Receipt{AppendID: id, Durability: daybook.DurabilityCloud, Repeated: true}
	for _, c := range body.Changesets {
		receipt.Changesets = append(receipt.Changesets, daybook.ChangesetReceipt{
			Stream: daybook.StreamID{Partition: partition, Name: c.Stream}, Number: c.Number, First: c.First, Last: c.First + daybook.Version(c.Count-1),
			Ordinal: daybook.Ordinal(c.Turn), FirstPosition: daybook.Position(c.Place), LastPosition: daybook.Position(c.Place + int64(c.Count-1)),
		})
	}
	if partition == "" {
		receipt.RecordedAt = body.RecordedAt.UTC()
		return receipt, nil
	}
	entry, err := d.entryOf(ctx, partition, body.Commit)
	if err != nil {
		return receipt, err
	}
	entry.settle(&receipt)
	return receipt, nil
}

// settle gives a receipt, which tells of places in a partition, those in the
// log.
func (e *entryBody) settle(receipt *daybook.Receipt) {
	receipt.RecordedAt = e.RecordedAt.UTC()
	for i := range receipt.Changesets {
		c := &receipt.Changesets[i]
		c.Ordinal = e.ordinal(int64(c.Ordinal))
		c.FirstPosition, c.LastPosition = e.position(int64(c.FirstPosition)), e.position(int64(c.LastPosition))
	}
}

// checkForeignReferences looks at the references to other partitions. A stream
// that exists exists for ever, since none is deleted here: so this may be done
// before the append.
func (d *Driver) checkForeignReferences(ctx context.Context, j *job, partition string) error {
	for i := range j.append.Changesets {
		c := &j.append.Changesets[i]
		for _, reference := range c.References {
			if reference.Partition == partition || j.missing != nil {
				continue
			}
			head, err := d.head(ctx, reference)
			if err != nil {
				return err
			}
			if !head.Exists() {
				j.missing = &daybook.ReferenceError{Stream: c.Stream, Reference: reference}
			}
		}
	}
	return nil
}
