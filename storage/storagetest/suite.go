// Package storagetest is the suite that every storage driver must pass. A
// driver's own test is a few lines:
//
//	func TestDriver(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) daybook.Driver { return memory.New(nil) })
//	}
//
// Each promise of the contract is one subtest, named as the promise; where it
// is broken, one sentence says what that means for those who use the store.
// What a driver may leave out (see Feature) is tested wherever the driver
// offers it, and it cannot excuse itself: what it does not offer it must
// refuse with *daybook.UnsupportedError, and store nothing.
//
// Random tests print their seed; DAYBOOK_SEED replays it. What must happen, but
// has not happened after a minute, counts as not happening.
//
// Faulty, besides, wraps any driver and fails on cue, for tests of what stands
// above a driver.
package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/daybook-go/daybook"
)

// tester is what the check of a promise needs of a test. *testing.T is one.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Logf(format string, args ...any)
	Failed() bool
	Cleanup(func())
	Context() context.Context
}

// Run checks every promise but those of Reopening on the drivers that open
// gives: a fresh, empty one at each call. The suite closes them; what else
// they need is for t.Cleanup.
//
// Where the directory of the test holds testdata/promises.txt, what is found
// is compared with it: see storage/README.md.
func Run(t *testing.T, open func(t *testing.T) daybook.Driver) {
	t.Helper()
	settleResults(t, run(t, false, func(t *testing.T) (daybook.Driver, func() daybook.Driver) { return open(t), nil }))
}

// RunDurable checks what Run checks, and besides, that a driver which outlives
// the process has everything when it is opened again. The function reopen is
// called after the driver, or the one reopened before, was closed; it gives a
// driver on the same data.
func RunDurable(t *testing.T, open func(t *testing.T) (driver daybook.Driver, reopen func() daybook.Driver)) {
	t.Helper()
	settleResults(t, run(t, true, open))
}

// run checks the promises, and returns what it found of each that it checked.
func run(t *testing.T, durable bool, open func(t *testing.T) (daybook.Driver, func() daybook.Driver)) map[string]outcome {
	t.Helper()
	found := map[string]outcome{}
	offers := offers{}
	for _, feature := range features {
		t.Run(string(feature), func(t *testing.T) {
			for _, promise := range Promises() {
				if promise.Feature != feature || feature == Reopening && !durable {
					continue
				}
				t.Run(promise.Name, func(t *testing.T) {
					defer func() { found[promise.Feature.line(promise.Name)] = outcomeOf(t) }()
					promise.holdTo(&subject{
						tester: t, offers: offers, patience: time.Minute,
						open: func() (daybook.Driver, func() daybook.Driver) { return open(t) },
					})
				})
			}
		})
	}
	return found
}

// Promise is one thing that a driver must do.
type Promise struct {
	// Name is the promise itself, in a few words.
	Name string
	// Feature is what a driver offers to make the promise.
	Feature Feature
	// Sentence says what a failure means to those who use the store.
	Sentence string

	needs []Feature // besides Feature
	check func(s *subject)
}

// holdTo checks the promise on fresh drivers of s.
func (p *Promise) holdTo(s *subject) {
	s.Helper()
	defer func() {
		if s.Failed() {
			s.Errorf("what this means: %s", p.Sentence)
		}
	}()
	s.need(append([]Feature{p.Feature}, p.needs...)...)
	p.check(s)
	if !s.Failed() {
		s.inspect()
	}
}

// Promises returns all promises, by feature, in the order in which they are
// checked.
func Promises() []Promise {
	var all []Promise
	for _, some := range [][]Promise{
		appendPromises, expectPromises, repeatPromises, readPromises, borrowPromises, filterPromises, contentPromises,
		orderPromises, historyPromises, closePromises, severalPromises, conditionPromises, claimPromises,
		claimLookupPromises, referencePromises, waitPromises, listPromises, statsPromises, importPromises, deletePromises,
		reopenPromises,
	} {
		all = append(all, some...)
	}
	return all
}
