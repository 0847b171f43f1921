// Package memory keeps a store in the memory of the process: for tests, for
// trying things out, and as the reference that reads like the contract. All
// storages are compared with it. It offers everything that a driver may offer;
// its durability is daybook.DurabilityMemory.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// Driver is a store in memory.
type Driver struct {
	now func() time.Time

	mu         sync.RWMutex // guards all below
	closed     bool
	records    []*daybook.Record // the log, without what was deleted; only ever added to, or replaced
	last       daybook.Position  // of the last record that was stored
	ordinal    daybook.Ordinal   // of the last changeset that was stored
	changesets int64
	latest     time.Time // the recorded time of the last record or deletion
	deletions  []daybook.RecordedDeletion
	deleted    map[daybook.ID]int // where a deletion stands in deletions
	streams    map[daybook.StreamID]*stream
	appends    map[daybook.ID]daybook.Receipt
	holders    map[claimKey]daybook.StreamID
	grown      chan struct{} // closed, and replaced, when the log has grown
}

// stream is one stream. It stays when all of its records are deleted, so that
// no version is given twice.
type stream struct {
	head    daybook.Head
	records []*daybook.Record // those of the log that are its own; only ever added to, or replaced
}

// claimKey is a claim where it is unique: in its partition.
type claimKey struct {
	partition string
	claim     daybook.Claim
}

// Options of a Driver. Nil and zero fields mean the defaults.
type Options struct {
	// Now is the clock of the recorded times. Default time.Now. Where it jumps
	// back, recorded times stand still until it has caught up.
	Now func() time.Time
}

// New returns an empty store.
func New(options *Options) *Driver {
	d := &Driver{
		now:     time.Now,
		deleted: map[daybook.ID]int{},
		streams: map[daybook.StreamID]*stream{},
		appends: map[daybook.ID]daybook.Receipt{},
		holders: map[claimKey]daybook.StreamID{},
		grown:   make(chan struct{}),
	}
	if options != nil && options.Now != nil {
		d.now = options.Now
	}
	return d
}

// Name returns "memory".
func (d *Driver) Name() string { return "memory" }

// Close forgets nothing, but refuses all further calls.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.closed = true
		close(d.grown)
	}
	return nil
}

// Append implements daybook.Driver.
func (d *Driver) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	if a.Durability > daybook.DurabilityMemory {
		return daybook.Receipt{}, d.unsupported(fmt.Sprintf("durability %s", a.Durability))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return daybook.Receipt{}, daybook.ErrClosed
	}
	if receipt, done := d.appends[a.ID]; done {
		if !receipt.Fits(&a) {
			return daybook.Receipt{}, &daybook.ReusedIDError{ID: a.ID}
		}
		receipt.Changesets = slices.Clone(receipt.Changesets)
		receipt.Repeated = true
		return receipt, nil
	}
	if err := d.check(&a); err != nil {
		return daybook.Receipt{}, err
	}
	return d.store(&a), nil
}

// check returns why the state of the store refuses a, if it does.
func (d *Driver) check(a *daybook.Append) error {
	for i := range a.Changesets {
		c := &a.Changesets[i]
		if head := d.head(c.Stream); !c.Expect.Holds(head) {
			return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: head}
		}
	}
	if err := d.checkCondition(a.Condition); err != nil {
		return err
	}
	if err := d.checkReferences(a); err != nil {
		return err
	}
	return d.checkClaims(a)
}

func (d *Driver) checkCondition(condition *daybook.Condition) error {
	if condition == nil {
		return nil
	}
	for _, record := range slices.Backward(d.records) {
		if record.Position <= condition.After {
			break
		}
		if condition.Query.Matches(record.Type, record.Tags) {
			return &daybook.ConditionError{Condition: *condition, Found: record.Position}
		}
	}
	return nil
}

func (d *Driver) checkReferences(a *daybook.Append) error {
	for i := range a.Changesets {
		for _, reference := range a.Changesets[i].References {
			created := slices.ContainsFunc(a.Changesets, func(c daybook.Changeset) bool { return c.Stream == reference })
			if !created && !d.head(reference).Exists() {
				return &daybook.ReferenceError{Stream: a.Changesets[i].Stream, Reference: reference}
			}
		}
	}
	return nil
}

