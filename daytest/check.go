package daytest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"github.com/daybook-go/daybook"
)

// Subject is a program on a store, as Check runs it: it is given inputs of
// type I, which are commands, or records, or requests.
type Subject[I any] struct {
	// Driver opens an empty store. Required.
	Driver func() daybook.Driver
	// Given fills the store, without faults. Nil leaves it empty.
	Given func(ctx context.Context, store *daybook.Store) error
	// Start begins the program and returns what handles an input: nil for one
	// that is done with, which a refused command is too; an error for one that
	// is to be delivered again. It is called at the beginning, and after each
	// crash; what it returned before is not called any more, its context has
	// ended, and what it kept in memory should be lost with it. It is called for
	// a second program too, beside the first; the two must not wait for each
	// other. Required.
	Start func(ctx context.Context, store *daybook.Store) (func(context.Context, I) error, error)
	// Replay has all earlier inputs delivered again after a crash, as to a
	// program that keeps its state in memory only. There is no second program
	// then, since none would see all inputs.
	Replay bool
	// Lane names what the order of an input matters to; inputs of different
	// lanes may change places. Nil keeps all in order. See StreamLane.
	Lane func(input I) string
	// Outcome tells what all came to, from a store without faults. It is
	// compared by reflect.DeepEqual (see Comparing). Default Contents.
	Outcome func(ctx context.Context, store *daybook.Store) (any, error)
	// Rival appends to the stream what somebody else might, where a conflict
	// is to happen: it must not matter to Outcome. Nil makes a conflict in
	// which nothing was missed.
	Rival func(ctx context.Context, store *daybook.Store, stream daybook.StreamID) error
}

// StreamLane is the Lane of records: those of one stream keep their order.
func StreamLane(r daybook.Record) string { return r.Stream.Partition + "\x00" + r.Stream.Name }

// CheckOptions of Check. Nil and zero fields mean the defaults.
type CheckOptions struct {
	// Faults are those to try. Default all, see Faults; those that the Subject
	// leaves no room for are passed over.
	Faults []Fault
	// Places bounds at how many appends, reads or inputs each fault is tried;
	// which, the seed says. Default 30.
	Places int
	// Runs is how many runs mix all faults by chance; below 0 none. Default 20.
	Runs int
	// Deliveries is how often an input is delivered until its handler gives no
	// error, 2 at least. Not all of them are struck. Default 20.
	Deliveries int
	// Seed is what chance follows. Default the environment's DAYBOOK_SEED, or
	// else a new one; it is logged.
	Seed uint64
}

// Check runs a program on the inputs without faults, and then again with each
// fault in each place, and with many by chance. So the program must handle in
// the end what fails again and again, and what it has handled before must change
// nothing. The outcome must always be the same; where it is not, the test fails,
// and is told with which fault first. subject is called for each run: what stands
// outside of the program, a database of documents say, begins anew in it.
func Check[I any](t T, subject func() Subject[I], inputs []I, options *CheckOptions) {
	t.Helper()
	switch {
	case subject == nil:
		t.Fatalf("daytest: Check needs a subject")
	case len(inputs) == 0:
		t.Fatalf("daytest: Check needs inputs: without one it shows nothing")
	}
	c := &checker[I]{t: t, subject: subject, inputs: inputs}
	if options != nil {
		c.options = *options
	}
	if !c.settle() {
		return
	}
	if !c.reference() {
		return
	}
	for _, fault := range c.options.Faults {
		c.tryEverywhere(fault)
	}
	for n := range max(c.options.Runs, 0) {
		if !c.tryByChance(n) {
			return
		}
	}
}

// checker is one Check.
type checker[I any] struct {
	t       T
	subject func() Subject[I]
	inputs  []I
	options CheckOptions
	random  *rand.Rand

	without verdict // what came of it without faults
}

// settle fills in the defaults.
func (c *checker[I]) settle() bool {
	c.t.Helper()
	o := &c.options
	if len(o.Faults) == 0 {
		o.Faults = Faults()
	}
	switch {
	case o.Places < 0:
		c.t.Fatalf("daytest: options.Places must not be negative (it is %d)", o.Places)
		return false
	case o.Deliveries < 0 || o.Deliveries == 1:
		c.t.Fatalf("daytest: options.Deliveries must be 2 at least, for one that is struck and one that is not (it is %d)", o.Deliveries)
		return false
	}
	o.Places, o.Runs, o.Deliveries = cmp.Or(o.Places, 30), cmp.Or(o.Runs, 20), cmp.Or(o.Deliveries, 20)
	if text := os.Getenv("DAYBOOK_SEED"); o.Seed == 0 && text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			c.t.Fatalf("daytest: DAYBOOK_SEED: %v", err)
			return false
		}
		o.Seed = seed
	}
	if o.Seed == 0 {
		o.Seed = rand.Uint64()
	}
	for _, fault := range o.Faults {
		if fault.strikes() == 0 {
			c.t.Fatalf("daytest: options.Faults: there is no fault %q", fault)
			return false
		}
	}
	c.t.Logf("daytest: DAYBOOK_SEED=%d replays this", o.Seed)
	c.random = rand.New(rand.NewPCG(o.Seed, 0))
	return true
}

