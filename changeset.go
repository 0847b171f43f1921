package daybook

import (
	"iter"
	"time"
)

// Changeset is what an append adds to one stream.
type Changeset struct {
	Stream StreamID
	Expect Expect
	Events []Event // at least one
	// Metadata belongs to the changeset as a whole: opaque bytes, JSON by
	// convention. Every record of the changeset carries it in its header.
	Metadata []byte
	// Claims are taken by the stream, Releases given back. Releases of the
	// whole append are carried out before its claims.
	Claims   []Claim
	Releases []Claim
	// References are streams that must have records for the append to succeed.
	// A stream that the same append creates counts.
	References []StreamID
}

// Claim is a unique value: only one stream of a partition holds it at a time.
// Taking what the stream already holds, and releasing what nobody holds, do
// nothing.
type Claim struct {
	Kind  string // "email"
	Value string // "ann@example.org"
}

// ChangesetNumber counts the changesets of a stream, from 1; 0 means none.
type ChangesetNumber int64

// Ordinal counts the changesets of the whole log, from 1. It is dense but for
// what was deleted; 0 where a storage does not count them.
type Ordinal int64

// ChangesetHeader is what the records of one changeset have in common.
type ChangesetHeader struct {
	Number     ChangesetNumber
	Ordinal    Ordinal
	First      Version // version of its first record
	Count      int     // how many records it was stored with
	AppendID   ID      // the append that it came with
	Metadata   []byte
	Claims     []Claim
	Releases   []Claim
	References []StreamID
}

// Last returns the version of the changeset's last record.
func (h *ChangesetHeader) Last() Version { return h.First + Version(h.Count) - 1 }

// RecordedChangeset is a changeset as it is stored.
type RecordedChangeset struct {
	Stream     StreamID
	RecordedAt time.Time
	ChangesetHeader
	Records []Record
}

// Changesets gathers records into the changesets that they came in. The
// records must come in the order of a stream or of the log, forwards; of a
// changeset that the sequence cuts, the part that it holds is given. An error
// is passed on behind the changesets that were whole before it. The records
// must not be borrowed (see Record), since it keeps them until the changeset
// is whole.
func Changesets(records iter.Seq2[Record, error]) iter.Seq2[RecordedChangeset, error] {
	return func(yield func(RecordedChangeset, error) bool) {
		var open RecordedChangeset
		for record, err := range records {
			if err != nil {
				yield(RecordedChangeset{}, err)
				return
			}
			same := open.Records != nil && open.Stream == record.Stream && open.Number == record.Changeset.Number
			if !same {
				if open.Records != nil && !yield(open, nil) {
					return
				}
				open = RecordedChangeset{Stream: record.Stream, RecordedAt: record.RecordedAt, ChangesetHeader: *record.Changeset}
			}
			open.Records = append(open.Records, record)
		}
		if open.Records != nil {
			yield(open, nil)
		}
	}
}
