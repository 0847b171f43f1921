package aggregate

import (
	"context"
	"fmt"
	"regexp"
	"runtime/debug"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
)

// snapshots takes and finds the snapshots of one repository. It writes them in
// one goroutine of its own, so that no command waits for it.
type snapshots[S any] struct {
	name        string
	fingerprint string
	policy      SnapshotPolicy
	store       SnapshotStore
	encoding    codec.Encoding
	own         func(S) S // a state that nobody else changes
	adopt       func(S) S // a state that was decoded, ready for use
	atOnce      bool      // the state must be encoded before the command returns
	note        func(SnapshotNote)
	now         func() time.Time
	size        int

	writing sync.Mutex // held while a snapshot is written, or those of a stream removed

	mu        sync.Mutex // guards all below
	queue     chan job[S]
	closed    bool
	stop      context.CancelFunc
	done      chan struct{} // closed when the writer has ended
	order     int64
	forgotten map[daybook.StreamID]int64 // streams that were deleted, and when in the order of jobs
}

// job is a snapshot to write.
type job[S any] struct {
	at    Loaded[S]
	data  []byte // the state, where it was encoded at once
	order int64  // rises with every job and every deletion
}

var snapshotName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func newSnapshots[S, C, E any](store *daybook.Store, given Snapshots[S, E], m *machine[S, C, E]) (*snapshots[S], error) {
	if !snapshotName.MatchString(given.Name) {
		return nil, &SetupError{What: "options.Snapshots.Name", Reason: fmt.Sprintf("must be 1 to 64 letters, digits, \"-\", \"_\" and \".\" (it is %q)", given.Name)}
	}
	if given.Policy == nil {
		return nil, &SetupError{What: "options.Snapshots.Policy", Reason: "must be set"}
	}
	if given.Queue < 0 {
		return nil, negative("options.Snapshots.Queue", given.Queue)
	}
	s := &snapshots[S]{
		name: given.Name, policy: given.Policy, store: given.Store, encoding: given.Encoding, own: m.own, adopt: m.adopt, atOnce: m.spoils(), size: given.Queue,
		forgotten: map[daybook.StreamID]int64{},
	}
	if s.store == nil {
		s.store = StreamSnapshots(store)
	}
	if s.encoding == nil {
		s.encoding = codec.JSON{}
	}
	if s.size <= 0 {
		s.size = 64
	}
	var err error
	s.fingerprint, err = fingerprint(s.encoding, m.initial, m.fold, given.Samples)
	return s, err
}

// tell tells the hook.
func (s *snapshots[S]) tell(note SnapshotNote) {
	if note.Name = s.name; s.note != nil {
		s.note(note)
	}
}

// offer takes a snapshot of a state that was just stored, if the policy says
// so, and reports whether it was queued.
func (s *snapshots[S]) offer(before daybook.Version, at Loaded[S]) bool {
	due := false
	work := job[S]{at: at}
	err := caught("policy", func() (err error) {
		due = s.policy(Due{Before: before, After: at.Version, Since: at.since, Now: s.now()})
		if due && s.atOnce {
			work.data, err = s.encoding.Encode(at.State)
		} else if due {
			work.at.State = s.own(at.State)
		}
		return err
	})
	if err != nil {
		s.tell(SnapshotNote{Outcome: SnapshotFailed, Stream: at.Stream, Version: at.Version, Err: err})
		return false
	}
	if !due {
		return false
	}
	queued, closed := s.enqueue(work)
	if !queued && !closed {
		s.tell(SnapshotNote{Outcome: SnapshotDropped, Stream: at.Stream, Version: at.Version})
	}
	return queued
}

// caught calls a function and makes an error of a panic: a snapshot saves reading
// only, and must not be able to end the program, or an append that is stored.
func caught(what string, call func() error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("the %s panicked: %v\n%s", what, panicked, debug.Stack())
		}
	}()
	return call()
}

// enqueue hands a job to the writer, if that has room for it.
func (s *snapshots[S]) enqueue(work job[S]) (queued, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, true
	}
	if s.queue == nil {
		s.begin()
	}
	s.order++
	work.order = s.order
	select {
	case s.queue <- work:
		return true, false
	default:
		return false, false
	}
}

