package aggregate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// TransactionOptions say more about a transaction. Nil and zero fields mean the
// defaults.
type TransactionOptions struct {
	// CommandOptions are those of all its commands. Their ID makes the whole
	// transaction repeatable; their Metadata goes to every changeset.
	CommandOptions
	// Retry says how it is tried again.
	Retry Retry
	// OnConflict is called before the transaction runs again.
	OnConflict func(ctx context.Context, conflict Conflict)
}

// TransactionResult tells how a transaction ended.
type TransactionResult struct {
	// Receipt says where the events went; zero where there were none. Its
	// Repeated is set when a transaction with this id was carried out before.
	Receipt daybook.Receipt
	Tries   int
}

// Transaction gathers commands of several aggregates, of one type or of
// several, that are stored together or not at all. It is used by one goroutine
// at a time, inside the function that Transact calls.
type Transaction struct {
	store *daybook.Store
	by    *command
	parts []part
}

// part is one aggregate in a transaction.
type part interface {
	stream() daybook.StreamID
	// changeset returns what the aggregate adds; ok is false for nothing.
	changeset(by *command) (c daybook.Changeset, ok bool, err error)
	// restart forgets what was decided.
	restart()
	// refresh brings a state that came from a cache to the newest version, and
	// reports whether it was an older one.
	refresh(ctx context.Context) (moved bool, err error)
	rebase(ctx context.Context, conflict *daybook.ConflictError) (missed, read int, err error)
	settle(at time.Time, c *daybook.ChangesetReceipt)
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
	if options == nil {
		options = &TransactionOptions{}
	}
	by := commandOf(&options.CommandOptions)
	retry, maxTries := options.Retry.policy()
	tx := &Transaction{store: store, by: &by}
	for try := 1; ; try++ {
		for _, p := range tx.parts {
			p.restart()
		}
		a := daybook.Append{ID: by.ID, Durability: by.Durability}
		refused := run(ctx, tx)
		var adds []part
		if refused == nil {
			var err error
			if a.Changesets, adds, err = tx.changesets(); err != nil {
				return TransactionResult{Tries: try}, err
			}
		}
		if len(a.Changesets) == 0 {
			moved, err := tx.refresh(ctx)
			if err != nil {
				return TransactionResult{Tries: try}, err
			}
			if moved {
				continue
			}
			return tx.nothing(ctx, try, refused)
		}
		receipt, err := send(ctx, store, &retry, a, &by)
		var conflict *daybook.ConflictError
		switch {
		case err == nil:
			tx.settle(receipt, adds)
			return TransactionResult{Receipt: receipt, Tries: try}, nil
		case !errors.As(err, &conflict):
			return tx.failed(ctx, try, err)
		case try >= maxTries:
			return TransactionResult{Tries: try}, &ContendedError{Tries: try, Err: err}
		}
		told := Conflict{Stream: conflict.Stream, Try: try, Wait: retry.Before(try)}
		for _, p := range adds {
			if p.stream() == conflict.Stream {
				if told.Missed, told.Read, err = p.rebase(ctx, conflict); err != nil {
					return TransactionResult{Tries: try}, err
				}
			}
		}
		if options.OnConflict != nil {
			options.OnConflict(ctx, told)
		}
		if err := retry.Sleep(ctx, told.Wait); err != nil {
			return TransactionResult{Tries: try}, err
		}
	}
}

