package daybook

import (
	"context"
	"iter"
	"slices"
	"time"
)

// Driver is what a storage must do. It is written for those who add a storage;
// programs use Store, which checks all input before a driver sees it.
//
// A driver may be used by many goroutines at once. It must not keep or change
// the memory that it is given.
type Driver interface {
	// Name returns the name of the storage: "disk".
	Name() string

	// Append stores all changesets of a, or none.
	//
	// If an append with a.ID is stored already, nothing else is looked at: the
	// answer is its receipt with Repeated set, or *ReusedIDError if the number
	// of changesets, their streams or their numbers of events differ.
	// Otherwise everything that a demands is checked against one state of the
	// store, and check and write are one step: each Expect (*ConflictError
	// with Found), the Condition (*ConditionError with Found), References
	// (*ReferenceError), Releases and Claims (*ClaimError).
	//
	// The records get rising positions in the order of a.Changesets.
	//
	// When it returns nil the records are durable at least as a.Durability
	// asks, can be read, and never change. When it fails with an error that
	// matches ErrRefused there is no trace of them. After any other error
	// they are there, whole, or not.
	Append(ctx context.Context, a Append) (Receipt, error)

	// ReadStream yields the records of a stream that read asks for, in the
	// order of their versions; nothing for a stream without records. The
	// sequence is finite, may be ranged over once, and holds at least what was
	// stored when ranging began. After an error it ends.
	ReadStream(ctx context.Context, id StreamID, read StreamRead) iter.Seq2[Record, error]

	// ReadLog yields the records of the log that read asks for, in the order
	// of their positions, on the terms of ReadStream. The records of one
	// changeset stand together. Once a position has been yielded to anyone,
	// no record ever appears at or below it.
	ReadLog(ctx context.Context, read LogRead) iter.Seq2[Record, error]

	// Close lets running calls end and releases what the driver holds. Calls
	// after it return ErrClosed; a second Close does nothing.
	Close() error
}

// Below are the things that a driver may offer besides. Store has a verb for
// each that falls back, or answers *UnsupportedError. A driver that stands for
// another one may have a method and not know beforehand whether it can answer:
// if it answers *UnsupportedError, that is the same as not having the method.

// HeadReader tells where a stream ends without reading its records; of one
// whose records were all deleted, where it ended.
type HeadReader interface {
	Head(ctx context.Context, id StreamID) (Head, error)
}

// EndReader tells the position of the last record of the log, also when that
// was deleted. To tell a position is to yield it: no record ever appears at or
// below it.
type EndReader interface {
	End(ctx context.Context) (Position, error)
}

// Waiter waits until the log has a record above a position. It returns nil
// then (now and then also earlier), or the error of ctx.
type Waiter interface {
	Wait(ctx context.Context, after Position) error
}

// StreamLister lists streams by partition and name, in the order of their
// bytes.
type StreamLister interface {
	ListStreams(ctx context.Context, list StreamList) iter.Seq2[StreamHead, error]
}

// StatsReader counts what the store holds.
type StatsReader interface {
	Stats(ctx context.Context) (Stats, error)
}

// ClaimReader tells which stream of a partition holds a claim. The answer may
// be out of date when it arrives; only an append decides.
type ClaimReader interface {
	ClaimHolder(ctx context.Context, partition string, claim Claim) (StreamID, bool, error)
}

// Deleter takes records from the beginning of streams, whole changesets only.
// A driver that offers it offers HeadReader, EndReader and DeletionReader too,
// since what was deleted still counts there.
//
// If a deletion with d.ID is recorded already, nothing else is looked at: the
// answer is its receipt with Repeated set, or *ReusedIDError if
// RecordedDeletion.Fits says that d asks for something else. Otherwise d.Expect
// is checked (*ConflictError with Found) in one step with the deletion; appends
// and deletions have one order. A deletion that finds nothing to take succeeds
// and is recorded as well: its repeat must not take what came later.
//
// When it returns nil, what went is hidden: every read, query, condition, list
// and statistic that begins afterwards is as if the records had never been
// there. A read that is running may yield them still, or leave them out, a
// changeset whole or not at all. What remains:
//
//  1. No version, changeset number, position or ordinal is given twice. The
//     Head of the stream keeps its Version, Changeset, Position and RecordedAt,
//     its First is the first version that is left. Where nothing is left that
//     is Version+1, Head.Exists is false, and Expect.Holds says what holds.
//     Appends, and imports, go on above it.
//  2. A stream without records is not listed and not counted, references to it
//     fail, and its claims are released, in the same step. As long as records
//     are left the stream holds all of its claims, those of deleted changesets
//     too.
//  3. The end of the log does not fall, nor do Stats.LastPosition and
//     Stats.LastOrdinal.
//  4. An append whose records went stays known by its ID: a repeat is answered
//     with its receipt and stores nothing.
//
// With d.Scrub the driver besides removes from its storage, at the latest when
// its own compaction has run, the content of every hidden record of the stream
// at or below d.Through (0: of all), whichever deletion has hidden it: event id,
// type, data, tags, occurred time, context, and the changeset's metadata, claims,
// releases and references. It keeps what the points above need: stream, numbers,
// positions, recorded time, append id, and claims that the stream still holds.
// Copies and backups are not its business. Where content is only hidden it may
// be kept for ever.
//
// After an error that matches ErrRefused everything is as it was; after any
// other the deletion was made, whole, or not.
type Deleter interface {
	DeleteStream(ctx context.Context, d Deletion) (DeletionReceipt, error)
}

