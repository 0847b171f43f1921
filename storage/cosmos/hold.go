package cosmos

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/daybook-go/daybook"
)

// A condition looks at the whole log. An append of one to the default partition
// is exact by itself, since its batch is under the ETag of the head of the log.
// For another partition the log is held where it is: the hold is written, the
// append is stored, and what puts it into the log ends the hold. Nobody else
// moves the log meanwhile. Who meets the hold of a program that has died makes
// sure that its append cannot be stored any more, by replacing the head of that
// partition, and ends the hold.

// held is an append of a condition to another partition.
type held struct {
	hold      holdBody
	condition *daybook.Condition
	// commit stores the append, and returns what puts it into the log; nil where
	// it was not stored. An error says that this is not known.
	commit func(ctx context.Context) (*placing, error)
	began  bool // commit was called
}

// carryOutHeld carries out a plan of one append of a condition.
func (q *queue) carryOutHeld(ctx context.Context, p *plan) (left []*job, lost bool) {
	j := p.jobs[0]
	var result batchResult
	var sendErr error
	h := &held{
		condition: j.append.Condition,
		hold:      holdBody{Partition: q.partition, Append: j.append.ID, ETag: p.state.etag},
		commit: func(ctx context.Context) (*placing, error) {
			result, sendErr = q.sendOrFence(ctx, p)
			var unknown *UnknownError
			switch {
			case errors.As(sendErr, &unknown), isOver(sendErr):
				return nil, sendErr
			case sendErr != nil || !result.done:
				return nil, nil
			}
			return &placing{partition: q.partition, upTo: p.head, commits: []commit{p.commit()}}, nil
		},
	}
	err := q.driver.queue("").do(ctx, &job{held: h})
	switch {
	case err != nil && !h.began:
		var condition *daybook.ConditionError
		if !errors.As(err, &condition) {
			j.fail(err)
		} else if !q.answerKnown(ctx, j) {
			j.refuse(err)
		}
		return nil, false
	case sendErr != nil || !result.done:
		return q.settle(ctx, p, result, sendErr)
	}
	q.state = nil
	q.answer(ctx, p, err)
	return nil, false
}

// sendOrFence sends the batch of a plan, and leaves no doubt whether it was
// carried out: where its answer is lost, the head is replaced unless the batch
// has done so.
func (q *queue) sendOrFence(ctx context.Context, p *plan) (batchResult, error) {
	result, err := q.send(ctx, p)
	var unknown *UnknownError
	if !errors.As(err, &unknown) {
		return result, err
	}
	if err := q.driver.fence(ctx, q.partition, p.state.etag); err != nil {
		return result, err
	}
	var stored item[appendBody]
	found, readErr := q.driver.readFresh(ctx, q.partition, appendID(p.jobs[0].append.ID), &stored)
	if readErr != nil {
		return result, err
	}
	return batchResult{done: found, failed: 0, status: http.StatusPreconditionFailed}, nil
}

// fence sees to it that no batch is carried out any more that was made when the
// head of a partition had an ETag. When it returns, one was or none will be.
func (d *Driver) fence(ctx context.Context, partition string, etag azcore.ETag) error {
	for {
		var head item[headBody]
		if _, err := d.readFresh(ctx, partition, headID, &head); err != nil {
			return err
		}
		if head.ETag != etag {
			return nil
		}
		head.Daybook.Item, head.Daybook.Partition = "head", partition
		head.Daybook.Fences++
		o := operation{verb: "create", id: headID, body: itemOf(headID, partition, head.Daybook)}
		if etag != "" {
			o.verb, o.match = "replace", etag
		}
		result, err := d.batch(ctx, partition, []operation{o})
		var unknown *UnknownError
		switch {
		case errors.As(err, &unknown):
			if err := sleep(ctx, longestPause/10); err != nil {
				return err
			}
		case err != nil:
			return err
		case result.done:
			return nil
		}
	}
}

// holdFor holds the log for the first of the jobs.
func (q *queue) holdFor(ctx context.Context, jobs []*job) (left []*job, lost bool) {
	j := jobs[0]
	h := j.held
	found, err := q.driver.lastMatch(ctx, h.condition, q.state.head.Log.Position)
	if err != nil {
		j.fail(err)
		return jobs[1:], false
	}
	if found > 0 {
		refused := &refusal{err: &daybook.ConditionError{Condition: *h.condition, Found: found}, byState: true}
		if !q.turnDown(ctx, j, refused) {
			q.state = nil
			return jobs, true
		}
		return jobs[1:], false
	}
	p := newPlan(q, q.state)
	p.touched, p.log.Hold = true, &h.hold
	result, err := q.send(ctx, p)
	if err != nil || !result.done {
		q.state = nil
		var unknown *UnknownError
		if err != nil && !errors.As(err, &unknown) {
			j.fail(err)
			return jobs[1:], false
		}
		return jobs, true // a hold that was written is taken over like that of another
	}
	q.settleDone(ctx, p, result)
	h.began = true
	w, err := h.commit(ctx)
	if err != nil { // the hold stays until somebody has found out
		j.fail(err)
		return jobs[1:], false
	}
	hold := h.hold
	q.hold, j.held, j.placing, j.release = &hold, nil, w, w == nil
	return jobs, false
}

// takeOver sees to a hold of the log that is not this queue's: it waits for a
// while, and then takes it for that of a program that has died. It returns the
// job that ends the hold. Where it returns a job and the queue has no state,
// the log is to be looked at again.
func (q *queue) takeOver(ctx context.Context, st *state) *job {
	hold := (*holdBody)(nil)
	if st.head.Log != nil {
		hold = st.head.Log.Hold
	}
	if q.partition != "" || hold == nil || q.hold != nil && *q.hold == *hold {
		return nil
	}
	lookAgain := func() *job { q.state = nil; return &job{} }
	for until := time.Now().Add(q.driver.options.Grace); time.Now().Before(until); {
		if sleep(ctx, min(20*time.Millisecond, q.driver.options.Grace/4)) != nil {
			break
		}
		if current, err := q.isCurrent(ctx); err == nil && !current {
			return lookAgain()
		}
	}
	q.driver.options.Logger.Warn("ending the hold of an append that takes too long", "partition", hold.Partition, "append", hold.Append)
	var head item[headBody]
	err := q.driver.fence(ctx, hold.Partition, hold.ETag)
	if err == nil {
		_, err = q.driver.readFresh(ctx, hold.Partition, headID, &head)
	}
	if err != nil {
		return lookAgain()
	}
	q.hold = hold
	return &job{
		placing: &placing{partition: hold.Partition, upTo: head.Daybook}, since: time.Now(), done: make(chan struct{}),
	}
}
