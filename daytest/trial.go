package daytest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/daybook-go/daybook"
)

// plan says what goes wrong in a run.
type plan struct {
	atAppend func(n int) Fault // by number, from 0; nil for none
	atRead   func(n int) Fault // the same
	atInput  map[int]Fault     // by place
	order    []int             // of the inputs; nil as they are
	second   map[int]bool      // which inputs go to the second program, by place
}

// verdict is what a run came to.
type verdict struct {
	outcome any
	err     error
	appends int
	reads   int
	lanes   bool
	replay  bool
	told    string // what went wrong, in order, for people
}

// trial is one run of a program, or of two.
type trial[I any] struct {
	checker  *checker[I]
	subject  Subject[I]
	scene    *scene
	programs [2]program[I] // the second one only where a fault needs it
	ctx      context.Context
	order    []int
	second   sync.Mutex // held while the second program handles an input

	mu       sync.Mutex   // guards all below
	now      int          // the place of the input that is handled
	done     map[int]bool // by place
	replayed []int        // places that were handled, in that order
	err      error        // of the second program
}

// program is one that runs.
type program[I any] struct {
	driver *faulty
	handle func(context.Context, I) error // nil where it does not run
	ctx    context.Context
	end    context.CancelFunc
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
	if inner == nil {
		v.err = errors.New("the Driver of a Subject is nil")
		return v
	}
	sound := daybook.New(inner, nil)
	defer sound.Close()
	r := &trial[I]{checker: c, subject: s, ctx: c.t.Context(), order: p.order, done: map[int]bool{}}
	r.scene = &scene{
		inner: inner, sound: sound, atAppend: p.atAppend, atRead: p.atRead, rival: s.Rival, another: r.another, most: max(1, c.options.Deliveries/2-1),
	}
	if s.Given != nil {
		if err := s.Given(r.ctx, sound); err != nil {
			v.err = fmt.Errorf("filling the store: %w", err)
			return v
		}
	}
	defer func() {
		for i := range r.programs {
			r.programs[i].stop()
		}
		v.appends, v.reads = r.scene.counts()
		v.lanes, v.replay, v.told = s.Lane != nil, s.Replay, r.scene.history()
	}()
	if v.err = r.deliverAll(p); v.err != nil {
		return v
	}
	r.scene.settle()
	outcome := s.Outcome
	if outcome == nil {
		outcome = func(ctx context.Context, store *daybook.Store) (any, error) { return Contents(ctx, store) }
	}
	if v.outcome, v.err = outcome(r.ctx, sound); v.err != nil {
		v.err = fmt.Errorf("telling the outcome: %w", v.err)
	}
	return v
}

// stop ends a program.
func (p *program[I]) stop() {
	if p.end != nil {
		p.end()
	}
	if p.driver != nil {
		p.driver.dead.Store(true)
	}
	p.handle = nil
}

// deliverAll delivers the inputs in the order of the plan, those that are to
// come twice again.
func (r *trial[I]) deliverAll(p *plan) error {
	if r.order == nil {
		r.order = make([]int, len(r.checker.inputs))
		for i := range r.order {
			r.order[i] = i
		}
	}
	var late []int
	for _, place := range r.order {
		if r.isDone(place) { // by the second program
			continue
		}
		to := &r.programs[0]
		if p.second[place] {
			to = &r.programs[1]
			r.scene.tell("input %d goes to the second program: %s", place+1, describe(r.checker.inputs[place]))
		}
		if err := r.deliver(to, place); err != nil {
			return err
		}
		switch p.atInput[place] {
		case Duplicate:
			r.scene.tell("input %d is delivered twice: %s", place+1, describe(r.checker.inputs[place]))
			if err := r.deliver(to, place); err != nil {
				return err
			}
		case DuplicateLate:
			late = append(late, place)
		}
	}
	for _, place := range late {
		r.scene.tell("input %d is delivered again at the end: %s", place+1, describe(r.checker.inputs[place]))
		if err := r.deliver(&r.programs[0], place); err != nil {
			return err
		}
	}
	return nil
}

func (r *trial[I]) isDone(place int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done[place]
}

// deliver hands an input to a program until it has handled it.
func (r *trial[I]) deliver(to *program[I], place int) error {
	r.mu.Lock()
	r.now = place
	r.mu.Unlock()
	r.scene.at(place+1, describe(r.checker.inputs[place]))
	err := r.insist(to, place)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && !r.done[place] {
		r.done[place], r.replayed = true, append(r.replayed, place)
	}
	return cmp.Or(err, r.err)
}

// insist hands an input over again and again.
func (r *trial[I]) insist(to *program[I], place int) error {
	if to == &r.programs[1] {
		r.second.Lock()
		defer r.second.Unlock()
	}
	input := r.checker.inputs[place]
	var err error
	for range r.checker.options.Deliveries {
		if err = r.live(to); err != nil {
			continue
		}
		err = to.handle(to.ctx, input)
		if crashed := to.driver.alive(); crashed != nil {
			err = crashed // whatever it says: nobody was there to say it
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("input %d, %s, is not handled after %d deliveries: %w", place+1, describe(input), r.checker.options.Deliveries, err)
}

// another has the second program handle the input that the first one is
// handling, or the next one of another lane.
func (r *trial[I]) another(fault Fault) {
	r.mu.Lock()
	place := r.now
	if fault == Abreast {
		place = r.nextOfAnotherLane()
	}
	r.mu.Unlock()
	if place < 0 {
		return
	}
	if fault == Abreast {
		r.scene.tell("meanwhile input %d is handled: %s", place+1, describe(r.checker.inputs[place]))
	}
	err := r.insist(&r.programs[1], place)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.err = fmt.Errorf("the second program: %w", err)
	} else if fault == Abreast {
		r.done[place] = true
	}
}

// nextOfAnotherLane returns the place of the first input that is to come and is
// of another lane than the one that is handled; below 0 for none.
func (r *trial[I]) nextOfAnotherLane() int {
	lane := r.subject.Lane(r.checker.inputs[r.now])
	for _, place := range r.order {
		if place != r.now && !r.done[place] && r.subject.Lane(r.checker.inputs[place]) != lane {
			return place
		}
	}
	return -1
}

// live starts a program if it does not run.
func (r *trial[I]) live(p *program[I]) error {
	if p.handle != nil && p.driver.alive() == nil {
		return nil
	}
	p.stop()
	p.ctx, p.end = context.WithCancel(r.ctx)
	p.driver = &faulty{scene: r.scene, end: p.end}
	p.driver.quiet.Store(p == &r.programs[1])
	handle, err := r.subject.Start(p.ctx, daybook.New(p.driver, nil))
	if err == nil {
		err = p.driver.alive()
	}
	if err == nil && handle == nil {
		err = errors.New("start: Start returns no function")
	}
	if err != nil {
		p.stop()
		return fmt.Errorf("starting: %w", err)
	}
	p.handle = handle
	if !r.subject.Replay {
		return nil
	}
	for _, place := range r.replayed {
		err := handle(p.ctx, r.checker.inputs[place])
		if crashed := p.driver.alive(); crashed != nil {
			err = crashed
		}
		if err != nil {
			p.stop()
			return fmt.Errorf("replaying input %d: %w", place+1, err)
		}
	}
	return nil
}
