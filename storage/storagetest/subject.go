package storagetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/daybook-go/daybook"
)

// subject is the driver whose promise is checked.
type subject struct {
	tester
	// open gives a fresh driver, and what opens its data again if that can be.
	open   func() (daybook.Driver, func() daybook.Driver)
	offers offers
	// patience is how long something that must happen may take before it
	// counts as not happening.
	patience time.Duration
	seed     uint64 // of the random tests; 0 is a fresh one
	books    []*book
}

// book is a store on a fresh driver.
type book struct {
	*daybook.Store
	s      *subject
	driver daybook.Driver
	reopen func() daybook.Driver
	closed atomic.Bool
}

// book returns a store on a fresh driver, closed when the check ends.
func (s *subject) book() *book {
	s.Helper()
	driver, reopen := s.open()
	b := s.bookOn(driver)
	b.reopen = reopen
	s.books = append(s.books, b)
	return b
}

// bookOn returns a store on the driver.
func (s *subject) bookOn(driver daybook.Driver) *book {
	b := &book{Store: daybook.New(driver, nil), s: s, driver: driver}
	s.Cleanup(func() { b.close() })
	return b
}

// close closes the driver, once, and must succeed.
func (b *book) close() {
	b.s.Helper()
	if err := b.shut(); err != nil {
		b.s.Errorf("Close: %v", err)
	}
}

// shut closes the driver, once. It may be called by many at once, and while the
// check ends.
func (b *book) shut() error {
	if b.closed.Swap(true) {
		return nil
	}
	return b.Close()
}

// turn closes the driver and opens its data again.
func (b *book) turn() {
	b.s.Helper()
	b.close()
	b.driver = b.reopen()
	b.Store = daybook.New(b.driver, nil)
	b.closed.Store(false)
}

// within returns a context that ends with patience.
func (s *subject) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.Context(), s.patience)
}

// random returns the random numbers of this run: from DAYBOOK_SEED, or else
// fresh ones.
func (s *subject) random() *rand.Rand {
	s.Helper()
	seed := s.seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	if text := os.Getenv("DAYBOOK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			s.Fatalf("DAYBOOK_SEED: %v", err)
		}
	}
	s.Logf("DAYBOOK_SEED=%d replays this", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// append appends to one stream, and must succeed.
func (b *book) append(stream string, expect daybook.Expect, events ...daybook.Event) daybook.Receipt {
	b.s.Helper()
	return b.appendAll(daybook.Append{Changesets: []daybook.Changeset{{Stream: daybook.Stream(stream), Expect: expect, Events: events}}})
}

// appendAll appends, and must succeed.
func (b *book) appendAll(a daybook.Append) daybook.Receipt {
	b.s.Helper()
	receipt, err := b.AppendAll(b.s.Context(), a)
	if err != nil {
		b.s.Fatalf("append to %s: %v", streamsOf(a), err)
	}
	return receipt
}

// readStream returns the records of a stream, and must succeed.
func (b *book) readStream(id daybook.StreamID, read daybook.StreamRead) []daybook.Record {
	b.s.Helper()
	records, err := gather(b.ReadStream(b.s.Context(), id, read))
	if err != nil {
		b.s.Fatalf("read stream %q (%s): %v", id, describeStreamRead(read), err)
	}
	return records
}

// stream returns all records of a stream of the default partition.
func (b *book) stream(name string) []daybook.Record {
	b.s.Helper()
	return b.readStream(daybook.Stream(name), daybook.StreamRead{})
}

// readLog returns records of the log, and must succeed.
func (b *book) readLog(read daybook.LogRead) []daybook.Record {
	b.s.Helper()
	records, err := gather(b.ReadLog(b.s.Context(), read))
	if err != nil {
		b.s.Fatalf("read log (%s): %v", describeLogRead(read), err)
	}
	return records
}

// log returns all records.
func (b *book) log() []daybook.Record {
	b.s.Helper()
	return b.readLog(daybook.LogRead{})
}

// head returns where a stream ends, and must succeed.
func (b *book) head(id daybook.StreamID) daybook.Head {
	b.s.Helper()
	head, err := b.Head(b.s.Context(), id)
	if err != nil {
		b.s.Fatalf("head of %q: %v", id, err)
	}
	return head
}

// end returns the position of the last record, and must succeed.
func (b *book) end() daybook.Position {
	b.s.Helper()
	end, err := b.End(b.s.Context())
	if err != nil {
		b.s.Fatalf("end of the log: %v", err)
	}
	return end
}

// stats returns the statistics, and must succeed.
func (b *book) stats() daybook.Stats {
	b.s.Helper()
	stats, err := b.Stats(b.s.Context())
	if err != nil {
		b.s.Fatalf("statistics: %v", err)
	}
	return stats
}

// holder returns who holds a claim, and must succeed.
func (b *book) holder(partition string, claim daybook.Claim) (daybook.StreamID, bool) {
	b.s.Helper()
	holder, held, err := b.ClaimHolder(b.s.Context(), partition, claim)
	if err != nil {
		b.s.Fatalf("holder of claim %v in partition %q: %v", claim, partition, err)
	}
	return holder, held
}

// trace is all that can be seen of a store.
type trace struct {
	log   []daybook.Record
	end   daybook.Position
	heads map[daybook.StreamID]daybook.Head
	stats daybook.Stats
}

// trace returns all that can be seen of the store and of the given streams.
func (b *book) trace(streams ...daybook.StreamID) trace {
	b.s.Helper()
	t := trace{log: b.log(), end: b.end(), heads: map[daybook.StreamID]daybook.Head{}}
	for _, id := range streams {
		t.heads[id] = b.head(id)
	}
	for _, record := range t.log {
		if _, seen := t.heads[record.Stream]; !seen {
			t.heads[record.Stream] = b.head(record.Stream)
		}
	}
	if b.s.offered(Statistics) {
		t.stats = b.stats()
		t.stats.Bytes = 0 // a storage may grow without a trace in its contents
	}
	return t
}

// untouched reports what was done to the store since the trace was taken.
func (b *book) untouched(before trace, what string) {
	b.s.Helper()
	var streams []daybook.StreamID
	for id := range before.heads {
		streams = append(streams, id)
	}
	after := b.trace(streams...)
	b.s.sameRecords(after.log, before.log, "the log after "+what)
	for id, head := range after.heads {
		if head != before.heads[id] {
			b.s.Errorf("after %s the head of %q is %+v, it was %+v", what, id, head, before.heads[id])
		}
	}
	if after.end != before.end {
		b.s.Errorf("after %s the log ends at %d, it ended at %d", what, after.end, before.end)
	}
	if after.stats != before.stats {
		b.s.Errorf("after %s the statistics are %+v, they were %+v", what, after.stats, before.stats)
	}
}

// must ends the check where err is not nil.
func (s *subject) must(err error, format string, args ...any) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", fmt.Sprintf(format, args...), err)
	}
}
