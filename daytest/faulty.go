package daytest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/daybook-go/daybook"
)

// scene is the storage of a trial, and what goes wrong with it. The appends of
// its programs go one after the other.
type scene struct {
	inner    daybook.Driver
	sound    *daybook.Store // on inner
	atAppend func(n int) Fault
	atRead   func(n int) Fault
	rival    func(context.Context, *daybook.Store, daybook.StreamID) error
	// another has another program handle an input, for AtOnce or Abreast. It is
	// called without mu.
	another func(fault Fault)
	most    int // how many strikes an input meets

	mu      sync.Mutex // guards all below
	appends int
	reads   int
	struck  int             // while the input is handled
	broken  int             // how many reads BrokenReads is still to cut
	late    *daybook.Append // on its way
	stored  map[daybook.ID]bool
	input   string // that is being handled
	told    []string
}

// faulty stands between one program and the storage of a scene. It is a driver
// that strikes what the program does.
type faulty struct {
	*scene
	end   func()      // ends the context of the program; nil for none
	dead  atomic.Bool // the program has crashed
	quiet atomic.Bool // nothing is struck, and nothing counted
}

// Append implements daybook.Driver.
func (f *faulty) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return daybook.Receipt{}, err
	}
	if f.quiet.Load() {
		return f.keep(ctx, a)
	}
	f.arrive()
	fault := f.strikeAppend(&a)
	switch fault {
	case CrashBefore:
		return daybook.Receipt{}, f.die()
	case LostRequest:
		return daybook.Receipt{}, ErrOutcomeUnknown
	case LateCommit:
		late := a.Clone()
		f.late = &late
		return daybook.Receipt{}, ErrOutcomeUnknown
	case Conflict:
		if err := f.contend(ctx, &a); err != nil {
			return daybook.Receipt{}, err
		}
	case AtOnce, Abreast:
		f.mu.Unlock() // the other program appends too
		f.another(fault)
		f.mu.Lock()
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

// strikeAppend returns what strikes the next append; "" for nothing. The caller
// holds mu.
func (f *faulty) strikeAppend(a *daybook.Append) Fault {
	n := f.appends
	f.appends++
	if f.atAppend == nil || f.struck >= f.most {
		return ""
	}
	fault := f.atAppend(n)
	if fault != "" {
		f.struck++
		f.note("%s: append %d, of %s to stream %s, %s", fault, n+1, a.Changesets[0].Events[0].Type, a.Changesets[0].Stream, f.input)
	}
	return fault
}

// strikeRead returns what strikes the next read, and how many records it gives
// before that; "" for nothing.
func (f *faulty) strikeRead(what string) (fault Fault, after int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.quiet.Load() {
		return "", 0
	}
	n := f.reads
	f.reads++
	switch {
	case f.broken > 0:
		fault, after = BrokenReads, broken-f.broken
		f.broken--
	case f.atRead == nil || f.struck >= f.most:
		return "", 0
	default:
		fault = f.atRead(n)
	}
	switch fault {
	case "":
		return "", 0
	case CrashReading:
		after = 1
	case CutRead:
		after = 1 + n%3
	case BrokenReads:
		if after == 0 {
			f.broken = broken - 1
		}
	}
	f.struck++
	f.note("%s: read %d, of %s, %s", fault, n+1, what, f.input)
	return fault, after
}

// broken is how many reads BrokenReads cuts.
const broken = 3

// hurt is what a struck read answers.
func (f *faulty) hurt(fault Fault) error {
	if fault == CrashReading {
		return f.die()
	}
	return ErrLostRead
}

// keep has the storage store an append, and remembers its id. The caller holds
// mu.
func (s *scene) keep(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	receipt, err := s.inner.Append(ctx, a)
	if err == nil {
		if s.stored == nil {
			s.stored = map[daybook.ID]bool{}
		}
		s.stored[a.ID] = true
	}
	return receipt, err
}

// contend makes a conflict for an append that can meet one: by the rival, or
// by saying so. A repeat meets none, since it is answered with its receipt
// whatever came since. The caller holds mu.
func (s *scene) contend(ctx context.Context, a *daybook.Append) error {
	if s.stored[a.ID] {
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
	if s.rival != nil {
		return s.rival(ctx, s.sound, c.Stream)
	}
	head, err := s.sound.Head(ctx, c.Stream)
	if err != nil {
		return err
	}
	return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: head}
}

// arrive stores what is on its way; that it may be refused by now is part of
// being late. The caller holds mu.
func (s *scene) arrive() {
	if s.late == nil {
		return
	}
	late := *s.late
	s.late = nil
	if _, err := s.keep(context.Background(), late); err != nil {
		s.note("what was late is refused: %v", err)
		return
	}
	s.note("what was late is stored")
}

// settle stores what is still on its way.
func (s *scene) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrive()
}

// die ends the program.
func (f *faulty) die() error {
	f.dead.Store(true)
	if f.end != nil {
		f.end()
	}
	return ErrCrashed
}

// alive returns ErrCrashed if the program has crashed.
func (f *faulty) alive() error {
	if f.dead.Load() {
		return ErrCrashed
	}
	return nil
}

// counts returns how many appends and reads there were.
func (s *scene) counts() (appends, reads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appends, s.reads
}

// at says which input is handled from now on.
func (s *scene) at(number int, input string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := fmt.Sprintf("while input %d is handled: %s", number, input); now != s.input {
		s.input, s.struck = now, 0
	}
}

func (s *scene) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(format, args...)
}

// note keeps what went wrong, as much as a person reads. The caller holds mu.
func (s *scene) note(format string, args ...any) {
	const enough = 50
	if len(s.told) < enough {
		s.told = append(s.told, fmt.Sprintf(format, args...))
	}
}

// history is what went wrong.
func (s *scene) history() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.told) == 0 {
		return ""
	}
	return "\n    " + strings.Join(s.told, "\n    ")
}

// guarded is a read that may be struck, and that ends when the program has
// crashed.
func guarded[V any](f *faulty, what string, values iter.Seq2[V, error]) iter.Seq2[V, error] {
	return func(yield func(V, error) bool) {
		var none V
		if err := f.alive(); err != nil {
			yield(none, err)
			return
		}
		fault, left := f.strikeRead(what)
		for value, err := range values {
			if crashed := f.alive(); crashed != nil {
				yield(none, crashed)
				return
			}
			if fault != "" && left == 0 {
				break
			}
			left--
			if !yield(value, err) {
				return
			}
		}
		if fault != "" {
			yield(none, f.hurt(fault))
		}
	}
}

// lacks is the answer where the inner driver does not offer something.
func (s *scene) lacks(feature string) error {
	return &daybook.UnsupportedError{Driver: s.inner.Name(), Feature: feature}
}

// asked calls the inner driver's method of an optional interface I that reads.
func asked[I, V any](f *faulty, feature string, call func(I) (V, error)) (V, error) {
	var none V
	if _, offers := f.inner.(I); !offers {
		return none, f.lacks(feature)
	}
	if err := f.alive(); err != nil {
		return none, err
	}
	if fault, _ := f.strikeRead(feature); fault != "" {
		return none, f.hurt(fault)
	}
	return optional(f, feature, call)
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
