package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

var readPromises = []Promise{
	{
		Name: "a stream is read as asked", Feature: Reading, check: checkReadStream,
		Sentence: "A read of a stream gives records that were not asked for, leaves some out, or gives them in another order.",
	},
	{
		Name: "the log is read as asked", Feature: Reading, check: checkReadLog,
		Sentence: "A read of the log gives records that were not asked for, leaves some out, or gives them in another order.",
	},
	{
		Name: "a read goes up to a time", Feature: Reading, check: checkReadUntil,
		Sentence: "The state as of a time cannot be had: records of that moment are missing, or later ones are in it.",
	},
	{
		Name: "a stream without records yields nothing", Feature: Reading, check: checkReadNothing,
		Sentence: "A stream that nobody has written to looks as if it existed, or as if the storage had failed.",
	},
	{
		Name: "a head says where its stream ends", Feature: Reading, check: checkHead,
		Sentence: "Whoever goes by the head of a stream expects the wrong version.",
	},
	{
		Name: "the end is the position of the last record", Feature: Reading, check: checkEnd,
		Sentence: "Whoever goes by the end of the log misses records, or waits for some that do not come.",
	},
	{
		Name: "a reader may stop early", Feature: Reading, check: checkStopEarly,
		Sentence: "A reader that has found what it looked for leaves the storage locked, or is given more.",
	},
	{
		Name: "a reader may append while it reads", Feature: Reading, check: checkAppendInside,
		Sentence: "A program that appends in a loop over records stands still, or never comes to the end of the loop.",
	},
	{
		Name: "a read ends with the error of its context", Feature: Reading, check: checkReadCancelled,
		Sentence: "A read that was cut short looks like one that came to the end.",
	},
}

// wantStream is what a read of a stream must give, of all its records.
func wantStream(all []daybook.Record, read daybook.StreamRead) []daybook.Record {
	var wanted []daybook.Record
	for _, r := range all {
		below := r.Version < read.From
		above := read.To != 0 && r.Version > read.To
		late := !read.Until.IsZero() && r.RecordedAt.After(read.Until)
		if !below && !above && !late {
			wanted = append(wanted, r)
		}
	}
	return cut(wanted, read.Backwards, read.Limit)
}

// wantLog is what a read of the log must give, of all records.
func wantLog(all []daybook.Record, read daybook.LogRead) []daybook.Record {
	var wanted []daybook.Record
	for _, r := range all {
		below := r.Position <= read.After
		above := read.To != 0 && r.Position > read.To
		late := !read.Until.IsZero() && r.RecordedAt.After(read.Until)
		if !below && !above && !late && selects(read.Filter, r) {
			wanted = append(wanted, r)
		}
	}
	return cut(wanted, read.Backwards, read.Limit)
}

func cut(records []daybook.Record, backwards bool, limit int) []daybook.Record {
	if backwards {
		slices.Reverse(records)
	}
	if limit > 0 && len(records) > limit {
		records = records[:limit]
	}
	return records
}

// fill appends changesets of different sizes to three streams.
func (b *book) fill() {
	b.s.Helper()
	for i, size := range []int{1, 3, 2, 1, 1, 2, 4, 1} {
		b.append(numbered("account", i%3), daybook.ExpectAny(), several(size, numbered("kind", i))...)
	}
}

func checkReadStream(s *subject) {
	b := s.book()
	b.fill()
	id := daybook.Stream("account-0") // 1 + 1 + 4 records
	all := b.readStream(id, daybook.StreamRead{})
	if len(all) != 6 {
		s.Fatalf("the stream has %d records, 6 were appended", len(all))
	}
	for from := range daybook.Version(9) {
		for to := range daybook.Version(9) {
			for _, limit := range []int{0, 1, 2, 6, 7} {
				for _, backwards := range []bool{false, true} {
					read := daybook.StreamRead{From: from, To: to, Limit: limit, Backwards: backwards}
					if !s.sameRecords(b.readStream(id, read), wantStream(all, read), "reading "+describeStreamRead(read)) {
						return
					}
				}
			}
		}
	}
}

