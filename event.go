package daybook

import (
	"bytes"
	"slices"
	"time"
)

// ContentTypeJSON is the content type of data that names none.
const ContentTypeJSON = "application/json"

// Event is a fact proposed by a caller. Only Type is required.
type Event struct {
	// ID names the event within its stream. No two events of one changeset may
	// have the same; across changesets that is for who gives the ids to see
	// to, since no storage looks. A zero ID is replaced by a fresh one when the
	// event is appended.
	ID ID
	// Type says what happened: "deposited". Up to MaxTypeLen bytes.
	Type string
	// ContentType says how to read Data. Empty means ContentTypeJSON, and is
	// what a record of such an event carries.
	ContentType string
	// Data is the body of the event, opaque to the store, and comes back byte
	// for byte. Nil and empty are the same.
	Data []byte
	// Tags are what queries select by, besides the type: "student:7". A set:
	// no tag may stand twice. The order is kept.
	Tags []string
	// OccurredAt is when the fact happened in the world, kept to the
	// microsecond, in UTC. Zero means: when it was recorded.
	OccurredAt time.Time
	// Context tells the circumstances.
	Context Context
}

// Context tells the circumstances of an event. Every part is optional.
type Context struct {
	Who         string // the person or program that did it
	Why         *Cause // what led to it
	Correlation string // what ties all events of one undertaking together
	Source      string // the program or device that reported it
	Commentary  string // a remark for people
	Schema      string // the name or version of the shape of Data
	Metadata    []byte // anything else; opaque, JSON by convention
}

// Cause names what led to an event: a command, a message, another event.
type Cause struct {
	ID   string
	What string
	When time.Time // kept to the microsecond, in UTC
	Who  string
}

// Record is an event as it is stored. What it points to (slices, Changeset,
// Context.Why) may be shared with other records: keep it as long as you like,
// never write into it. A record that is kept may keep some kilobytes of its
// neighbours, up to 16; a Clone does not.
//
// A record of a read that set Borrow is lent: what it points to, but for its
// strings, is good until the next step of the sequence, or its end, and may
// hold anything afterwards. Strings may always be kept. Borrow is for those
// who are done with each record before they take the next, and saves most of
// the memory that a read allocates; Clone what is to stay. A driver that has
// nothing to save ignores it.
type Record struct {
	Event
	Stream   StreamID
	Version  Version  // its place in the stream
	Position Position // its place in the log
	// RecordedAt is when the store took it, in UTC to the microsecond; it
	// never falls along the log.
	RecordedAt time.Time
	// Changeset tells about the append that stored it. It is shared by the
	// records of the changeset and never nil in a record that was read.
	Changeset *ChangesetHeader
}

// Position is a place in the whole log: from 1, rising with every record, not
// always by one; 0 is the place before the first.
type Position int64

// Clone returns a copy that shares no memory with e.
func (e Event) Clone() Event {
	e.Data = bytes.Clone(e.Data)
	e.Tags = slices.Clone(e.Tags)
	e.Context.Metadata = bytes.Clone(e.Context.Metadata)
	if e.Context.Why != nil {
		why := *e.Context.Why
		e.Context.Why = &why
	}
	return e
}

// Clone returns a copy that shares no memory with r, its strings aside, which
// nobody can write into.
func (r Record) Clone() Record {
	r.Event = r.Event.Clone()
	if r.Changeset != nil {
		header := *r.Changeset
		header.Metadata = bytes.Clone(header.Metadata)
		header.Claims = slices.Clone(header.Claims)
		header.Releases = slices.Clone(header.Releases)
		header.References = slices.Clone(header.References)
		r.Changeset = &header
	}
	return r
}

// normalize makes of e what is handed to a driver: it has a content type, and
// times in UTC to the microsecond.
func (e *Event) normalize() {
	if e.ContentType == "" {
		e.ContentType = ContentTypeJSON
	}
	e.OccurredAt = Microseconds(e.OccurredAt)
	if e.Context.Why != nil {
		why := *e.Context.Why
		why.When = Microseconds(why.When)
		e.Context.Why = &why
	}
}

// Microseconds returns t as the store keeps times: in UTC, cut to the
// microsecond, without a monotonic reading. Zero stays zero.
func Microseconds(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}
