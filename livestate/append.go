package livestate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/deciding"
)

// errInside is the answer to a call that would wait for the one that it is made
// from.
var errInside = &SetupError{What: "call", Reason: "it is made from inside a fold, a builder or a transaction of a live state, which must do nothing else"}

// insideFold reports whether the caller was called by a fold.
func insideFold() bool { return deciding.Inside("livestate.(*Fold[") }

// insideAppend reports whether the caller was called by a fold or a builder.
func insideAppend() bool {
	return deciding.Inside("livestate.(*Fold[", "livestate.(*Service[...]).decide")
}

// AppendOptions say more about one append. Nil and zero fields mean the
// defaults.
type AppendOptions struct {
	// ID makes the append repeatable: what a builder makes of it is stored once,
	// also by several programs at once, and every further call is answered with
	// the receipt of the first, whatever the builder says by then. daybook.IDOf
	// makes one of a key that the request has anyway. A zero ID is replaced by a
	// fresh one.
	ID daybook.ID
	// Context is put into the events, wherever they leave a part of theirs
	// empty.
	Context daybook.Context
	// Metadata belongs to the changesets.
	Metadata []byte
	// Durability is the least that the caller accepts.
	Durability daybook.Durability
}

// Appended tells how an append ended.
type Appended[R any] struct {
	// Result is what the builder gave out with the events that were stored; after
	// a repeat, what it gives out now.
	Result R
	// State is the one with the events; without any, the one that was decided
	// on.
	State *State
	// Receipt says where the events went; zero where there were none. Its Repeated
	// is set when an append with this id was carried out before.
	Receipt daybook.Receipt
	// Tries is how often the builder was asked.
	Tries int
}

// Append asks build for events on the newest state, appends them, and gives out
// what build found besides. When others were quicker, build is asked again on
// what they have changed, until it succeeds, gives no events (which is a success
// that stores nothing) or an error, or ctx ends; so it must do nothing else.
//
// It fails with the error of build as it is; *FoldError where a fold cannot take
// an event, and the codec's errors where it cannot be encoded, *SetupError for
// an event that the source does not hold; *daybook.ClaimError and
// *daybook.ReferenceError where what an event claims or requires does not hold;
// *daybook.LimitError for more than the store takes; ErrNotReady and ErrClosed.
// Nothing was stored then, nor after any error that matches daybook.ErrRefused,
// as that of ctx does. After *UnknownOutcomeError that cannot be told.
//
// Appends of one service wait for one another.
func Append[E, R any](ctx context.Context, s *Service[E], build func(state *State) (events []E, result R, err error), options *AppendOptions) (Appended[R], error) {
	var result R
	if build == nil {
		return Appended[R]{}, &SetupError{What: "build", Reason: "must not be nil"}
	}
	done, err := s.append(ctx, options, func(at *State) (decision[E], error) {
		events, given, err := build(at)
		result = given
		return decision[E]{events: events}, err
	})
	if err != nil {
		return Appended[R]{Tries: done.Tries}, err
	}
	return Appended[R]{Result: result, State: done.State, Receipt: done.Receipt, Tries: done.Tries}, nil
}

// Add appends events whatever the state is; they still must pass every fold.
func (s *Service[E]) Add(ctx context.Context, options *AppendOptions, events ...E) (Appended[struct{}], error) {
	return Append(ctx, s, func(*State) ([]E, struct{}, error) { return events, struct{}{}, nil }, options)
}

// decision is what a builder has decided.
type decision[E any] struct {
	events []E
	after  []any // the values with the events, where they are known
}

