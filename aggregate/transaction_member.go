package aggregate

import (
	"context"
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/deciding"
)

// member is an aggregate of one repository in a transaction.
type member[S, C, E any] struct {
	run[S, C, E]      // its at is the aggregate as it is stored
	fresh        bool // at was read, not taken from the cache
	spoilt       bool // at.State was used up by deciding on it
	stale        bool // it must be read again before it is used
	now          S    // with the events of this try
	added        []E  // by this try
}

// ExecuteIn runs a command on an aggregate as a part of a transaction. Commands
// that came before in it are seen. It returns the aggregate with its events,
// which have no version yet; it fails with the error of Decide. What it fails
// with ends the transaction, whatever the function of Transact returns.
func (r *Repository[S, C, E]) ExecuteIn(ctx context.Context, tx *Transaction, id string, command C) (Loaded[S], error) {
	at, err := r.executeIn(ctx, tx, id, command)
	return at, tx.note(err)
}

func (r *Repository[S, C, E]) executeIn(ctx context.Context, tx *Transaction, id string, command C) (Loaded[S], error) {
	m, err := r.join(ctx, tx, id, true)
	if err != nil {
		return Loaded[S]{}, err
	}
	m.spoilt = m.machine.spoils()
	events, after, err := m.machine.attempt(m.run.stream, m.now, command)
	if err == nil && len(events) == 0 && len(m.added) == 0 && !m.fresh {
		// Nothing is appended here that could be refused: see whether it is
		// still true that there is nothing to do.
		if err = m.toNewest(ctx); err == nil {
			events, after, err = m.machine.attempt(m.run.stream, m.now, command)
		}
	}
	if err != nil {
		return Loaded[S]{}, err
	}
	if m.now = after; m.added == nil {
		m.added = events[:len(events):len(events)] // nobody appends to what the decider may keep
	} else {
		m.added = append(m.added, events...)
	}
	return m.loaded(), nil
}

// LoadIn returns an aggregate as a part of a transaction, with the events that
// this has added to it. What it fails with ends the transaction.
func (r *Repository[S, C, E]) LoadIn(ctx context.Context, tx *Transaction, id string) (Loaded[S], error) {
	m, err := r.join(ctx, tx, id, false)
	if err == nil && len(m.added) == 0 && !m.fresh {
		err = m.toNewest(ctx)
	}
	if err != nil {
		return Loaded[S]{}, tx.note(err)
	}
	return m.loaded(), nil
}

// note keeps the first thing that went wrong in a try.
func (tx *Transaction) note(err error) error {
	if tx != nil && tx.wrong == nil {
		tx.wrong = err
	}
	return err
}

// toNewest brings a state from the cache up to date before anything is added.
func (m *member[S, C, E]) toNewest(ctx context.Context) error {
	_, err := m.refresh(ctx)
	m.now = m.at.State
	return err
}

// join makes an aggregate a part of a transaction, or finds it there. The turn of
// one that is to be added to is taken before it is read.
func (r *Repository[S, C, E]) join(ctx context.Context, tx *Transaction, id string, adds bool) (*member[S, C, E], error) {
	switch {
	case tx == nil:
		return nil, &SetupError{What: "transaction", Reason: "must not be nil: it is the one that Transact hands over"}
	case tx.store != r.store:
		return nil, &SetupError{What: "transaction", Reason: "it is on another store than the repository"}
	case tx.ended:
		return nil, &SetupError{What: "transaction", Reason: "it has ended: use it inside the function of Transact only"}
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
	found := m != nil
	if !found {
		m = &member[S, C, E]{run: run[S, C, E]{core: r.core, stream: stream}}
	}
	if adds {
		tx.turns.enter(m)
	}
	if !found {
		if m.fresh, err = m.base(ctx, &m.at); err != nil {
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

func (m *member[S, C, E]) turns() *deciding.Turns { return m.core.turns }

// renew takes over what the cache has learnt; where there is none, it reads.
func (m *member[S, C, E]) renew(ctx context.Context) error {
	if m.spoilt { // it is read again anyway
		return nil
	}
	if m.cache == nil {
		_, err := m.run.refresh(ctx, &m.at)
		m.fresh = true
		return err
	}
	if at, found := m.cache.get(m.run.stream); found && at.Version > m.at.Version {
		at.State = m.machine.own(at.State)
		m.at, m.fresh = at, false
	}
	return nil
}

func (m *member[S, C, E]) rebase(ctx context.Context, conflict *daybook.ConflictError) (missed, read int, err error) {
	m.fresh, m.spoilt = true, false
	return m.run.rebase(ctx, &m.at, conflict)
}

func (m *member[S, C, E]) settle(at time.Time, c *daybook.ChangesetReceipt) {
	to := m.at.after(m.now, at, c)
	m.stored(m.at, &to)
}

func (m *member[S, C, E]) keep() { m.core.keep(m.at) }

func (m *member[S, C, E]) evict() { m.core.evict(m.run.stream) }
