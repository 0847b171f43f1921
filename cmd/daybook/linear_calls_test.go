package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/remote"
)

// question is a call of a history.
type question interface {
	ask(ctx context.Context, store *daybook.Store) answer
	// step returns whether the call can have been answered so by a store that
	// holds what is in the book, and the book behind it.
	step(b *book, a answer) (bool, *book)
	String() string
}

// answer is what a call was answered.
type answer struct {
	unknown   bool // it was not answered
	err       error
	receipt   daybook.Receipt
	deletion  daybook.DeletionReceipt
	seen      []seen
	bad       string // what is wrong with a record that was read, whatever else is there
	deletions []daybook.RecordedDeletion
	streams   []daybook.StreamHead
	holder    daybook.StreamID
	head      daybook.Head
	end       daybook.Position
	stats     daybook.Stats
}

// refused returns the answer that an error is. Only one that tells what stood in
// the way is; what a reply says that was cut, is nothing.
func refused(err error, tells ...error) answer {
	var gone *remote.UnreachableError
	if errors.As(err, &gone) || !slices.ContainsFunc(tells, func(known error) bool { return errors.Is(err, known) }) {
		return answer{unknown: true, err: err}
	}
	return answer{err: err}
}

// appendCall is an append.
type appendCall struct{ *daybook.Append }

func (q appendCall) ask(ctx context.Context, store *daybook.Store) answer {
	receipt, err := store.AppendAll(ctx, *q.Append)
	if err != nil {
		return refused(err, daybook.ErrConflict, daybook.ErrInvalid)
	}
	return answer{receipt: receipt}
}

func (q appendCall) step(b *book, a answer) (bool, *book) {
	if known := b.receipt(q.ID); known != nil {
		return a.err == nil && a.receipt.Repeated && sameReceipt(a.receipt, *known), b
	}
	if a.err != nil {
		return b.refuses(q.Append, a.err), b
	}
	if a.receipt.Repeated || a.receipt.Durability < q.Durability || b.refusal(q.Append) != "" {
		return false, b
	}
	after := b.stored(q.Append, a.receipt)
	return after != nil, after
}

// deletionCall is a deletion.
type deletionCall struct{ *daybook.Deletion }

func (q deletionCall) ask(ctx context.Context, store *daybook.Store) answer {
	receipt, err := store.DeleteStream(ctx, *q.Deletion)
	if err != nil {
		return refused(err, daybook.ErrConflict, daybook.ErrInvalid)
	}
	return answer{deletion: receipt}
}

func (q deletionCall) step(b *book, a answer) (bool, *book) {
	if known := b.deletion(q.ID); known != nil {
		return a.err == nil && a.deletion.Repeated && sameDeletion(a.deletion, known.Receipt), b
	}
	if a.err != nil {
		var conflict *daybook.ConflictError
		return errors.As(a.err, &conflict) && b.disagrees(q.Stream, q.Expect, conflict), b
	}
	if a.deletion.Repeated || a.deletion.Scrubbed && !q.Scrub || a.deletion.RecordedAt.Before(b.latest) || !q.Expect.Holds(b.heads[q.Stream]) {
		return false, b
	}
	after, receipt := b.deleted(q.Deletion, a.deletion.RecordedAt)
	return sameDeletion(a.deletion, receipt), after
}

// sameDeletion compares what a repeat must be answered with again.
func sameDeletion(a, b daybook.DeletionReceipt) bool {
	return a.ID == b.ID && a.Number == b.Number && a.Stream == b.Stream && a.RecordedAt.Equal(b.RecordedAt) && a.Through == b.Through &&
		a.Changesets == b.Changesets && a.Records == b.Records
}

// importCall is an import of changesets that came with one append.
type importCall struct{ changesets []daybook.RecordedChangeset }

func (q importCall) id() daybook.ID { return q.changesets[0].AppendID }

// likeness returns an append with the id and the shape of the import.
func (q importCall) likeness() *daybook.Append {
	a := &daybook.Append{ID: q.id()}
	for _, c := range q.changesets {
		events := make([]daybook.Event, len(c.Records))
		for i := range events {
			events[i] = newEvent("moved")
		}
		a.Changesets = append(a.Changesets, daybook.Changeset{Stream: c.Stream, Events: events})
	}
	return a
}

func (q importCall) ask(ctx context.Context, store *daybook.Store) answer {
	if err := store.Import(ctx, q.changesets); err != nil {
		return refused(err, daybook.ErrInvalid)
	}
	return answer{}
}