// append decides and appends until the decision is stored.
func (s *Service[E]) append(ctx context.Context, options *AppendOptions, decide func(at *State) (decision[E], error)) (Appended[struct{}], error) {
	var by AppendOptions
	if options != nil {
		by = *options
	}
	given := by.ID != daybook.ID{}
	if !given {
		by.ID = daybook.NewID()
	}
	if err := s.takeTurn(ctx); err != nil {
		return Appended[struct{}]{}, err
	}
	defer func() { <-s.turn }()
	done := Appended[struct{}]{}
	for fresh := false; ; fresh = true {
		done.Tries++
		at := s.current.Load()
		decided, err := s.decide(decide, at)
		if err != nil || len(decided.events) == 0 {
			if !fresh {
				now, failed := s.catchUpTo(ctx)
				if failed != nil {
					return done, failed
				}
				if now.position != at.position {
					continue
				}
			}
			if given {
				if known, failed := s.repeated(ctx, by.ID, &done); known || failed != nil {
					return done, failed
				}
			}
			done.State = at
			return done, err
		}
		a, err := s.compose(at, decided.events, &by, given)
		if err != nil {
			return done, err
		}
		if decided.after == nil {
			if decided.after, err = s.try(at, decided.events); err != nil {
				return done, err
			}
		}
		done.Receipt, err = deciding.Send(ctx, s.store, &s.retry, a, given)
		if err == nil {
			done.State, err = s.stored(ctx, at, decided.after, done.Receipt)
			return done, err
		}
		var reused *daybook.ReusedIDError
		if given && errors.As(err, &reused) { // it led to other events then
			if known, failed := s.repeated(ctx, by.ID, &done); known || failed != nil {
				return done, failed
			}
		}
		if err := s.again(ctx, err, by.ID, done.Tries); err != nil {
			return done, err
		}
	}
}

// repeated makes done the result of an append that was carried out before, and
// reports whether it was.
func (s *Service[E]) repeated(ctx context.Context, id daybook.ID, done *Appended[struct{}]) (known bool, err error) {
	if s.source.isStream() {
		done.Receipt, known, err = deciding.ReceiptOf(ctx, s.store, id, s.source.stream)
	} else {
		done.Receipt, known, err = deciding.ReceiptInLog(ctx, s.store, id, s.source.filter)
	}
	if known {
		done.State, err = s.catchUpTo(ctx)
	}
	return known, err
}

// decide asks the builder, and refuses more events than the store takes before
// anything is done with them.
func (s *Service[E]) decide(decide func(at *State) (decision[E], error), at *State) (decision[E], error) {
	decided, err := decide(at)
	if n, most := int64(len(decided.events)), s.store.Limits().Events; err == nil && n > most {
		err = &daybook.LimitError{Field: "events", Value: n, Limit: most, Unit: "events"}
	}
	return decided, err
}

// takeTurn waits until no other append of the service runs.
func (s *Service[E]) takeTurn(ctx context.Context) error {
	if !s.IsReady() {
		return ErrNotReady
	}
	if s.folding.Load() && insideFold() {
		return errInside
	}
	select {
	case s.turn <- struct{}{}:
	default:
		if insideAppend() {
			return errInside
		}
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("%w before it began: %w", daybook.ErrRefused, ctx.Err())
		}
	}
	if s.ctx.Err() != nil {
		<-s.turn
		return ErrClosed
	}
	return nil
}

// try folds new events and returns the values with them.
func (s *Service[E]) try(at *State, events []E) ([]any, error) {
	values := make([]any, len(at.values))
	for i, fold := range s.folds {
		value, err := fold.try(at.values[i], events)
		if err != nil {
			return nil, err
		}
		values[i] = value
	}
	return values, nil
}

// compose returns the append of events that were decided on a state.
func (s *Service[E]) compose(at *State, events []E, by *AppendOptions, given bool) (daybook.Append, error) {
	a := daybook.Append{ID: by.ID, Durability: by.Durability}
	if s.source.isStream() {
		if err := s.checkStream(events); err != nil {
			return a, err
		}
		changeset, err := s.codec.Changeset(s.source.stream, daybook.ExpectVersion(at.version), events...)
		if err != nil {
			return a, err
		}
		a.Changesets = []daybook.Changeset{changeset}
	} else {
		var err error
		if a.Changesets, err = s.split(events); err != nil {
			return a, err
		}
		a.Condition = &daybook.Condition{Query: s.source.filter.Query, After: at.seen}
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		c.Metadata = by.Metadata
		for j := range c.Events {
			event := &c.Events[j]
			if !s.source.isStream() && !(s.source.filter.MatchesStream(c.Stream) && s.source.filter.Query.Matches(event.Type, event.Tags)) {
				return a, &SetupError{What: "append", Reason: fmt.Sprintf("an event %q of stream %q is none that the source selects", event.Type, c.Stream)}
			}
			deciding.FillContext(event, &by.Context)
			if !given && event.ID == (daybook.ID{}) {
				event.ID = daybook.NewID()
			}
		}
	}
	return a, nil
}

