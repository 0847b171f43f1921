package cosmos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
	"github.com/google/uuid"

	"github.com/daybook-go/daybook"
)

// reservation is the type of the row that Finaps's library writes, and removes
// again, while it deletes.
const reservation = "<RESERVED>"

// foreignEvents selects the events that are not in the log.
const foreignEvents = "STARTSWITH(c.id, 'Event|') AND NOT IS_DEFINED(c.Daybook)"

// Adopt puts the events that Finaps's library has written since the last time
// into the log: those of a partition by the times that they tell, each as an
// append of its own. It adds one property to each of them, which that library
// passes over. Open does this, and an append or read that meets such an event
// does it for the partition.
func (d *Driver) Adopt(ctx context.Context) error {
	if err := d.begin(); err != nil {
		return err
	}
	defer d.calls.Done()
	passed := map[string]bool{}
	for {
		var next string
		q := question{across: true, page: 100, text: "SELECT c.PartitionId FROM c WHERE " + foreignEvents + " AND c.Type != '" + reservation + "'"}
		err := d.query(ctx, q, func(raw []byte) (bool, error) {
			var row struct {
				PartitionID string `json:"PartitionId"`
			}
			if err := json.Unmarshal(raw, &row); err != nil {
				return false, err
			}
			if _, ok := foreignPartition(row.PartitionID); ok && !passed[row.PartitionID] {
				next = row.PartitionID
			}
			return next == "", nil
		})
		if err != nil || next == "" {
			return err
		}
		passed[next] = true
		partition, _ := foreignPartition(next)
		if err := d.queue(partition).do(ctx, &job{adopt: true}); err != nil {
			return err
		}
	}
}

// foreignEvent is what is to be known of an event that is not in the log.
type foreignEvent struct {
	ID            string
	AggregateType string
	AggregateID   string `json:"AggregateId"`
	Index         int64
	Timestamp     time.Time
	Type          string
}

// takeIn puts all such events of the partition into the log.
func (q *queue) takeIn(ctx context.Context) error {
	for {
		st, err := q.load(ctx)
		if err != nil {
			return err
		}
		events, err := q.driver.foreignOf(ctx, q.partition)
		if err != nil {
			return err
		}
		p := newPlan(q, st)
		j := &job{done: make(chan struct{}), since: time.Now()}
		if err := p.addForeign(ctx, j, events); err != nil {
			return err
		}
		if len(p.jobs) == 0 {
			return nil
		}
		result, err := q.send(ctx, p)
		switch {
		case err != nil && statusOf(err) != 0:
			return err
		case err == nil && !result.done && result.status == http.StatusBadRequest:
			return fmt.Errorf("%w: cosmos: the service refused to change an event that Finaps's library has written", daybook.ErrRefused)
		case err != nil || !result.done:
			q.state = nil
			if err := sleep(ctx, firstPause); err != nil {
				return err
			}
			continue
		}
		q.settleDone(ctx, p, result)
		if <-j.done; j.err != nil {
			return j.err
		}
	}
}

// adoptSome does the first of the jobs, which asks for takeIn.
func (q *queue) adoptSome(ctx context.Context, jobs []*job) (left []*job, lost bool) {
	if err := q.takeIn(ctx); err != nil {
		jobs[0].fail(err)
	} else {
		jobs[0].finish()
	}
	return jobs[1:], false
}

// foreignOf reads which events of a partition are not in the log, in the order
// in which they are put there: by their times, those of an aggregate by their
// index.
func (d *Driver) foreignOf(ctx context.Context, partition string) (events []foreignEvent, err error) {
	q := question{
		partition: partition, page: largestPage,
		text: "SELECT c.id, c.AggregateType, c.AggregateId, c.Index, c.Timestamp, c.Type FROM c WHERE " + foreignEvents,
	}
	err = d.query(ctx, q, func(raw []byte) (bool, error) {
		var e foreignEvent
		if err := json.Unmarshal(raw, &e); err != nil {
			return false, fmt.Errorf("cosmos: an event that is not in the log cannot be read: %w", err)
		}
		if e.Type != reservation && e.AggregateType != "" && isGUID(e.AggregateID) {
			events = append(events, e)
		}
		return true, nil
	})
	slices.SortFunc(events, func(a, b foreignEvent) int { return int(a.Index - b.Index) })
	latest := map[string]time.Time{} // of the events of an aggregate so far
	for i := range events {
		e := &events[i]
		if e.Timestamp.Before(latest[e.AggregateID]) {
			e.Timestamp = latest[e.AggregateID]
		}
		latest[e.AggregateID] = e.Timestamp
	}
	slices.SortStableFunc(events, func(a, b foreignEvent) int { return a.Timestamp.Compare(b.Timestamp) })
	return events, err
}

// mostForeign is how many events one batch takes in: each may bring a stream
// besides.
const mostForeign = (maxOperations - fixedOperations) / 2

// addForeign takes the first events in, each as an append of its own.
func (p *plan) addForeign(ctx context.Context, j *job, events []foreignEvent) error {
	events = events[:min(len(events), mostForeign)]
	var names []string
	for _, e := range events {
		names = append(names, streamName(aggregate{e.AggregateType, e.AggregateID}))
	}
	if err := p.queue.fetch(ctx, p.state, names, nil); err != nil {
		return err
	}
	for i := range events {
		e := &events[i]
		before := p.stream(names[i])
		stream := p.next(before, names[i])
		stream.AggregateType, stream.AggregateID = e.AggregateType, e.AggregateID
		if before == nil {
			stream.First, stream.Version = daybook.Version(e.Index+1), daybook.Version(e.Index)
		}
		if daybook.Version(e.Index) != stream.Version {
			p.queue.driver.options.Logger.Warn("an event does not follow the end of its stream and stays out of the log", "id", e.ID, "version", stream.Version)
			continue
		}
		p.takeForeign(e, stream, before == nil)
	}
	if len(p.others) > 0 {
		p.jobs = append(p.jobs, j)
	}
	return nil
}

// takeForeign moves the plan behind an event that is taken in.
func (p *plan) takeForeign(e *foreignEvent, stream *streamBody, created bool) {
	stream.Version++
	stream.Changeset++
	at := daybook.Microseconds(e.Timestamp)
	name := uuid.MustParse(e.AggregateID)
	body := &eventBody{
		Item: "event", Partition: p.queue.partition, Stream: stream.Name, Number: stream.Changeset, First: stream.Version, Count: 1,
		Append: uuid.NewSHA1(name, []byte("append "+partitionID(p.queue.partition)+e.ID)), Event: uuid.NewSHA1(name, []byte(e.ID)), Members: true, OccurredAt: &at,
	}
	place, turn := p.head.Places+1, p.head.Turns+1
	if p.queue.partition == "" {
		place, turn = int64(p.log.Position)+1, int64(p.log.Ordinal)+1
		p.log.Position, p.log.Ordinal = p.log.Position+1, p.log.Ordinal+1
	}
	p.stand(body, place, turn)
	p.standAt(stream, place)
	p.head.Places, p.head.Turns = p.head.Places+1, p.head.Turns+1
	p.head.Longest = max(p.head.Longest, int64(stream.Changeset))
	if created {
		p.head.Streams++
	}
	if p.queue.partition == "" {
		p.log.Longest = max(p.log.Longest, int64(stream.Changeset))
		if created {
			p.log.Streams++
		}
	}
	p.streams[stream.Name] = stream
	patch := &azcosmos.PatchOperations{}
	patch.AppendAdd("/Daybook", body)
	p.others = append(p.others, part{operation: operation{verb: "patch", id: e.ID, patch: patch}, kind: partOther})
}