// begin starts the writer. The caller holds mu.
func (s *snapshots[S]) begin() {
	var ctx context.Context
	ctx, s.stop = context.WithCancel(context.Background())
	s.queue, s.done = make(chan job[S], s.size), make(chan struct{})
	go func() {
		defer close(s.done)
		for work := range s.queue {
			s.writing.Lock()
			if s.wanted(&work) {
				s.write(ctx, work)
			}
			s.writing.Unlock()
		}
	}()
}

// wanted reports whether the stream of a job was not deleted since.
func (s *snapshots[S]) wanted(work *job[S]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := s.forgotten[work.at.Stream] > work.order
	if len(s.queue) == 0 {
		clear(s.forgotten) // nobody is left who could ask
	}
	return !gone
}

// write saves one snapshot.
func (s *snapshots[S]) write(ctx context.Context, work job[S]) {
	at, data := work.at, work.data
	err := caught("snapshot", func() (err error) {
		if data == nil {
			if data, err = s.encoding.Encode(at.State); err != nil {
				return err
			}
		}
		return s.store.Save(ctx, Snapshot{
			Stream: at.Stream, Name: s.name, Version: at.Version, Position: at.Position, RecordedAt: at.RecordedAt,
			Fingerprint: s.fingerprint, ContentType: s.encoding.ContentType(), Data: data,
		})
	})
	outcome := SnapshotSaved
	if err != nil {
		outcome = SnapshotFailed
	}
	s.tell(SnapshotNote{Outcome: outcome, Stream: at.Stream, Version: at.Version, Err: err})
}

// close waits until what is queued is written.
func (s *snapshots[S]) close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed && s.queue != nil {
		close(s.queue)
	}
	s.closed = true
	stop, done := s.stop, s.done
	s.mu.Unlock()
	if done == nil {
		return nil
	}
	defer stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		stop()
		<-done
		return ctx.Err()
	}
}

// maxPassedOver is how many snapshots that cannot be used a load passes over
// before it folds the stream from its beginning.
const maxPassedOver = 3

// newest returns the state of the newest snapshot within the bound that can be
// used.
func (s *snapshots[S]) newest(ctx context.Context, stream daybook.StreamID, asOf AsOf) (at Loaded[S], found bool, err error) {
	for range maxPassedOver {
		snapshot, err := s.store.Newest(ctx, stream, s.name, asOf)
		if err != nil {
			if ctx.Err() != nil {
				return at, false, ctx.Err()
			}
			// The events are the truth; a store of snapshots that fails only
			// makes the load slower.
			s.tell(SnapshotNote{Outcome: SnapshotFailed, Stream: stream, Err: err})
			return at, false, nil
		}
		if snapshot == nil || snapshot.Version < 1 {
			return at, false, nil
		}
		state, outcome, err := s.read(snapshot)
		if outcome == "" {
			return Loaded[S]{
				Stream: stream, State: state, Version: snapshot.Version, Position: snapshot.Position,
				RecordedAt: snapshot.RecordedAt, since: snapshot.RecordedAt,
			}, true, nil
		}
		s.tell(SnapshotNote{Outcome: outcome, Stream: stream, Version: snapshot.Version, Err: err})
		if asOf.Version = snapshot.Version - 1; asOf.Version == 0 {
			return at, false, nil
		}
	}
	return at, false, nil
}

// read returns the state of a snapshot, or why it cannot be used.
func (s *snapshots[S]) read(snapshot *Snapshot) (state S, why SnapshotOutcome, err error) {
	if snapshot.Fingerprint != s.fingerprint {
		return state, SnapshotStale, nil
	}
	err = caught("snapshot", func() error {
		state, err = codec.DecodeAs[S](s.encoding, snapshot.Data)
		return err
	})
	if err != nil {
		return state, SnapshotUnreadable, err
	}
	if s.adopt != nil {
		state = s.adopt(state)
	}
	return state, "", nil
}

// forget removes all snapshots of a stream, also those that wait to be
// written.
func (s *snapshots[S]) forget(ctx context.Context, stream daybook.StreamID, d daybook.Deletion) error {
	s.mu.Lock()
	s.order++
	s.forgotten[stream] = s.order
	s.mu.Unlock()
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.store.Forget(ctx, stream, d); err != nil {
		return fmt.Errorf("delete the snapshots of stream %q: %w", stream, err)
	}
	return nil
}