// changesets returns what the transaction adds, and which parts add it.
func (tx *Transaction) changesets() (changesets []daybook.Changeset, adds []part, err error) {
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

func (tx *Transaction) settle(receipt daybook.Receipt, adds []part) {
	for i, p := range adds {
		if receipt.Repeated {
			p.evict()
			continue
		}
		p.settle(receipt.RecordedAt, &receipt.Changesets[i])
	}
}

// nothing is the result of a transaction that stores nothing, or is refused:
// perhaps since it was carried out before.
func (tx *Transaction) nothing(ctx context.Context, try int, refused error) (TransactionResult, error) {
	if tx.by.given && len(tx.parts) > 0 {
		receipt, known, err := receiptOf(ctx, tx.store, tx.by.ID, tx.streams()...)
		if err != nil {
			return TransactionResult{Tries: try}, err
		}
		if known {
			return TransactionResult{Receipt: receipt, Tries: try}, nil
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
		if receipt, known, failed := receiptOf(ctx, tx.store, tx.by.ID, tx.streams()...); failed == nil && known {
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

// member is an aggregate of one repository in a transaction.
type member[S, C, E any] struct {
	*run[S, C, E]
	at     Loaded[S] // as it is stored
	fresh  bool      // at was read, not taken from the cache
	spoilt bool      // at.State was used up by deciding on it
	stale  bool      // it must be read again before it is used
	now    S         // with the events of this try
	added  []E       // by this try
}

// ExecuteIn runs a command on an aggregate as a part of a transaction. Commands
// that came before in it are seen. It returns the aggregate with its events,
// which have no version yet; it fails with the error of Decide, and what it
// fails with must be returned by the function of Transact.
func (r *Repository[S, C, E]) ExecuteIn(ctx context.Context, tx *Transaction, id string, command C) (Loaded[S], error) {
	m, err := r.join(ctx, tx, id)
	if err != nil {
		return Loaded[S]{}, err
	}
	m.spoilt = m.machine.spoils()
	events, after, err := m.machine.attempt(m.run.stream, m.now, command)
	if err == nil && len(events) == 0 && len(m.added) == 0 && !m.fresh {
		// Nothing is appended here that could be refused: see whether it is
		// still true that there is nothing to do.
		if err = m.renew(ctx); err == nil {
			events, after, err = m.machine.attempt(m.run.stream, m.now, command)
		}
	}
	if err != nil {
		return Loaded[S]{}, err
	}
	m.now, m.added = after, append(m.added, events...)
	return m.loaded(), nil
}

// LoadIn returns an aggregate as a part of a transaction, with the events that
// this has added to it.
func (r *Repository[S, C, E]) LoadIn(ctx context.Context, tx *Transaction, id string) (Loaded[S], error) {
	m, err := r.join(ctx, tx, id)
	if err == nil && len(m.added) == 0 && !m.fresh {
		err = m.renew(ctx)
	}
	if err != nil {
		return Loaded[S]{}, err
	}
	return m.loaded(), nil
}

// renew brings a state from the cache up to date before anything is added.
func (m *member[S, C, E]) renew(ctx context.Context) error {
	_, err := m.refresh(ctx)
	m.now = m.at.State
	return err
}

// join makes an aggregate a part of a transaction, or finds it there.
func (r *Repository[S, C, E]) join(ctx context.Context, tx *Transaction, id string) (*member[S, C, E], error) {
	if tx.store != r.store {
		return nil, &SetupError{What: "transaction", Reason: "it is on another store than the repository"}
	}
	stream, err := r.stream(id)
	if err != nil {
		return nil, err
	}
	var m *member[S, C, E]
	for _, p := range tx.parts {
		if p.stream() != stream {
			continue
		}
		known, same := p.(*member[S, C, E])
		if !same || known.core != r.core {
			return nil, &SetupError{What: "transaction", Reason: fmt.Sprintf("two repositories work on stream %q", stream)}
		}
		m = known
	}
	if m == nil {
		m = &member[S, C, E]{run: r.run(stream)}
		if m.at, m.fresh, err = m.base(ctx); err != nil {
			return nil, err
		}
		m.restart()
		tx.parts = append(tx.parts, m)
	}
	if m.stale {
		if m.at, err = m.load(ctx, AsOf{}); err != nil {
			return nil, err
		}
		m.now, m.spoilt, m.stale = m.at.State, false, false
	}
	return m, nil
}

func (m *member[S, C, E]) loaded() Loaded[S] {
	at := m.at
	at.State = m.now
	return at
}

func (m *member[S, C, E]) stream() daybook.StreamID { return m.run.stream }

func (m *member[S, C, E]) changeset(by *command) (daybook.Changeset, bool, error) {
	if len(m.added) == 0 {
		return daybook.Changeset{}, false, nil
	}
	c, err := m.run.changeset(m.at.Version, m.added, by)
	return c, true, err
}

func (m *member[S, C, E]) restart() { m.now, m.added, m.stale = m.at.State, nil, m.spoilt }

func (m *member[S, C, E]) refresh(ctx context.Context) (bool, error) {
	if m.fresh {
		return false, nil
	}
	m.fresh = true
	return m.run.refresh(ctx, &m.at)
}

func (m *member[S, C, E]) rebase(ctx context.Context, conflict *daybook.ConflictError) (missed, read int, err error) {
	m.fresh, m.spoilt = true, false
	return m.run.rebase(ctx, &m.at, conflict)
}

func (m *member[S, C, E]) settle(at time.Time, c *daybook.ChangesetReceipt) {
	to := m.at.after(m.now, at, c)
	m.stored(m.at, &to)
}

func (m *member[S, C, E]) evict() { m.core.evict(m.run.stream) }
