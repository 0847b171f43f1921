package postgres

import (
	"sync"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/sqlstore"
)

// known is what this process knows of the log: where it ends, and where the
// streams that it has appended to end. As long as no other process writes, that
// is how things are, and what appends will do that have nothing but events can be worked out
// here: the server then only makes sure that nothing has changed (see
// append_known.sql), which costs it a fraction of looking everything up.
type known struct {
	mu         sync.Mutex // guards all below
	valid      bool
	position   int64
	ordinal    int64
	deletions  int64
	recordedAt time.Time
	streams    map[daybook.StreamID]knownHead
}

// knownHead is where a stream that has records ends.
type knownHead struct{ version, changeset int64 }

// maxKnown is how many streams are remembered.
const maxKnown = 100_000

// forecast is what storing a batch will do, if the log is as it is known.
type forecast struct {
	position, ordinal, deletions int64 // of the log before
	recordedAt                   time.Time
	receipts                     []daybook.Receipt // without the recorded time
}

// isPlain reports whether an append can be worked out beforehand where its
// stream is known: it has one changeset of events and nothing else, so that
// nothing can stand in the way but what is known of its stream.
func isPlain(a *daybook.Append) bool {
	if len(a.Changesets) != 1 || a.Condition != nil {
		return false
	}
	c := &a.Changesets[0]
	return len(c.Metadata)+len(c.Claims)+len(c.Releases)+len(c.References) == 0
}

// foresees reports whether it is known that a plain append will be stored.
func (k *known) foresees(e *sqlstore.Entry) bool {
	if !e.Plain {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.foreseesLocked(e)
}

func (k *known) foreseesLocked(e *sqlstore.Entry) bool {
	if !e.Plain || !k.valid {
		return false
	}
	c := &e.Append.Changesets[0]
	head, ok := k.streams[c.Stream]
	return ok && c.Expect.Holds(daybook.Head{Version: daybook.Version(head.version), Changeset: daybook.ChangesetNumber(head.changeset), First: 1})
}

// forecast works out what storing a batch will do, if it can, and takes that
// for done: what is sent later is worked out from there.
func (k *known) forecast(b *batch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range b.Entries {
		if !k.foreseesLocked(e) {
			return
		}
	}
	b.forecast = &forecast{
		position: k.position, ordinal: k.ordinal, deletions: k.deletions, recordedAt: k.recordedAt, receipts: make([]daybook.Receipt, len(b.Entries)),
	}
	changesets := make([]daybook.ChangesetReceipt, len(b.Entries))
	for i, e := range b.Entries {
		c := &e.Append.Changesets[0]
		n, head := int64(len(c.Events)), k.streams[c.Stream]
		k.ordinal++
		changesets[i] = daybook.ChangesetReceipt{
			Stream: c.Stream, Number: daybook.ChangesetNumber(head.changeset + 1), Ordinal: daybook.Ordinal(k.ordinal),
			First: daybook.Version(head.version + 1), Last: daybook.Version(head.version + n),
			FirstPosition: daybook.Position(k.position + 1), LastPosition: daybook.Position(k.position + n),
		}
		b.forecast.receipts[i] = daybook.Receipt{AppendID: e.Append.ID, Durability: daybook.DurabilityDisk, Changesets: changesets[i : i+1 : i+1]}
		k.position += n
		k.streams[c.Stream] = knownHead{head.version + n, head.changeset + 1}
	}
}

// recorded takes in when a batch that was worked out was recorded.
func (k *known) recorded(at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at.After(k.recordedAt) {
		k.recordedAt = at
	}
}

// forget takes in that the log is not as it was known.
func (k *known) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.valid = false
	clear(k.streams)
}

// learn takes in where the log and the streams of a batch end, behind what was
// stored of it, and where the log ended before.
func (k *known) learn(b *batch, v *verdict, before daybook.Position) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if int64(v.End.Position) < k.position && k.valid {
		return // the answer is late: more is known
	}
	if k.streams == nil || len(k.streams) > maxKnown {
		k.streams = map[daybook.StreamID]knownHead{}
	}
	if !k.valid || k.position != int64(before) || k.deletions != v.deletions {
		clear(k.streams) // others have written meanwhile
	}
	k.valid, k.position, k.ordinal, k.deletions, k.recordedAt = true, int64(v.End.Position), int64(v.End.Ordinal), v.deletions, v.End.RecordedAt
	for _, e := range b.Entries {
		for _, c := range e.Receipt.Changesets {
			if e.Receipt.Repeated {
				continue
			}
			k.streams[c.Stream] = knownHead{int64(c.Last), int64(c.Number)}
		}
	}
}
