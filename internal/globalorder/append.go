package globalorder

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

// job is a call that adds to the log. Who leads owns it once it was taken from
// the queue, until done is closed.
type job struct {
	append   daybook.Append              // the content is a copy: its caller may be gone
	imported []daybook.RecordedChangeset // instead of append, where it is an import
	adopts   bool                        // instead of both: look for what was there before the log
	size     int                         // in a page, at most, in bytes
	rows     int                         // that it leads to

	tried   bool  // a page with it was sent, and its outcome is not known
	checked bool  // no page up to the base of the cache holds its id
	scanned int64 // pages up to this one were held against its condition
	broken  daybook.Position

	done    chan struct{}
	receipt daybook.Receipt
	err     error
}

func (j *job) finish(receipt daybook.Receipt, err error) {
	j.receipt, j.err = receipt, err
	close(j.done)
}

// fail ends a job with an error of the storage.
func (j *job) fail(err error) {
	if !j.tried && !errors.Is(err, daybook.ErrRefused) {
		err = &notSentError{err}
	}
	if j.tried && errors.Is(err, daybook.ErrRefused) {
		// An earlier attempt may have been stored.
		err = fmt.Errorf("the outcome is unknown: %v", err)
	}
	j.finish(daybook.Receipt{}, err)
}

// Append is that of daybook.Driver.
func (e *Engine) Append(ctx context.Context, a daybook.Append) (daybook.Receipt, error) {
	j := &job{append: a.Clone(), done: make(chan struct{})}
	if a.Durability > e.options.Durability {
		return daybook.Receipt{}, &daybook.UnsupportedError{Driver: e.name, Feature: "durability " + a.Durability.String()}
	}
	j.size, j.rows = sizeOf(j.append.Changesets), rowsOf(j.append.Changesets)
	if err := e.checkSize(j.size, j.rows, "append"); err != nil {
		return daybook.Receipt{}, err
	}
	return e.submit(ctx, j)
}

// submit hands a job to the goroutine that leads, and waits for it. One goroutine
// appends for all, so that what waits together travels together.
func (e *Engine) submit(ctx context.Context, j *job) (daybook.Receipt, error) {
	e.mu.Lock()
	if e.closed || e.options.ReadOnly {
		defer e.mu.Unlock()
		if e.closed {
			return daybook.Receipt{}, daybook.ErrClosed
		}
		return daybook.Receipt{}, daybook.ErrReadOnly
	}
	e.queue = append(e.queue, j)
	if !e.leading {
		e.leading = true
		e.calls.Add(1)
		go e.lead()
	}
	e.mu.Unlock()
	select {
	case <-j.done:
		return j.receipt, j.err
	case <-ctx.Done():
	}
	if e.withdraw(j) {
		return daybook.Receipt{}, fmt.Errorf("%w before it began: %w", daybook.ErrRefused, ctx.Err())
	}
	select {
	case <-j.done:
		return j.receipt, j.err
	default:
		return daybook.Receipt{}, ctx.Err()
	}
}

// withdraw takes a job back that nobody has begun with.
func (e *Engine) withdraw(j *job) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := slices.Index(e.queue, j)
	if at < 0 {
		return false
	}
	e.queue = slices.Delete(e.queue, at, at+1)
	return true
}