func (q importCall) step(b *book, a answer) (bool, *book) {
	after := b.imported(q.changesets)
	switch {
	case a.err != nil:
		return after == nil && errors.Is(a.err, daybook.ErrInvalid), b
	case after == nil:
		return false, b
	}
	return true, after
}

// streamCall is a read of a stream.
type streamCall struct {
	id     daybook.StreamID
	read   daybook.StreamRead
	beside loose
}

func (q streamCall) ask(ctx context.Context, store *daybook.Store) answer {
	return readAll(store.ReadStream(ctx, q.id, q.read))
}

func (q streamCall) step(b *book, a answer) (bool, *book) {
	return a.bad == "" && b.gives(a.seen, q.read.Backwards, q.read.Limit, q.beside, func(r *daybook.Record) bool {
		return r.Stream == q.id && q.read.Holds(r.Version, r.RecordedAt)
	}), b
}

// logCall is a read of the log.
type logCall struct {
	read   daybook.LogRead
	beside loose
}

func (q logCall) ask(ctx context.Context, store *daybook.Store) answer {
	return readAll(store.ReadLog(ctx, q.read))
}

func (q logCall) step(b *book, a answer) (bool, *book) {
	return a.bad == "" && b.gives(a.seen, q.read.Backwards, q.read.Limit, q.beside, q.read.Holds), b
}

// readAll returns what a sequence yields.
func readAll(records iter.Seq2[daybook.Record, error]) (a answer) {
	for r, err := range records {
		if err != nil {
			return answer{unknown: true, err: err}
		}
		if string(r.Data) != dataOf(r.ID) && a.bad == "" {
			a.bad = fmt.Sprintf("the record at position %d has the id %s and the data %q", r.Position, r.ID, r.Data)
		}
		a.seen = append(a.seen, seenOf(&r))
	}
	return a
}

// dataOf returns the data of the event with an id.
func dataOf(id daybook.ID) string { return `{"of":"` + id.String() + `"}` }

// deletionsCall is a read of the deletions.
type deletionsCall struct{ read daybook.DeletionRead }

func (q deletionsCall) ask(ctx context.Context, store *daybook.Store) (a answer) {
	for d, err := range store.ReadDeletions(ctx, q.read) {
		if err != nil {
			return answer{unknown: true, err: err}
		}
		a.deletions = append(a.deletions, d)
	}
	return a
}

func (q deletionsCall) step(b *book, a answer) (bool, *book) {
	var wanted []daybook.RecordedDeletion
	for i := range b.deletions {
		if q.read.Holds(&b.deletions[i]) && (q.read.Limit == 0 || len(wanted) < q.read.Limit) {
			wanted = append(wanted, b.deletions[i])
		}
	}
	return slices.EqualFunc(a.deletions, wanted, func(x, y daybook.RecordedDeletion) bool {
		return x.ID == y.ID && x.Stream == y.Stream && x.Through == y.Through && x.Scrub == y.Scrub && x.Who == y.Who &&
			!x.Receipt.Repeated && sameDeletion(x.Receipt, y.Receipt)
	}), b
}

// holderCall asks for the holder of a claim.
type holderCall struct{ held }

func (q holderCall) ask(ctx context.Context, store *daybook.Store) answer {
	holder, _, err := store.ClaimHolder(ctx, q.partition, q.claim)
	return answer{holder: holder, unknown: err != nil, err: err}
}

func (q holderCall) step(b *book, a answer) (bool, *book) { return a.holder == b.holders[q.held], b }

// headCall asks for the head of a stream.
type headCall struct{ id daybook.StreamID }

func (q headCall) ask(ctx context.Context, store *daybook.Store) answer {
	head, err := store.Head(ctx, q.id)
	return answer{head: head, unknown: err != nil, err: err}
}

func (q headCall) step(b *book, a answer) (bool, *book) { return sameHead(a.head, b.heads[q.id]), b }

// endCall asks for the end of the log.
type endCall struct{}

func (q endCall) ask(ctx context.Context, store *daybook.Store) answer {
	end, err := store.End(ctx)
	return answer{end: end, unknown: err != nil, err: err}
}

func (q endCall) step(b *book, a answer) (bool, *book) { return a.end == b.end, b }

// sumCall asks for all streams and for the statistics. Nothing says that these
// are of one moment, so it is only asked when nobody else calls.
type sumCall struct{}

