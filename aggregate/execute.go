package aggregate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/deciding"
)

// CommandOptions say more about one command. Nil and zero fields mean the
// defaults.
type CommandOptions struct {
	// ID makes the command repeatable: it is carried out once, also by several
	// programs at once, and every further call is answered with the receipt of
	// the first. daybook.IDOf makes one of a key that the command has anyway.
	// A zero ID is replaced by a fresh one.
	ID daybook.ID
	// Context is put into the events, wherever they leave a part of theirs
	// empty.
	Context daybook.Context
	// Metadata belongs to the changeset.
	Metadata []byte
	// Durability is the least that the caller accepts.
	Durability daybook.Durability
}

// command is CommandOptions with what follows from them.
type command struct {
	CommandOptions
	given bool // the id came from the caller, who may have sent it before
}

func commandOf(options *CommandOptions) command {
	var c command
	if options != nil {
		c.CommandOptions = *options
	}
	c.given = c.ID != daybook.ID{}
	if !c.given {
		c.ID = daybook.NewID()
	}
	return c
}

// Execute runs a command on an aggregate: it loads it, decides, folds the new
// events to see that they can be, and appends them. When somebody else was
// quicker it decides again on what was missed. A decision without events is a
// success that stores nothing.
//
// It fails with the error of Decide as it is; *EvolveError and ErrNilEvent for
// events that cannot be folded, and the codec's errors for those that cannot be
// encoded; *daybook.ClaimError and *daybook.ReferenceError where what an event
// claims or requires does not hold; *daybook.LimitError for more than the store
// takes; *ContendedError when Retry allows no more tries, or ctx ends between
// two. After all of these, and all that match daybook.ErrRefused, nothing was
// stored. After *UnknownOutcomeError that cannot be told: execute the command
// again with its ID.
func (r *Repository[S, C, E]) Execute(ctx context.Context, id string, command C, options *CommandOptions) (Result[S, E], error) {
	stream, err := r.stream(id)
	if err != nil {
		return Result[S, E]{}, err
	}
	start := r.begun()
	run, by := r.run(stream), commandOf(options)
	result, err := run.executeInTurn(ctx, command, &by)
	r.ended(ctx, run, start, &result, err)
	return result, err
}

// begun returns the time if somebody wants to know how long a command took.
func (r *Repository[S, C, E]) begun() (start time.Time) {
	if r.hooks.OnExecuted != nil {
		start = r.now()
	}
	return start
}

// ended tells the hook, and forgets what a failure may have left behind. A
// refusal is none.
func (r *Repository[S, C, E]) ended(ctx context.Context, run *run[S, C, E], start time.Time, result *Result[S, E], err error) {
	if err != nil && run.cached && !run.refused {
		r.evict(run.stream)
	}
	if r.hooks.OnExecuted != nil {
		r.hooks.OnExecuted(ctx, Executed{
			Stream: run.stream, Tries: result.Tries, Records: run.records, Cached: run.cached, Events: len(result.Events),
			Receipt: result.Receipt, Err: err, Took: r.now().Sub(start),
		})
	}
}

// executeInTurn executes when nobody else of this process works on the stream.
func (r *run[S, C, E]) executeInTurn(ctx context.Context, command C, by *command) (Result[S, E], error) {
	turn, err := r.turns.Take(ctx, r.retry.MaxWait, notInside, r.stream)
	if err != nil {
		return Result[S, E]{Tries: 1}, notBegun(err)
	}
	if turn != nil {
		defer turn.Pass()
	}
	return r.execute(ctx, command, by)
}

