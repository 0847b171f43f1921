package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/daybook-go/daybook"
	"golang.org/x/sync/errgroup"
)

var orderPromises = []Promise{
	{
		Name: "nothing appears at or below what a reader has seen", Feature: Order, check: checkStablePrefix,
		Sentence: "A reader that keeps its place has passed a record that was not there yet, and never sees it.",
	},
	{
		Name: "nothing appears at or below the end that was told", Feature: Order, check: checkStableEnd,
		Sentence: "A reader that goes up to the end of the log and on from there passes records that it never sees.",
	},
	{
		Name: "the records of a changeset stand together", Feature: Order, check: checkTogether,
		Sentence: "Appends that run at the same time are mixed, so that a changeset cannot be read as one.",
	},
	{
		Name: "recorded times never fall along the log", Feature: Order, check: checkTimes,
		Sentence: "A read up to a time and a read up to a position no longer mean the same prefix of the log.",
	},
	{
		Name: "a follower is given every record once, in order", Feature: Order, check: checkFollow,
		Sentence: "Whatever is built from the log by following it is missing events, or counts some twice.",
	},
}

// crowd is appends by several writers at the same time, and the readers that
// watch them.
type crowd struct {
	writers, appends int

	mu   sync.Mutex
	told map[daybook.Position]daybook.ID // by the receipts: the events of every record
}

// write makes one writer's appends: to a stream of its own, to one that all
// share, and, if they may be joined, to both at once.
func (c *crowd) write(ctx context.Context, b *book, writer int, joined bool) error {
	for i := range c.appends {
		own := changeset(numbered("writer", writer), "written", "written")
		shared := changeset("shared-1", "shared")
		a := together(own)
		switch {
		case joined && i%3 == 2:
			a = together(own, shared)
		case i%3 == 1:
			a = together(shared)
		}
		receipt, err := b.AppendAll(ctx, a)
		if err != nil {
			return fmt.Errorf("writer %d, append %d: %w", writer, i, err)
		}
		c.mu.Lock()
		for j, r := range receipt.Changesets {
			c.told[r.FirstPosition] = a.Changesets[j].Events[0].ID
		}
		c.mu.Unlock()
	}
	return nil
}

// run lets writers write while every reader reads, again and again: once
// before the first of them writes, and once more when all are done. It returns
// the log in the end.
func (s *subject) run(b *book, writers, appends int, readers ...func(ctx context.Context) error) []daybook.Record {
	s.Helper()
	c := &crowd{writers: writers, appends: appends, told: map[daybook.Position]daybook.ID{}}
	joined := s.offered(SeveralStreams)
	group, ctx := errgroup.WithContext(s.Context())
	var done atomic.Int32
	var looked sync.WaitGroup // every reader has read once
	looked.Add(len(readers))
	for writer := range writers {
		group.Go(func() error {
			defer done.Add(1)
			looked.Wait()
			return c.write(ctx, b, writer, joined)
		})
	}
	for _, read := range readers {
		group.Go(func() error {
			err := read(ctx)
			looked.Done()
			for last := false; err == nil; last = done.Load() == int32(writers) {
				if err = read(ctx); last {
					break
				}
			}
			return err
		})
	}
	s.must(group.Wait(), "%d writers and %d readers at a time", writers, len(readers))
	log := b.log()
	for _, r := range log {
		if id, told := c.told[r.Position]; told && id != r.ID {
			s.Errorf("the receipt of event %s says position %d, where event %s stands", id, r.Position, r.ID)
		}
		delete(c.told, r.Position)
	}
	if len(c.told) > 0 {
		s.Errorf("%d changesets do not stand where their receipts say", len(c.told))
	}
	return log
}

// sight is what a reader has seen.
type sight struct {
	name string
	seen []daybook.Record
	upTo daybook.Position // seen holds all that there was up to here
}

// judge reports what the log has in the end that the reader did not see.
func (v *sight) judge(s *subject, log []daybook.Record) {
	s.Helper()
	wanted := wantLog(log, daybook.LogRead{To: max(v.upTo, 1)})
	if v.upTo == 0 {
		wanted = nil
	}
	if len(v.seen) > len(wanted) {
		s.Errorf("%s saw %d records up to position %d, in the end there are %d", v.name, len(v.seen), v.upTo, len(wanted))
		return
	}
	s.sameRecords(v.seen, wanted, fmt.Sprintf("what %s saw up to position %d, compared with the log in the end,", v.name, v.upTo))
}

// follow reads on from what was seen, and adds what there is.
func (v *sight) follow(ctx context.Context, b *book, read daybook.LogRead) error {
	read.After = v.upTo
	records, err := gather(b.ReadLog(ctx, read))
	v.seen = append(v.seen, records...)
	if len(records) > 0 {
		v.upTo = records[len(records)-1].Position
	}
	return err
}

// refresh reads all records up to a position that was seen. It fails where
// there is more up to the position of the time before than there was then.
func (v *sight) refresh(ctx context.Context, b *book, upTo daybook.Position) error {
	if upTo <= v.upTo {
		return nil
	}
	now, err := gather(b.ReadLog(ctx, daybook.LogRead{To: upTo}))
	if err != nil {
		return err
	}
	before := 0
	for before < len(now) && now[before].Position <= v.upTo {
		before++
	}
	if before != len(v.seen) {
		return fmt.Errorf("%s saw %d records up to position %d; later there were %d", v.name, len(v.seen), v.upTo, before)
	}
	v.seen, v.upTo = now, upTo
	return nil
}