func (q sumCall) ask(ctx context.Context, store *daybook.Store) (a answer) {
	for s, err := range store.ListStreams(ctx, daybook.StreamList{}) {
		if err != nil {
			return answer{unknown: true, err: err}
		}
		a.streams = append(a.streams, s)
	}
	stats, err := store.Stats(ctx)
	a.stats, a.unknown, a.err = stats, err != nil, err
	a.stats.Bytes = 0
	return a
}

func (q sumCall) step(b *book, a answer) (bool, *book) {
	wanted := daybook.Stats{LastPosition: b.end, LastOrdinal: b.ordinal}
	for _, c := range b.log {
		if head := b.heads[c.stream]; c.last >= head.First {
			wanted.Changesets++
			wanted.Records += int64(len(c.records))
			wanted.LongestStream = max(wanted.LongestStream, head.Changeset)
		}
	}
	for id, head := range b.heads {
		if !head.Exists() {
			continue
		}
		wanted.Streams++
		if !slices.ContainsFunc(a.streams, func(s daybook.StreamHead) bool { return s.Stream == id && sameHead(s.Head, head) }) {
			return false, b
		}
	}
	return a.stats == wanted && int64(len(a.streams)) == wanted.Streams, b
}

func (q appendCall) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "append %s", q.ID)
	for _, c := range q.Changesets {
		fmt.Fprintf(&text, " %s+%d (%s, claims %v, releases %v, refers to %v)", c.Stream, len(c.Events), c.Expect, c.Claims, c.Releases, c.References)
	}
	if q.Condition != nil {
		fmt.Fprintf(&text, " if nothing matches %+v after %d", q.Condition.Query.Items, q.Condition.After)
	}
	return text.String()
}

func (q deletionCall) String() string {
	return fmt.Sprintf("delete %s through %d (%s, scrub %v) as %s", q.Stream, q.Through, q.Expect, q.Scrub, q.ID)
}

func (q importCall) String() string {
	text := "import " + q.id().String()
	for _, c := range q.changesets {
		text += fmt.Sprintf(" %s from version %d, position %d at %s", c.Stream, c.First, c.Records[0].Position, c.RecordedAt)
	}
	return text
}

func (q streamCall) String() string {
	return fmt.Sprintf("read %s %s", q.id, readText(fmt.Sprintf("%+v", q.read), q.beside))
}

func (q logCall) String() string {
	return "read the log " + readText(fmt.Sprintf("%+v", q.read), q.beside)
}

// readText says what a read asks for, without what it does not.
func readText(text string, beside loose) string {
	for _, none := range []string{"After:0 ", "From:0 ", "To:0 ", "Until:0001-01-01 00:00:00 +0000 UTC ", "Limit:0 ", "Borrow:false", "Backwards:false "} {
		text = strings.Replace(text, none, "", 1)
	}
	for id, s := range beside {
		if s.through > s.above {
			text += fmt.Sprintf(", beside the deletion of %s from %d through %d", id, s.above+1, s.through)
		}
	}
	return text
}

func (q deletionsCall) String() string { return fmt.Sprintf("read deletions %+v", q.read) }
func (q holderCall) String() string    { return fmt.Sprintf("look up %v", q.held) }
func (q headCall) String() string      { return "head of " + q.id.String() }
func (q endCall) String() string       { return "end" }
func (q sumCall) String() string       { return "sum up" }

func (a answer) String() string {
	switch {
	case a.unknown:
		return fmt.Sprintf("nothing: %v", a.err)
	case a.err != nil:
		return a.err.Error()
	case a.bad != "":
		return a.bad
	case a.receipt.Changesets != nil:
		return fmt.Sprintf("%+v repeated %v at %s", a.receipt.Changesets, a.receipt.Repeated, a.receipt.RecordedAt)
	case a.deletion.Number > 0:
		return fmt.Sprintf("%+v", a.deletion)
	case a.stats != daybook.Stats{}:
		return fmt.Sprintf("%+v %+v", a.stats, a.streams)
	}
	text := ""
	if a.holder.Name != "" {
		text += fmt.Sprintf("held by %s ", a.holder)
	}
	if a.end > 0 || a.head.Version > 0 {
		text += fmt.Sprintf("%d %+v ", a.end, a.head)
	}
	for _, s := range a.seen {
		text += fmt.Sprintf(" %d", s.position)
	}
	for _, d := range a.deletions {
		text += fmt.Sprintf(" %s", d.ID)
	}
	return text
}