// lead takes what waits, turn by turn, until nothing does.
func (e *Engine) lead() {
	defer e.calls.Done()
	var left []*job // did not fit into the page of the last turn
	for {
		runtime.Gosched() // let those join who are about to
		e.mu.Lock()
		jobs := append(left, e.take(len(left))...)
		if len(jobs) == 0 {
			e.leading = false
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		left = e.turn(e.life, jobs)
	}
}

// maxTurn is how many appends a turn takes: more gain nothing, since each is
// looked up by itself.
const maxTurn = 256

func (e *Engine) take(beside int) []*job {
	n := max(min(len(e.queue), maxTurn-beside), 0)
	taken := slices.Clone(e.queue[:n])
	e.queue = slices.Delete(e.queue, 0, n)
	return taken
}

// turn decides jobs and creates a page for those that hold. It returns those
// that the page had no room for.
func (e *Engine) turn(ctx context.Context, jobs []*job) (left []*job) {
	v, known := e.tail.now()
	fresh := false // v was read since the turn began
	for {
		var err error
		if !known {
			if v, err = e.refresh(ctx); err != nil {
				return failAll(jobs, err)
			}
			known, fresh = true, true
		}
		if e.mustAdopt(v) {
			if err = e.adopt(ctx, v); err != nil {
				return failAll(jobs, err)
			}
			known = false
			continue
		}
		e.cache.advance(v, jobs)
		if known, err = e.lookUp(ctx, v, jobs); err != nil {
			return failAll(jobs, err)
		}
		if !known {
			continue // what was found is newer than v
		}
		d := e.decide(v, jobs)
		if len(d.page.Appends) == 0 && (fresh || !d.refused) {
			return d.finish()
		}
		if len(d.page.Appends) == 0 {
			// A refusal may be due to what we have not seen, or be wrong by it.
			known = false
			continue
		}
		if d.page.Settled, err = e.makeRoom(ctx, v); err != nil {
			return failAll(jobs, err)
		}
		created, err := e.create(ctx, d)
		if err != nil {
			return failAll(jobs, err)
		}
		if !created {
			v, _ = e.tail.now()
			continue
		}
		e.settleSoon()
		return d.finish()
	}
}

func failAll(jobs []*job, err error) []*job {
	for _, j := range jobs {
		j.fail(err)
	}
	return nil
}

// create creates the page of a decision. False says that another page has its
// number: then nothing of the decision was stored, and nothing will be.
func (e *Engine) create(ctx context.Context, d *decision) (bool, error) {
	stored := &StoredPage{Number: d.page.Number, First: d.page.First(), Settled: d.page.Settled, Bytes: d.page.encode()}
	var err error
	if stored.Content, err = open(stored, stored.Number); err != nil {
		return false, err
	}
	pause, until := firstPause, time.Now().Add(e.options.Patience)
	for unknown := false; ; unknown = true {
		err := e.storage.Create(ctx, stored)
		if errors.Is(err, ErrExists) {
			return e.settleRace(ctx, d)
		}
		if err == nil {
			e.created(stored.Content, stored.Done)
			return true, nil
		}
		if !errors.Is(err, daybook.ErrRefused) || unknown {
			d.try()
		}
		// The same page again, and no other in its place: the first attempt may
		// still be under way, and whichever comes first counts.
		if errors.Is(err, daybook.ErrRefused) || time.Now().Add(pause).After(until) || !sleep(ctx, pause) {
			return false, err
		}
		pause = min(2*pause, lastPause)
	}
}

const (
	firstPause = 20 * time.Millisecond
	lastPause  = 2 * time.Second
)

// sleep waits, and reports whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// settleRace looks whose page has the number: an attempt of ours may have
// arrived though its answer has not. What is behind it comes with it.
func (e *Engine) settleRace(ctx context.Context, d *decision) (bool, error) {
	d.try() // until it is known
	pages, _, err := e.load(ctx, d.page.Number, 0, 2*e.options.Gap)
	if err == nil && len(pages) == 0 {
		err = fmt.Errorf("page %d: %w", d.page.Number, errGap(0))
	}
	if err != nil {
		return false, err
	}
	if pages[0].page.Nonce != d.page.Nonce {
		d.untry()
		if !e.tail.add(pages) {
			return false, errors.New("the end of the log moved away from under an append")
		}
		return false, nil
	}
	e.created(pages[0].page, pages[0].done)
	return true, nil
}

// created takes in a page of ours, which may be settled already. Only who leads
// calls it.
func (e *Engine) created(page *Page, settled bool) {
	e.cache.follow(page)
	e.tail.add([]loaded{{page, settled}})
	if !settled {
		e.background.own(page.Number)
	}
}
