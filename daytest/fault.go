package daytest

import (
	"errors"
	"slices"
)

// Fault is something that goes wrong around a program.
type Fault string

// The faults that Check knows. Those of an append strike it whichever part of
// the program makes it.
const (
	// CrashBefore ends the program before the append is stored.
	CrashBefore Fault = "a crash before an append is stored"
	// CrashAfter ends the program when the append is stored, before it is
	// answered.
	CrashAfter Fault = "a crash after an append is stored"
	// LostRequest answers the append with an error and stores nothing.
	LostRequest Fault = "an append that fails and is not stored"
	// LostAnswer stores the append and answers it with an error.
	LostAnswer Fault = "an append that fails and is stored"
	// LateCommit answers the append with an error, and stores it just before
	// the next one, if it can be stored then: a request that was on its way.
	LateCommit Fault = "an append that fails and is stored later"
	// Conflict has somebody else be quicker: see Subject.Rival. An append that
	// expects nothing passes.
	Conflict Fault = "an append that meets a conflict"
	// Duplicate delivers an input twice.
	Duplicate Fault = "an input that is delivered twice"
	// DuplicateLate delivers an input again when all are through.
	DuplicateLate Fault = "an input that is delivered again at the end"
	// Reorder has inputs of different lanes change places: see Subject.Lane.
	Reorder Fault = "another order of inputs of different lanes"
)

// Faults returns all faults.
func Faults() []Fault {
	return []Fault{CrashBefore, CrashAfter, LostRequest, LostAnswer, LateCommit, Conflict, Duplicate, DuplicateLate, Reorder}
}

// atAppend reports whether the fault strikes an append.
func (f Fault) atAppend() bool {
	return slices.Contains([]Fault{CrashBefore, CrashAfter, LostRequest, LostAnswer, LateCommit, Conflict}, f)
}

var (
	// ErrCrashed is what a store answers a program that has crashed.
	ErrCrashed = errors.New("daytest: the program has crashed")
	// ErrOutcomeUnknown is what a store answers an append that may be stored.
	ErrOutcomeUnknown = errors.New("daytest: the connection is lost")
)
