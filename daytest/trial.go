package daytest

import (
	"context"
	"errors"
	"fmt"

	"github.com/daybook-go/daybook"
)

// plan says what goes wrong in a run.
type plan struct {
	atAppend func(n int) Fault // by number, from 0; nil for none
	atInput  map[int]Fault     // by place
	order    []int             // of the inputs; nil as they are
}

// verdict is what a run came to.
type verdict struct {
	outcome any
	err     error
	appends int
	lanes   bool
	told    string // what went wrong, in order, for people
}

// trial is one run of a program.
type trial[I any] struct {
	checker *checker[I]
	subject Subject[I]
	driver  *faulty
	store   *daybook.Store // with the faults
	handle  func(context.Context, I) error
	ctx     context.Context // of the program that runs
	end     context.CancelFunc
	done    []int // inputs that were handled
}

// run has the program handle all inputs by a plan.
func (c *checker[I]) run(p *plan) (v verdict) {
	c.t.Helper()
	s := c.subject()
	if s.Driver == nil || s.Start == nil {
		v.err = errors.New("a Subject needs Driver and Start")
		return v
	}
	inner := s.Driver()
	sound := daybook.New(inner, nil)
	defer sound.Close()
	ctx := c.t.Context()
	if s.Given != nil {
		if err := s.Given(ctx, sound); err != nil {
			v.err = fmt.Errorf("filling the store: %w", err)
			return v
		}
	}
	driver := &faulty{inner: inner, sound: sound, fault: p.atAppend, rival: s.Rival}
	r := &trial[I]{checker: c, subject: s, driver: driver, store: daybook.New(driver, nil)}
	defer func() {
		if r.end != nil {
			r.end()
		}
		v.appends, v.lanes, v.told = driver.count(), s.Lane != nil, driver.history()
	}()
	if v.err = r.deliverAll(ctx, p); v.err != nil {
		return v
	}
	driver.settle()
	outcome := s.Outcome
	if outcome == nil {
		outcome = func(ctx context.Context, store *daybook.Store) (any, error) { return Contents(ctx, store) }
	}
	if v.outcome, v.err = outcome(ctx, sound); v.err != nil {
		v.err = fmt.Errorf("telling the outcome: %w", v.err)
	}
	return v
}

// deliverAll delivers the inputs in the order of the plan, those that are to
// come twice again.
func (r *trial[I]) deliverAll(ctx context.Context, p *plan) error {
	order := p.order
	if order == nil {
		order = make([]int, len(r.checker.inputs))
		for i := range order {
			order[i] = i
		}
	}
	var late []int
	for _, place := range order {
		if err := r.deliver(ctx, place); err != nil {
			return err
		}
		r.done = append(r.done, place)
		switch p.atInput[place] {
		case Duplicate:
			r.driver.tell("input %d is delivered twice: %s", place+1, describe(r.checker.inputs[place]))
			if err := r.deliver(ctx, place); err != nil {
				return err
			}
		case DuplicateLate:
			late = append(late, place)
		}
	}
	for _, place := range late {
		r.driver.tell("input %d is delivered again at the end: %s", place+1, describe(r.checker.inputs[place]))
		if err := r.deliver(ctx, place); err != nil {
			return err
		}
	}
	return nil
}

// deliver hands an input to the program until it has handled it.
func (r *trial[I]) deliver(ctx context.Context, place int) error {
	input := r.checker.inputs[place]
	var err error
	for range r.checker.options.Deliveries {
		if err = r.live(ctx); err != nil {
			continue
		}
		r.driver.at(place+1, describe(input))
		err = r.handle(r.ctx, input)
		if r.driver.isDead() {
			err = ErrCrashed // whatever it says: nobody was there to say it
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("input %d, %s, is not handled after %d deliveries: %w", place+1, describe(input), r.checker.options.Deliveries, err)
}

// live starts the program if it does not run.
func (r *trial[I]) live(ctx context.Context) error {
	if r.handle != nil && !r.driver.isDead() {
		return nil
	}
	if r.end != nil {
		r.end()
	}
	r.ctx, r.end = context.WithCancel(ctx)
	r.driver.revive(r.end)
	handle, err := r.subject.Start(r.ctx, r.store)
	if err == nil && r.driver.isDead() {
		err = ErrCrashed
	}
	if err != nil {
		r.handle = nil
		return fmt.Errorf("starting: %w", err)
	}
	r.handle = handle
	if !r.subject.Replay {
		return nil
	}
	for _, place := range r.done {
		err := handle(r.ctx, r.checker.inputs[place])
		if r.driver.isDead() {
			err = ErrCrashed
		}
		if err != nil {
			r.handle = nil
			return fmt.Errorf("replaying input %d: %w", place+1, err)
		}
	}
	return nil
}