// reference runs the program without faults, twice, since an outcome that
// differs by itself tells nothing.
func (c *checker[I]) reference() bool {
	c.t.Helper()
	c.without = c.run(&plan{})
	if c.without.err != nil {
		c.t.Fatalf("daytest: without any fault: %v", c.without.err)
		return false
	}
	second := c.run(&plan{})
	if second.err != nil || !equal(c.t, second.outcome, c.without.outcome) {
		c.t.Fatalf("daytest: two runs without any fault come to different outcomes, so leave out of them what differs by time or chance\n    first:  %+v\n    second: %+v (%v)",
			c.without.outcome, second.outcome, second.err)
		return false
	}
	c.options.Faults = slices.DeleteFunc(slices.Clone(c.options.Faults), func(f Fault) bool {
		return f.needsLanes() && !c.without.lanes || f.needsTwo() && c.without.replay
	})
	return true
}

// tryEverywhere tries a fault in one place after the other, until it breaks
// the outcome.
func (c *checker[I]) tryEverywhere(fault Fault) {
	c.t.Helper()
	if fault.strikes() == throughout {
		for range c.options.Places {
			p := &plan{}
			c.draw(p, fault, c.random)
			if !c.try(p, fault) {
				return
			}
		}
		return
	}
	n := map[strikes]int{atAppend: c.without.appends, atRead: c.without.reads, atInput: len(c.inputs)}[fault.strikes()]
	for _, place := range c.places(n) {
		at := func(n int) Fault {
			if n == place {
				return fault
			}
			return ""
		}
		p := &plan{}
		switch fault.strikes() {
		case atAppend:
			p.atAppend = at
		case atRead:
			p.atRead = at
		default:
			p.atInput = map[int]Fault{place: fault}
		}
		if !c.try(p, fault) {
			return
		}
	}
}

// draw lets chance say how a fault goes through the whole run.
func (c *checker[I]) draw(p *plan, fault Fault, random *rand.Rand) {
	if fault == Reorder {
		p.order = c.shuffled(random)
		return
	}
	p.second = map[int]bool{}
	for i := range c.inputs {
		p.second[i] = random.IntN(2) == 0
	}
}

// tryByChance mixes the faults, and reports whether the outcome held.
func (c *checker[I]) tryByChance(n int) bool {
	c.t.Helper()
	random := rand.New(rand.NewPCG(c.options.Seed, uint64(n+1)))
	faults := map[strikes][]Fault{}
	p := &plan{atInput: map[int]Fault{}}
	for _, fault := range c.options.Faults {
		if of := fault.strikes(); of != throughout {
			faults[of] = append(faults[of], fault)
		} else if random.IntN(2) == 0 {
			c.draw(p, fault, random)
		}
	}
	for i := range c.inputs {
		if some := faults[atInput]; len(some) > 0 && random.IntN(4) == 0 {
			p.atInput[i] = some[random.IntN(len(some))]
		}
	}
	p.atAppend = oneIn(4, faults[atAppend], rand.New(rand.NewPCG(c.options.Seed, random.Uint64())))
	p.atRead = oneIn(12, faults[atRead], rand.New(rand.NewPCG(c.options.Seed, random.Uint64())))
	return c.try(p, "a mix of faults")
}

// oneIn strikes one call in so many, with one of the faults.
func oneIn(so int, faults []Fault, random *rand.Rand) func(int) Fault {
	if len(faults) == 0 {
		return nil
	}
	return func(int) Fault {
		if random.IntN(so) > 0 {
			return ""
		}
		return faults[random.IntN(len(faults))]
	}
}

// try runs the program and reports whether the outcome is as without faults.
func (c *checker[I]) try(p *plan, fault Fault) bool {
	c.t.Helper()
	got := c.run(p)
	switch {
	case got.err != nil:
		c.t.Errorf("daytest: %s: %v%s", fault, got.err, got.told)
	case !equal(c.t, got.outcome, c.without.outcome):
		c.t.Errorf("daytest: %s changes the outcome%s\n    got:  %+v\n    want: %+v", fault, got.told, got.outcome, c.without.outcome)
	default:
		return true
	}
	return false
}

// places returns some of 0 to n-1, in order: all, if there are few enough.
func (c *checker[I]) places(n int) []int {
	places := c.random.Perm(n)
	places = places[:min(n, c.options.Places)]
	slices.Sort(places)
	return places
}

// shuffled returns an order of the inputs in which those of one lane keep
// theirs.
func (c *checker[I]) shuffled(random *rand.Rand) []int {
	lane := c.subject().Lane
	lanes := map[string][]int{}
	names := make([]string, len(c.inputs))
	for i, input := range c.inputs {
		names[i] = lane(input)
		lanes[names[i]] = append(lanes[names[i]], i)
	}
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	order := make([]int, len(names))
	for i, name := range names {
		order[i], lanes[name] = lanes[name][0], lanes[name][1:]
	}
	return order
}

// describe is an input for people.
func describe(input any) string {
	if r, ok := input.(daybook.Record); ok {
		return fmt.Sprintf("record %d, %s to stream %s", r.Position, r.Type, r.Stream)
	}
	return show(input)
}
