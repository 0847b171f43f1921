package sqlstore

import (
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// Verdict is where everything ended before a batch was stored, from which it
// follows where each append went: in the order in which they were given.
type Verdict struct {
	End        End
	Versions   []int64 // of each stream
	Changesets []int64
}

// Receipt returns the receipt of an append that was stored, and moves the ends
// behind it. streams are the indexes of the streams.
func (v *Verdict) Receipt(streams map[daybook.StreamID]int, a *daybook.Append) daybook.Receipt {
	r := daybook.Receipt{
		AppendID: a.ID, RecordedAt: v.End.RecordedAt.UTC(), Durability: daybook.DurabilityDisk,
		Changesets: make([]daybook.ChangesetReceipt, len(a.Changesets)),
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		s, n := streams[c.Stream], int64(len(c.Events))
		v.End.Ordinal++
		v.Changesets[s]++
		r.Changesets[i] = daybook.ChangesetReceipt{
			Stream: c.Stream, Number: daybook.ChangesetNumber(v.Changesets[s]), Ordinal: v.End.Ordinal,
			First: daybook.Version(v.Versions[s] + 1), Last: daybook.Version(v.Versions[s] + n),
			FirstPosition: v.End.Position + 1, LastPosition: v.End.Position + daybook.Position(n),
		}
		v.Versions[s] += n
		v.End.Position += daybook.Position(n)
	}
	return r
}

// Settle makes receipts of a verdict, and errors of what was refused, by the
// index of the append, from 1; errorOf makes one where first is the index of the
// append's first changeset. It returns the appends that were stored before.
func (b *Batch) Settle(v *Verdict, refused map[int]Refusal, errorOf func(why *Refusal, a *daybook.Append, first int) error) (repeated []*Entry) {
	first := 1
	for i, e := range b.Entries {
		why, is := refused[i+1]
		switch {
		case !is:
			e.Receipt = v.Receipt(b.Together.Streams, e.Append)
		case why.Why == Repeated:
			repeated = append(repeated, e)
		default:
			e.Err = errorOf(&why, e.Append, first)
		}
		first += len(e.Append.Changesets)
	}
	return repeated
}

// Repeated is why an append is not stored that was stored before.
const Repeated = "repeated"

// Refusal says why the server did not store an append. Which fields count hangs
// on why.
type Refusal struct {
	Append    int    `json:"append"` // counted from 1
	Why       string `json:"why"`
	Changeset int    `json:"changeset"` // of the batch, counted from 1: which one is refused
	Head      *Head  `json:"head"`      // conflict; nil for a stream that never was
	Position  int64  `json:"position"`  // condition
	Partition string `json:"partition"` // reference
	Name      string `json:"name"`
	Kind      string `json:"kind"` // claim
	Value     string `json:"value"`
	Holder    string `json:"holder"`
	Found     string `json:"found"` // what else there is to say
}

// Err returns the error for the append whose first changeset is that one of
// the batch. driver is what errors begin with.
func (r *Refusal) Err(driver string, a *daybook.Append, first int) error {
	if r.Why == "condition" && a.Condition != nil {
		return &daybook.ConditionError{Condition: *a.Condition, Found: daybook.Position(r.Position)}
	}
	n := r.Changeset - first
	if n < 0 || n >= len(a.Changesets) {
		return fmt.Errorf("%s: the server's answer is not understood, the outcome is unknown: %q of changeset %d", driver, r.Why, r.Changeset)
	}
	c := &a.Changesets[n]
	switch r.Why {
	case "conflict":
		return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: r.Head.Of()}
	case "reference":
		return &daybook.ReferenceError{Stream: c.Stream, Reference: daybook.StreamID{Partition: r.Partition, Name: r.Name}}
	case "claim":
		return &daybook.ClaimError{
			Stream: c.Stream, Claim: daybook.Claim{Kind: r.Kind, Value: r.Value},
			Holder: daybook.StreamID{Partition: c.Stream.Partition, Name: r.Holder},
		}
	}
	return fmt.Errorf("%s: the server's answer is not understood, the outcome is unknown: %q", driver, r.Why)
}

// Head is where a stream ends, as the server tells it.
type Head struct {
	Version    int64     `json:"version"`
	Changeset  int64     `json:"changeset"`
	First      int64     `json:"first"`
	Position   int64     `json:"position"`
	RecordedAt time.Time `json:"recorded_at"`
}

// Of returns the head; all zero for a stream that never was.
func (h *Head) Of() daybook.Head {
	if h == nil || h.Version == 0 {
		return daybook.Head{}
	}
	return daybook.Head{
		Version: daybook.Version(h.Version), Changeset: daybook.ChangesetNumber(h.Changeset), First: daybook.Version(h.First),
		Position: daybook.Position(h.Position), RecordedAt: h.RecordedAt.UTC(),
	}
}

// Expectation returns an Expect as the functions of the databases take it.
func Expectation(e daybook.Expect) (expect int16, place int64) {
	version, byVersion := e.Version()
	number, byChangeset := e.Changeset()
	switch {
	case e.None():
		return 1, 0
	case e.Exists():
		return 2, 0
	case byVersion:
		return 3, int64(version)
	case byChangeset:
		return 4, int64(number)
	}
	return 0, 0
}
