// Package logindex keeps what can be asked of a stretch of a log in a file of
// its own, so that the answers need not be in memory and opening a log need
// not read it: where streams end and where their changesets stand, which
// append stands where, who took and gave back claims, and at which positions
// there are records of a type, with a tag, in streams of a type.
//
// A [Writer] writes the file from what is known of one or more whole segments,
// sorted; [Open] reads it; [Merge] makes one of several neighbours. A file
// never changes, and holds nothing that the segments do not. Every piece of it
// has a checksum that is verified each time it is read; what does not match is
// answered with an error that matches [ErrDamaged], and the file is to be
// built anew. docs/format.md draws the bytes.
//
// What is resident of an open file is small: the first key of each page and a
// filter of its streams. Everything else is read where it is asked for.
package logindex

import (
	"errors"
	"time"

	"github.com/daybook-go/daybook"
)

// ErrDamaged is matched by errors that say that an index cannot be read as it
// was written. The log is not concerned: build the index anew.
var ErrDamaged = errors.New("damaged index")

// Place is where a changeset stands: the number of its segment, counted from 0
// in the index, and its offset in it divided by 8. Places rise along the log.
type Place uint64

// PlaceOf returns the place of an offset, a multiple of 8 below 2^35, in a
// segment.
func PlaceOf(segment int, offset int64) Place { return Place(segment)<<32 | Place(offset/8) }

// Segment returns the number of the segment.
func (p Place) Segment() int { return int(p >> 32) }

// Offset returns the offset in the segment, in bytes.
func (p Place) Offset() int64 { return int64(uint32(p)) * 8 }

// Segment is a whole, sealed segment of the log that an index covers.
type Segment struct {
	First daybook.Position // the name of the segment
	Bytes int64            // its size
	Seed  uint32           // what sets it apart from others of that name and size
}

// Totals counts what an index covers. What was deleted counts as well, and is
// counted again as such.
type Totals struct {
	Changesets int64
	Records    int64
	Streams    int64 // that begin here, or have records again
	// LongestStream is the highest changeset number.
	LongestStream daybook.ChangesetNumber
	FirstPosition daybook.Position
	LastPosition  daybook.Position
	LastOrdinal   daybook.Ordinal
	LastRecorded  time.Time

	// What the deletions here took, wherever it stood; all 0 where none was made.
	DeletedChangesets int64
	DeletedRecords    int64
	EmptiedStreams    int64
	LastDeletion      daybook.DeletionNumber
	LastEmptying      daybook.DeletionNumber // the last that left a stream without records
	Scrubbed          daybook.DeletionNumber // scrubs were done up to this one
	DeletedBelow      daybook.Position       // where the log ended when the last deletion was made
}

// Add puts what follows behind t.
func (t *Totals) Add(next Totals) {
	if t.Changesets == 0 {
		t.FirstPosition = next.FirstPosition
	}
	t.Changesets += next.Changesets
	t.Records += next.Records
	t.Streams += next.Streams
	t.LongestStream = max(t.LongestStream, next.LongestStream)
	t.DeletedChangesets += next.DeletedChangesets
	t.DeletedRecords += next.DeletedRecords
	t.EmptiedStreams += next.EmptiedStreams
	t.LastDeletion, t.LastEmptying = max(t.LastDeletion, next.LastDeletion), max(t.LastEmptying, next.LastEmptying)
	t.Scrubbed, t.DeletedBelow = max(t.Scrubbed, next.Scrubbed), max(t.DeletedBelow, next.DeletedBelow)
	t.LastPosition, t.LastOrdinal, t.LastRecorded = next.LastPosition, next.LastOrdinal, next.LastRecorded
}

// noTime stands in a file for the zero time.
const noTime = -1 << 63

func micros(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMicro()
}

func fromMicros(m int64) time.Time {
	if m == noTime {
		return time.Time{}
	}
	return time.UnixMicro(m).UTC()
}
