// Package daytest is for the tests of programs that stand on a store.
//
// A decider is tested by what has happened, what is asked, and what happens
// then; no store is needed:
//
//	account := daytest.Decider[Account, Command, Event]{Initial: initial, Decide: decide, Evolve: evolve}
//	account.Given(t, Opened{"Ann"}, Deposited{50}).When(Withdraw{30}).Then(Withdrawn{30})
//
// On the way it finds functions that are not pure: a decide that changes the
// state, or decides differently the second time. [Fold] and [Projection] are
// tested alike.
//
// What reads and appends is tested on a [Log]: a store on any driver, most
// often storage/memory, filled with given events, that tells what came after
// them, on a [Clock] in the test's hand.
//
// [Check] runs a handler again and again, each time with another fault: a crash
// before or after an append, a conflict, an append that arrives late, a read that
// fails in the middle, an input delivered twice or in another order, a second
// program beside the first. It says which of them change the outcome.
package daytest

import "context"

// T is what this package needs of a *testing.T.
type T interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}
