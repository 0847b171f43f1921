package livestate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/codec"
	"github.com/daybook-go/daybook/internal/deciding"
)

// Service keeps states up to date. It may be used by many goroutines at once.
type Service[E any] struct {
	store   *daybook.Store
	source  Source
	codec   *codec.Codec[E]
	folds   []Folder[E]
	options Options[E]
	retry   deciding.Retry
	ctx     context.Context // ends with the service
	stop    context.CancelFunc
	done    chan struct{} // closed when the background has ended
	ready   chan struct{} // closed when the first catch-up is done
	turn    chan struct{} // held by who appends: those of one service never collide

	current    atomic.Pointer[State] // replaced under mu only
	goal       atomic.Int64          // the end of the log when it was last looked at
	records    atomic.Int64          // folded since Start
	folding    atomic.Bool           // records are folded, which holds mu
	lastErr    atomic.Pointer[error] // of the background; nil when it goes well
	quarantine quarantine

	mu           sync.Mutex         // held while the states move on; guards all below
	places       []daybook.Position // of the last record of each fold
	versions     []daybook.Version
	inconsistent []error          // why a fold is; nil if it is not
	undecoded    daybook.Position // of the last record that did not decode
	sinceSave    int
	gathered     []daybook.Record // the memory of records that several goroutines decode
	pieces       []piece[E]       // and of what they make of them

	flights flights
}

// Options of a Service. Nil and zero fields mean the defaults.
type Options[E any] struct {
	// StreamOf says which stream an event is appended to. It must be set to append
	// where the source is the log; where that is a stream it may say nothing else.
	StreamOf func(event E) daybook.StreamID
	// Snapshots are read at the start and written by Save. Default none.
	Snapshots SnapshotStore
	// SaveEvery saves snapshots in the background whenever so many records were
	// folded since the last time, also on the way of a long catch-up. Default
	// never.
	SaveEvery int
	// Group is how many records are folded at once while catching up. Default
	// 500.
	Group int
	// Decoders is how many goroutines decode the records of a group; folds always
	// run in one, in order. More than 1 makes long catch-ups shorter where there
	// are processors to spare: runtime.GOMAXPROCS(0) takes them all. Default 1.
	Decoders int
	// RetryDelay is how long the background waits after a failure. Default 5 s.
	RetryDelay time.Duration
	// Retry says when appends are tried again.
	Retry Retry
	// MaxQuarantine is how many records Quarantine tells of, the first ones.
	// Default 1,000. All are counted.
	MaxQuarantine int
	// Hooks watch.
	Hooks Hooks
}

