package disk_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/daybook-go/daybook"
)

// besides are reads that run while appends, deletions and compactions do.
type besides struct {
	reads []*readBeside
	ever  map[daybook.Position]daybook.Record // what could be read in the meantime
	begin []daybook.Record
}

type readBeside struct {
	what    string
	of      func(*daybook.Record) bool
	through daybook.Position  // what it need not see stands behind this
	failed  func(error) error // what is wrong if it ends with an error
	got     []daybook.Record
	err     error
}

// readBeside begins reads, now and then.
func (r *torture) readBeside(group *sync.WaitGroup) *besides {
	b := &besides{ever: map[daybook.Position]daybook.Record{}, begin: r.model.log}
	b.see(r.model.history)
	if r.random.IntN(2) == 0 {
		return b
	}
	id := r.randomStream()
	backwards := r.random.IntN(2) == 0
	query := randomQuery(r.random)
	ctx := context.Background()
	through, failed := r.model.end().position, func(err error) error { return err }
	start := func(what string, of func(*daybook.Record) bool, sequence iter.Seq2[daybook.Record, error]) {
		one := &readBeside{what: what, of: of, through: through, failed: failed}
		b.reads = append(b.reads, one)
		group.Go(func() {
			if one.got, one.err = gather(sequence); backwards {
				slices.Reverse(one.got)
			}
		})
	}
	start("the log", func(*daybook.Record) bool { return true }, r.store.ReadLog(ctx, daybook.LogRead{Backwards: backwards}))
	start(fmt.Sprintf("stream %s", id), func(r *daybook.Record) bool { return r.Stream == id },
		r.store.ReadStream(ctx, id, daybook.StreamRead{Backwards: backwards}))
	start(fmt.Sprintf("what %v selects", query), func(r *daybook.Record) bool { return query.Matches(r.Type, r.Tags) },
		r.store.ReadLog(ctx, daybook.LogRead{Filter: daybook.Filter{Query: query}, Backwards: backwards}))
	if r.reader != nil && !r.full { // without room, it may not know yet what is deleted
		through, failed = r.model.acknowledged.position, r.ofReader
		start("the log, by another process", func(*daybook.Record) bool { return true }, r.reader.store.ReadLog(ctx, daybook.LogRead{Backwards: backwards}))
		start(fmt.Sprintf("what %v selects, by another process", query), func(r *daybook.Record) bool { return query.Matches(r.Type, r.Tags) },
			r.reader.store.ReadLog(ctx, daybook.LogRead{Filter: daybook.Filter{Query: query}, Backwards: backwards}))
	}
	return b
}

// see takes in what can be read now.
func (b *besides) see(h *history) {
	for _, r := range h.log {
		b.ever[r.Position] = r
	}
}

// mustFit returns why the reads cannot have been of a store that became what it is:
// what was there all the time is there, and nothing else but what was there at some
// time; a changeset is whole.
func (b *besides) mustFit(h *history) error {
	now := map[daybook.Position]bool{}
	for _, r := range h.log {
		now[r.Position] = true
	}
	for _, read := range b.reads {
		if read.err != nil {
			return read.failed(read.err)
		}
		got := map[daybook.Position]bool{}
		last := daybook.Position(0)
		for i := range read.got {
			r := &read.got[i]
			known, ok := b.ever[r.Position]
			if !ok || !sameRecord(r, &known) || !read.of(r) || r.Position <= last {
				return brokenf("%s, read meanwhile, holds behind position %d\n%s", read.what, last, show(r))
			}
			last = r.Position
			got[r.Position] = true
		}
		for i := range b.begin {
			if r := &b.begin[i]; r.Position <= read.through && now[r.Position] && read.of(r) && !got[r.Position] {
				return brokenf("%s, read meanwhile, lacks\n%s", read.what, show(r))
			}
		}
	}
	return nil
}
