package livestate

import (
	"context"
	"errors"
)

// Transaction is an append in steps: events are added one after the other, and
// the state follows. It is used by one goroutine at a time, inside the function
// that Service.Transact calls.
type Transaction[E any] struct {
	service  *Service[E]
	state    *State
	events   []E
	aborted  bool
	ended    bool
	onCommit []func(events []E)
	onAbort  []func()
}

// State returns the state with the events that were added so far. It panics
// with ErrAborted after Abort.
func (tx *Transaction[E]) State() *State {
	if tx.aborted {
		panic(ErrAborted)
	}
	return tx.state
}

// Add adds events. It fails, and adds none of them, with *FoldError where a
// fold cannot take one, and with the codec's errors where one cannot be encoded;
// with ErrAborted after Abort, and *SetupError when Transact has returned, or the
// function was called anew.
func (tx *Transaction[E]) Add(events ...E) error {
	switch {
	case tx.aborted:
		return ErrAborted
	case tx.ended:
		return &SetupError{What: "transaction", Reason: "it has ended: use it inside the function of Transact only"}
	}
	for _, event := range events {
		if _, err := tx.service.codec.Encode(event); err != nil {
			return err
		}
	}
	values, err := tx.service.try(tx.state, events)
	if err != nil {
		return err
	}
	tx.state, tx.events = tx.state.with(values), append(tx.events, events...)
	return nil
}

// Abort forgets the events. The transaction then ends as a success that stores
// nothing; nothing can be added to it any more.
func (tx *Transaction[E]) Abort() { tx.aborted, tx.events = true, nil }

// OnCommit has a function called when the transaction is stored, with all of
// its events; also when there are none. It is called at most once, and not for a
// try that others were quicker than. A repeat calls it again (see
// AppendOptions.ID): the first call may have ended before.
func (tx *Transaction[E]) OnCommit(call func(events []E)) { tx.onCommit = append(tx.onCommit, call) }

// OnAbort has a function called when the transaction ends by Abort, an error or
// a panic. It is not called for a try that others were quicker than.
func (tx *Transaction[E]) OnAbort(call func()) { tx.onAbort = append(tx.onAbort, call) }

// abort calls the hooks of an end without success.
func (tx *Transaction[E]) abort() {
	if tx != nil {
		callAll(tx.onAbort)
	}
}

// commit calls the hooks of a success.
func (tx *Transaction[E]) commit() {
	calls := make([]func(), len(tx.onCommit))
	for i, call := range tx.onCommit {
		calls[i] = func() { call(tx.events) }
	}
	callAll(calls)
}

// callAll calls hooks in their order. One that panics does not keep the others
// from being called; its panic goes on behind them.
func callAll(calls []func()) {
	if len(calls) == 0 {
		return
	}
	defer callAll(calls[1:])
	calls[0]()
}

// Transact is Append with the events added in steps. run may run several times,
// so what it does besides belongs into the hooks OnCommit and OnAbort; those of
// the try that counts are called, in the order in which they were set, before
// Transact returns. A panic of run is passed on behind the hooks OnAbort, and
// that of a hook behind all others; what is stored by then stays so.
func (s *Service[E]) Transact(ctx context.Context, run func(tx *Transaction[E]) error, options *AppendOptions) (Appended[struct{}], error) {
	var tx *Transaction[E]
	if run == nil {
		return Appended[struct{}]{}, &SetupError{What: "run", Reason: "must not be nil"}
	}
	ended, refused := false, false
	defer func() {
		if tx != nil {
			tx.ended = true
		}
		if !ended {
			tx.abort() // run panicked, and the panic goes on
		}
	}()
	done, err := s.append(ctx, options, func(at *State) (decision[E], error) {
		if tx != nil {
			tx.ended = true // others were quicker
		}
		tx = &Transaction[E]{service: s, state: at}
		err := run(tx)
		if refused = err != nil; refused {
			return decision[E]{}, err
		}
		return decision[E]{events: tx.events, after: tx.state.values}, nil
	})
	ended = true
	switch {
	case err != nil:
		var unknown *UnknownOutcomeError
		if !errors.As(err, &unknown) {
			tx.abort()
		}
	case tx.aborted:
		tx.abort()
	default:
		if refused { // by now; it was carried out before
			tx.events = nil
		}
		tx.commit()
	}
	return done, err
}