func checkStablePrefix(s *subject) {
	b := s.book()
	forwards := &sight{name: "a reader that goes on from where it was"}
	steps := &sight{name: "a reader that goes on one record at a time"}
	backwards := &sight{name: "a reader that has seen the last record"}
	stream := &sight{name: "a reader that has seen the last record of a stream"}
	last := func(ctx context.Context, v *sight, record daybook.Record, err error) error {
		if err != nil {
			return err
		}
		return v.refresh(ctx, b, record.Position)
	}
	log := s.run(b, 5, 30,
		func(ctx context.Context) error { return forwards.follow(ctx, b, daybook.LogRead{}) },
		func(ctx context.Context) error { return steps.follow(ctx, b, daybook.LogRead{Limit: 1}) },
		func(ctx context.Context) error {
			for record, err := range b.ReadLog(ctx, daybook.LogRead{Backwards: true, Limit: 1}) {
				return last(ctx, backwards, record, err)
			}
			return nil
		},
		func(ctx context.Context) error {
			for record, err := range b.ReadStream(ctx, daybook.Stream("shared-1"), daybook.StreamRead{Backwards: true, Limit: 1}) {
				return last(ctx, stream, record, err)
			}
			return nil
		},
	)
	for _, v := range []*sight{forwards, steps, backwards, stream} {
		v.judge(s, log)
	}
	if forwards.upTo != log[len(log)-1].Position {
		s.Errorf("%s came to position %d, the log ends at %d", forwards.name, forwards.upTo, log[len(log)-1].Position)
	}
}

func checkStableEnd(s *subject) {
	b := s.book()
	total := &sight{name: "a reader up to the end that was told"}
	pieces := &sight{name: "a reader from end to end"}
	log := s.run(b, 4, 30,
		func(ctx context.Context) error {
			end, err := b.End(ctx)
			if err != nil {
				return err
			}
			return total.refresh(ctx, b, end)
		},
		func(ctx context.Context) error {
			end, err := b.End(ctx)
			if err != nil || end <= pieces.upTo {
				return err
			}
			err = pieces.follow(ctx, b, daybook.LogRead{To: end})
			pieces.upTo = end
			return err
		},
	)
	total.judge(s, log)
	pieces.judge(s, log)
}

func checkTogether(s *subject) {
	b := s.book()
	log := s.run(b, 6, 20)
	s.must(wellFormed(log), "the log that 6 writers left at a time")
	var ordinals []daybook.Ordinal
	for _, r := range log {
		if r.Version == r.Changeset.First && r.Changeset.Ordinal != 0 {
			ordinals = append(ordinals, r.Changeset.Ordinal)
		}
	}
	for i, o := range ordinals {
		if o != daybook.Ordinal(i+1) {
			s.Fatalf("changeset %d of the log has ordinal %d: where ordinals are counted, they rise by one", i+1, o)
		}
	}
}

func checkTimes(s *subject) {
	b := s.book()
	log := s.run(b, 6, 20)
	for i := 1; i < len(log); i++ {
		if log[i].RecordedAt.Before(log[i-1].RecordedAt) {
			s.Fatalf("%s was recorded at %v, %s behind it at %v", place(log[i-1]), log[i-1].RecordedAt, place(log[i]), log[i].RecordedAt)
		}
	}
	for i := range len(log) {
		if i%10 != 0 {
			continue
		}
		upTo := b.readLog(daybook.LogRead{Until: log[i].RecordedAt})
		if len(upTo) <= i || !s.sameRecords(upTo, log[:len(upTo)], "a read up to a recorded time, compared with a prefix of the log,") {
			s.Fatalf("a read up to the recorded time of record %d gave %d records", i+1, len(upTo))
		}
	}
}

func checkFollow(s *subject) {
	const writers, appends = 4, 15
	b := s.book()
	b.append("shared-1", daybook.ExpectAny(), event("shared"))
	ctx, cancel := s.within()
	defer cancel()
	until, stop := context.WithCancel(ctx)
	defer stop()
	query := daybook.Query{Items: []daybook.QueryItem{{Types: []string{"shared"}}}}
	// A follower is under way before anybody writes: one that comes when all is
	// done has nothing to miss.
	follow := func(read daybook.LogRead) chan error {
		began, ended := make(chan struct{}), make(chan error, 1)
		begin := sync.OnceFunc(func() { close(began) })
		go func() {
			defer begin()
			var seen []daybook.Record
			for record, err := range b.Follow(until, read) {
				if err != nil {
					ended <- err
					return
				}
				begin()
				if seen = append(seen, record); record.Type == "last" {
					break
				}
			}
			ended <- sameIDs(seen, b, read)
		}()
		<-began
		return ended
	}
	all := follow(daybook.LogRead{})
	query.Items = append(query.Items, daybook.QueryItem{Types: []string{"last"}})
	some := follow(daybook.LogRead{Filter: daybook.Filter{Query: query}})
	s.run(b, writers, appends)
	b.append("shared-1", daybook.ExpectAny(), event("last"))
	for what, ended := range map[string]chan error{"a follower of all": all, "a follower of some": some} {
		if err := <-ended; errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("%s was not given the last record within %v", what, s.patience)
		} else if err != nil {
			s.Errorf("%s: %v", what, err)
		}
	}
}

// sameIDs returns how what a follower saw differs from a read, if it does.
func sameIDs(seen []daybook.Record, b *book, read daybook.LogRead) error {
	wanted, err := gather(b.ReadLog(b.s.Context(), read))
	if err != nil {
		return err
	}
	for i := range min(len(seen), len(wanted)) {
		if seen[i].ID != wanted[i].ID {
			return fmt.Errorf("was given %s as record %d, the log has %s there", place(seen[i]), i+1, place(wanted[i]))
		}
	}
	if len(seen) != len(wanted) {
		return fmt.Errorf("was given %d records, the log has %d", len(seen), len(wanted))
	}
	return nil
}
