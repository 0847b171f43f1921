package cosmos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/daybook-go/daybook"
)

// queue carries out what changes a partition, in this process: one batch at a
// time, with as many jobs in it as fit.
type queue struct {
	driver    *Driver
	partition string

	mu      sync.Mutex // guards waiting and running
	waiting []*job
	running bool // a goroutine works on the queue; it owns what is below

	state *state    // as it was when a batch was last carried out; nil is unknown
	hold  *holdBody // the hold of the log that this queue may end
}

// job is what a queue is asked to do: one of the first fields is set.
type job struct {
	append  *daybook.Append // to store it
	placing *placing        // to put commits of another partition into the log
	held    *held           // to hold the log while another partition is appended to
	release bool            // to end the hold of the queue
	adopt   bool            // to take in what Finaps's library has written

	missing *daybook.ReferenceError // a reference to another partition that does not hold
	since   time.Time               // when it came
	tried   bool                    // a try of it may have been carried out
	receipt daybook.Receipt
	err     error
	done    chan struct{} // closed when receipt or err is set
}

// queue returns the queue of a partition.
func (d *Driver) queue(partition string) *queue {
	const most = 4096 // partitions whose ends are remembered
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.queues[partition]; q != nil {
		return q
	}
	if len(d.queues) >= most {
		for name, q := range d.queues {
			q.mu.Lock()
			if !q.running {
				delete(d.queues, name)
			}
			q.mu.Unlock()
		}
	}
	q := &queue{driver: d, partition: partition}
	d.queues[partition] = q
	return q
}

// do lets the queue do a job, and waits for it. The caller holds a call of the
// driver.
func (q *queue) do(ctx context.Context, j *job) error {
	j.done, j.since = make(chan struct{}), time.Now()
	q.mu.Lock()
	q.waiting = append(q.waiting, j)
	if !q.running {
		q.running = true
		q.driver.calls.Add(1)
		go q.run(q.driver.life)
	}
	q.mu.Unlock()
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
	}
	if q.leave(j) {
		return fmt.Errorf("%w before it was sent: %w", daybook.ErrRefused, ctx.Err())
	}
	select {
	case <-j.done:
		return j.err
	default:
		return fmt.Errorf("cosmos: gave up waiting for the append to be stored, its outcome is unknown: %w", ctx.Err())
	}
}

// leave takes a job out of the queue. It reports whether it still was there, and
// never was sent: then nothing of it is stored.
func (q *queue) leave(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting, j)
	if i < 0 || j.tried {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// run works until nothing waits. What it sends is for several callers, so none
// of their contexts ends it.
func (q *queue) run(ctx context.Context) {
	defer q.driver.calls.Done()
	for tries := 0; ; {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		jobs := q.waiting
		q.waiting = nil
		q.mu.Unlock()
		left, lost := q.round(ctx, jobs)
		if lost {
			tries++
			left = q.impatient(left)
			_ = sleep(ctx, rand.N(time.Duration(min(tries, 20))*2*time.Millisecond))
		} else {
			tries = 0
		}
		q.mu.Lock()
		q.waiting = append(left, q.waiting...)
		q.mu.Unlock()
	}
}

// errOvertaken is why a job is given up that can never be carried out in time.
var errOvertaken = errors.New("other programs appended to the partition each time before this one could")

// impatient ends the jobs that were tried for longer than the driver is patient,
// and returns the others.
func (q *queue) impatient(jobs []*job) (left []*job) {
	now := time.Now()
	for _, j := range jobs {
		if now.Sub(j.since) < q.driver.options.Patience {
			left = append(left, j)
			continue
		}
		j.fail(&RefusedError{Err: errOvertaken, Hint: "nothing was stored, append later"})
	}
	return left
}

// finish ends a job with success.
func (j *job) finish() { close(j.done) }

// fail ends a job with an error: where a try of it may have been carried out,
// the error does not say that it was refused.
func (j *job) fail(err error) {
	if j.tried {
		err = &UnknownError{Err: err}
	}
	j.err = err
	close(j.done)
}

// refuse ends a job with an error that says that it was refused, and is right
// whatever tries were made.
func (j *job) refuse(err error) {
	j.err = err
	close(j.done)
}

// round carries out one batch with the first of the jobs, as many as fit, and
// returns those that are left. It reports whether the batch was lost: another
// was faster, or its outcome is unknown.
func (q *queue) round(ctx context.Context, jobs []*job) (left []*job, lost bool) {
	st, err := q.load(ctx)
	if err != nil {
		for _, j := range jobs {
			j.fail(err)
		}
		return nil, false
	}
	if extra := q.takeOver(ctx, st); extra != nil {
		jobs = append([]*job{extra}, jobs...)
		if q.state == nil {
			return jobs[1:], true
		}
	}
	switch {
	case jobs[0].held != nil:
		return q.holdFor(ctx, jobs)
	case jobs[0].adopt:
		return q.adoptSome(ctx, jobs)
	}
	p := newPlan(q, st)
	for len(jobs) > 0 {
		j := jobs[0]
		added, err := p.add(ctx, j)
		switch {
		case err != nil && !p.isEmpty():
			// What is in the plan is not stored yet: ask again when it is.
		case err != nil:
			if !q.turnDown(ctx, j, err) {
				q.state = nil
				return jobs, true
			}
			jobs = jobs[1:]
			continue
		case added:
			jobs = jobs[1:]
			continue
		}
		break
	}
	if p.isEmpty() {
		return jobs, false
	}
	again, lost := q.carryOut(ctx, p)
	return append(again, jobs...), lost
}

// turnDown ends a job that the state of the partition refuses. First it makes
// sure that the state is that of now, and reports whether it is; and that the
// append is not stored already.
func (q *queue) turnDown(ctx context.Context, j *job, reason error) (current bool) {
	refusal, ok := reason.(*refusal)
	if !ok {
		j.fail(reason)
		return true
	}
	if refusal.byState {
		current, err := q.isCurrent(ctx)
		if err != nil {
			j.fail(err)
			return true
		}
		if !current {
			return false
		}
	}
	if !q.answerKnown(ctx, j) {
		j.refuse(refusal.err)
	}
	return true
}

// answerKnown ends a job whose append is stored already. It reports whether the
// job has ended.
func (q *queue) answerKnown(ctx context.Context, j *job) bool {
	if j.append == nil {
		return false
	}
	receipt, known, err := q.driver.known(ctx, q.partition, j.append)
	switch {
	case err != nil && !known:
		j.tried = true // it may be there
		j.fail(err)
	case err != nil:
		j.refuse(err)
	case !known:
		return false
	default:
		receipt.Repeated = !j.tried
		j.receipt = receipt
		j.finish()
	}
	return true
}
