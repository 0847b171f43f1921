package httpapi

import (
	"context"
	"iter"

	"github.com/daybook-go/daybook"
)

// source is what a live reader follows: the log, or one stream. A place in it
// is a position or a version, and the id of the event that brings the record.
type source struct {
	store  *daybook.Store
	stream daybook.StreamID // zero: the log
}

func (s source) log() bool { return s.stream == daybook.StreamID{} }

// reach returns the place of the last record where the log reaches to end, or
// of a later one.
func (s source) reach(ctx context.Context, end daybook.Position) (int64, error) {
	if s.log() {
		return int64(end), nil
	}
	head, err := s.store.Head(ctx, s.stream)
	return int64(head.Version), err
}

// read yields the records above a place up to another one. The filter is for
// the log alone.
func (s source) read(ctx context.Context, after, to int64, filter *daybook.Filter) iter.Seq2[daybook.Record, error] {
	if s.log() {
		return s.store.ReadLog(ctx, daybook.LogRead{After: daybook.Position(after), To: daybook.Position(to), Filter: *filter})
	}
	return s.store.ReadStream(ctx, s.stream, daybook.StreamRead{From: daybook.Version(after) + 1, To: daybook.Version(to)})
}

func (s source) place(r *daybook.Record) int64 {
	if s.log() {
		return int64(r.Position)
	}
	return int64(r.Version)
}
