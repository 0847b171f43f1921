// Package azureblob keeps a store in append blobs of an Azure storage container,
// with no server between: in the layout of Lokad.AzureEventStore, whose library
// reads what this one writes, and the other way round.
//
// The log is one order of all events. A block is appended under the condition
// that the log ends where its writer has read to, so every writer has seen all
// events before it writes, and every demand of an append is checked exactly.
// What waits while a block is on its way goes into the next one. The bytes that
// were read are kept, in memory or in a directory, so that reading costs one
// request, whatever is read: the one that asks for what is new.
//
// Open opens a container, OpenFile the same log in a file. README.md beside
// this file draws the bytes, counts the requests, and says which rights it
// takes.
package azureblob

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/daybook-go/daybook"
)

// Driver is a store in append blobs, or in a file of the same form.
type Driver struct {
	name       string
	origin     origin
	options    Options
	durability daybook.Durability
	readOnly   bool
	log        log
	queue      queue
	poller     poller
	compacting atomic.Bool // in the background

	flights sync.Mutex // guards next and flying
	next    *flight
	flying  bool

	life    context.Context // ends when the last call has
	cancel  context.CancelFunc
	closing chan struct{} // closed when Close is called

	mu     sync.Mutex     // guards closed, and calls when it is set
	calls  sync.WaitGroup // what runs
	closed bool
}

// Options of a Driver. Nil and zero fields mean the defaults.
type Options struct {
	// Directory is where a copy of the log's bytes is kept, so that opening it
	// again reads only what is new. One process can use it at a time; it may be
	// removed at any time that none does. Default: in memory. OpenFile has none.
	Directory string
	// ReadOnly refuses every append before a request is made. A shared access
	// signature that cannot write does the same.
	ReadOnly bool
	// ForeignStream is the stream that events of other programs are read as: of
	// those that Daybook has not written. Default "events".
	ForeignStream daybook.StreamID
	// MustExist lets Open fail where the container is not there, instead of
	// making it.
	MustExist bool
	// Blob names the only append blob of a log that has no roll-over: it is full
	// after 50,000 appends, and then they fail with daybook.ErrFull. Default: the
	// blobs events.00000 and so on.
	Blob string
	// Compact lets whoever makes the next blob, because one is full, call
	// Driver.Compact in the background. Close ends it; the next roll-over does what
	// is left. Where the right to write is missing nothing is done, and nobody told.
	Compact bool
	// Poll is how often those who wait for the log to grow ask the service.
	// Default 1 s.
	Poll time.Duration
	// Patience is how long a call goes on trying where the service fails.
	// Default 30 s.
	Patience time.Duration
	// Timeout is how long a read may go on without any progress, and any other
	// request altogether: of those the largest is a block of 4 MiB. Default 30 s.
	Timeout time.Duration
	// Now is the clock of the recorded times. Default time.Now. Where it lies
	// behind what other writers have recorded, recorded times stand still until
	// it has caught up.
	Now func() time.Time
	// Logger is told what is repaired or repeated. Default: nobody.
	Logger *slog.Logger

	// blocks is how many blocks a blob is taken to hold; tests have smaller ones.
	blocks int
}

