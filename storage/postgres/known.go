package postgres

import (
	"bytes"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/daybook-go/daybook"
)

// known is what this process knows of the log: where it ends, and where the
// streams that it has appended to end. As long as no other process writes, that
// is how things are, and what appends of plain events will do can be worked out
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
// stream is known: it has one changeset of plain events, and nothing that others
// can stand in the way of but what is known of its stream.
func isPlain(a *daybook.Append) bool {
	if len(a.Changesets) != 1 || a.Condition != nil {
		return false
	}
	c := &a.Changesets[0]
	if len(c.Metadata)+len(c.Claims)+len(c.Releases)+len(c.References) > 0 {
		return false
	}
	for i := range c.Events {
		e := &c.Events[i]
		if len(e.Tags) > 0 || e.ContentType != daybook.ContentTypeJSON || !e.OccurredAt.IsZero() || e.Context.Why != nil || len(e.Context.Metadata) > 0 {
			return false
		}
		if x := &e.Context; len(x.Who)+len(x.Correlation)+len(x.Source)+len(x.Commentary)+len(x.Schema) > 0 {
			return false
		}
		if !utf8.Valid(e.Data) || bytes.IndexByte(e.Data, 0) >= 0 {
			return false
		}
	}
	return true
}

// foresees reports whether it is known that a plain append will be stored.
func (k *known) foresees(e *entry) bool {
	if !e.plain {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.foreseesLocked(e)
}

func (k *known) foreseesLocked(e *entry) bool {
	if !e.plain || !k.valid {
		return false
	}
	c := &e.append.Changesets[0]
	head, ok := k.streams[c.Stream]
	return ok && c.Expect.Holds(daybook.Head{Version: daybook.Version(head.version), Changeset: daybook.ChangesetNumber(head.changeset), First: 1})
}

// forecast works out what storing a batch will do, if it can, and takes that
// for done: what is sent later is worked out from there. It reports whether it
// can.
func (k *known) forecast(b *batch) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range b.entries {
		if !k.foreseesLocked(e) {
			return false
		}
	}
	b.forecast = &forecast{
		position: k.position, ordinal: k.ordinal, deletions: k.deletions, recordedAt: k.recordedAt, receipts: make([]daybook.Receipt, len(b.entries)),
	}
	changesets := make([]daybook.ChangesetReceipt, len(b.entries))
	for i, e := range b.entries {
		c := &e.append.Changesets[0]
		n, head := int64(len(c.Events)), k.streams[c.Stream]
		k.ordinal++
		changesets[i] = daybook.ChangesetReceipt{
			Stream: c.Stream, Number: daybook.ChangesetNumber(head.changeset + 1), Ordinal: daybook.Ordinal(k.ordinal),
			First: daybook.Version(head.version + 1), Last: daybook.Version(head.version + n),
			FirstPosition: daybook.Position(k.position + 1), LastPosition: daybook.Position(k.position + n),
		}
		b.forecast.receipts[i] = daybook.Receipt{AppendID: e.append.ID, Durability: daybook.DurabilityDisk, Changesets: changesets[i : i+1 : i+1]}
		k.position += n
		k.streams[c.Stream] = knownHead{head.version + n, head.changeset + 1}
	}
	return true
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
func (k *known) learn(b *batch, v *verdict, before int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if v.position < k.position && k.valid {
		return // the answer is late: more is known
	}
	if k.streams == nil || len(k.streams) > maxKnown {
		k.streams = map[daybook.StreamID]knownHead{}
	}
	if !k.valid || k.position != before || k.deletions != v.deletions {
		clear(k.streams) // others have written meanwhile
	}
	k.valid, k.position, k.ordinal, k.deletions, k.recordedAt = true, v.position, v.ordinal, v.deletions, v.recordedAt
	for _, e := range b.entries {
		for _, c := range e.receipt.Changesets {
			if e.receipt.Repeated {
				continue
			}
			k.streams[c.Stream] = knownHead{int64(c.Last), int64(c.Number)}
		}
	}
}

// arguments returns what the function append_known is called with.
func (f *forecast) arguments(b *batch, clock *time.Time) []any {
	n := b.events
	versions, numbers := make([]int64, 0, n), make([]int64, 0, n)
	ordinals, places, counts, nths := make([]int32, 0, n), make([]int32, 0, n), make([]int32, 0, n), make([]int32, 0, n)
	appends, ids := make([][16]byte, 0, n), make([][16]byte, 0, n)
	partitions, streams, types, texts := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	for i, e := range b.entries {
		c, r := &e.append.Changesets[0], &f.receipts[i].Changesets[0]
		for j := range c.Events {
			versions, numbers = append(versions, int64(r.First)+int64(j)), append(numbers, int64(r.Number))
			ordinals, places, counts, nths = append(ordinals, int32(i+1)), append(places, int32(j)), append(counts, int32(len(c.Events))), append(nths, int32(j))
			appends, ids = append(appends, e.append.ID), append(ids, c.Events[j].ID)
			partitions, streams = append(partitions, c.Stream.Partition), append(streams, c.Stream.Name)
			types, texts = append(types, c.Events[j].Type), append(texts, string(c.Events[j].Data))
		}
	}
	return []any{f.position, f.ordinal, f.deletions, f.recordedAt, clock, versions, ordinals, numbers, places, counts, nths, appends, ids, partitions, streams, types, texts}
}
