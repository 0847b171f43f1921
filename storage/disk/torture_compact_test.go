package disk_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"syscall"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/internal/durable"
	"github.com/daybook-go/daybook/internal/durable/simulated"
	"github.com/daybook-go/daybook/storage/disk"
)

// compaction is a compaction of a tortured store, and what must be true when it
// has ended well.
type compaction struct {
	options disk.CompactOptions
	until   int // ends it after so many steps; 0: nothing does
	due     map[string]bool
	last    daybook.DeletionNumber
	report  disk.CompactReport
	err     error
}

func (r *torture) newCompaction() *compaction {
	c := &compaction{options: disk.CompactOptions{ScrubsOnly: r.random.IntN(3) == 0}, last: r.model.end().deletion}
	c.due = r.model.due(c.options.ScrubsOnly, c.last)
	if r.random.IntN(4) == 0 {
		c.until = 1 + r.random.IntN(3)
	}
	return c
}

func (c *compaction) run(d *disk.Driver) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	steps := 0
	c.options.Progress = func(int, int) {
		if steps++; steps == c.until {
			cancel()
		}
	}
	c.report, c.err = d.Compact(ctx, &c.options)
}

// compact compacts the store.
func (r *torture) compact() error {
	c := r.newCompaction()
	r.letFail()
	seen := r.beside(func() error {
		c.run(r.driver)
		return nil
	})
	if err := errors.Join(seen, r.judge(c)); err != nil || r.reader == nil {
		return err
	}
	return r.readByAnother()
}

// letFail has something fail not long from now on, if this life aims at that.
func (r *torture) letFail() {
	if !r.aims || r.model.end().deletion == 0 {
		return
	}
	r.aims = false
	f := &simulated.Fault{Kind: simulated.Change, At: 1 + r.random.IntN(1+r.random.IntN(30)), Part: float64(r.random.IntN(5)) / 4}
	switch n := r.random.IntN(6); {
	case n == 0:
		f.PowerOff = true
	case n == 1 || r.calm:
		f.Kill = true
	default:
		f.Kind, f.At, f.Err = compacting[r.random.IntN(len(compacting))], 1+r.random.IntN(4), syscall.EIO
		if f.Kind != simulated.Remove {
			f.Files = [...]func(string) bool{nil, ofLog, ofCompacted, ofIndex, ofIndex}[r.random.IntN(5)]
		}
		if r.random.IntN(3) == 0 {
			f.Err, r.full = fullErrors[r.random.IntN(len(fullErrors))], true
		}
		r.writesFail = f.Kind != simulated.Open
	}
	r.notef("fault: %s %d from now on, power off %v, kill %v, error %v", f.Kind, f.At, f.PowerOff, f.Kill, f.Err)
	r.faults++
	r.mount.Add(f)
}

// compacting are the calls by which a compaction puts files in place of others.
var compacting = [...]simulated.Kind{
	simulated.Create, simulated.Write, simulated.Sync, simulated.Rename, simulated.SyncDir, simulated.Open, simulated.Remove, simulated.Remove,
}

// compactBeside compacts the store, now and then, beside what else goes on. What it
// returns is called when all that has ended.
func (r *torture) compactBeside(group *sync.WaitGroup) func() error {
	if r.random.IntN(3) > 0 {
		return func() error { return nil }
	}
	c := r.newCompaction()
	group.Go(func() { c.run(r.driver) })
	return func() error { return r.judge(c) }
}

// compactToTheEnd compacts the store while its life ends.
func (r *torture) compactToTheEnd() {
	c := r.newCompaction()
	mount, driver := r.mount, r.driver
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.run(driver)
	}()
	r.pauses.Store(8)
	for range r.random.IntN(40) {
		runtime.Gosched()
	}
	r.pauses.Store(0)
	r.compacts = func() error {
		<-ended
		if errors.Is(c.err, daybook.ErrClosed) && mount.Gone() == nil {
			r.notef("closed while it was compacted")
			return nil
		}
		return c.ended(r)
	}
}

// compactionEnds waits for a compaction that runs while the life ends.
func (r *torture) compactionEnds() error {
	if r.compacts == nil {
		return nil
	}
	defer func() { r.compacts = nil }()
	return r.compacts()
}

// judge takes in how a compaction has ended. One that met a fault that does not
// last must end well when it is run again.
func (r *torture) judge(c *compaction) error {
	r.notef("compacted, scrubs only %v, until %d: %+v, %v", c.options.ScrubsOnly, c.until, c.report, c.err)
	err := c.ended(r)
	if err == nil || errors.As(err, new(*broken)) || r.mount.Gone() != nil || !r.mount.Struck() || r.lasting || errors.Is(err, daybook.ErrFailed) {
		return err
	}
	if r.random.IntN(2) == 0 {
		if err := r.delete(); err != nil {
			return err
		}
	}
	again := *c
	again.until = 0
	again.run(r.driver)
	r.notef("compacted again: %+v, %v", again.report, again.err)
	err = again.ended(r)
	if err != nil && !errors.As(err, new(*broken)) && r.mount.Gone() == nil && !errors.Is(err, daybook.ErrFailed) {
		return brokenf("a compaction met a fault, and another one ends with %v", err)
	}
	return err
}

// ended returns what was broken by a compaction, or what the file system answered.
func (c *compaction) ended(r *torture) error {
	if c.err != nil {
		r.cutOff++
	} else if c.report.Segments > 0 {
		r.compactions++
	}
	switch {
	case c.err == nil:
		r.model.compacted(c.due, c.last)
		return r.search()
	case c.until > 0 && errors.Is(c.err, context.Canceled):
		return nil
	case durable.IsFull(c.err) && !errors.Is(c.err, daybook.ErrFull) && !errors.Is(c.err, daybook.ErrFailed):
		return brokenf("a compaction that finds no room ends with %v", c.err)
	case r.full && errors.Is(c.err, daybook.ErrFull):
		return nil
	case errors.Is(c.err, daybook.ErrFailed):
		r.model.failed = true
	}
	return c.err
}
