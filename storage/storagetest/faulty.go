package storagetest

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/daybook-go/daybook"
)

// Faulty wraps a driver and fails on cue, for tests of what stands above a
// driver. It offers what the inner driver offers: it has the method of every
// optional interface, and where the inner driver lacks one answers
// *daybook.UnsupportedError, which a Store treats as the method's absence.
//
// It may be used by many goroutines at once.
type Faulty struct {
	inner daybook.Driver

	mu    sync.Mutex // guards all below
	cues  []Fault
	calls map[Call]int
}

// Call is a method of a driver.
type Call string

// The calls that can fail. The last ones are of optional interfaces.
const (
	CallAppend      Call = "append"
	CallReadStream  Call = "read stream"
	CallReadLog     Call = "read log"
	CallHead        Call = "head"
	CallEnd         Call = "end"
	CallWait        Call = "wait"
	CallListStreams Call = "list streams"
	CallStats       Call = "stats"
	CallClaimHolder Call = "claim holder"
	CallImport      Call = "import"

	CallDeleteStream  Call = "delete stream"
	CallReadDeletions Call = "read deletions"
)

// ErrFault is an error to cue with. It says nothing about the outcome, so that
// of an append that fails with it is unknown.
var ErrFault = errors.New("a fault on cue")

// Fault is what happens to one call, or to some.
type Fault struct {
	// Call is the call that it happens to.
	Call Call
	// Skip lets so many of the calls pass first, counted from when the fault
	// cued before it for the same call is through.
	Skip int
	// Times is how many calls it then happens to; 0 is one, below 0 all.
	Times int

	// Hold, if not nil, keeps the call back until it is opened, or until the
	// context of the call ends: then the call fails with the context's error,
	// and the driver is not called.
	Hold *Gate
	// Before, if not nil, is the answer: the driver is not called.
	Before error
	// Cancel gives the driver a context that has ended.
	Cancel bool
	// After, if not nil, is the answer in place of the driver's, which has
	// done what it was asked. A read yields Records records before it.
	After error
	// Records is how many records, streams or deletions a read yields before
	// After.
	Records int
}

// Gate holds calls back.
type Gate struct {
	reached, opened         chan struct{}
	reachedOnce, openedOnce sync.Once
}

// NewGate returns a gate that is closed.
func NewGate() *Gate { return &Gate{reached: make(chan struct{}), opened: make(chan struct{})} }

// Open lets all calls pass, those that wait and those to come.
func (g *Gate) Open() { g.openedOnce.Do(func() { close(g.opened) }) }

// Reached is closed when the first call stands at the gate.
func (g *Gate) Reached() <-chan struct{} { return g.reached }

// pass waits at the gate.
func (g *Gate) pass(ctx context.Context) error {
	g.reachedOnce.Do(func() { close(g.reached) })
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// NewFaulty returns a driver that does what inner does until it is cued. It
// owns inner from now on.
func NewFaulty(inner daybook.Driver) *Faulty {
	return &Faulty{inner: inner, calls: map[Call]int{}}
}

// Cue adds a fault. Where several are cued for one call, they happen one call
// after the other.
func (f *Faulty) Cue(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault.Times == 0 {
		fault.Times = 1
	}
	f.cues = append(f.cues, fault)
}

// Heal forgets every fault that has not happened.
func (f *Faulty) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cues = nil
}

// Calls returns how many such calls were made, failed ones too.
func (f *Faulty) Calls(call Call) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[call]
}

// next counts a call and returns what shall happen to it.
func (f *Faulty) next(call Call) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[call]++
	for i := range f.cues {
		cue := &f.cues[i]
		if cue.Call != call {
			continue
		}
		if cue.Skip > 0 {
			cue.Skip--
			return Fault{}
		}
		happens := *cue
		if cue.Times--; cue.Times == 0 {
			f.cues = append(f.cues[:i:i], f.cues[i+1:]...)
		}
		return happens
	}
	return Fault{}
}

// begin carries out what happens before the driver is called, and returns the
// context that it is given.
func (fault *Fault) begin(ctx context.Context) (context.Context, error) {
	if fault.Hold != nil {
		if err := fault.Hold.pass(ctx); err != nil {
			return ctx, err
		}
	}
	if fault.Cancel {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return ended, fault.Before
	}
	return ctx, fault.Before
}

// struck makes a call with what shall happen to it.
func struck[V any](ctx context.Context, f *Faulty, call Call, inner func(ctx context.Context) (V, error)) (V, error) {
	var none V
	fault := f.next(call)
	ctx, err := fault.begin(ctx)
	if err != nil {
		return none, err
	}
	value, err := inner(ctx)
	if fault.After != nil {
		return none, fault.After
	}
	return value, err
}

// struckRead makes a read with what shall happen to it.
func struckRead[V any](ctx context.Context, f *Faulty, call Call, inner func(ctx context.Context) iter.Seq2[V, error]) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		var none V
		fault := f.next(call)
		ctx, err := fault.begin(ctx)
		if err != nil {
			yield(none, err)
			return
		}
		yielded := 0
		for value, err := range inner(ctx) {
			if fault.After != nil && yielded == fault.Records {
				break
			}
			if !yield(value, err) {
				return
			}
			yielded++
		}
		if fault.After != nil {
			yield(none, fault.After)
		}
	}
}