func checkReadLog(s *subject) {
	b := s.book()
	b.fill()
	all := b.log()
	if len(all) != 15 {
		s.Fatalf("the log has %d records, 15 were appended", len(all))
	}
	positions := []daybook.Position{0, all[len(all)-1].Position + 1, all[len(all)-1].Position + 1000}
	for i := range all {
		if i%2 == 0 {
			positions = append(positions, all[i].Position)
		}
	}
	for _, after := range positions {
		for _, to := range positions {
			for _, limit := range []int{0, 1, 4} {
				for _, backwards := range []bool{false, true} {
					read := daybook.LogRead{After: after, To: to, Limit: limit, Backwards: backwards}
					if !s.sameRecords(b.readLog(read), wantLog(all, read), "reading "+describeLogRead(read)) {
						return
					}
				}
			}
		}
	}
}

func checkReadUntil(s *subject) {
	b := s.book()
	b.fill()
	ctx, cancel := s.within()
	defer cancel()
	var times []time.Time
	for len(times) < 3 { // until the clock of the driver has gone on twice
		receipt := b.append("account-0", daybook.ExpectAny(), events("later")...)
		if len(times) == 0 || receipt.RecordedAt.After(times[len(times)-1]) {
			times = append(times, receipt.RecordedAt)
		}
		if ctx.Err() != nil {
			s.Fatalf("recorded times stand still: %v", times)
		}
	}
	id := daybook.Stream("account-0")
	stream, log := b.readStream(id, daybook.StreamRead{}), b.log()
	for _, at := range times {
		for _, until := range []time.Time{at.Add(-time.Microsecond), at, at.Add(time.Microsecond), at.In(time.FixedZone("", 3600))} {
			for _, backwards := range []bool{false, true} {
				streamRead := daybook.StreamRead{Until: until, Backwards: backwards, From: 2, Limit: 5}
				s.sameRecords(b.readStream(id, streamRead), wantStream(stream, streamRead), "reading the stream "+describeStreamRead(streamRead))
				logRead := daybook.LogRead{Until: until, Backwards: backwards, After: log[1].Position, Limit: 9}
				s.sameRecords(b.readLog(logRead), wantLog(log, logRead), "reading the log "+describeLogRead(logRead))
			}
		}
	}
	s.sameRecords(b.readLog(daybook.LogRead{Until: log[0].RecordedAt.Add(-time.Hour)}), nil, "reading the log up to a time before all")
}

func checkReadNothing(s *subject) {
	b := s.book()
	look := func(what string) {
		for _, id := range []daybook.StreamID{
			daybook.Stream("account-2"), daybook.Stream("account"), daybook.Stream("account-11"), {Partition: "p", Name: "account-1"},
		} {
			for _, backwards := range []bool{false, true} {
				s.sameRecords(b.readStream(id, daybook.StreamRead{Backwards: backwards}), nil, fmt.Sprintf("%s, stream %q", what, id))
			}
			if head := b.head(id); head != (daybook.Head{}) {
				s.Errorf("%s, the head of %q is %+v, want the zero head", what, id, head)
			}
		}
	}
	look("in an empty store")
	s.sameRecords(b.log(), nil, "the log of an empty store")
	s.sameRecords(b.readLog(daybook.LogRead{Backwards: true, Limit: 1}), nil, "the log of an empty store, backwards")
	b.append("account-1", daybook.ExpectNone(), events("opened")...)
	look("beside a stream with a similar name")
}

func checkHead(s *subject) {
	b := s.book()
	for i, size := range []int{1, 3, 2} {
		b.append("other-1", daybook.ExpectAny(), events("noise")...)
		b.append("account-1", daybook.ExpectAny(), several(size, "deposited")...)
		b.append("other-1", daybook.ExpectAny(), events("noise")...)
		stream := b.stream("account-1")
		last := stream[len(stream)-1]
		wanted := daybook.Head{
			Version: last.Version, Changeset: daybook.ChangesetNumber(i + 1), First: 1, Position: last.Position, RecordedAt: last.RecordedAt,
		}
		head := b.head(daybook.Stream("account-1"))
		if !head.RecordedAt.Equal(wanted.RecordedAt) || head.RecordedAt.Location() != time.UTC {
			s.Errorf("the recorded time of the head is %v, want %v", head.RecordedAt, wanted.RecordedAt)
		}
		head.RecordedAt = wanted.RecordedAt
		if head != wanted {
			s.Errorf("the head is %+v, want %+v", head, wanted)
		}
	}
}

