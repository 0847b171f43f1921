package daybook

// Limits that are the same on every storage, so that a store can move from one
// to another. Lengths are in bytes.
const (
	MaxNameLen      = 1024 // of a stream's name
	MaxPartitionLen = 256
	MaxTypeLen      = 256 // of an event's type
	MaxTagLen       = 256
	MaxTags         = 100  // of one event
	MaxTextLen      = 4096 // of a part of Context or Cause, a content type, a claim's kind or value
	MaxQueryItems   = 1000
)

// MaxPlace is the highest position, version, changeset number and ordinal that
// an import may bring: what is appended behind it must have numbers too.
const MaxPlace = 1 << 62

// ReservedPrefix begins the stream names that storages keep for themselves; an
// append to one is refused.
const ReservedPrefix = "!!!RESERVED:"

// Limits bound what one append may carry. A zero field means the default.
type Limits struct {
	AppendBytes int64 // of all data, metadata and texts; default 16 MiB
	EventBytes  int64 // of one event's data and metadata; default 16 MiB
	Events      int64 // of all changesets together; default 10,000
	Changesets  int64 // streams in one append; default 1,000
}

// Check returns what a Store with these limits refuses a for, whatever the
// storage holds: *InvalidError, *LimitError, or nil. Store checks by itself;
// this is for those who want to know before they open one.
func (l Limits) Check(a Append) error {
	l = l.within(Limits{})
	return l.check(&a)
}

// within returns l with defaults filled in and no field above that of other.
func (l Limits) within(other Limits) Limits {
	least := func(value, byDefault, bound int64) int64 {
		if value <= 0 {
			value = byDefault
		}
		if bound > 0 {
			value = min(value, bound)
		}
		return value
	}
	return Limits{
		AppendBytes: least(l.AppendBytes, 16<<20, other.AppendBytes),
		EventBytes:  least(l.EventBytes, 16<<20, other.EventBytes),
		Events:      least(l.Events, 10_000, other.Events),
		Changesets:  least(l.Changesets, 1_000, other.Changesets),
	}
}
