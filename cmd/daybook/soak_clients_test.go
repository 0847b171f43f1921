package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/remote"
)

// fate is what became of a call that changes something.
type fate int

const (
	done  fate = iota
	roomy      // refused, for want of room
	lost       // the server is gone: nobody knows
)

// fateOf tells by the error. What is none of these is a failure.
func (s *soak) fateOf(ctx context.Context, what any, err error) fate {
	var gone *remote.UnreachableError
	switch {
	case err == nil:
		return done
	case errors.Is(err, daybook.ErrFull):
		_ = pause(ctx, 10*time.Millisecond)
		return roomy
	case !errors.As(err, &gone) && ctx.Err() == nil:
		s.t.Errorf("%v: %v, and the server was not gone", what, err)
	}
	return lost
}

// race appends for turns that only one may win: the condition is that nobody
// has.
func (s *soak) race(ctx context.Context, store *daybook.Store, life int, random *rand.Rand) {
	for ctx.Err() == nil {
		tag := fmt.Sprintf("turn:%d-%d", life, random.IntN(2000))
		a := daybook.Append{ID: daybook.NewID(), Changesets: []daybook.Changeset{{
			Stream: daybook.Stream("turns-1"), Events: []daybook.Event{{Type: "won", Tags: []string{tag}, Data: []byte("{}")}},
		}}}
		a.Condition = &daybook.Condition{Query: daybook.Query{Items: []daybook.QueryItem{{Tags: []string{tag}}}}}
		s.book.send(a.ID, 1)
		s.raced.Add(1)
		receipt, err := store.AppendAll(ctx, a)
		if errors.Is(err, daybook.ErrConflict) && !errors.As(err, new(*remote.UnreachableError)) {
			continue
		}
		switch s.fateOf(ctx, tag, err) {
		case done:
			s.book.acknowledge(receipt)
			s.wonBy.Lock()
			s.won[tag]++
			s.wonBy.Unlock()
		case roomy:
			s.book.refuse(a.ID)
		case lost:
			return // a turn need not be won
		}
	}
}

// read reads streams, back and forth.
func (s *soak) read(ctx context.Context, store *daybook.Store, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	for ctx.Err() == nil {
		before := daybook.Version(0)
		backwards := random.IntN(2) == 0
		for r, err := range store.ReadStream(ctx, daybook.Stream(fmt.Sprint("writer-", random.IntN(4))), daybook.StreamRead{Backwards: backwards, Limit: 500}) {
			if err != nil {
				if errors.Is(err, daybook.ErrCorrupt) {
					s.t.Error(err)
				}
				return
			}
			if before > 0 && !backwards && r.Version <= before || before > 0 && backwards && r.Version != before-1 {
				s.t.Errorf("stream %s: version %d comes behind %d", r.Stream, r.Version, before)
				return
			}
			before = r.Version
		}
		s.reads.Add(1)
	}
}

// follow goes on where the life before has ended.
func (s *soak) follow(ctx context.Context, store *daybook.Store) {
	var after daybook.Position
	if n := len(s.followed); n > 0 {
		after = s.followed[n-1].position
	}
	for r, err := range store.Follow(ctx, daybook.LogRead{After: after}) {
		if err != nil {
			if errors.Is(err, daybook.ErrCorrupt) {
				s.t.Error(err)
			}
			return // the server is gone
		}
		s.followed = append(s.followed, followed{r.Position, r.Version, s.streamOf(r.Stream)})
	}
}

// streamOf returns the stream in memory that all of its records share.
func (s *soak) streamOf(id daybook.StreamID) daybook.StreamID {
	kept, known := s.names[id]
	if !known {
		s.names[id], kept = id, id
	}
	return kept
}

// soakKeeps are the rules of the retention: of each type, how many records of a
// stream stay.
var soakKeeps = map[string]int64{"writer": 2000, "shared": 5000}

// retain deletes what is old, and goes on from the beginning when it has.
func (s *soak) retain(ctx context.Context, store *daybook.Store) {
	var rules []daybook.RetentionRule
	for kind, keep := range soakKeeps {
		rules = append(rules, daybook.RetentionRule{Filter: daybook.Filter{StreamTypes: []string{kind}}, Keep: keep, Scrub: kind == "writer"})
	}
	for ctx.Err() == nil {
		_, err := daybook.Retain(ctx, store, rules, nil)
		switch {
		case err == nil:
			s.retained.Add(1)
		case errors.Is(err, daybook.ErrFull):
		case errors.As(err, new(*remote.UnreachableError)) || ctx.Err() != nil:
			return
		default:
			s.t.Errorf("retention: %v", err)
			return
		}
		_ = pause(ctx, 200*time.Millisecond)
	}
}
