package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/daybook-go/daybook"
)

// storeSource reads the log of another store.
type storeSource struct {
	name  string
	store *daybook.Store
	end   daybook.Position // of its log when the import began: so far it goes
	read  daybook.Position
}

func (s *storeSource) title() string { return s.name }

func (s *storeSource) at(c *readChangeset, record int) string {
	return fmt.Sprintf("position %d", c.Records[record].Position)
}

func (s *storeSource) progress() (done, total int64) { return int64(s.read), int64(s.end) }

func (s *storeSource) changesets(ctx context.Context) iter.Seq2[readChangeset, error] {
	return func(yield func(readChangeset, error) bool) {
		if s.end == 0 {
			return // and a read to position 0 would be one without an end
		}
		var open readChangeset
		for record, err := range s.store.ReadLog(ctx, daybook.LogRead{To: s.end}) {
			if err != nil {
				yield(readChangeset{}, fmt.Errorf("%s: %w", s.name, err))
				return
			}
			s.read = record.Position
			if len(open.Records) == 0 {
				open.Stream, open.RecordedAt, open.ChangesetHeader = record.Stream, record.RecordedAt, *record.Changeset
			} else if open.Stream != record.Stream || open.Number != record.Changeset.Number {
				break
			}
			open.Records = append(open.Records, record)
			open.bytes += int64(len(record.Data))
			if len(open.Records) < open.Count {
				continue
			}
			if !yield(open, nil) {
				return
			}
			open = readChangeset{}
		}
		if len(open.Records) > 0 {
			yield(readChangeset{}, fmt.Errorf("%s: changeset %d of stream %q is not whole: see daybook verify --store %s", s.name, open.Number, open.Stream, s.name))
		}
	}
}

// sides counts what was found the same in two stores.
type sides struct{ records, streams int64 }

// compareStores reads the logs of two stores side by side, up to where that of
// the first one ended when its import began, and then the heads of all streams:
// what one has the other must have, the same. Streams that either has gone on
// with since are passed over.
func compareStores(ctx context.Context, from *storeSource, to *daybook.Store, bar *progress) (*sides, error) {
	var same sides
	if from.end == 0 {
		return &same, nil
	}
	read := daybook.LogRead{To: from.end}
	byPosition := func(a, b *daybook.Record) int { return cmp.Compare(a.Position, b.Position) }
	err := sideBySide(from.store.ReadLog(ctx, read), to.ReadLog(ctx, read), byPosition, func(a, b *daybook.Record) error {
		switch {
		case b == nil:
			return differs("%s has a record at position %d that the store has not", from.name, a.Position)
		case a == nil:
			return differs("the store has a record at position %d that %s has not", b.Position, from.name)
		case !sameRecord(a, b):
			return differs("the record at position %d is another one in %s than in the store", a.Position, from.name)
		}
		same.records++
		bar.show("compare", int64(a.Position), int64(from.end))
		return nil
	})
	if err != nil {
		return nil, err
	}
	byName := func(a, b *daybook.StreamHead) int {
		return a.Stream.Compare(b.Stream)
	}
	list := daybook.StreamList{}
	err = sideBySide(from.store.ListStreams(ctx, list), to.ListStreams(ctx, list), byName, func(a, b *daybook.StreamHead) error {
		hasGrown := func(h *daybook.StreamHead) bool { return h != nil && h.Position > from.end }
		switch {
		case hasGrown(a) || hasGrown(b):
			return nil
		case a == nil || b == nil || !headsAgree(a.Head, b.Head):
			return differs("%s in %s, %s in the store", describeHead(a), from.name, describeHead(b))
		}
		same.streams++
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &same, nil
}

// differs is the error for what is not the same in two stores.
func differs(format string, args ...any) error {
	return &failure{exit: exitConflict, err: fmt.Errorf("compared afterwards, "+format, args...)}
}

func headsAgree(a, b daybook.Head) bool {
	if !a.RecordedAt.Equal(b.RecordedAt) {
		return false
	}
	a.RecordedAt = b.RecordedAt
	return a == b
}

func describeHead(h *daybook.StreamHead) string {
	if h == nil {
		return "the stream is not there"
	}
	return fmt.Sprintf("stream %q has versions %d to %d, changeset %d", h.Stream, h.First, h.Version, h.Changeset)
}

// sideBySide walks through two sequences that rise by an order, and hands look
// those that stand at the same place: nil where one of the two has none there.
func sideBySide[T any](a, b iter.Seq2[T, error], order func(a, b *T) int, look func(a, b *T) error) error {
	nextA, stopA := iter.Pull2(a)
	defer stopA()
	nextB, stopB := iter.Pull2(b)
	defer stopB()
	itemA, errA := pulled(nextA)
	itemB, errB := pulled(nextB)
	for errA == nil && errB == nil && (itemA != nil || itemB != nil) {
		lookA, lookB := itemA, itemB
		if itemA != nil && itemB != nil {
			switch place := order(itemA, itemB); {
			case place < 0:
				lookB = nil
			case place > 0:
				lookA = nil
			}
		}
		if err := look(lookA, lookB); err != nil {
			return err
		}
		if lookA != nil {
			itemA, errA = pulled(nextA)
		}
		if lookB != nil {
			itemB, errB = pulled(nextB)
		}
	}
	return cmp.Or(errA, errB)
}

// pulled returns the next item of a sequence, nil at its end.
func pulled[T any](next func() (T, error, bool)) (*T, error) {
	item, err, more := next()
	if err != nil || !more {
		return nil, err
	}
	return &item, nil
}
