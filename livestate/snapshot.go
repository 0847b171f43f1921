package livestate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"

	"github.com/daybook-go/daybook"
)

// Snapshot is a saved state of one fold.
type Snapshot struct {
	Fold   string // its name
	Source string // what it was folded from
	// Position and Version are those of the last record that it includes;
	// Version is 0 where the source is the log.
	Position    daybook.Position
	Version     daybook.Version
	ContentType string
	Data        []byte
}

// SnapshotStore keeps snapshots: Memory, Files, or another. It may lose them.
// It may be called by many goroutines at once.
type SnapshotStore interface {
	// Save keeps a snapshot, which the store must not change.
	Save(ctx context.Context, snapshot Snapshot) error
	// Load yields the snapshots of a fold, the newest first. In place of one
	// that is damaged it yields an error, and goes on with the one before.
	Load(ctx context.Context, fold string) iter.Seq2[Snapshot, error]
}

// Memory returns a store that keeps the newest snapshots of each fold in the
// memory of the process, so many: for tests, and for services that come and go
// in one program. Fewer than 1 is 1.
func Memory(keep int) SnapshotStore {
	return &memorySnapshots{keep: max(keep, 1), byFold: map[string][]Snapshot{}}
}

type memorySnapshots struct {
	keep int

	mu     sync.Mutex            // guards all below
	byFold map[string][]Snapshot // the newest first
}

// Save implements SnapshotStore.
func (m *memorySnapshots) Save(_ context.Context, snapshot Snapshot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := append([]Snapshot{snapshot}, m.byFold[snapshot.Fold]...)
	m.byFold[snapshot.Fold] = list[:min(len(list), m.keep)]
	return nil
}

// Load implements SnapshotStore.
func (m *memorySnapshots) Load(_ context.Context, fold string) iter.Seq2[Snapshot, error] {
	m.mu.Lock()
	list := m.byFold[fold]
	m.mu.Unlock()
	return func(yield func(Snapshot, error) bool) {
		for _, snapshot := range list {
			if !yield(snapshot, nil) {
				return
			}
		}
	}
}

// InconsistentError says that a fold could not take a record that is stored, so
// that no snapshot of it is saved.
type InconsistentError struct {
	Fold string
	Err  error // why it could not
}

func (e *InconsistentError) Error() string {
	return fmt.Sprintf("fold %q is inconsistent, and is not saved: %v", e.Fold, e.Err)
}

// Unwrap returns why.
func (e *InconsistentError) Unwrap() error { return e.Err }

// Save writes a snapshot of every fold as it stands here. Its error joins what
// went wrong with each, *InconsistentError for those that are not saved; the
// others are.
func (s *Service[E]) Save(ctx context.Context) error {
	if s.options.Snapshots == nil {
		return &SetupError{What: "options.Snapshots", Reason: "must be set to save"}
	}
	s.mu.Lock()
	taken, failed := s.take()
	s.sinceSave = 0
	s.mu.Unlock()
	return errors.Join(failed, s.write(ctx, taken))
}

// taking is a snapshot that is not encoded yet.
type taking struct {
	fold  int
	value any
	Snapshot
}

// take returns what is to be saved. The caller holds mu.
func (s *Service[E]) take() (taken []taking, failed error) {
	state := s.current.Load()
	for i, fold := range s.folds {
		if err := s.inconsistent[i]; err != nil {
			failed = errors.Join(failed, &InconsistentError{Fold: fold.Name(), Err: err})
			continue
		}
		taken = append(taken, taking{fold: i, value: state.values[i], Snapshot: Snapshot{
			Fold: fold.Name(), Source: s.source.String(), Position: s.places[i], Version: s.versions[i],
		}})
	}
	return taken, failed
}

// write encodes and saves what was taken: states never change, so nothing has
// to be held meanwhile.
func (s *Service[E]) write(ctx context.Context, taken []taking) (failed error) {
	for _, t := range taken {
		err := caught(func() (err error) {
			if t.Data, t.ContentType, err = s.folds[t.fold].encode(t.value); err == nil {
				err = s.options.Snapshots.Save(ctx, t.Snapshot)
			}
			return err
		})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("save fold %q: %w", t.Fold, err))
		}
	}
	return failed
}

// saveIfDue saves when enough was folded since the last time. The caller holds
// mu.
func (s *Service[E]) saveIfDue(ctx context.Context) {
	if s.options.Snapshots == nil || s.options.SaveEvery <= 0 || s.sinceSave < s.options.SaveEvery {
		return
	}
	s.sinceSave = 0
	taken, failed := s.take()
	if err := errors.Join(failed, s.write(ctx, taken)); err != nil {
		s.failed(err)
	}
}

// restore begins from the newest snapshots that can be used.
func (s *Service[E]) restore() {
	if s.options.Snapshots == nil {
		return
	}
	var end daybook.Position
	for {
		var err error
		if end, err = s.store.End(s.ctx); err == nil {
			break
		}
		s.failed(err)
		if s.retry.Sleep(s.ctx, s.options.RetryDelay) != nil {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	state := *s.current.Load()
	state.values = append([]any(nil), state.values...)
	for i, fold := range s.folds {
		for snapshot, err := range s.options.Snapshots.Load(s.ctx, fold.Name()) {
			if err == nil {
				state.values[i], err = s.use(fold, &snapshot, end)
			}
			if err == nil {
				s.places[i], s.versions[i] = snapshot.Position, snapshot.Version
				break
			}
			state.values[i] = fold.begin()
			s.failed(fmt.Errorf("a snapshot of fold %q is passed over: %w", fold.Name(), err))
		}
	}
	state.position, state.version = s.places[0], s.versions[0]
	for i := range s.folds {
		state.position, state.version = min(state.position, s.places[i]), min(state.version, s.versions[i])
	}
	state.seen = state.position
	s.current.Store(&state)
}

// use returns the state of a snapshot.
func (s *Service[E]) use(fold Folder[E], snapshot *Snapshot, end daybook.Position) (any, error) {
	switch {
	case snapshot.Source != s.source.String():
		return nil, fmt.Errorf("it is of %s, not of %s", snapshot.Source, s.source)
	case snapshot.Position > end:
		// The store was replaced by an older copy: what the snapshot includes
		// did not happen.
		return nil, fmt.Errorf("it includes position %d, the log ends at %d", snapshot.Position, end)
	}
	var state any
	err := caught(func() (err error) { state, err = fold.decode(snapshot.Data); return err })
	return state, err
}

// caught calls a function and makes an error of a panic: a snapshot saves reading
// only, and must not be able to end the program.
func caught(call func() error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("it panicked: %v\n%s", panicked, debug.Stack())
		}
	}()
	return call()
}
