package cosmos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/daybook-go/daybook"
)

// carryOut sends the batch of a plan, and ends the jobs in it that it settles.
// It returns the others, and whether the batch was lost.
func (q *queue) carryOut(ctx context.Context, p *plan) (left []*job, lost bool) {
	held := q.partition != "" && p.jobs[0].append != nil && p.jobs[0].append.Condition != nil
	if held {
		return q.carryOutHeld(ctx, p)
	}
	result, err := q.send(ctx, p)
	return q.settle(ctx, p, result, err)
}

// send sends the batch of a plan.
func (q *queue) send(ctx context.Context, p *plan) (batchResult, error) {
	parts := p.operations()
	operations := make([]operation, len(parts))
	for i := range parts {
		operations[i] = parts[i].operation
	}
	result, err := q.driver.batch(ctx, q.partition, operations)
	if err == nil && !result.done && result.failed >= len(parts) {
		err = fmt.Errorf("cosmos: the answer to a batch of %d operations is not understood", len(parts))
	}
	return result, err
}

// settle ends the jobs of a plan by what became of its batch.
func (q *queue) settle(ctx context.Context, p *plan, result batchResult, err error) (left []*job, lost bool) {
	var unknown *UnknownError
	switch {
	case errors.As(err, &unknown) || err != nil && isOver(err):
		q.state = nil
		for _, j := range p.jobs {
			j.tried = true
		}
		q.driver.options.Logger.Warn("the answer to a batch is lost, looking for what it stored", "partition", q.partition, "error", err)
		return p.jobs, true
	case err != nil:
		q.state = nil
		for _, j := range p.jobs {
			j.fail(q.full(err))
		}
		return nil, false
	case result.done:
		return q.settleDone(ctx, p, result), false
	}
	return q.settleFailed(ctx, p, result)
}

// settleDone ends the jobs of a plan that was carried out.
func (q *queue) settleDone(ctx context.Context, p *plan, result batchResult) (left []*job) {
	q.state.apply(p, "")
	if len(result.etags) > 0 && result.etags[0] != "" {
		q.state.etag = result.etags[0]
	} else {
		q.state = nil // the service does not tell the ETag: read it
	}
	q.hold = nil
	for _, entry := range p.entries {
		q.driver.entries.put(&entry)
	}
	if q.partition != "" {
		q.putIntoLog(ctx, p)
		return nil
	}
	for _, j := range p.jobs {
		if j.placing != nil && !j.placing.complete(p) {
			left = append(left, j)
			continue
		}
		j.finish()
	}
	return left
}

// putIntoLog puts a plan that was carried out into the log, and ends its jobs.
func (q *queue) putIntoLog(ctx context.Context, p *plan) {
	placing := &placing{partition: q.partition, upTo: p.head, commits: []commit{p.commit()}}
	err := q.driver.queue("").do(ctx, &job{placing: placing})
	q.answer(ctx, p, err)
}

// answer ends the jobs of a plan that is in the log, or failed to get there.
func (q *queue) answer(ctx context.Context, p *plan, err error) {
	var entry *entryBody
	if err == nil {
		entry, err = q.driver.entryOf(ctx, q.partition, p.begin)
	}
	for _, j := range p.jobs {
		if err != nil {
			j.tried = true // it is stored, and will be in the log
			j.fail(err)
			continue
		}
		entry.settle(&j.receipt)
		j.finish()
	}
}

// settleFailed finds out why a batch was rolled back.
func (q *queue) settleFailed(ctx context.Context, p *plan, result batchResult) (left []*job, lost bool) {
	parts := p.operations()
	if result.failed <= 0 { // another was faster, or the service does not say
		q.state = nil
		for _, j := range p.jobs {
			if result.failed == 0 || !q.answerKnown(ctx, j) {
				left = append(left, j)
			}
		}
		return left, true
	}
	failed := &parts[result.failed]
	switch {
	case result.status == http.StatusConflict && failed.kind == partAppend:
		if !q.answerKnown(ctx, failed.job) {
			q.state = nil
			return p.jobs, true
		}
		return without(p.jobs, failed.job), false
	case result.status == http.StatusConflict && failed.kind == partStub:
		failed.job.placing.reused = true
		return p.jobs, false
	case result.status == http.StatusConflict && failed.kind == partEvent:
		if err := q.clear(ctx, failed); err != nil {
			failed.job.fail(err)
			return without(p.jobs, failed.job), false
		}
		return p.jobs, false
	}
	q.state = nil
	for _, j := range p.jobs {
		j.fail(fmt.Errorf("%w: cosmos: the service refused operation %d of a batch with status %d", daybook.ErrRefused, result.failed+1, result.status))
	}
	return nil, false
}

// clear sees to an event whose id is taken: by an event of Finaps's library,
// which is taken in first, or by another stream with the same GUID.
func (q *queue) clear(ctx context.Context, failed *part) error {
	var raw json.RawMessage
	found, err := q.driver.read(ctx, q.partition, failed.id, &raw)
	if err != nil {
		return err
	}
	var there eventItem
	if !found {
		return nil // it is gone again
	}
	if err := json.Unmarshal(raw, &there); err != nil {
		return err
	}
	stream := streamName(aggregate{there.AggregateType, there.AggregateID})
	if there.Daybook != nil {
		stream = there.Daybook.Stream
	}
	switch {
	case stream != failed.stream:
		if q.state.taken[failed.stream] || q.state.streams[failed.stream] != nil {
			return &daybook.CorruptError{File: there.ID, Reason: "the item is that of another stream, " + stream}
		}
		q.state.taken[failed.stream] = true
		return nil
	case there.Daybook != nil:
		return &daybook.CorruptError{File: there.ID, Reason: "the event stands behind the end of its stream: items were changed by others"}
	}
	return q.takeIn(ctx)
}

// full makes a *FullError of an error that says that.
func (q *queue) full(err error) error {
	if statusOf(err) == http.StatusForbidden {
		var refused *RefusedError
		if errors.As(err, &refused) && subStatus(refused.Err) == subStatusFull {
			return &FullError{Partition: q.partition, Err: refused.Err}
		}
	}
	return err
}

// without returns jobs but for one.
func without(jobs []*job, done *job) (left []*job) {
	for _, j := range jobs {
		if j != done {
			left = append(left, j)
		}
	}
	return left
}
