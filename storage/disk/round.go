package disk

import (
	"github.com/daybook-go/daybook"
)

// round is what is written with one write and one sync: the appends that came
// while the round before it was on its way to the disk. All fields are guarded
// by writer.mu, but that buf no longer changes once the round is full.
type round struct {
	segment *segment
	creates bool // the file of the segment must be made first,
	// takesRoom: of the room that is ready.
	takesRoom bool
	offset    int64 // of its first byte in the segment
	durable   int64 // so much of the segment is synced when the round is written
	buf       []byte
	steps     []step             // what is not shown yet, in order
	marks     []mark             // of what is not shown yet
	level     daybook.Durability // the highest that any append asks
	early     bool               // an append asks for less than the disk
	reached   daybook.Durability
	full      bool   // takes nothing more
	written   signal // when buf is written, or cannot be
	finished  signal // when the round is as durable as level, or cannot be
}

// step is a row of appends that ask for the same durability, and so are shown
// together.
type step struct {
	level daybook.Durability
	end   int64 // in the segment
	tally tally
}

func newRound(s *segment, offset, durable int64, buf []byte) *round {
	return &round{
		segment: s, offset: offset, durable: durable, buf: buf,
		level: daybook.DurabilityMemory, reached: daybook.DurabilityMemory,
	}
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