// DeletionReader yields the recorded deletions that read asks for, in the order
// of their numbers, which is that in which they were made; at least those that
// were made when ranging began.
type DeletionReader interface {
	ReadDeletions(ctx context.Context, read DeletionRead) iter.Seq2[RecordedDeletion, error]
}

// Importer stores changesets as they are: ids, numbers, versions, positions
// and recorded times kept. Positions must lie above the end of the log,
// recorded times must not fall, and each changeset must follow the head of its
// stream in version and number; the first one that a stream ever had may begin
// anywhere.
// An Ordinal that is 0 or not above the last one is given anew. Neighbouring
// changesets with one AppendID are one append. All or nothing.
type Importer interface {
	Import(ctx context.Context, changesets []RecordedChangeset) error
}

// Limiter tells the limits of a storage that takes less than Options.Limits
// allow by default. A zero field is no limit.
type Limiter interface {
	Limits() Limits
}

// StreamList says which streams to list. The zero value lists all of them.
type StreamList struct {
	Filter Filter   // its Query must be empty
	After  StreamID // only streams that sort above this one
	Limit  int      // at most so many; 0 is no limit
}

// Stats counts what a store holds. What was deleted counts in LastPosition and
// LastOrdinal only, which never fall.
type Stats struct {
	Streams       int64
	Changesets    int64
	Records       int64
	LongestStream ChangesetNumber // the highest changeset number of any stream that has records
	LastPosition  Position
	LastOrdinal   Ordinal
	Bytes         int64 // on the storage; 0 where it cannot be told
}

// Durability says how much must break for records to be lost. A higher level
// survives more.
type Durability uint8

const (
	// DurabilityDefault asks for what the driver does by default.
	DurabilityDefault Durability = iota
	// DurabilityMemory is lost when the process ends.
	DurabilityMemory
	// DurabilityOS survives the process, not the machine: handed to the
	// operating system, not yet synced.
	DurabilityOS
	// DurabilityDisk survives the machine: synced to the disk.
	DurabilityDisk
	// DurabilityReplicated survives the loss of a machine and its disk.
	DurabilityReplicated
	// DurabilityCloud is as durable as the cloud service that took it says.
	DurabilityCloud
)

// String returns the word for d: "disk".
func (d Durability) String() string {
	words := [...]string{"default", "memory", "os", "disk", "replicated", "cloud"}
	if int(d) < len(words) {
		return words[d]
	}
	return "unknown"
}

// Append is what AppendAll stores: all of it, or nothing.
type Append struct {
	// ID makes the append repeatable: a second append with the same ID is
	// answered with the receipt of the first, in every mode of Expect, also
	// when its records were deleted since. A zero ID is replaced by a fresh one.
	ID ID
	// Changesets are what is added, one for each stream.
	Changesets []Changeset
	// Condition must hold over the whole log. Nil is none.
	Condition *Condition
	// Durability is the least that the caller accepts. A driver that cannot
	// reach it answers *UnsupportedError before it stores anything.
	Durability Durability
}

// Clone returns a copy that shares no memory with a, its strings aside. A driver
// makes one of an append that it may still send when its caller has given up.
func (a Append) Clone() Append {
	a.Changesets = slices.Clone(a.Changesets)
	for i := range a.Changesets {
		c := &a.Changesets[i]
		c.Metadata, c.Claims, c.Releases, c.References = slices.Clone(c.Metadata), slices.Clone(c.Claims), slices.Clone(c.Releases), slices.Clone(c.References)
		c.Events = slices.Clone(c.Events)
		for j := range c.Events {
			c.Events[j] = c.Events[j].Clone()
		}
	}
	if a.Condition != nil {
		condition := *a.Condition
		condition.Query.Items = slices.Clone(condition.Query.Items)
		for i := range condition.Query.Items {
			item := &condition.Query.Items[i]
			item.Types, item.Tags = slices.Clone(item.Types), slices.Clone(item.Tags)
		}
		a.Condition = &condition
	}
	return a
}

// Receipt says where an append went.
type Receipt struct {
	AppendID   ID
	RecordedAt time.Time
	Durability Durability
	Changesets []ChangesetReceipt // in the order of Append.Changesets
	// Repeated is set when the append had been stored before: everything else
	// is as it was answered then, except that Durability may have risen.
	Repeated bool
}

// ChangesetReceipt says where one changeset went.
type ChangesetReceipt struct {
	Stream        StreamID
	Number        ChangesetNumber
	Ordinal       Ordinal
	First         Version // of its first record
	Last          Version // of its last record
	FirstPosition Position
	LastPosition  Position
}

// Position returns the position of the last record of the append.
func (r Receipt) Position() Position {
	var last Position
	for _, c := range r.Changesets {
		last = max(last, c.LastPosition)
	}
	return last
}

// Fits reports whether a has the shape of the append that r answered: as many
// changesets, the same streams in the same order, as many events. A driver
// asks it before it answers a repeated append.
func (r Receipt) Fits(a *Append) bool {
	if len(r.Changesets) != len(a.Changesets) {
		return false
	}
	for i, c := range r.Changesets {
		if c.Stream != a.Changesets[i].Stream || int64(c.Last-c.First)+1 != int64(len(a.Changesets[i].Events)) {
			return false
		}
	}
	return true
}