// execute decides until the decision is stored.
func (r *run[S, C, E]) execute(ctx context.Context, command C, by *command) (Result[S, E], error) {
	at := &r.at
	fresh, err := r.base(ctx, at)
	if err != nil {
		return Result[S, E]{Tries: 1}, err
	}
	for try := 1; ; try++ {
		events, after, err := r.machine.attempt(r.stream, at.State, command)
		if err != nil || len(events) == 0 {
			if !fresh {
				// The state is from the cache: is it still the newest one?
				moved, failed := r.refresh(ctx, at)
				if fresh = true; failed != nil {
					return Result[S, E]{Tries: try}, failed
				}
				if moved {
					continue
				}
			}
			return r.nothing(ctx, *at, after, by, try, err)
		}
		receipt, err := r.append(ctx, at.Version, events, by)
		if err == nil {
			return r.settle(ctx, *at, after, events, receipt, try)
		}
		var conflict *daybook.ConflictError
		if !errors.As(err, &conflict) {
			return r.failed(ctx, *at, by, try, err)
		}
		if try >= r.maxTries {
			return Result[S, E]{Tries: try}, &ContendedError{Tries: try, Err: err}
		}
		if err := r.again(ctx, at, conflict, try); err != nil {
			return Result[S, E]{Tries: try}, givenUp(ctx, try, conflict, err)
		}
		fresh = true
	}
}

// notBegun says of an error that came before anything was sent that nothing was
// stored.
func notBegun(err error) error {
	if errors.Is(err, daybook.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w before it began: %w", daybook.ErrRefused, err)
}

// givenUp is the error of a command that could not be decided again. Where its
// context has ended, the conflict is what kept it.
func givenUp(ctx context.Context, try int, conflict, err error) error {
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		return &ContendedError{Tries: try, Err: conflict, Ended: ended}
	}
	return err
}

// append encodes events and sends them.
func (r *run[S, C, E]) append(ctx context.Context, version daybook.Version, events []E, by *command) (daybook.Receipt, error) {
	changeset, err := r.changeset(version, events, by)
	if err != nil {
		return daybook.Receipt{}, err
	}
	return send(ctx, r.store, &r.retry, daybook.Append{ID: by.ID, Changesets: []daybook.Changeset{changeset}, Durability: by.Durability}, by)
}

// changeset returns what adds the events behind a version.
func (r *run[S, C, E]) changeset(version daybook.Version, events []E, by *command) (daybook.Changeset, error) {
	changeset, err := r.codec.Changeset(r.stream, daybook.ExpectVersion(version), events...)
	if err != nil {
		return changeset, err
	}
	for i := range changeset.Events {
		event := &changeset.Events[i]
		deciding.FillContext(event, &by.Context)
		if !by.given && event.ID == (daybook.ID{}) {
			event.ID = daybook.NewID()
		}
	}
	changeset.Metadata = by.Metadata
	return changeset, nil
}

// send appends until the outcome is known.
func send(ctx context.Context, store *daybook.Store, retry *deciding.Retry, a daybook.Append, by *command) (daybook.Receipt, error) {
	receipt, err := deciding.Send(ctx, store, retry, a, by.given)
	if errors.Is(err, deciding.ErrUnknown) {
		err = &UnknownOutcomeError{ID: by.ID, Err: err}
	}
	return receipt, err
}

// again brings a state to where the conflict found the stream, and waits.
func (r *run[S, C, E]) again(ctx context.Context, at *Loaded[S], conflict *daybook.ConflictError, try int) error {
	missed, read, err := r.rebase(ctx, at, conflict)
	if err != nil {
		return err
	}
	wait := r.retry.Before(try)
	if r.hooks.OnConflict != nil {
		r.hooks.OnConflict(ctx, Conflict{Stream: r.stream, Try: try, Missed: missed, Read: read, Wait: wait})
	}
	return r.retry.Sleep(ctx, wait)
}

// settle makes the result of what was stored.
func (r *run[S, C, E]) settle(ctx context.Context, at Loaded[S], after S, events []E, receipt daybook.Receipt, try int) (Result[S, E], error) {
	if receipt.Repeated {
		return r.repeated(ctx, at, receipt, try)
	}
	to := at.after(after, receipt.RecordedAt, &receipt.Changesets[0])
	r.stored(at, &to)
	return Result[S, E]{Loaded: to, Events: events, Receipt: receipt, Tries: try}, nil
}

// after returns l with what a changeset has added to it.
func (l Loaded[S]) after(state S, recordedAt time.Time, c *daybook.ChangesetReceipt) Loaded[S] {
	l.State, l.Version, l.Position, l.RecordedAt = state, c.Last, c.LastPosition, recordedAt
	if l.since.IsZero() {
		l.since = recordedAt
	}
	return l
}

