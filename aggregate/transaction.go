package aggregate

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/deciding"
)

// TransactionOptions say more about a transaction. Nil and zero fields mean the
// defaults.
type TransactionOptions struct {
	// CommandOptions are those of all its commands. Their ID makes the whole
	// transaction repeatable; their Metadata goes to every changeset.
	CommandOptions
	// Retry says how it is tried again.
	Retry Retry
	// OnConflict is called before the transaction runs again. See Hooks for what
	// it must not do.
	OnConflict func(ctx context.Context, conflict Conflict)
}

// TransactionResult tells how a transaction ended.
type TransactionResult struct {
	// Receipt says where the events went; zero where there were none. Its
	// Repeated is set when a transaction with this id was carried out before.
	Receipt daybook.Receipt
	// Tries is how often it was tried: once, and again whenever a state was found
	// to be an old one. The function may run more often, to find which aggregates
	// it needs.
	Tries int
}

// Transaction gathers commands of several aggregates, of one type or of
// several, that are stored together or not at all. It is used by one goroutine
// at a time, inside the function that Transact calls.
type Transaction struct {
	store *daybook.Store
	by    *command
	parts []part
	few   [4]part // the memory of parts, where that is enough
	turns queue
	wrong error // what a command of this try failed with
	ended bool

	retry    deciding.Retry
	maxTries int
}

// part is one aggregate in a transaction.
type part interface {
	stream() daybook.StreamID
	turns() *deciding.Turns
	// changeset returns what the aggregate adds; ok is false for nothing.
	changeset(by *command) (c daybook.Changeset, ok bool, err error)
	// restart forgets what was decided.
	restart()
	// refresh brings a state that came from a cache to the newest version, and
	// reports whether it was an older one.
	refresh(ctx context.Context) (moved bool, err error)
	// renew brings a state to what is known here after others had their turn.
	renew(ctx context.Context) error
	rebase(ctx context.Context, conflict *daybook.ConflictError) (missed, read int, err error)
	settle(at time.Time, c *daybook.ChangesetReceipt)
	// keep puts a state that is current into the cache, evict takes it out.
	keep()
	evict()
}

// Transact runs a function that executes commands by ExecuteIn, and appends all
// of their events as one append: all or nothing, on any partitions of one
// store. When somebody else was quicker on one of the aggregates, the function
// runs again, on states that are brought up to date; so it must do nothing
// else. An error of the function ends the transaction; nothing is stored then.
//
// Each aggregate that events were added to is guarded, like by Execute. One that
// was only read by LoadIn is not: a decision that depends on it needs a
// reference, a claim, or an event there.
//
// It fails as Execute does, and with *daybook.UnsupportedError where the
// storage cannot append to several streams.
func Transact(ctx context.Context, store *daybook.Store, run func(ctx context.Context, tx *Transaction) error, options *TransactionOptions) (TransactionResult, error) {
	switch {
	case store == nil:
		return TransactionResult{}, &SetupError{What: "store", Reason: "must not be nil"}
	case run == nil:
		return TransactionResult{}, &SetupError{What: "run", Reason: "must not be nil"}
	}
	if options == nil {
		options = &TransactionOptions{}
	}
	if err := options.Retry.check("options.Retry"); err != nil {
		return TransactionResult{}, err
	}
	by := commandOf(&options.CommandOptions)
	tx := &Transaction{store: store, by: &by}
	tx.parts = tx.few[:0]
	tx.retry, tx.maxTries = options.Retry.policy()
	defer func() {
		tx.turns.leave()
		tx.ended = true
	}()
	for try := 1; ; try++ {
		changesets, adds, refused, err := tx.decide(ctx, run)
		if err != nil {
			return TransactionResult{Tries: try}, err
		}
		if len(changesets) == 0 {
			moved, err := tx.refresh(ctx)
			if err != nil {
				return TransactionResult{Tries: try}, err
			}
			if moved {
				continue
			}
			return tx.nothing(ctx, try, refused)
		}
		receipt, err := send(ctx, store, &tx.retry, daybook.Append{ID: by.ID, Changesets: changesets, Durability: by.Durability}, &by)
		if err == nil {
			tx.settle(receipt, adds)
			return TransactionResult{Receipt: receipt, Tries: try}, nil
		}
		var conflict *daybook.ConflictError
		if !errors.As(err, &conflict) {
			return tx.failed(ctx, try, err)
		}
		if try >= tx.maxTries {
			return TransactionResult{Tries: try}, &ContendedError{Tries: try, Err: err}
		}
		if err := tx.again(ctx, adds, conflict, try, options.OnConflict); err != nil {
			return TransactionResult{Tries: try}, givenUp(ctx, try, conflict, err)
		}
	}
}

