package daytest

import "errors"

// Fault is something that goes wrong around a program.
type Fault string

// The faults that Check knows. Those of appends and reads strike them whichever
// part of the program makes them.
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

	// CrashReading ends the program when it has read the first record of a
	// read, or when there is none.
	CrashReading Fault = "a crash in the middle of a read"
	// LostRead answers a read with an error, and nothing else: one of a stream,
	// of the log, of a head, or any other question.
	LostRead Fault = "a read that fails"
	// CutRead answers a read with its first record, or its first few, and then
	// with an error.
	CutRead Fault = "a read that fails in the middle"
	// BrokenReads cuts three reads in a row, each after one record more than
	// the one before it: whoever goes on where it was gets through.
	BrokenReads Fault = "reads that fail one after the other, each further on"

	// Duplicate delivers an input twice.
	Duplicate Fault = "an input that is delivered twice"
	// DuplicateLate delivers an input again when all are through.
	DuplicateLate Fault = "an input that is delivered again at the end"
	// Reorder has inputs of different lanes change places: see Subject.Lane.
	Reorder Fault = "another order of inputs of different lanes"

	// TurnAbout has two programs on the storage, and gives each input to one of
	// them. This and the next two leave out a Subject with Replay.
	TurnAbout Fault = "two programs that share the inputs"
	// AtOnce has another program handle the input that is being handled, just
	// before an append that the first one makes for it is stored.
	AtOnce Fault = "an input that two programs handle at once"
	// Abreast has another program handle the next input of another lane, just
	// before an append is stored: see Subject.Lane.
	Abreast Fault = "inputs of different lanes that two programs handle at once"
)

// strikes says what a fault strikes.
type strikes uint8

const (
	atAppend strikes = iota + 1
	atRead
	atInput
	throughout // the whole run
)

// known are all faults, in the order in which they are tried.
var known = []struct {
	fault   Fault
	strikes strikes
}{
	{CrashBefore, atAppend}, {CrashAfter, atAppend}, {LostRequest, atAppend}, {LostAnswer, atAppend}, {LateCommit, atAppend}, {Conflict, atAppend},
	{CrashReading, atRead}, {LostRead, atRead}, {CutRead, atRead}, {BrokenReads, atRead},
	{Duplicate, atInput}, {DuplicateLate, atInput}, {Reorder, throughout},
	{TurnAbout, throughout}, {AtOnce, atAppend}, {Abreast, atAppend},
}

// Faults returns all faults.
func Faults() []Fault {
	faults := make([]Fault, len(known))
	for i := range known {
		faults[i] = known[i].fault
	}
	return faults
}

// strikes returns what f strikes; 0 for a fault that nobody knows.
func (f Fault) strikes() strikes {
	for i := range known {
		if known[i].fault == f {
			return known[i].strikes
		}
	}
	return 0
}

// needsTwo reports whether f needs a second program.
func (f Fault) needsTwo() bool { return f == TurnAbout || f == AtOnce || f == Abreast }

// needsLanes reports whether f changes the order of inputs.
func (f Fault) needsLanes() bool { return f == Reorder || f == Abreast }

var (
	// ErrCrashed is what a store answers a program that has crashed.
	ErrCrashed = errors.New("daytest: the program has crashed")
	// ErrOutcomeUnknown is what a store answers an append that may be stored.
	ErrOutcomeUnknown = errors.New("daytest: the connection is lost")
	// ErrLostRead is what a store answers a read that fails.
	ErrLostRead = errors.New("daytest: the connection is lost while reading")
)
