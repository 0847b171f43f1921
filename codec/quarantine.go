package codec

import (
	"slices"
	"sync"

	"github.com/daybook-go/daybook"
)

// Quarantine keeps the records that could not be decoded aside, with the
// reason, so that somebody can look at them while the program goes on. It
// keeps the first ones, each once, and counts all. It may be used by many
// goroutines at once.
type Quarantine struct {
	records int
	bytes   int64

	mu    sync.Mutex // guards all below
	held  []Quarantined
	seen  map[daybook.Position]bool // of held
	size  int64                     // of held, in bytes
	count map[Reason]int64
}

// QuarantineOptions bound a Quarantine. Nil and zero fields mean the defaults.
type QuarantineOptions struct {
	Records int   // how many records it keeps; default 1,000
	Bytes   int64 // of their data and metadata; default 16 MiB
}

// Quarantined is a record that was put aside, and why.
type Quarantined struct {
	Record daybook.Record
	Err    *DecodeError
}

// NewQuarantine returns an empty quarantine.
func NewQuarantine(options *QuarantineOptions) *Quarantine {
	q := &Quarantine{records: 1000, bytes: 16 << 20, seen: map[daybook.Position]bool{}, count: map[Reason]int64{}}
	if options != nil && options.Records > 0 {
		q.records = options.Records
	}
	if options != nil && options.Bytes > 0 {
		q.bytes = options.Bytes
	}
	return q
}

// Count returns how many times a record was put aside, those that were not
// kept too. A record that is decoded twice counts twice.
func (q *Quarantine) Count() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	var n int64
	for _, times := range q.count {
		n += times
	}
	return n
}

// CountOf returns how many times a record was put aside for the reason.
func (q *Quarantine) CountOf(reason Reason) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count[reason]
}

// Held returns the records that it keeps, in the order in which they came.
func (q *Quarantine) Held() []Quarantined {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.held)
}

// Clear forgets the records and the counts, for example when a new program
// begins to decode them anew.
func (q *Quarantine) Clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held, q.size = nil, 0
	clear(q.seen)
	clear(q.count)
}

// put keeps a copy of the record if there is room, and counts it.
func (q *Quarantine) put(r *daybook.Record, err *DecodeError) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count[err.Reason]++
	size := int64(len(r.Data) + len(r.Context.Metadata))
	if r.Changeset != nil {
		size += int64(len(r.Changeset.Metadata))
	}
	if len(q.held) >= q.records || q.size+size > q.bytes || q.seen[r.Position] {
		return
	}
	q.seen[r.Position] = true
	q.size += size
	q.held = append(q.held, Quarantined{Record: r.Clone(), Err: err})
}
