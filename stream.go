package daybook

import (
	"fmt"
	"strings"
	"time"
)

// StreamID names a stream: a partition (a tenant or a domain, "" by default)
// and a name. Two ids are the same stream when both parts are equal, byte for
// byte.
type StreamID struct {
	Partition string // up to MaxPartitionLen bytes
	Name      string // up to MaxNameLen bytes, not empty
}

// Stream returns the id of the named stream in the default partition.
func Stream(name string) StreamID { return StreamID{Name: name} }

// Type returns what stands before the first "-" of the name: "account" for
// "account-123"; the whole name where there is none.
func (id StreamID) Type() string {
	kind, _, _ := strings.Cut(id.Name, "-")
	return kind
}

// Key returns what stands behind the first "-" of the name: "123" for
// "account-123"; "" where there is none.
func (id StreamID) Key() string {
	_, key, _ := strings.Cut(id.Name, "-")
	return key
}

// String returns the id for people to read: the name, and the partition in
// front of it unless it is the default.
func (id StreamID) String() string {
	if id.Partition == "" {
		return id.Name
	}
	return id.Partition + "/" + id.Name
}

// Compare orders streams by partition, then name, by their bytes: the order in
// which they are listed.
func (id StreamID) Compare(other StreamID) int {
	if c := strings.Compare(id.Partition, other.Partition); c != 0 {
		return c
	}
	return strings.Compare(id.Name, other.Name)
}

// Version is a place in a stream, from 1; 0 means nothing yet. A stream that
// was imported, or whose beginning was removed, may begin above 1.
type Version int64

// Head tells where a stream ends. The zero Head is that of a stream that never
// had records. Deleting changes nothing but First.
type Head struct {
	Version    Version         // of the last record
	Changeset  ChangesetNumber // the last one
	First      Version         // of the first record still there; Version+1 where all are deleted
	Position   Position        // of the last record
	RecordedAt time.Time       // of the last record
}

// Exists reports whether the stream has records: it had, and not all are
// deleted.
func (h Head) Exists() bool { return h.Version > 0 && h.First <= h.Version }

// StreamHead is a stream and where it ends.
type StreamHead struct {
	Stream StreamID
	Head
}

// Expect is the condition that an append puts on its stream. The zero value
// expects anything.
type Expect struct {
	kind expectKind
	at   int64
}

type expectKind uint8

const (
	expectAny expectKind = iota
	expectNone
	expectExists
	expectVersion
	expectChangeset
)

// ExpectAny puts no condition on the stream.
func ExpectAny() Expect { return Expect{} }

// ExpectNone demands that the stream has no records: none yet, or none any
// more.
func ExpectNone() Expect { return Expect{kind: expectNone} }

// ExpectExists demands that the stream has records.
func ExpectExists() Expect { return Expect{kind: expectExists} }

// ExpectVersion demands that the last record of the stream has version v, or
// had when it was deleted. Version 0 is the same as ExpectNone.
func ExpectVersion(v Version) Expect {
	if v == 0 {
		return ExpectNone()
	}
	return Expect{kind: expectVersion, at: int64(v)}
}

// ExpectChangeset demands that the last changeset of the stream has number n,
// or had when it was deleted. Number 0 is the same as ExpectNone.
func ExpectChangeset(n ChangesetNumber) Expect {
	if n == 0 {
		return ExpectNone()
	}
	return Expect{kind: expectChangeset, at: int64(n)}
}

// Version returns the version that e demands, if it demands one; else 0.
func (e Expect) Version() (Version, bool) {
	if e.kind != expectVersion {
		return 0, false
	}
	return Version(e.at), true
}

// Changeset returns the changeset number that e demands, if it demands one;
// else 0.
func (e Expect) Changeset() (ChangesetNumber, bool) {
	if e.kind != expectChangeset {
		return 0, false
	}
	return ChangesetNumber(e.at), true
}

// Any reports whether e puts no condition on the stream.
func (e Expect) Any() bool { return e.kind == expectAny }

// None reports whether e demands a stream without records.
func (e Expect) None() bool { return e.kind == expectNone }

// Exists reports whether e demands only that the stream has records.
func (e Expect) Exists() bool { return e.kind == expectExists }

// Holds reports whether a stream that ends at head fulfils e.
func (e Expect) Holds(head Head) bool {
	switch e.kind {
	case expectNone:
		return !head.Exists()
	case expectExists:
		return head.Exists()
	case expectVersion:
		return head.Version == Version(e.at)
	case expectChangeset:
		return head.Changeset == ChangesetNumber(e.at)
	default:
		return true
	}
}

// Ahead reports whether e expects more of the stream than it has: a version or
// changeset above the newest, or records where it has none. No append of
// others can have caused that.
func (e Expect) Ahead(head Head) bool {
	switch e.kind {
	case expectVersion:
		return Version(e.at) > head.Version
	case expectChangeset:
		return ChangesetNumber(e.at) > head.Changeset
	case expectExists:
		return !head.Exists()
	default:
		return false
	}
}

// String returns e as people write it: "any", "none", "exists", "version 3",
// "changeset 2".
func (e Expect) String() string {
	switch e.kind {
	case expectNone:
		return "none"
	case expectExists:
		return "exists"
	case expectVersion:
		return fmt.Sprintf("version %d", e.at)
	case expectChangeset:
		return fmt.Sprintf("changeset %d", e.at)
	default:
		return "any"
	}
}
