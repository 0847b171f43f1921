package disk

import (
	"iter"

	"github.com/daybook-go/daybook"
)

// round is what is written with one write and one sync: the appends that came
// while the round before it was on its way to the disk. All fields are guarded
// by writer.mu, but that buf no longer changes once the round is full.
type round struct {
	segment  *segment
	creates  bool  // the file of the segment must be made first
	offset   int64 // of its first byte in the segment
	durable  int64 // so much of the segment is synced when the round is written
	buf      []byte
	accepted []accepted
	shown    int                // how many of them are visible
	level    daybook.Durability // the highest that any asks
	reached  daybook.Durability
	full     bool   // takes nothing more
	written  signal // when buf is written, or cannot be
	finished signal // when the round is as durable as level, or cannot be

	// What its appends change, for the decisions about those that come after
	// them.
	postings
	heads   map[daybook.StreamID]daybook.Head
	ids     map[daybook.ID]pendingAppend
	holders map[claimKey]holding
}

// signal tells many goroutines once how something ended.
type signal struct {
	done chan struct{}
	err  error // may be read when done is closed
}

// send ends the signal, if it has not ended; writer.mu must be held.
func (s *signal) send(err error) {
	select {
	case <-s.done:
	default:
		s.err = err
		close(s.done)
	}
}

// accepted is an append or import that was decided and is not visible yet.
type accepted struct {
	addition
	level daybook.Durability
}

// pendingAppend is how an append that is not finished will be answered.
type pendingAppend struct {
	receipt daybook.Receipt
	level   daybook.Durability
}

// holding says who holds a claim; nobody if it was released.
type holding struct {
	stream daybook.StreamID
	held   bool
}

func newRound(s *segment, offset, durable int64, buf []byte) *round {
	return &round{
		segment: s, offset: offset, durable: durable, buf: buf,
		level: daybook.DurabilityMemory, reached: daybook.DurabilityMemory,
		written: signal{done: make(chan struct{})}, finished: signal{done: make(chan struct{})},
		postings: newPostings(), heads: map[daybook.StreamID]daybook.Head{},
		ids: map[daybook.ID]pendingAppend{}, holders: map[claimKey]holding{},
	}
}

// end returns the offset behind its last byte.
func (r *round) end() int64 { return r.offset + int64(len(r.buf)) }

// note takes in what a changeset changes, but for its claims.
func (r *round) note(s *summary, head daybook.Head) {
	r.heads[s.stream] = head
	for _, record := range s.selectors {
		r.postings.add(record.position, record.eventType, record.tags)
	}
}

// settle takes in what one append changes as a whole: its releases, then its
// claims, and the answer to those who repeat it.
func (r *round) settle(summaries []*summary, level daybook.Durability) {
	p := pendingAppend{level: level, receipt: daybook.Receipt{AppendID: summaries[0].appendID, RecordedAt: summaries[0].recorded}}
	for _, s := range summaries {
		p.receipt.Changesets = append(p.receipt.Changesets, s.receipt())
	}
	r.ids[summaries[0].appendID] = p
	for _, s := range summaries {
		for _, claim := range s.releases {
			r.holders[claimKey{s.stream.Partition, claim}] = holding{}
		}
	}
	for _, s := range summaries {
		for _, claim := range s.claims {
			r.holders[claimKey{s.stream.Partition, claim}] = holding{s.stream, true}
		}
	}
}

// byAppend yields the summaries of each append; those of one stand together.
func byAppend(summaries []*summary) iter.Seq[[]*summary] {
	return func(yield func([]*summary) bool) {
		for from := 0; from < len(summaries); {
			to := from + 1
			for to < len(summaries) && summaries[to].appendID == summaries[from].appendID {
				to++
			}
			if !yield(summaries[from:to]) {
				return
			}
			from = to
		}
	}
}