// checkStream refuses events that StreamOf sends elsewhere than to the source.
func (s *Service[E]) checkStream(events []E) error {
	if s.options.StreamOf == nil {
		return nil
	}
	for _, event := range events {
		if any(event) == nil { // the codec names it
			continue
		}
		if stream := s.options.StreamOf(event); stream != s.source.stream {
			return &SetupError{What: "options.StreamOf", Reason: fmt.Sprintf("sends %T to stream %q, the source is stream %q", event, stream, s.source.stream)}
		}
	}
	return nil
}

// split sorts events into the changesets of their streams. The order between
// streams is that of their first events.
func (s *Service[E]) split(events []E) ([]daybook.Changeset, error) {
	if s.options.StreamOf == nil {
		return nil, &SetupError{What: "options.StreamOf", Reason: "must be set to append to the log"}
	}
	var streams []daybook.StreamID
	byStream := map[daybook.StreamID][]E{}
	for _, event := range events {
		if any(event) == nil {
			// The codec names it; StreamOf need not know what to do with it.
			_, err := s.codec.Encode(event)
			return nil, err
		}
		stream := s.options.StreamOf(event)
		if _, known := byStream[stream]; !known {
			streams = append(streams, stream)
		}
		byStream[stream] = append(byStream[stream], event)
	}
	var changesets []daybook.Changeset
	for _, stream := range streams {
		changeset, err := s.codec.Changeset(stream, daybook.ExpectAny(), byStream[stream]...)
		if err != nil {
			return nil, err
		}
		changesets = append(changesets, changeset)
	}
	if len(streams) > 1 && !inOrder(events, streams, s.options.StreamOf) {
		return nil, &SetupError{What: "append", Reason: "events of several streams must stand together by stream, since that is how they are stored and folded again"}
	}
	return changesets, nil
}

// inOrder reports whether the events of each stream stand together.
func inOrder[E any](events []E, streams []daybook.StreamID, streamOf func(E) daybook.StreamID) bool {
	at := 0
	for _, event := range events {
		i := slices.Index(streams, streamOf(event))
		if i < at {
			return false
		}
		at = i
	}
	return true
}

// stored makes the state with what was stored the current one.
func (s *Service[E]) stored(ctx context.Context, at *State, values []any, receipt daybook.Receipt) (*State, error) {
	if receipt.Repeated {
		return s.catchUpTo(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.current.Load()
	if current.position >= receipt.Position() {
		return current, nil // the background was quicker to read it
	}
	next := at.with(values)
	next.position = receipt.Position()
	next.seen = max(current.seen, next.position)
	if s.source.isStream() {
		next.version = receipt.Changesets[0].Last
	}
	for i := range s.places {
		s.places[i], s.versions[i] = next.position, next.version
	}
	for _, c := range receipt.Changesets {
		n := int(c.Last-c.First) + 1
		s.sinceSave += n
		s.records.Add(int64(n))
	}
	s.current.Store(next)
	return next, nil
}

// again brings the states to where a conflict found the store, and waits. It
// returns the error of the append where trying again cannot help.
func (s *Service[E]) again(ctx context.Context, err error, id daybook.ID, try int) error {
	var conflict *daybook.ConflictError
	var condition *daybook.ConditionError
	learnt := false
	switch {
	case errors.Is(err, deciding.ErrUnknown):
		return &UnknownOutcomeError{ID: id, Err: err}
	case errors.As(err, &conflict) && !conflict.Ahead():
		learnt = !conflict.Incomplete && s.learn(func(yield func(*daybook.Record) bool) {
			for i := range conflict.Missed {
				for j := range conflict.Missed[i].Records {
					if !yield(&conflict.Missed[i].Records[j]) {
						return
					}
				}
			}
		}, 0)
	case errors.As(err, &condition):
		learnt = !condition.Incomplete && s.learn(func(yield func(*daybook.Record) bool) {
			for i := range condition.Records {
				if !yield(&condition.Records[i]) {
					return
				}
			}
		}, condition.Found)
	default:
		return err
	}
	if !learnt {
		if _, err := s.catchUpTo(ctx); err != nil {
			return err
		}
	}
	wait := s.retry.Before(try)
	if s.options.Hooks.OnConflict != nil {
		s.options.Hooks.OnConflict(ctx, Conflict{Try: try, Learnt: learnt, Wait: wait})
	}
	if failed := s.retry.Sleep(ctx, wait); failed != nil {
		return fmt.Errorf("others were quicker %d times: %w; then: %w", try, err, failed)
	}
	return nil
}
