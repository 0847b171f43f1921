package verify

import (
	"fmt"

	"github.com/daybook-go/daybook"
)

// Finding is one broken promise.
type Finding struct {
	Kind     Kind
	Stream   daybook.StreamID // zero where it is about the log as a whole
	Position daybook.Position // 0 where it is about no position
	Message  string           // a sentence for people
}

// String returns the finding on one line.
func (f Finding) String() string {
	text := string(f.Kind)
	if f.Position > 0 {
		text += fmt.Sprintf(" at position %d", f.Position)
	}
	if f.Stream != (daybook.StreamID{}) {
		text += fmt.Sprintf(" in stream %q", f.Stream)
	}
	return text + ": " + f.Message
}

// Kind says which promise is broken.
type Kind string

// The promises, by what is wrong when they are broken.
const (
	Damaged         Kind = "damaged"          // bytes that cannot be read
	Malformed       Kind = "malformed"        // a record without id, type, stream, time or changeset, or with wrong ones
	PositionOrder   Kind = "position-order"   // a position that does not rise
	TimeOrder       Kind = "time-order"       // a recorded time that falls
	OutOfRange      Kind = "out-of-range"     // a read that gives what was not asked for
	VersionGap      Kind = "version-gap"      // a version that does not follow the one before, or what was deleted
	ChangesetGap    Kind = "changeset-gap"    // a changeset number that does not follow the one before
	OrdinalGap      Kind = "ordinal-gap"      // an ordinal that does not follow the one before
	ChangesetCut    Kind = "changeset-cut"    // records of a changeset that are missing or apart
	ChangesetHeader Kind = "changeset-header" // records of a changeset that do not agree about it
	DuplicateID     Kind = "duplicate-id"     // an event id twice in a changeset
	AppendIDReused  Kind = "append-id-reused" // an append id on two appends
	ReferenceGone   Kind = "reference"        // a reference to what did not exist
	ClaimTwice      Kind = "claim"            // a claim with two holders, or the wrong one
	Deletions       Kind = "deletion"         // a deleted record that can be read, or deletions that do not follow each other
	Backwards       Kind = "backwards"        // a log that reads differently backwards
	StreamDiffers   Kind = "stream"           // a stream that reads differently alone
	HeadDiffers     Kind = "head"             // a head that is not that of the stream
	ListDiffers     Kind = "list"             // a list of streams that is not that of the log
	EndDiffers      Kind = "end"              // an end that is not that of the log
	StatsDiffer     Kind = "stats"            // counts that are not those of the log
)
