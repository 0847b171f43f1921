package daybook

import (
	"slices"
	"time"
)

// Query selects records by type and tags. A record matches if it matches any
// item; the zero Query matches every record. The rules are those of the
// Dynamic Consistency Boundary specification (dcb.events).
type Query struct {
	Items []QueryItem // up to MaxQueryItems
}

// QueryItem selects the records whose type is one of Types (any type where
// there are none) and that carry all of Tags.
type QueryItem struct {
	Types []string
	Tags  []string
}

// Condition demands of an append that no record matching Query stands at a
// position above After. The append's own events do not count.
type Condition struct {
	Query Query
	After Position
}

// Filter selects records of the log. Each part that is not empty must hold;
// the zero Filter selects every record.
type Filter struct {
	Partitions  []string // any of these
	StreamTypes []string // any of these; see StreamID.Type
	Query       Query
}

// Matches reports whether a record with this type and these tags matches q.
func (q Query) Matches(eventType string, tags []string) bool {
	if len(q.Items) == 0 {
		return true
	}
	return slices.ContainsFunc(q.Items, func(item QueryItem) bool { return item.Matches(eventType, tags) })
}

// Matches reports whether a record with this type and these tags matches item.
func (item QueryItem) Matches(eventType string, tags []string) bool {
	if len(item.Types) > 0 && !slices.Contains(item.Types, eventType) {
		return false
	}
	for _, tag := range item.Tags {
		if !slices.Contains(tags, tag) {
			return false
		}
	}
	return true
}

// Matches reports whether f selects r.
func (f Filter) Matches(r *Record) bool {
	return f.MatchesStream(r.Stream) && f.Query.Matches(r.Type, r.Tags)
}

// MatchesStream reports whether f can select records of the stream.
func (f Filter) MatchesStream(id StreamID) bool {
	if len(f.Partitions) > 0 && !slices.Contains(f.Partitions, id.Partition) {
		return false
	}
	return len(f.StreamTypes) == 0 || slices.Contains(f.StreamTypes, id.Type())
}

// StreamRead says which records of a stream to read. The zero value reads all
// of them, forwards.
type StreamRead struct {
	From      Version   // the lowest version; 0 is the beginning
	To        Version   // the highest version; 0 is the end
	Until     time.Time // only what was recorded at this time or before; zero is no bound
	Backwards bool      // from the highest version down
	Limit     int       // at most so many records; 0 is no limit
	Borrow    bool      // records may be reused: see Record
}

// LogRead says which records of the log to read. The zero value reads all of
// them, forwards.
type LogRead struct {
	After     Position  // only positions above this one
	To        Position  // only positions up to this one; 0 is the end
	Until     time.Time // only what was recorded at this time or before; zero is no bound
	Filter    Filter
	Backwards bool // from the highest position down
	Limit     int  // at most so many records, of those that Filter selects; 0 is no limit
	Borrow    bool // records may be reused: see Record
}

// Holds reports whether r asks for a record of the version recorded at the
// time, its Limit aside.
func (r StreamRead) Holds(version Version, recordedAt time.Time) bool {
	return version >= r.From && (r.To == 0 || version <= r.To) && (r.Until.IsZero() || !recordedAt.After(r.Until))
}

// Holds reports whether r asks for the record, its Limit aside.
func (r LogRead) Holds(record *Record) bool {
	return record.Position > r.After && (r.To == 0 || record.Position <= r.To) &&
		(r.Until.IsZero() || !record.RecordedAt.After(r.Until)) && r.Filter.Matches(record)
}