// completed returns the options with the defaults filled in.
func (o *Options) completed() Options {
	var c Options
	if o != nil {
		c = *o
	}
	if c.ForeignStream == (daybook.StreamID{}) {
		c.ForeignStream = daybook.Stream("events")
	}
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.Patience <= 0 {
		c.Patience = 30 * time.Second
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.blocks <= 0 {
		c.blocks = maxBlocks
	}
	return c
}

// maxBlocks is how many blocks the service appends to a blob.
const maxBlocks = 50_000

// Open opens the store in a container, which is made where it is not there.
//
// The address is "azureblob:" and a connection string of the storage account
// with ";Container=NAME" in it; or
// "azureblob://ACCOUNT.blob.core.windows.net/CONTAINER", for the identity that
// the machine or its environment has, or with a shared access signature as its
// query. Without a container's name it is the root container, $root.
//
// It reads the log, up to where it is now, and fails where it cannot. Where the
// log is damaged it opens, what stands before the damage can be read, and every
// call that goes beyond it fails with *daybook.CorruptError.
func Open(ctx context.Context, address string, options *Options) (*Driver, error) {
	d := newDriver(options)
	b, readOnly, err := d.connect(address)
	if err != nil {
		return nil, err
	}
	d.name, d.origin, d.durability = "azureblob", b, daybook.DurabilityCloud
	d.readOnly = readOnly || d.options.ReadOnly
	d.log.copy = &memoryCopy{}
	if d.options.Directory != "" {
		if d.log.copy, err = openFileCopy(d.options.Directory, false); err != nil {
			return nil, err
		}
	}
	if err := d.begin(); err != nil {
		return nil, err
	}
	defer d.calls.Done()
	if err := d.load(ctx); err != nil {
		return nil, errors.Join(err, d.log.copy.Close())
	}
	return d, nil
}

func newDriver(options *Options) *Driver {
	d := &Driver{options: options.completed(), closing: make(chan struct{})}
	d.life, d.cancel = context.WithCancel(context.Background())
	d.queue.driver, d.poller.driver = d, d
	d.log.state, d.log.grown = newState(d.options.ForeignStream), make(chan struct{})
	return d
}

// load reads the log, from the copy as far as that goes.
func (d *Driver) load(ctx context.Context) error {
	var extents []extent
	err := d.again(ctx, "listing the blobs", func(ctx context.Context) (err error) {
		extents, err = d.origin.survey(ctx)
		return err
	})
	if b, ok := d.origin.(*blobs); ok && isMissingContainer(err) && !d.readOnly && !d.options.MustExist {
		err = d.again(ctx, "making the container", b.createContainer)
	}
	if err != nil {
		return err
	}
	end, missing := len(extents), -1
	for i := 0; i < end; i++ {
		if missing = d.missingBefore(extents, i); missing >= 0 {
			end = i
		}
	}
	if c, ok := d.log.copy.(*fileCopy); ok && missing >= 0 {
		// Nowhere else may be what the missing part held.
		d.options.Logger.Warn("a blob is missing: the copy is left as it is", "blob", d.origin.name(missing), "directory", d.options.Directory)
		d.log.copy = &memoryCopy{}
		if err := c.Close(); err != nil {
			return err
		}
	} else if ok {
		if err := d.loadCopy(ctx, c, extents); err != nil {
			return err
		}
	}
	if err := d.loadExtents(ctx, extents[:end]); err != nil {
		return err
	}
	if missing >= 0 && d.log.damaged == nil {
		d.log.damaged = &daybook.CorruptError{File: d.origin.name(missing), Position: d.end() + 1, Reason: "it is missing, and later ones are there"}
	}
	return nil
}

// loadExtents reads what is not known of them.
func (d *Driver) loadExtents(ctx context.Context, extents []extent) error {
	for i, e := range extents {
		start := startOf(extents, i)
		if i+1 < len(extents) && d.log.size >= start+e.length {
			continue // the copy has all of it
		}
		err := d.loadExtent(ctx, e, start, i+1 == len(extents))
		if errors.As(err, &d.log.damaged) {
			return nil // every call says so
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// missingBefore returns a part that is missing in front of the ith extent, -1 if
// none is. Without a look at it the log would seem to go on behind a gap.
func (d *Driver) missingBefore(extents []extent, i int) int {
	following := 0
	if i > 0 {
		following = extents[i-1].part + 1
	}
	if e := extents[i]; e.name == d.origin.name(e.part) && e.part != following {
		return following
	}
	return -1
}

// loadExtent reads what is not known of an extent that begins at a place of the
// log.
func (d *Driver) loadExtent(ctx context.Context, e extent, start int64, last bool) error {
	var full bool
	d.log.moveTo(e.part)
	err := d.again(ctx, "reading the log", func(ctx context.Context) (err error) {
		d.log.mu.Lock()
		d.log.tail = place{e.part, d.log.size - start}
		at := d.log.tail
		d.log.mu.Unlock()
		full, err = d.readPart(ctx, e.name, at)
		return err
	})
	switch {
	case err != nil:
		return err
	case e.name != d.origin.name(e.part): // it is compacted: the part behind it is next
		d.log.moveTo(e.part + 1)
	case last:
		d.log.mu.Lock()
		d.log.full = full
		d.log.mu.Unlock()
	}
	return nil
}

// startOf returns where the ith extent begins in the log.
func startOf(extents []extent, i int) (start int64) {
	for _, e := range extents[:i] {
		start += e.length
	}
	return start
}

// loadCopy folds the copy, if it is one of this log: its last frame stands there
// at the same place.
func (d *Driver) loadCopy(ctx context.Context, c *fileCopy, extents []extent) error {
	if err := c.load(d); err != nil {
		return err
	}
	fits, err := d.copyFits(ctx, extents)
	if err != nil || fits {
		return err
	}
	d.options.Logger.Warn("the copy is not one of this log, and is made anew", "directory", d.options.Directory)
	d.log.state, d.log.size, d.log.tail, d.log.last = newState(d.options.ForeignStream), 0, place{}, 0
	return c.clear()
}

func (d *Driver) copyFits(ctx context.Context, extents []extent) (bool, error) {
	if d.log.size == 0 {
		return true, nil
	}
	at := d.log.size - int64(d.log.last)
	for i, e := range extents {
		start := startOf(extents, i)
		if at < start || at+int64(d.log.last) > start+e.length {
			continue
		}
		mine, theirs := make([]byte, d.log.last), make([]byte, d.log.last)
		if _, err := d.log.copy.ReadAt(mine, at); err != nil {
			return false, err
		}
		err := d.again(ctx, "reading the log", func(ctx context.Context) error {
			p, err := d.origin.read(ctx, e.name, at-start)
			if err != nil {
				return err
			}
			defer p.Close()
			_, err = io.ReadFull(p, theirs)
			return err
		})
		return string(mine) == string(theirs), err
	}
	return false, nil
}

// Name returns "azureblob", or "azureblob file".
func (d *Driver) Name() string { return d.name }

// Limits implements daybook.Limiter. An append within them can be too large all
// the same, where its texts take more room as JSON: then it is refused with a
// *daybook.LimitError.
func (d *Driver) Limits() daybook.Limits {
	return daybook.Limits{AppendBytes: 2 << 20, EventBytes: 360 << 10, Events: 10_000, Changesets: 1_000}
}

// Close lets running calls end.
func (d *Driver) Close() error {
	d.mu.Lock()
	was := d.closed
	d.closed = true
	if !was {
		close(d.closing)
	}
	d.mu.Unlock()
	if was {
		return nil
	}
	d.calls.Wait()
	d.cancel()
	if c, ok := d.origin.(io.Closer); ok {
		return c.Close()
	}
	return d.log.copy.Close()
}

// begin lets a call run that Close waits for; the caller calls d.calls.Done.
func (d *Driver) begin() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return daybook.ErrClosed
	}
	d.calls.Add(1)
	return nil
}

func (d *Driver) unsupported(feature string) error {
	return &daybook.UnsupportedError{Driver: d.Name(), Feature: feature}
}
