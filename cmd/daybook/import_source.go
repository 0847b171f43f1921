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

// source is where an import takes its changesets from.
type source interface {
	title() string
	// changesets yields the changesets in the order of their positions, each
	// whole. It can be ranged over once.
	changesets(ctx context.Context) iter.Seq2[readChangeset, error]
	// at says where a record of a changeset stands: "line 4".
	at(c *readChangeset, record int) string
	progress() (done, total int64) // total is 0 where it is not known
}

// readChangeset is a changeset that is imported.
type readChangeset struct {
	daybook.RecordedChangeset
	line  int   // of a file, of its first record
	bytes int64 // of its lines, or about as many
}

// lineSource reads records, one a line.
type lineSource struct {
	name string
	in   io.Reader
	size int64 // of a file; 0 where it is not known
	read int64 // bytes so far
}

func (s *lineSource) title() string { return s.name }
func (s *lineSource) at(c *readChangeset, record int) string {
	return fmt.Sprintf("line %d", c.line+record)
}
func (s *lineSource) progress() (done, total int64) { return s.read, s.size }

// changesets yields the changesets of the file, each whole. Its errors name
// the file and the line.
func (s *lineSource) changesets(context.Context) iter.Seq2[readChangeset, error] {
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
