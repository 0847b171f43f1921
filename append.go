package daybook

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// Append adds events to one stream, as one changeset.
//
// When it returns nil the records are stored and durable as the receipt says.
// An error that matches ErrRefused left no trace: *InvalidError or *LimitError
// for wrong input, *ConflictError when the stream is not where expect says.
// After any other error the outcome is unknown; use AppendAll with an ID where
// that matters.
func (s *Store) Append(ctx context.Context, stream StreamID, expect Expect, events ...Event) (Receipt, error) {
	return s.AppendAll(ctx, Append{Changesets: []Changeset{{Stream: stream, Expect: expect, Events: events}}})
}

// AppendAll stores an append: all of it, or nothing.
//
// It succeeds, fails and leaves things as Append does; besides, it fails with
// *ConditionError, *ClaimError and *ReferenceError (all match ErrConflict),
// with *ReusedIDError, and with *UnsupportedError where the driver does not
// offer what the append carries. It does not change a or keep its memory.
func (s *Store) AppendAll(ctx context.Context, a Append) (Receipt, error) {
	if err := s.limits.check(&a); err != nil {
		return Receipt{}, err
	}
	if err := ctx.Err(); err != nil {
		return Receipt{}, fmt.Errorf("%w before it began: %w", ErrRefused, err)
	}
	a = a.normal()
	hooks := &s.options.Hooks
	if hooks.AppendStart == nil && hooks.AppendEnd == nil {
		return s.append(ctx, a)
	}
	start := s.options.Now()
	if hooks.AppendStart != nil {
		ctx = hooks.AppendStart(ctx, &a)
	}
	receipt, err := s.append(ctx, a)
	if hooks.AppendEnd != nil {
		hooks.AppendEnd(ctx, AppendEnd{Append: &a, Receipt: receipt, Err: err, Took: s.options.Now().Sub(start)})
	}
	return receipt, err
}

// append hands a to the driver and explains a conflict.
func (s *Store) append(ctx context.Context, a Append) (Receipt, error) {
	receipt, err := s.driver.Append(ctx, a)
	if err != nil {
		s.explain(ctx, err)
		return Receipt{}, err
	}
	return receipt, nil
}

// explain puts what was missed into an error that says what was found.
func (s *Store) explain(ctx context.Context, err error) {
	var conflict *ConflictError
	var condition *ConditionError
	switch {
	case errors.As(err, &conflict) && conflict.Missed == nil && !conflict.Ahead():
		s.fillMissed(ctx, conflict)
	case errors.As(err, &condition) && condition.Records == nil:
		s.fillRecords(ctx, condition)
	}
}

// fillMissed reads what stands behind the place that was expected, up to the
// head that was found. If that fails, the error says that it is incomplete.
func (s *Store) fillMissed(ctx context.Context, conflict *ConflictError) {
	conflict.Incomplete = true
	from, err := s.firstMissed(ctx, conflict)
	if err != nil {
		return
	}
	records := 0
	var size weight
	read := StreamRead{From: from, To: conflict.Found.Version}
	for changeset, err := range Changesets(s.driver.ReadStream(ctx, conflict.Stream, read)) {
		if err != nil || records >= s.options.MaxMissed {
			return
		}
		for i := range changeset.Records {
			size.add(&changeset.Records[i])
		}
		if size.total > s.options.MaxMissedBytes {
			return
		}
		records += len(changeset.Records)
		conflict.Missed = append(conflict.Missed, changeset)
	}
	conflict.Incomplete = conflict.lacks()
}

// lacks reports whether changesets that were missed stand before those that
// are left of the stream.
func (e *ConflictError) lacks() bool {
	if len(e.Missed) == 0 {
		return true
	}
	if number, expected := e.Expect.Changeset(); expected {
		return e.Missed[0].Number > number+1
	}
	version, _ := e.Expect.Version()
	return e.Missed[0].First > version+1
}

// firstMissed returns the version at which the first missed changeset begins.
// The record behind an expected version tells it; for a changeset's number the
// distance is halved, so that a long stream is not read from its start.
func (s *Store) firstMissed(ctx context.Context, conflict *ConflictError) (Version, error) {
	version, _ := conflict.Expect.Version()
	number, _ := conflict.Expect.Changeset()
	low, high := max(conflict.Found.First, 1), conflict.Found.Version
	if version == 0 && number == 0 || low > high {
		return low, nil
	}
	if version > 0 {
		record, err := first(s.driver.ReadStream(ctx, conflict.Stream, StreamRead{From: version + 1, Limit: 1}))
		if err != nil || record == nil {
			return low, err
		}
		return max(low, record.Changeset.First), nil
	}
	for low < high {
		middle := low + (high-low)/2
		record, err := first(s.driver.ReadStream(ctx, conflict.Stream, StreamRead{From: middle, Limit: 1}))
		if err != nil || record == nil {
			return low, err
		}
		if record.Version > middle { // it was deleted since, and all before it
			low = record.Version
			continue
		}
		if record.Changeset.Number > number {
			high = max(low, record.Changeset.First)
		} else {
			low = record.Changeset.Last() + 1
		}
	}
	return low, nil
}

// fillRecords reads the records that stand in the way of a condition.
func (s *Store) fillRecords(ctx context.Context, condition *ConditionError) {
	read := LogRead{
		After: condition.Condition.After, To: condition.Found, Limit: s.options.MaxMissed,
		Filter: Filter{Query: condition.Condition.Query},
	}
	condition.Incomplete = true
	var size weight
	for record, err := range s.driver.ReadLog(ctx, read) {
		if err != nil {
			return
		}
		if size.add(&record); size.total > s.options.MaxMissedBytes {
			return
		}
		condition.Records = append(condition.Records, record)
		condition.Incomplete = record.Position < condition.Found
	}
}

// normal returns a as it is handed to a driver: ids given, times and content
// types made uniform, in memory of its own but for the bytes of the events.
func (a Append) normal() Append {
	changesets, events := copies(a.Changesets)
	given := a.ID != ID{}
	var tick int64
	if !given {
		tick = takeTicks(1 + int64(len(events)))
		a.ID = idAt(tick)
	}
	n := 0
	for i := range changesets {
		c := &changesets[i]
		*c = a.Changesets[i]
		from := n
		n += copy(events[n:], c.Events)
		c.Events = events[from:n:n]
		for j := range c.Events {
			e := &c.Events[j]
			switch {
			case e.ID != ID{}:
			case given:
				e.ID = derivedID(a.ID, from+j)
			default:
				e.ID = idAt(tick + 1 + int64(from+j))
			}
			e.normalize()
		}
	}
	a.Changesets = changesets
	return a
}

// copies returns memory for copies of changesets and of their events: one
// piece where there is one of each, as most often.
func copies(of []Changeset) ([]Changeset, []Event) {
	if len(of) == 1 && len(of[0].Events) == 1 {
		one := new(struct {
			changeset [1]Changeset
			event     [1]Event
		})
		return one.changeset[:], one.event[:]
	}
	events := 0
	for i := range of {
		events += len(of[i].Events)
	}
	return make([]Changeset, len(of)), make([]Event, events)
}

// derivedID returns the id of the nth event of an append whose caller gave it
// its id: it follows from that, so that a repeat is the same append to the last
// byte.
func derivedID(appendID ID, n int) ID {
	var index [8]byte
	binary.BigEndian.PutUint64(index[:], uint64(n))
	return uuid.NewSHA1(appendID, index[:])
}
