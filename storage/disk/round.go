package disk

import (
	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
)

// round is what is written with one write and one sync: the appends that came
// while the round before it was on its way to the disk. All fields are guarded
// by writer.mu, but that buf no longer changes once the round is full.
type round struct {
	segment *segment
	creates bool // the file of the segment must be made first,
	// takesRoom: of the room that is ready.
	takesRoom bool
	offset    int64              // of its first byte in the segment: the beginning of a block
	durable   int64              // so much of the segment is synced when the round is written
	buf       []byte             // begins with what the block holds already
	began     int                // how much that is
	steps     []step             // what is not shown yet, in order
	marks     []mark             // of what is not shown yet
	level     daybook.Durability // the highest that any append asks
	early     bool               // an append asks for less than the disk
	reached   daybook.Durability
	full      bool   // takes nothing more
	kept      int64  // up to this offset its appends stay where the rest was taken back
	waiting   int    // appends that wait for it
	written   signal // when buf is written, or cannot be
	finished  signal // when the round is as durable as level, or cannot be
	unmarked  error  // why the mark does not tell of it; nil: it does. Owned by who leads
}

// step is a row of appends that ask for the same durability, and so are shown
// together.
type step struct {
	level daybook.Durability
	end   int64 // in the segment
	tally tally
}

// newRound returns a round behind what the last block of a segment holds, in
// memory that it may use.
func newRound(s *segment, synced, at int64, block, memory []byte) *round {
	r := &round{
		segment: s, offset: at - int64(len(block)), durable: synced, buf: memory[:0], began: len(block),
		level: daybook.DurabilityMemory, reached: daybook.DurabilityMemory,
	}
	r.put(block)
	return r
}

// put adds bytes. The memory always has room to fill the last block.
func (r *round) put(b []byte) {
	if need := durable.WholeBlocks(len(r.buf) + len(b)); need > cap(r.buf) {
		grown := durable.Blocks(max(need, min(2*cap(r.buf), durable.WholeBlocks(roundBytes)), leastRound))
		r.buf = grown[:copy(grown, r.buf)]
	}
	r.buf = append(r.buf, b...)
}

// leastRound is how much memory a round has at the least.
const leastRound = 16 << 10

// added returns how many bytes were put into it.
func (r *round) added() int64 { return int64(len(r.buf) - r.began) }

// lastBlock returns what its last block holds, if that is not full.
func (r *round) lastBlock() []byte { return r.buf[len(r.buf)/durable.BlockBytes*durable.BlockBytes:] }

// blocks returns what is written: zeros fill the last block, so that it is
// written without being read before, and the file grows by whole blocks.
func (r *round) blocks() []byte {
	whole := r.buf[:durable.WholeBlocks(len(r.buf))]
	clear(whole[len(r.buf):])
	return whole
}

// end returns the offset behind its last byte.
func (r *round) end() int64 { return r.offset + int64(len(r.buf)) }

// note takes in that an append of the level was put behind the others.
func (r *round) note(level daybook.Durability, t tally) {
	r.level = max(r.level, level)
	r.early = r.early || level < daybook.DurabilityDisk
	n := len(r.steps)
	if n == 0 || r.steps[n-1].level != level {
		r.steps = append(r.steps, step{})
		n++
	}
	r.steps[n-1] = step{level: level, end: r.end(), tally: t}
}

// shows takes out what may be shown now, of the appends that reached their
// durability. It reports whether that is all of the round.
func (r *round) shows() (showing, bool) {
	n := 0
	for n < len(r.steps) && r.steps[n].level <= r.reached {
		n++
	}
	if n == 0 {
		return showing{}, len(r.steps) == 0
	}
	last := r.steps[n-1]
	marks := 0
	for marks < len(r.marks) && r.marks[marks].Offset < last.end {
		marks++
	}
	s := showing{segment: r.segment, end: last.end, marks: r.marks[:marks], tally: last.tally}
	r.steps, r.marks = r.steps[n:], r.marks[marks:]
	return s, len(r.steps) == 0
}

// signal tells many goroutines once how something ended. It is guarded by
// writer.mu, but that err may be read when the channel is closed.
type signal struct {
	done chan struct{} // nil until somebody waits
	sent bool
	err  error
}

// wait returns a channel that is closed when the signal is sent; nil if it is.
func (s *signal) wait() <-chan struct{} {
	if s.sent {
		return nil
	}
	if s.done == nil {
		s.done = make(chan struct{})
	}
	return s.done
}

// send ends the signal, if it has not ended. It returns the channel that the
// caller must close: where many wait, that takes a while, and needs no lock.
func (s *signal) send(err error) chan struct{} {
	if s.sent {
		return nil
	}
	s.sent, s.err = true, err
	return s.done
}

// wake closes channels that signals returned.
func wake(channels ...chan struct{}) {
	for _, c := range channels {
		if c != nil {
			close(c)
		}
	}
}
