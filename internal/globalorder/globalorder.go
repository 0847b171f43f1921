// Package globalorder gives one order to a storage that writes atomically only
// within one partition, or one item: tables, documents, objects. A driver
// brings a Storage, and answers the calls of daybook.Driver with an Engine.
//
// The log is a chain of numbered pages. To append is to create the page behind
// the last one, on condition that none has its number: one write decides
// everything, whatever streams it touches. What is looked up by stream, id or
// claim is written afterwards, by whoever wrote the page or by who comes next.
// docs/globalorder.md says why that is right, and what it costs.
package globalorder

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// Options of an Engine. Nil and zero fields mean the defaults.
type Options struct {
	// Now is the clock of the recorded times. Default time.Now.
	Now func() time.Time
	// PageBytes is how large a page may be. Default 1 MiB.
	PageBytes int
	// PageRows is how many rows a page may lead to, for a storage that writes
	// them with the page: one for each append, changeset, claim and release.
	// Default any number.
	PageRows int
	// Gap is how many pages may be unsettled at once: so many may have to be
	// read to learn where a stream ends. Default 32.
	Gap int
	// GapBytes is how large they may be together. Default 8 MiB.
	GapBytes int
	// Lookups is how many requests an append may have under way at once.
	// Default 16.
	Lookups int
	// Poll is how often the storage is asked while somebody waits for the log to
	// grow. Default 250 ms.
	Poll time.Duration
	// Patience is how long a page whose outcome is not known is tried again.
	// Default 30 s.
	Patience time.Duration
	// ReadOnly refuses appends with daybook.ErrReadOnly, and writes nothing: not
	// what was there before the log, nor what others have left unsettled.
	ReadOnly bool
	// Durability is what the storage gives. Default daybook.DurabilityCloud.
	Durability daybook.Durability
}

func (o *Options) orDefaults() Options {
	var filled Options
	if o != nil {
		filled = *o
	}
	if filled.Now == nil {
		filled.Now = time.Now
	}
	orDefault(&filled.PageBytes, 1<<20)
	orDefault(&filled.PageRows, math.MaxInt)
	orDefault(&filled.Gap, 32)
	orDefault(&filled.GapBytes, 8<<20)
	orDefault(&filled.Lookups, 16)
	orDefault(&filled.Poll, 250*time.Millisecond)
	orDefault(&filled.Patience, 30*time.Second)
	orDefault(&filled.Durability, daybook.DurabilityCloud)
	return filled
}

func orDefault[T comparable](field *T, byDefault T) {
	var zero T
	if *field == zero {
		*field = byDefault
	}
}

// Engine appends to a storage and reads from it on the terms of daybook.Driver.
// Its methods are those of a driver, which embeds it or passes calls on.
type Engine struct {
	name    string
	storage Storage
	options Options

	life  context.Context // ends when Close has waited for the calls
	end   context.CancelFunc
	calls sync.WaitGroup // what Close waits for

	tail tail

	mu      sync.Mutex // guards all below
	closed  bool
	closing chan struct{} // closed with closed
	queue   []*job
	leading bool // a goroutine takes from queue

	// The goroutine that leads owns all below.
	cache  cache
	vacant bool // there was nothing to adopt

	settling   chan struct{} // whoever settles puts a token in
	background background
}

// New returns an engine on a storage. The name is that of the driver.
func New(name string, storage Storage, options *Options) *Engine {
	e := &Engine{
		name: name, storage: storage, options: options.orDefaults(), closing: make(chan struct{}), settling: make(chan struct{}, 1),
	}
	e.life, e.end = context.WithCancel(context.Background())
	e.tail.grown = make(chan struct{})
	return e
}

// Name returns the name of the driver.
func (e *Engine) Name() string { return e.name }

// Close lets running appends end, and settles what this engine has created.
// Where the storage does not answer it gives up after Options.Patience.
func (e *Engine) Close() error {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.closing)
	}
	e.mu.Unlock()
	giveUp := time.AfterFunc(e.options.Patience, e.end)
	defer giveUp.Stop()
	e.calls.Wait()
	e.end()
	return nil
}

// notSentError says that a call of the storage failed before anything was sent
// that could store an append.
type notSentError struct{ err error }

func (e *notSentError) Error() string {
	return fmt.Sprintf("nothing was stored: %v", e.err)
}

func (e *notSentError) Unwrap() error { return e.err }

// Is reports whether target is a question that e answers with yes.
func (e *notSentError) Is(target error) bool { return target == daybook.ErrRefused }
