package daytest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/daybook-go/daybook"
)

// faulty stands between a program and its storage, and strikes appends. Calls
// one after the other pass; those at the same time take turns.
type faulty struct {
	inner daybook.Driver
	sound *daybook.Store // on inner
	fault func(n int) Fault
	rival func(context.Context, *daybook.Store, daybook.StreamID) error

	mu      sync.Mutex // guards all below
	appends int
	dead    bool
	kill    func()          // ends the context of the program; nil for none
	late    *daybook.Append // on its way
	stored  map[daybook.ID]bool
	input   string // that is being handled
	told    []string
}

// Append implements daybook.Driver.
func (f *faulty) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead {
		return daybook.Receipt{}, ErrCrashed
	}
	f.arrive()
	n := f.appends
	f.appends++
	var fault Fault
	if f.fault != nil {
		fault = f.fault(n)
	}
	switch fault {
	case CrashBefore, CrashAfter, LostRequest, LostAnswer, LateCommit, Conflict:
		f.note("%s: append %d, of %s to stream %s, %s", fault, n+1, a.Changesets[0].Events[0].Type, a.Changesets[0].Stream, f.input)
	}
	switch fault {
	case CrashBefore:
		return daybook.Receipt{}, f.die()
	case LostRequest:
		return daybook.Receipt{}, ErrOutcomeUnknown
	case LateCommit:
		late := cloned(a)
		f.late = &late
		return daybook.Receipt{}, ErrOutcomeUnknown
	case Conflict:
		if err := f.contend(ctx, &a); err != nil {
			return daybook.Receipt{}, err
		}
	}
	receipt, err := f.keep(ctx, a)
	if err == nil && fault == CrashAfter {
		return daybook.Receipt{}, f.die()
	}
	if err == nil && fault == LostAnswer {
		return daybook.Receipt{}, ErrOutcomeUnknown
	}
	return receipt, err
}

// keep has the storage store an append, and remembers its id. The caller holds
// f.mu.
func (f *faulty) keep(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	receipt, err := f.inner.Append(ctx, a)
	if err == nil {
		if f.stored == nil {
			f.stored = map[daybook.ID]bool{}
		}
		f.stored[a.ID] = true
	}
	return receipt, err
}

// contend makes a conflict for an append that can meet one: by the rival, or
// by saying so. A repeat meets none, since it is answered with its receipt
// whatever came since. The caller holds f.mu.
func (f *faulty) contend(ctx context.Context, a *daybook.Append) error {
	if f.stored[a.ID] {
		return nil
	}
	at := slices.IndexFunc(a.Changesets, func(c daybook.Changeset) bool {
		_, version := c.Expect.Version()
		_, number := c.Expect.Changeset()
		return version || number || c.Expect.None()
	})
	if at < 0 {
		return nil
	}
	c := &a.Changesets[at]
	if f.rival != nil {
		return f.rival(ctx, f.sound, c.Stream)
	}
	head, err := f.sound.Head(ctx, c.Stream)
	if err != nil {
		return err
	}
	return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: head}
}

// arrive stores what is on its way; that it may be refused by now is part of
// being late. The caller holds f.mu.
func (f *faulty) arrive() {
	if f.late == nil {
		return
	}
	late := *f.late
	f.late = nil
	if _, err := f.keep(context.Background(), late); err != nil {
		f.note("what was late is refused: %v", err)
		return
	}
	f.note("what was late is stored")
}

// settle stores what is still on its way.
func (f *faulty) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrive()
}

func (f *faulty) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// die ends the program. The caller holds f.mu.
func (f *faulty) die() error {
	f.dead = true
	if f.kill != nil {
		f.kill()
	}
	return ErrCrashed
}

// revive lets a new program use the store, whose context kill ends.
func (f *faulty) revive(kill func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dead, f.kill = false, kill
}

func (f *faulty) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.appends
}

// at says which input is being handled.
func (f *faulty) at(number int, input string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.input = fmt.Sprintf("while input %d is handled: %s", number, input)
}

func (f *faulty) tell(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note(format, args...)
}

// note keeps what went wrong, as much as a person reads. The caller holds
// f.mu.
func (f *faulty) note(format string, args ...any) {
	const enough = 50
	if len(f.told) < enough {
		f.told = append(f.told, fmt.Sprintf(format, args...))
	}
}

// history is what went wrong.
func (f *faulty) history() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.told) == 0 {
		return ""
	}
	return "\n    " + strings.Join(f.told, "\n    ")
}

// alive returns ErrCrashed if the program has crashed.
func (f *faulty) alive() error {
	if f.isDead() {
		return ErrCrashed
	}
	return nil
}

// cloned returns an append that shares no memory with a.
func cloned(a daybook.Append) daybook.Append {
	a.Changesets = slices.Clone(a.Changesets)
	for i := range a.Changesets {
		c := &a.Changesets[i]
		c.Events = slices.Clone(c.Events)
		for j := range c.Events {
			c.Events[j] = c.Events[j].Clone()
		}
		c.Metadata = slices.Clone(c.Metadata)
		c.Claims, c.Releases, c.References = slices.Clone(c.Claims), slices.Clone(c.Releases), slices.Clone(c.References)
	}
	if a.Condition != nil {
		condition := *a.Condition
		a.Condition = &condition
	}
	return a
}

// guarded is a read that ends when the program has crashed.
func guarded[V any](f *faulty, values iter.Seq2[V, error]) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		for value, err := range values {
			if crashed := f.alive(); crashed != nil {
				var none V
				yield(none, crashed)
				return
			}
			if !yield(value, err) {
				return
			}
		}
	}
}

// lacks is the answer where the inner driver does not offer something.
func (f *faulty) lacks(feature string) error {
	return &daybook.UnsupportedError{Driver: f.inner.Name(), Feature: feature}
}

// optional calls the inner driver's method of an optional interface I.
func optional[I, V any](f *faulty, feature string, call func(I) (V, error)) (V, error) {
	var none V
	inner, ok := f.inner.(I)
	if !ok {
		return none, f.lacks(feature)
	}
	if err := f.alive(); err != nil {
		return none, err
	}
	value, err := call(inner)
	if crashed := f.alive(); crashed != nil && !errors.Is(err, daybook.ErrUnsupported) {
		return none, crashed
	}
	return value, err
}

// failed is a sequence that yields err and ends.
func failed[V any](err error) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		var none V
		yield(none, err)
	}
}