// Retry says when an append is decided again after a conflict, as often as it
// takes, and sent again where its outcome is unknown. Two retries are sent at
// once, on what the conflict has told, the third waits, and so on: the waits are
// random, between nothing and MinWait, doubled each time up to MaxWait. Zero
// fields mean the defaults.
type Retry struct {
	MinWait time.Duration // default 1 ms
	MaxWait time.Duration // default 250 ms, or MinWait where that is more
	// Rand returns numbers from 0 up to 1. Default rand.Float64.
	Rand func() float64
	// Sleep waits, or returns the error of ctx; also for RetryDelay. Default by a
	// timer.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Hooks let a program watch its live states. Every hook may be nil and is
// called in the goroutine that it tells about; it must not call the service.
type Hooks struct {
	// OnError is told what went wrong in the background, which tries again.
	OnError func(err error)
	// OnQuarantine is told of every record that is put aside.
	OnQuarantine func(q Quarantined)
	// OnConflict is called before an append is decided again.
	OnConflict func(ctx context.Context, conflict Conflict)
}

// Conflict tells that others were quicker.
type Conflict struct {
	Try    int           // the one that failed, from 1
	Learnt bool          // what was missed came with the conflict, so that nothing was read
	Wait   time.Duration // before the next try; most often none, see Retry
}

// Progress tells how far a service is.
type Progress struct {
	Ready    bool
	Position daybook.Position // everything up to here is folded
	End      daybook.Position // of the log, when it was last looked at
	Records  int64            // folded since Start
	Err      error            // why the background is not getting on; nil if it is
}

// Start begins to follow a source, from the newest snapshots, in the
// background, and returns at once: see Ready. It fails with *SetupError. What
// keeps the storage from reading is tried again for ever, see Progress.
func Start[E any](store *daybook.Store, source Source, events *codec.Codec[E], folds []Folder[E], options *Options[E]) (*Service[E], error) {
	s := &Service[E]{store: store, source: source, codec: events, folds: folds}
	if options != nil {
		s.options = *options
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	s.settle()
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.done, s.ready, s.turn = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	s.current.Store(s.begin())
	go s.follow()
	return s, nil
}

// check returns what is wrong with s.
func (s *Service[E]) check() error {
	switch {
	case s.store == nil:
		return &SetupError{What: "store", Reason: "must not be nil"}
	case s.codec == nil:
		return &SetupError{What: "codec", Reason: "must not be nil"}
	case len(s.folds) == 0:
		return &SetupError{What: "folds", Reason: "there must be one"}
	}
	names := map[string]bool{}
	for i, fold := range s.folds {
		what := fmt.Sprintf("folds[%d]", i)
		if fold == nil {
			return &SetupError{What: what, Reason: "must not be nil"}
		}
		if wrong := fold.check(); wrong != "" {
			return &SetupError{What: what, Reason: wrong}
		}
		if names[fold.Name()] {
			return &SetupError{What: what, Reason: fmt.Sprintf("there are two of the name %q", fold.Name())}
		}
		names[fold.Name()] = true
	}
	if err := s.source.check(s.store.Limits()); err != nil {
		return err
	}
	return s.checkOptions()
}

// checkOptions returns what is wrong with the options.
func (s *Service[E]) checkOptions() error {
	o := &s.options
	for _, number := range []struct {
		field string
		is    int64
	}{
		{"SaveEvery", int64(o.SaveEvery)}, {"Group", int64(o.Group)}, {"Decoders", int64(o.Decoders)}, {"MaxQuarantine", int64(o.MaxQuarantine)},
	} {
		if number.is < 0 {
			return &SetupError{What: "options." + number.field, Reason: fmt.Sprintf("must not be negative (it is %d)", number.is)}
		}
	}
	for _, wait := range []struct {
		field string
		is    time.Duration
	}{
		{"RetryDelay", o.RetryDelay}, {"Retry.MinWait", o.Retry.MinWait}, {"Retry.MaxWait", o.Retry.MaxWait},
	} {
		if wait.is < 0 {
			return &SetupError{What: "options." + wait.field, Reason: fmt.Sprintf("must not be negative (it is %v)", wait.is)}
		}
	}
	switch {
	case o.Retry.MaxWait > 0 && o.Retry.MinWait > o.Retry.MaxWait:
		return &SetupError{
			What:   "options.Retry.MinWait",
			Reason: fmt.Sprintf("must not be above MaxWait (it is %v, and MaxWait %v)", o.Retry.MinWait, o.Retry.MaxWait),
		}
	case o.SaveEvery > 0 && o.Snapshots == nil:
		return &SetupError{What: "options.Snapshots", Reason: "must be set to save with SaveEvery"}
	}
	if o.Snapshots == nil {
		return nil
	}
	for i, fold := range s.folds {
		if lost := fold.lost(); lost != "" {
			return &SetupError{What: fmt.Sprintf("folds[%d]", i), Reason: lost}
		}
	}
	return nil
}

// settle fills in defaults.
func (s *Service[E]) settle() {
	o := &s.options
	if o.Group <= 0 {
		o.Group = 500
	}
	if o.RetryDelay <= 0 {
		o.RetryDelay = 5 * time.Second
	}
	if o.MaxQuarantine <= 0 {
		o.MaxQuarantine = 1000
	}
	s.quarantine.most = o.MaxQuarantine
	s.retry = deciding.Retry{
		MinWait: cmp.Or(o.Retry.MinWait, time.Millisecond),
		MaxWait: cmp.Or(o.Retry.MaxWait, max(250*time.Millisecond, o.Retry.MinWait)),
		Rand:    o.Retry.Rand,
		Sleep:   o.Retry.Sleep,
	}
	if s.retry.Rand == nil {
		s.retry.Rand = rand.Float64
	}
	if s.retry.Sleep == nil {
		s.retry.Sleep = deciding.Sleep
	}
}

// begin puts all folds before the first record and returns their state.
func (s *Service[E]) begin() *State {
	state := &State{index: map[any]int{}}
	for i, fold := range s.folds {
		state.index[fold] = i
		state.values = append(state.values, fold.begin())
	}
	s.places = make([]daybook.Position, len(s.folds))
	s.versions = make([]daybook.Version, len(s.folds))
	s.inconsistent = make([]error, len(s.folds))
	return state
}

// Close ends following and waits until nothing runs in the background. The
// last state stays readable. It saves nothing: see Save.
func (s *Service[E]) Close() {
	s.stop()
	<-s.done
}

// Ready waits until the states include all that stood when the service was
// started. It returns the error of ctx, or ErrClosed, if that comes first; see
// Progress for why it takes long.
func (s *Service[E]) Ready(ctx context.Context) error {
	select {
	case <-s.ready:
		return nil
	default:
	}
	select {
	case <-s.ready:
		return nil
	case <-s.ctx.Done():
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// IsReady reports whether Ready would return nil at once: for a web host, that
// answers 503 until then.
func (s *Service[E]) IsReady() bool {
	select {
	case <-s.ready:
		return true
	default:
		return false
	}
}

// Progress tells how far the service is.
func (s *Service[E]) Progress() Progress {
	p := Progress{Ready: s.IsReady(), Position: s.current.Load().seen, End: daybook.Position(s.goal.Load()), Records: s.records.Load()}
	if err := s.lastErr.Load(); err != nil {
		p.Err = *err
	}
	return p
}

// Local returns the newest state that is here: without a lock or any input. It
// may lack what others have just stored; it includes what this service has.
// ErrNotReady before the first catch-up is done. It is there after Close too.
func (s *Service[E]) Local() (*State, error) {
	if !s.IsReady() {
		return nil, ErrNotReady
	}
	return s.current.Load(), nil
}

// Current returns a state that includes everything that stood in the store when
// it was called: it reads what is new. Callers that come while one reads share
// the next reading. ErrNotReady before the first catch-up is done, so that
// nobody waits for long without knowing; bound the wait by ctx.
func (s *Service[E]) Current(ctx context.Context) (*State, error) {
	if !s.IsReady() {
		return nil, ErrNotReady
	}
	return s.catchUpTo(ctx)
}

// catchUpTo shares a reading that begins from now on.
func (s *Service[E]) catchUpTo(ctx context.Context) (*State, error) {
	if s.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if s.folding.Load() && insideFold() {
		return nil, errInside
	}
	err := s.flights.join(ctx, func() error { return s.catchUp(s.ctx) })
	if err != nil {
		if s.ctx.Err() != nil {
			err = ErrClosed
		}
		return nil, err
	}
	return s.current.Load(), nil
}

// flights lets callers share readings: each gets one that began after it came.
type flights struct {
	mu   sync.Mutex // guards all below
	now  *flight    // the one that is under way; nil for none
	next *flight    // the one that is to begin behind it; nil while nobody needs it
}

type flight struct {
	done chan struct{} // closed when it has ended
	err  error         // of it, then
}

// join waits for a reading that begins from now on.
func (f *flights) join(ctx context.Context, read func() error) error {
	f.mu.Lock()
	mine := f.next
	switch {
	case f.now == nil:
		mine = &flight{done: make(chan struct{})}
		f.now = mine
		go f.fly(mine, read)
	case mine == nil:
		mine = &flight{done: make(chan struct{})}
		f.next = mine
	}
	f.mu.Unlock()
	select {
	case <-mine.done:
		return mine.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fly reads, for one flight after the other until nobody waits.
func (f *flights) fly(mine *flight, read func() error) {
	for mine != nil {
		mine.err = read()
		close(mine.done)
		f.mu.Lock()
		mine, f.next = f.next, nil
		f.now = mine
		f.mu.Unlock()
	}
}

// follow keeps the states up to date until the service is closed.
func (s *Service[E]) follow() {
	defer close(s.done)
	defer s.flights.wait()
	s.restore()
	for first := true; s.ctx.Err() == nil; {
		err := s.catchUp(s.ctx)
		if err == nil {
			if first {
				close(s.ready)
				first = false
			}
			s.lastErr.Store(nil)
			err = s.store.Wait(s.ctx, s.current.Load().seen)
		}
		if err == nil || s.ctx.Err() != nil {
			continue
		}
		s.failed(err)
		_ = s.retry.Sleep(s.ctx, s.options.RetryDelay)
	}
}

// wait returns when no reading is under way.
func (f *flights) wait() {
	for {
		f.mu.Lock()
		now := f.now
		f.mu.Unlock()
		if now == nil {
			return
		}
		<-now.done
	}
}

// failed takes note of a failure in the background.
func (s *Service[E]) failed(err error) {
	if errors.Is(err, context.Canceled) && s.ctx.Err() != nil {
		return
	}
	s.lastErr.Store(&err)
	if s.options.Hooks.OnError != nil {
		s.options.Hooks.OnError(err)
	}
}