// decide runs the function until what it adds was decided in turn.
func (tx *Transaction) decide(ctx context.Context, run func(context.Context, *Transaction) error) (changesets []daybook.Changeset, adds []part, refused, err error) {
	for {
		if refused = tx.ask(ctx, run); refused != nil {
			return nil, nil, refused, nil
		}
		if changesets, adds, err = tx.changesets(); err != nil || len(adds) == 0 {
			return nil, nil, nil, err
		}
		waited, err := tx.turns.take(ctx, adds, tx.retry.MaxWait)
		if err != nil {
			return nil, nil, nil, notBegun(err)
		}
		if !waited {
			return changesets, adds, nil, nil
		}
		for _, p := range adds {
			if err := p.renew(ctx); err != nil {
				return nil, nil, nil, err
			}
		}
	}
}

// ask runs the function once, from the beginning.
func (tx *Transaction) ask(ctx context.Context, run func(context.Context, *Transaction) error) error {
	for _, p := range tx.parts {
		p.restart()
	}
	tx.wrong = nil
	return cmp.Or(run(ctx, tx), tx.wrong)
}

// again brings the states to where the conflict found them, and waits.
func (tx *Transaction) again(ctx context.Context, adds []part, conflict *daybook.ConflictError, try int, tell func(context.Context, Conflict)) (err error) {
	told := Conflict{Stream: conflict.Stream, Try: try, Wait: tx.retry.Before(try)}
	for _, p := range adds {
		if p.stream() == conflict.Stream {
			if told.Missed, told.Read, err = p.rebase(ctx, conflict); err != nil {
				return err
			}
		}
	}
	if tell != nil {
		tell(ctx, told)
	}
	return tx.retry.Sleep(ctx, told.Wait)
}

// changesets returns what the transaction adds, and which parts add it.
func (tx *Transaction) changesets() (changesets []daybook.Changeset, adds []part, err error) {
	changesets, adds = make([]daybook.Changeset, 0, len(tx.parts)), make([]part, 0, len(tx.parts))
	for _, p := range tx.parts {
		c, ok, err := p.changeset(tx.by)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			changesets, adds = append(changesets, c), append(adds, p)
		}
	}
	return changesets, adds, nil
}

// refresh brings all parts to their newest versions.
func (tx *Transaction) refresh(ctx context.Context) (moved bool, err error) {
	for _, p := range tx.parts {
		one, err := p.refresh(ctx)
		if err != nil {
			return false, err
		}
		moved = moved || one
	}
	return moved, nil
}

// settle takes note of what was stored. After a repeat there is nothing new.
func (tx *Transaction) settle(receipt daybook.Receipt, adds []part) {
	if receipt.Repeated {
		return
	}
	for i, p := range adds {
		p.settle(receipt.RecordedAt, &receipt.Changesets[i])
	}
}

// nothing is the result of a transaction that stores nothing, or is refused:
// perhaps since it was carried out before.
func (tx *Transaction) nothing(ctx context.Context, try int, refused error) (TransactionResult, error) {
	if tx.by.given && len(tx.parts) > 0 {
		receipt, known, err := deciding.ReceiptOf(ctx, tx.store, tx.by.ID, tx.streams()...)
		if err != nil {
			return TransactionResult{Tries: try}, err
		}
		if known {
			return TransactionResult{Receipt: receipt, Tries: try}, nil
		}
	}
	for _, p := range tx.parts {
		if spoilsStates(refused) {
			p.evict()
		} else {
			p.keep()
		}
	}
	return TransactionResult{Tries: try}, refused
}

// failed is the result of an append that failed otherwise than by a conflict.
func (tx *Transaction) failed(ctx context.Context, try int, err error) (TransactionResult, error) {
	for _, p := range tx.parts {
		p.evict()
	}
	var reused *daybook.ReusedIDError
	if errors.As(err, &reused) {
		if receipt, known, failed := deciding.ReceiptOf(ctx, tx.store, tx.by.ID, tx.streams()...); failed == nil && known {
			return TransactionResult{Receipt: receipt, Tries: try}, nil
		}
	}
	return TransactionResult{Tries: try}, err
}

func (tx *Transaction) streams() []daybook.StreamID {
	var streams []daybook.StreamID
	for _, p := range tx.parts {
		streams = append(streams, p.stream())
	}
	return streams
}