// checkClaims looks at every release and claim as if the releases of the whole
// append had been carried out before its claims.
func (d *Driver) checkClaims(a *daybook.Append) error {
	released := map[claimKey]bool{}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Releases {
			key := claimKey{c.Stream.Partition, claim}
			if holder, held := d.holders[key]; held && holder != c.Stream {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}
			}
			released[key] = true
		}
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Claims {
			key := claimKey{c.Stream.Partition, claim}
			if holder, held := d.holders[key]; held && holder != c.Stream && !released[key] {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}
			}
		}
	}
	return nil
}

// store adds what check has let through.
func (d *Driver) store(a *daybook.Append) daybook.Receipt {
	d.tick()
	receipt := daybook.Receipt{AppendID: a.ID, RecordedAt: d.latest, Durability: daybook.DurabilityMemory}
	position := d.last
	for i := range a.Changesets {
		c := &a.Changesets[i]
		head := d.head(c.Stream)
		header := &daybook.ChangesetHeader{
			Number: head.Changeset + 1, Ordinal: d.ordinal + 1, First: head.Version + 1, Count: len(c.Events),
			AppendID: a.ID, Metadata: slices.Clone(c.Metadata), Claims: slices.Clone(c.Claims),
			Releases: slices.Clone(c.Releases), References: slices.Clone(c.References),
		}
		records := make([]daybook.Record, len(c.Events))
		for j, event := range c.Events {
			position++
			records[j] = daybook.Record{Event: event.Clone(), Version: header.First + daybook.Version(j), Position: position}
		}
		receipt.Changesets = append(receipt.Changesets, d.add(c.Stream, header, d.latest, records))
	}
	d.settle(a.Changesets)
	d.appends[a.ID] = receipt
	receipt.Changesets = slices.Clone(receipt.Changesets)
	close(d.grown)
	d.grown = make(chan struct{})
	return receipt
}

// tick moves the recorded time on with the clock, never back.
func (d *Driver) tick() {
	if now := daybook.Microseconds(d.now()); now.After(d.latest) {
		d.latest = now
	}
}

// add puts a changeset at the end of the log. It keeps the records.
func (d *Driver) add(id daybook.StreamID, header *daybook.ChangesetHeader, at time.Time, records []daybook.Record) daybook.ChangesetReceipt {
	s := d.streams[id]
	if s == nil {
		s = &stream{head: daybook.Head{First: header.First}}
		d.streams[id] = s
	}
	for i := range records {
		record := &records[i]
		record.Stream, record.RecordedAt, record.Changeset = id, at, header
		if record.OccurredAt.IsZero() {
			record.OccurredAt = at
		}
		s.records, d.records = append(s.records, record), append(d.records, record)
	}
	last := records[len(records)-1]
	s.head.Version, s.head.Changeset, s.head.Position, s.head.RecordedAt = last.Version, header.Number, last.Position, at
	d.last, d.ordinal, d.latest = last.Position, header.Ordinal, at
	d.changesets++
	return daybook.ChangesetReceipt{
		Stream: id, Number: header.Number, Ordinal: header.Ordinal, First: header.First, Last: last.Version,
		FirstPosition: records[0].Position, LastPosition: last.Position,
	}
}

// settle carries out the releases of an append, then its claims.
func (d *Driver) settle(changesets []daybook.Changeset) {
	for _, c := range changesets {
		for _, claim := range c.Releases {
			delete(d.holders, claimKey{c.Stream.Partition, claim})
		}
	}
	for _, c := range changesets {
		for _, claim := range c.Claims {
			d.holders[claimKey{c.Stream.Partition, claim}] = c.Stream
		}
	}
}

func (d *Driver) head(id daybook.StreamID) daybook.Head {
	if s := d.streams[id]; s != nil {
		return s.head
	}
	return daybook.Head{}
}

func (d *Driver) unsupported(feature string) error {
	return &daybook.UnsupportedError{Driver: d.Name(), Feature: feature}
}
