package daybook

import (
	"errors"
	"fmt"
)

// What an error means is asked with errors.Is and these, what it knows is had
// with errors.As and the types below.
var (
	// ErrRefused is matched by every error that says: this append was refused,
	// nothing of it was stored or will be. After any other error of an append
	// the outcome is unknown; send the same append with the same ID again. The
	// same holds for deletions.
	ErrRefused = errors.New("refused")
	// ErrConflict is matched when the state of the store refused an append: an
	// Expect, a Condition, a claim or a reference. Read, decide again, append.
	ErrConflict = fmt.Errorf("conflict: %w", ErrRefused)
	// ErrInvalid is matched when the input is wrong in itself. Sending it
	// again cannot help.
	ErrInvalid = fmt.Errorf("invalid: %w", ErrRefused)
	// ErrUnsupported is matched when the storage does not offer what was asked.
	ErrUnsupported = fmt.Errorf("unsupported: %w", ErrRefused)
	// ErrReadOnly is returned for a write to a store that was opened for
	// reading only.
	ErrReadOnly = fmt.Errorf("the store is read-only: %w", ErrRefused)
	// ErrClosed is returned by a store that was closed before the call.
	ErrClosed = fmt.Errorf("the store is closed: %w", ErrRefused)
	// ErrFull is matched when there is no room for an append on the storage.
	// Nothing of it was stored. Reading goes on; make room, and append again.
	ErrFull = fmt.Errorf("the storage is full: %w", ErrRefused)
	// ErrFailed is matched when the storage could not write and takes no more
	// appends until it is opened again. The outcome of the append is unknown;
	// what could be read still can.
	ErrFailed = errors.New("the storage failed")
	// ErrCorrupt is matched when stored bytes are damaged. What was read
	// before it is right; nothing behind it was passed over.
	ErrCorrupt = errors.New("corrupt")
)

// InvalidError says that a value cannot be accepted. It matches ErrInvalid.
type InvalidError struct {
	Field  string // "changesets[0].events[2].type"
	Value  string // the value, shortened where it is long
	Reason string // "must not be empty"
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("%s: %s (it is %s)", e.Field, e.Reason, e.Value)
}

// Is reports whether target is a question that e answers with yes.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid || target == ErrRefused }

// LimitError says that something is larger than the store takes. It matches
// ErrInvalid.
type LimitError struct {
	Field string // "changesets[0].events[2].data"
	Value int64
	Limit int64
	Unit  string // "bytes", "events"
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s: %d %s, the limit is %d", e.Field, e.Value, e.Unit, e.Limit)
}

// Is reports whether target is a question that e answers with yes.
func (e *LimitError) Is(target error) bool { return target == ErrInvalid || target == ErrRefused }

// ConflictError says that a stream is not where the append, or deletion,
// expects it. It matches ErrConflict.
type ConflictError struct {
	Stream StreamID
	Expect Expect
	Found  Head
	// Missed are the changesets behind the expected place, whole and in order,
	// so that the caller can decide again without reading. It is filled by
	// Store; empty where nothing was missed (see Ahead), or where already the
	// first of them is too large.
	Missed []RecordedChangeset
	// Incomplete is set when more was missed than Missed holds. Read the rest,
	// if there is more (Options.MaxMissed, MaxMissedBytes); what lies below
	// Found.First is not there any more.
	Incomplete bool
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("stream %q: expected %s, found version %d, changeset %d",
		e.Stream, e.Expect, e.Found.Version, e.Found.Changeset)
}

// Is reports whether target is a question that e answers with yes.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict || target == ErrRefused }

// Ahead reports whether the append expected more of the stream than it has.
// That is a fault of the caller, or of a store that lost records; deciding
// again from what was missed cannot help.
func (e *ConflictError) Ahead() bool { return e.Expect.Ahead(e.Found) }

// ConditionError says that records stand in the way of an append's Condition.
// It matches ErrConflict.
type ConditionError struct {
	Condition Condition
	// Found is the position of one of the records that break the condition:
	// the last one, at the time of the check.
	Found Position
	// Records are the records that break the condition, in the order of the
	// log. It is filled by Store.
	Records []Record
	// Incomplete is set when there are more than Records holds
	// (Options.MaxMissed, MaxMissedBytes).
	Incomplete bool
}

func (e *ConditionError) Error() string {
	return fmt.Sprintf("condition: a record at position %d matches the query, after position %d", e.Found, e.Condition.After)
}

// Is reports whether target is a question that e answers with yes.
func (e *ConditionError) Is(target error) bool { return target == ErrConflict || target == ErrRefused }

// ClaimError says that a claim is held by another stream. It matches
// ErrConflict.
type ClaimError struct {
	Stream StreamID // the stream that wanted it, or wanted to release it
	Claim  Claim
	Holder StreamID
}

func (e *ClaimError) Error() string {
	return fmt.Sprintf("claim %s %q: wanted by stream %q, held by stream %q", e.Claim.Kind, e.Claim.Value, e.Stream, e.Holder)
}

// Is reports whether target is a question that e answers with yes.
func (e *ClaimError) Is(target error) bool { return target == ErrConflict || target == ErrRefused }

// ReferenceError says that a stream that an append refers to has no records.
// It matches ErrConflict.
type ReferenceError struct {
	Stream    StreamID // the stream that refers
	Reference StreamID // the stream that is missing
}

func (e *ReferenceError) Error() string {
	return fmt.Sprintf("stream %q refers to stream %q, which does not exist", e.Stream, e.Reference)
}

// Is reports whether target is a question that e answers with yes.
func (e *ReferenceError) Is(target error) bool { return target == ErrConflict || target == ErrRefused }

// ReusedIDError says that the ID of an append was used before by an append of
// another shape: other streams, or another number of events; or that of a
// deletion by a deletion of something else. It matches ErrInvalid.
type ReusedIDError struct {
	ID       ID
	Deletion bool // the ID is that of a deletion
}

func (e *ReusedIDError) Error() string {
	if e.Deletion {
		return fmt.Sprintf("deletion id %s: already used by a different deletion", e.ID)
	}
	return fmt.Sprintf("append id %s: already used by a different append", e.ID)
}

// Is reports whether target is a question that e answers with yes.
func (e *ReusedIDError) Is(target error) bool { return target == ErrInvalid || target == ErrRefused }

// UnsupportedError says that a driver does not offer what was asked. It
// matches ErrUnsupported.
type UnsupportedError struct {
	Driver  string // its Name
	Feature string // "listing streams"
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s does not offer %s", e.Driver, e.Feature)
}

// Is reports whether target is a question that e answers with yes.
func (e *UnsupportedError) Is(target error) bool {
	return target == ErrUnsupported || target == ErrRefused
}

// CorruptError says that stored bytes are damaged, and where. It matches
// ErrCorrupt. Restore the file from a backup; docs/format.md draws its bytes.
type CorruptError struct {
	File     string
	Offset   int64    // in the file, in bytes
	Position Position // the first position that cannot be read
	Reason   string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("corrupt: %s at offset %d, position %d: %s", e.File, e.Offset, e.Position, e.Reason)
}

// Is reports whether target is a question that e answers with yes.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }
