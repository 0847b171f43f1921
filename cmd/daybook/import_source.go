package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"reflect"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/wire"
)

// changesets yields the changesets of the file, each whole. Its errors name
// the file and the line.
func (s *lineSource) changesets() iter.Seq2[readChangeset, error] {
	return func(yield func(readChangeset, error) bool) {
		var open readChangeset
		for line, err := range s.records() {
			if err != nil {
				yield(readChangeset{}, err)
				return
			}
			r := &line.record
			if open.Records == nil || open.Stream != r.Stream || open.Number != r.Changeset.Number {
				if open.Records != nil && !s.pass(&open, yield) {
					return
				}
				open = readChangeset{line: line.number}
				open.Stream, open.RecordedAt, open.ChangesetHeader = r.Stream, r.RecordedAt, *r.Changeset
			} else if !reflect.DeepEqual(*r.Changeset, open.ChangesetHeader) || !r.RecordedAt.Equal(open.RecordedAt) {
				yield(readChangeset{}, s.wrong(line.number, "tells something else about its changeset than line %d", open.line))
				return
			}
			open.Records = append(open.Records, *r)
			open.bytes += line.bytes
		}
		if open.Records != nil {
			s.pass(&open, yield)
		}
	}
}

// pass yields a changeset if it is whole. It reports whether to go on.
func (s *lineSource) pass(c *readChangeset, yield func(readChangeset, error) bool) bool {
	if len(c.Records) != c.Count {
		yield(readChangeset{}, s.wrong(c.line, "changeset %d of stream %q has %d records, but %d stand here: the file is not whole",
			c.Number, c.Stream, c.Count, len(c.Records)))
		return false
	}
	return yield(*c, nil)
}

func (s *lineSource) wrong(line int, format string, args ...any) error {
	return usagef("%s, line %d: %s", s.name, line, fmt.Sprintf(format, args...))
}

// readLine is a record and where it stands.
type readLine struct {
	record daybook.Record
	number int
	bytes  int64
}

// records yields the record of each line. Empty lines are passed over.
func (s *lineSource) records() iter.Seq2[readLine, error] {
	return func(yield func(readLine, error) bool) {
		reader := bufio.NewReaderSize(s.in, 1<<20)
		for number := 1; ; number++ {
			line, err := reader.ReadBytes('\n')
			if err != nil && err != io.EOF {
				yield(readLine{}, err)
				return
			}
			ended := err == io.EOF
			s.read += int64(len(line))
			if text := bytes.TrimSpace(line); len(text) > 0 {
				record, err := wire.DecodeRecord(text)
				if err != nil {
					yield(readLine{}, fmt.Errorf("%s, line %d: %w", s.name, number, err))
					return
				}
				if !yield(readLine{record, number, int64(len(line))}, nil) {
					return
				}
			}
			if ended {
				return
			}
		}
	}
}

// comparison walks through what the store has, beside the file.
type comparison struct {
	store *daybook.Store
	ctx   context.Context // of the one import that this serves
	end   daybook.Position
	next  func() (daybook.Record, error, bool) // nil before the first record
	halt  func()
}

func newComparison(ctx context.Context, store *daybook.Store, end daybook.Position) *comparison {
	return &comparison{store: store, ctx: ctx, end: end, halt: func() {}}
}

func (c *comparison) stop() { c.halt() }

// changeset compares a changeset of the file with what the store has there.
func (c *comparison) changeset(read *readChangeset) error {
	if c.next == nil {
		c.next, c.halt = iter.Pull2(c.store.ReadLog(c.ctx, daybook.LogRead{After: read.Records[0].Position - 1, To: c.end}))
	}
	for i := range read.Records {
		record := &read.Records[i]
		stored, err, more := c.next()
		if err != nil {
			return err
		}
		if !more || !same(&stored, record) {
			return &failure{
				exit: exitConflict, err: fmt.Errorf("line %d: the store has another record at position %d", read.line+i, record.Position),
				hint: "this is the log of another store; --append appends it behind this one",
			}
		}
	}
	return nil
}

// finished checks that the store has nothing more than what was compared,
// before the records from a line on are taken in.
func (c *comparison) finished(line int) error {
	if c.next == nil {
		return nil
	}
	stored, err, more := c.next()
	if err != nil {
		return err
	}
	if more {
		return &failure{
			exit: exitConflict, err: fmt.Errorf("line %d: the store has a record at position %d that is missing before it", line, stored.Position),
			hint: "the store went its own way; --append appends the rest behind it",
		}
	}
	return nil
}

// same reports whether two records are the same in everything that an import
// keeps. An ordinal may be given anew.
func same(a, b *daybook.Record) bool {
	without := func(r *daybook.Record) []byte {
		header := *r.Changeset
		header.Ordinal = 0
		plain := *r
		plain.Changeset = &header
		return wire.AppendRecord(nil, &plain)
	}
	return bytes.Equal(without(a), without(b))
}
