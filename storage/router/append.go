package router

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
)

// Append implements daybook.Driver. It is stored in one storage; when it
// returns nil, its place in the log is noted.
func (d *Driver) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	if err := d.enter(); err != nil {
		return daybook.Receipt{}, err
	}
	defer d.leave()
	if d.options.ReadOnly {
		return daybook.Receipt{}, daybook.ErrReadOnly
	}
	if alone := d.alone(); alone != nil {
		return alone.Append(ctx, a)
	}
	index, err := d.one(&a)
	if err != nil {
		return daybook.Receipt{}, err
	}
	if err := d.demand(ctx, a.Durability); err != nil {
		return daybook.Receipt{}, err
	}
	if err := d.usedElsewhere(ctx, index, &a); err != nil {
		return daybook.Receipt{}, err
	}
	receipt, err := d.members[index].Driver.Append(ctx, a)
	if err != nil {
		return daybook.Receipt{}, d.refusal(ctx, index, err)
	}
	receipt, err = d.receipt(ctx, index, receipt)
	if err != nil {
		return daybook.Receipt{}, settled("the append", err)
	}
	return receipt, nil
}

// one returns the member that all of an append lies in, or why there is none.
func (d *Driver) one(a *daybook.Append) (int, error) {
	index := d.table.of(a.Changesets[0].Stream)
	for i := range a.Changesets {
		c := &a.Changesets[i]
		if other := d.table.of(c.Stream); other != index {
			return 0, d.unsupported("an append to streams of several stores, %s", d.names([]int{index, other}))
		}
		for _, reference := range c.References {
			if other := d.table.of(reference); other != index {
				return 0, d.unsupported("references from a stream of one store to that of another, %s", d.names([]int{index, other}))
			}
		}
		if len(c.Claims)+len(c.Releases) > 0 {
			if err := d.claims(c.Stream.Partition); err != nil {
				return 0, err
			}
		}
	}
	if a.Condition != nil {
		return 0, d.unsupported("conditions, which are about the whole log: it lies in several stores")
	}
	return index, nil
}

// claims says why claims of a partition cannot be had, if so.
func (d *Driver) claims(partition string) error {
	if all := d.table.ofPartition(partition); len(all) > 1 {
		return d.unsupported("claims in partition %q, whose streams lie in several stores, %s", partition, d.names(all))
	}
	return nil
}

// never is expected of a stream when something is asked that must not be
// stored: no stream comes to that version.
func never() daybook.Expect { return daybook.ExpectVersion(daybook.MaxPlace) }

// demand refuses a durability that the order does not reach: a position is no
// more lasting than the order is.
func (d *Driver) demand(ctx context.Context, wanted daybook.Durability) error {
	if wanted == daybook.DurabilityDefault {
		return nil
	}
	d.mu.Lock()
	reached := d.reaches[wanted]
	d.mu.Unlock()
	if reached {
		return nil
	}
	_, err := d.order.keeper.Append(ctx, question(daybook.NewID(), daybook.Stream(orderStream), wanted))
	switch {
	case errors.Is(err, daybook.ErrUnsupported):
		return d.unsupported("durability %s, since the store of the order does not", wanted)
	case !errors.Is(err, daybook.ErrConflict):
		return fmt.Errorf("the order: %w", err)
	}
	d.mu.Lock()
	d.reaches[wanted] = true
	d.mu.Unlock()
	return nil
}

// question is an append that is never stored. What it is answered with tells
// whether its id was used, and whether the durability can be had.
func question(id daybook.ID, stream daybook.StreamID, durability daybook.Durability) daybook.Append {
	return daybook.Append{ID: id, Durability: durability, Changesets: []daybook.Changeset{{
		Stream: stream, Expect: never(), Events: []daybook.Event{{ID: daybook.NewID(), Type: "asked", ContentType: daybook.ContentTypeJSON}},
	}}}
}

// usedElsewhere asks the other members whether the id of an append was used
// there: a storage knows its own ids only.
func (d *Driver) usedElsewhere(ctx context.Context, index int, a *daybook.Append) error {
	used, err := d.ask(ctx, index, func(m *member) error {
		_, err := m.Driver.Append(ctx, question(a.ID, a.Changesets[0].Stream, daybook.DurabilityDefault))
		return err
	})
	if used {
		return &daybook.ReusedIDError{ID: a.ID}
	}
	return err
}

// ask asks all members but one a question that is never carried out, at once.
// An id is used where the answer is a receipt or says so; a refusal says that
// it is not.
func (d *Driver) ask(ctx context.Context, index int, question func(m *member) error) (used bool, err error) {
	if d.options.TrustIDs {
		return false, nil
	}
	answers := make(chan error, len(d.members))
	for i := range d.members {
		if i == index {
			continue
		}
		go func() {
			err := question(&d.members[i])
			var reused *daybook.ReusedIDError
			switch {
			case err == nil, errors.As(err, &reused):
				err = errUsed
			case errors.Is(err, daybook.ErrClosed) || !errors.Is(err, daybook.ErrRefused):
				err = fmt.Errorf("store %q, asked whether the id was used there: %w", d.members[i].Name, err)
			default:
				err = nil
			}
			answers <- err
		}()
	}
	var failure error
	for range len(d.members) - 1 {
		answer := <-answers
		used = used || answer == errUsed
		if answer != nil && failure == nil {
			failure = answer
		}
	}
	return used, failure
}

var errUsed = errors.New("the id is used")

// receipt returns a receipt of a member as that of the router.
func (d *Driver) receipt(ctx context.Context, index int, r daybook.Receipt) (daybook.Receipt, error) {
	wanted := mark{line: line(index, records), through: int64(r.Position()), latest: r.RecordedAt}
	if err := d.order.note(ctx, wanted); err != nil {
		return daybook.Receipt{}, err
	}
	find := d.finder(index)
	recorded := r.RecordedAt
	r.Changesets = slices.Clone(r.Changesets)
	for i := range r.Changesets {
		c := &r.Changesets[i]
		first, _, err := d.locate(ctx, find, c.FirstPosition)
		if err != nil {
			return daybook.Receipt{}, err
		}
		last, _, err := d.locate(ctx, find, c.LastPosition)
		if err != nil {
			return daybook.Receipt{}, err
		}
		c.FirstPosition, c.LastPosition, c.Ordinal = first.position, last.position, 0
		r.RecordedAt = first.recordedAt(recorded)
	}
	return r, nil
}

// refusal returns an error of a member as that of the router: where it says
// what was found, by the places of the router.
func (d *Driver) refusal(ctx context.Context, index int, err error) error {
	var found *daybook.ConflictError
	if !errors.As(err, &found) {
		return err
	}
	conflict := *found
	head, _, telling := d.head(ctx, index, found.Found)
	if telling != nil {
		return fmt.Errorf("%w: it is not known where the stream was found: %w", daybook.ErrConflict, telling)
	}
	conflict.Found = head
	// What was missed is read again, with the places of the router.
	conflict.Missed, conflict.Incomplete = nil, false
	return &conflict
}