// stored takes note of a state that was just stored: for the cache, and for
// the next snapshot.
func (c *core[S, C, E]) stored(from Loaded[S], to *Loaded[S]) {
	if c.snapshots != nil && c.snapshots.offer(from.Version, *to) {
		to.since = to.RecordedAt
	}
	c.keep(*to)
}

// nothing is the result of a decision to store nothing, or not to. A command
// with an id may have been carried out before, which is why now there is
// nothing to do.
func (r *run[S, C, E]) nothing(ctx context.Context, at Loaded[S], after S, by *command, try int, refusal error) (Result[S, E], error) {
	if by.given {
		receipt, known, err := deciding.ReceiptOf(ctx, r.store, by.ID, r.stream)
		if err != nil {
			return Result[S, E]{Tries: try}, err
		}
		if known {
			return r.repeated(ctx, at, receipt, try)
		}
	}
	if refusal != nil {
		if r.refused = !spoilsStates(refusal); r.refused {
			r.keep(at)
		}
		return Result[S, E]{Tries: try}, refusal
	}
	at.State = after
	r.keep(at)
	return Result[S, E]{Loaded: at, Tries: try}, nil
}

// failed is the result of an append that failed otherwise than by a conflict
// of its stream.
func (r *run[S, C, E]) failed(ctx context.Context, at Loaded[S], by *command, try int, err error) (Result[S, E], error) {
	var reused *daybook.ReusedIDError
	if !errors.As(err, &reused) {
		return Result[S, E]{Tries: try}, err
	}
	// The command was carried out before, and led to other events then.
	receipt, known, failed := deciding.ReceiptOf(ctx, r.store, by.ID, r.stream)
	if failed != nil || !known {
		return Result[S, E]{Tries: try}, err
	}
	return r.repeated(ctx, at, receipt, try)
}

// repeated is the result of a command that was carried out before.
func (r *run[S, C, E]) repeated(ctx context.Context, at Loaded[S], receipt daybook.Receipt, try int) (Result[S, E], error) {
	receipt.Repeated = true
	var err error
	if r.at = at; r.machine.applies {
		r.at, err = r.load(ctx, AsOf{})
	} else {
		_, err = r.refresh(ctx, &r.at)
	}
	if err != nil {
		return Result[S, E]{Tries: try}, err
	}
	r.keep(r.at)
	return Result[S, E]{Loaded: r.at, Receipt: receipt, Tries: try}, nil
}

// Persist appends events that the caller has decided on a loaded aggregate,
// once: it fails with *daybook.ConflictError where the stream has moved on
// since. No events are a success that stores nothing. Otherwise it is Execute.
func (r *Repository[S, C, E]) Persist(ctx context.Context, at Loaded[S], events []E, options *CommandOptions) (Result[S, E], error) {
	if err := at.Stream.Validate(); err != nil {
		return Result[S, E]{}, err
	}
	if at.Stream.Type() != r.streamType {
		return Result[S, E]{}, &SetupError{What: "persist", Reason: "the aggregate is a " + at.Stream.Type() + ", the repository is of type " + r.streamType}
	}
	if len(events) == 0 {
		return Result[S, E]{Loaded: at, Tries: 1}, nil
	}
	start := r.begun()
	run, by := r.run(at.Stream), commandOf(options)
	result, err := run.persist(ctx, at, events, &by)
	r.ended(ctx, run, start, &result, err)
	return result, err
}

func (r *run[S, C, E]) persist(ctx context.Context, at Loaded[S], events []E, by *command) (Result[S, E], error) {
	after := at.State
	if err := r.machine.check(events); err != nil {
		return Result[S, E]{Tries: 1}, err
	}
	if !r.machine.applies { // an object has been through its events already
		var err error
		if after, err = r.machine.fold(r.machine.own(at.State), events); err != nil {
			return Result[S, E]{Tries: 1}, in(err, r.stream, 0)
		}
	}
	receipt, err := r.append(ctx, at.Version, events, by)
	if err != nil {
		return r.failed(ctx, at, by, 1, err)
	}
	return r.settle(ctx, at, after, events, receipt, 1)
}