func checkEnd(s *subject) {
	b := s.book()
	if end := b.end(); end != 0 {
		s.Errorf("an empty log ends at %d, want 0", end)
	}
	for i := range 4 {
		receipt := b.append(numbered("account", i%2), daybook.ExpectAny(), several(1+i, "deposited")...)
		if end := b.end(); end != receipt.Position() {
			s.Errorf("after an append up to position %d the log ends at %d", receipt.Position(), end)
		}
	}
}

func checkStopEarly(s *subject) {
	b := s.book()
	b.fill()
	for range 20 { // more often than a driver may keep connections or files open
		for range b.ReadLog(s.Context(), daybook.LogRead{}) {
			break
		}
		for range b.ReadStream(s.Context(), daybook.Stream("account-0"), daybook.StreamRead{Backwards: true}) {
			break
		}
	}
	s.eventually("an append after readers have stopped early", func(ctx context.Context) error {
		_, err := b.Append(ctx, daybook.Stream("account-0"), daybook.ExpectVersion(6), events("deposited")...)
		return err
	})
}

// eventually reports an action that fails, or that takes more than patience.
func (s *subject) eventually(what string, action func(ctx context.Context) error) {
	s.Helper()
	ctx, cancel := s.within()
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- action(ctx) }()
	select {
	case err := <-done:
		s.must(err, "%s", what)
	case <-ctx.Done():
		select {
		case err := <-done:
			s.must(err, "%s", what)
		case <-time.After(s.patience / 10): // what heeds its context ends now
			s.Fatalf("%s has not ended after %v, and does not heed its context", what, s.patience)
		}
	}
}

func checkAppendInside(s *subject) {
	b := s.book()
	b.fill()
	before := b.log()
	s.eventually("a loop over the log that appends", func(ctx context.Context) error {
		var seen []daybook.Record
		for record, err := range b.ReadLog(ctx, daybook.LogRead{}) {
			if err != nil {
				return err
			}
			seen = append(seen, record)
			if len(seen) > 3 {
				continue
			}
			if _, err := b.Append(ctx, daybook.Stream("account-9"), daybook.ExpectAny(), events("seen")...); err != nil {
				return err
			}
		}
		if len(seen) < len(before) || len(seen) > len(before)+3 {
			return fmt.Errorf("gave %d records, %d were stored before it and 3 meanwhile", len(seen), len(before))
		}
		return nil
	})
	if after := b.log(); len(after) != len(before)+3 {
		s.Errorf("the log has %d records, want %d and 3", len(after), len(before))
	}
}

func checkReadCancelled(s *subject) {
	b := s.book()
	b.fill()
	for range 8 {
		b.append("account-0", daybook.ExpectAny(), several(50, "deposited")...)
	}
	ended, cancel := context.WithCancel(s.Context())
	cancel()
	_, err := gather(b.driver.ReadLog(ended, daybook.LogRead{}))
	if !errors.Is(err, context.Canceled) {
		s.Errorf("a read of the log with an ended context ended with %v, want context.Canceled", err)
	}
	_, err = gather(b.driver.ReadStream(ended, daybook.Stream("account-0"), daybook.StreamRead{}))
	if !errors.Is(err, context.Canceled) {
		s.Errorf("a read of a stream with an ended context ended with %v, want context.Canceled", err)
	}
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	count := 0
	for _, err = range b.ReadStream(ctx, daybook.Stream("account-0"), daybook.StreamRead{}) {
		if err != nil {
			break
		}
		count++
		cancel()
	}
	if err == nil && count != 406 || err != nil && !errors.Is(err, context.Canceled) {
		s.Errorf("a read whose context ended on the way gave %d of 406 records and ended with %v", count, err)
	}
}
