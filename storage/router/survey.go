package router

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// survey notes what stands in the storages and is not noted yet: what another
// router stored and ended before it noted it, and what was written past the
// routers.
func (d *Driver) survey(ctx context.Context) error {
	if err := d.order.refresh(ctx); err != nil || d.options.ReadOnly {
		return err
	}
	marks := make([]mark, len(d.members))
	errs := make([]error, len(d.members))
	var asked sync.WaitGroup
	for i := range d.members {
		asked.Add(1)
		go func() {
			defer asked.Done()
			marks[i], errs[i] = d.grown(ctx, i)
		}()
	}
	asked.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return d.order.note(ctx, marks...)
}

// grown returns how far a member has come.
func (d *Driver) grown(ctx context.Context, index int) (mark, error) {
	m := &d.members[index]
	known := d.order.known().ends[line(index, records)]
	found := mark{line: line(index, records), through: known}
	end, err := m.store.End(ctx)
	if err != nil {
		return mark{}, fmt.Errorf("store %q: %w", m.Name, err)
	}
	if int64(end) < known {
		return mark{}, &daybook.CorruptError{File: fmt.Sprintf("store %q", m.Name), Position: end + 1, Reason: fmt.Sprintf(
			"it ends at position %d, but the order knows of %d: it is another store, or has lost records", end, known)}
	}
	if int64(end) == known {
		return found, nil
	}
	found.through = int64(end)
	read := daybook.LogRead{After: daybook.Position(known), To: end, Backwards: true, Limit: 1}
	for record, err := range m.Driver.ReadLog(ctx, read) {
		if err != nil {
			return mark{}, fmt.Errorf("store %q: %w", m.Name, err)
		}
		found.latest = record.RecordedAt
	}
	return found, nil
}

// catchUp notes what a member holds: a record of it was seen that is not noted.
func (d *Driver) catchUp(ctx context.Context, index int) error {
	if err := d.order.refresh(ctx); err != nil || d.options.ReadOnly {
		return err
	}
	m, err := d.grown(ctx, index)
	if err != nil {
		return err
	}
	return d.order.note(ctx, m)
}

// placed is where a position of a member stands in the router.
type placed struct {
	position daybook.Position
	floor    time.Time
}

// recordedAt returns when what the member recorded at a time was recorded in
// the router: its times must not fall along the log, and clocks differ.
func (p *placed) recordedAt(at time.Time) time.Time {
	if at.Before(p.floor) {
		return p.floor
	}
	return at
}

// locate returns where a position of a member stands, and notes it first if it
// must. It is false where that cannot be: a router that only reads.
func (d *Driver) locate(ctx context.Context, f *finder, position daybook.Position) (placed, bool, error) {
	t, ok, err := f.find(ctx, int64(position))
	if err == nil && !ok {
		if err = d.catchUp(ctx, f.line/kinds); err == nil {
			t, ok, err = f.find(ctx, int64(position))
		}
	}
	if err != nil || !ok {
		return placed{}, false, err
	}
	return placed{position: daybook.Position(t.place(int64(position))), floor: t.floor}, true, nil
}

// finder returns what finds positions of a member.
func (d *Driver) finder(index int) *finder {
	return &finder{order: d.order, line: line(index, records)}
}

// head returns the head of a stream as it is in the router; false where its end
// is not noted, and cannot be.
func (d *Driver) head(ctx context.Context, index int, head daybook.Head) (daybook.Head, bool, error) {
	if head.Position == 0 {
		return head, true, nil
	}
	at, ok, err := d.locate(ctx, d.finder(index), head.Position)
	if err != nil || !ok {
		return head, false, err
	}
	head.Position, head.RecordedAt = at.position, at.recordedAt(head.RecordedAt)
	return head, true, nil
}
