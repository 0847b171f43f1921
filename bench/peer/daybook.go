package peer

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/memory"
)

// eventType is the type of all events that are stored in Daybook.
const eventType = "deposited"

// Daybook is Daybook on one of its storages.
type Daybook struct {
	Store      *daybook.Store
	durability daybook.Durability // of all appends
	borrow     bool               // all reads are lent their records
}

func openDaybook(_ context.Context, place Place) (Peer, error) {
	if err := makeEmpty(place); err != nil {
		return nil, err
	}
	driver, err := disk.Open(place.Dir, nil)
	if err != nil {
		return nil, err
	}
	durability := daybook.DurabilityDisk
	if place.Unsynced {
		durability = daybook.DurabilityMemory
	}
	return &Daybook{daybook.New(driver, nil), durability, place.Borrow}, nil
}

func openDaybookMemory(_ context.Context, place Place) (Peer, error) {
	if place.Keep {
		return nil, fmt.Errorf("storage/memory keeps nothing: %w", ErrAbsent)
	}
	return &Daybook{daybook.New(memory.New(nil), nil), daybook.DurabilityMemory, false}, nil
}

// Append implements Peer.
func (d *Daybook) Append(ctx context.Context, appends ...Append) error {
	changesets := make([]daybook.Changeset, len(appends))
	for i := range appends {
		changesets[i] = changeset(&appends[i])
		changesets[i].Expect = daybook.ExpectVersion(daybook.Version(appends[i].First - 1))
	}
	_, err := d.Store.AppendAll(ctx, daybook.Append{Changesets: changesets, Durability: d.durability})
	return fromConflict(err)
}

// AppendIf implements Conditional.
func (d *Daybook) AppendIf(ctx context.Context, a Append, tag string, after int64) (int64, error) {
	whole := daybook.Append{Changesets: []daybook.Changeset{changeset(&a)}, Durability: d.durability}
	if tag != "" {
		query := daybook.Query{Items: []daybook.QueryItem{{Types: []string{eventType}, Tags: []string{tag}}}}
		whole.Condition = &daybook.Condition{Query: query, After: daybook.Position(after)}
	}
	receipt, err := d.Store.AppendAll(ctx, whole)
	return int64(receipt.Position()), fromConflict(err)
}

// changeset returns the append in Daybook's words, without an expectation.
func changeset(a *Append) daybook.Changeset {
	events := make([]daybook.Event, len(a.Events))
	for i := range a.Events {
		events[i] = daybook.Event{Type: eventType, Data: a.Events[i].Data}
		if tag := a.Events[i].Tag; tag != "" {
			events[i].Tags = []string{tag}
		}
	}
	return daybook.Changeset{Stream: daybook.Stream(a.Stream), Events: events}
}

// fromConflict returns the error in the words of this package.
func fromConflict(err error) error {
	var condition *daybook.ConditionError
	var conflict *daybook.ConflictError
	switch {
	case errors.As(err, &condition):
		return &StandsAbove{Position: int64(condition.Found)}
	case errors.As(err, &conflict):
		return ErrConflict
	default:
		return err
	}
}

// ReadStream implements Peer.
func (d *Daybook) ReadStream(ctx context.Context, stream string, visit func(version int64, data []byte) error) error {
	for record, err := range d.Store.ReadStream(ctx, daybook.Stream(stream), daybook.StreamRead{Borrow: d.borrow}) {
		if err != nil {
			return err
		}
		if err := visit(int64(record.Version), record.Data); err != nil {
			return err
		}
	}
	return nil
}

// ReadLog implements LogReader.
func (d *Daybook) ReadLog(ctx context.Context, visit func(data []byte) error) error {
	for record, err := range d.Store.ReadLog(ctx, daybook.LogRead{Borrow: d.borrow}) {
		if err != nil {
			return err
		}
		if err := visit(record.Data); err != nil {
			return err
		}
	}
	return nil
}

// Head implements Header.
func (d *Daybook) Head(ctx context.Context, stream string) (int64, error) {
	head, err := d.Store.Head(ctx, daybook.Stream(stream))
	return int64(head.Version), err
}

// Close implements Peer.
func (d *Daybook) Close() error { return d.Store.Close() }
