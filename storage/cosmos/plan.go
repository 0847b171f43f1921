package cosmos

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/daybook-go/daybook"
)

// plan is a batch in the making, and the state of the partition behind it.
type plan struct {
	queue  *queue
	state  *state // in front of it
	before headBody
	head   headBody
	log    logBody // of the default partition
	at     time.Time
	begin  int64 // the place at which the commit begins

	jobs    []*job
	appends []part
	events  []part
	others  []part
	streams map[string]*streamBody
	claims  map[daybook.Claim]*string
	placed  map[string]*placedBody
	entries []entryBody
	bytes   int
	alone   bool // nothing may be added
	touched bool // the head changes, if nothing else does
}

// part is an operation of a plan, and what it is for.
type part struct {
	operation
	kind   partKind
	job    *job
	stream string // of an event
}

type partKind int

const (
	partHead partKind = iota
	partAppend
	partStub
	partEvent
	partOther
)

// refusal is why a job cannot be done. It is no error to others, so that one
// that comes from the service is never taken for it.
type refusal struct {
	err     error
	byState bool // another state of the partition might not refuse it
}

func (r *refusal) Error() string { return r.err.Error() }

func newPlan(q *queue, st *state) *plan {
	p := &plan{
		queue: q, state: st, before: st.head, head: st.head, at: q.driver.clock(), begin: st.head.Places + 1,
		streams: map[string]*streamBody{}, claims: map[daybook.Claim]*string{}, placed: map[string]*placedBody{},
	}
	if st.head.Log != nil {
		p.log = *st.head.Log
		if p.at.Before(p.log.RecordedAt) {
			p.at = p.log.RecordedAt.UTC()
		}
		if p.log.Hold != nil {
			p.log.Hold = nil // it is ours to end: see takeOver
		}
	}
	return p
}

func (p *plan) isEmpty() bool { return len(p.jobs) == 0 && !p.touched }

// size is how many operations the plan has.
func (p *plan) size() int {
	return 1 + len(p.appends) + len(p.events) + len(p.others) + len(p.streams) + len(p.claims) + len(p.placed)
}

// add takes a job in. It reports whether it did: else it is for a later batch.
// A *refusal says that it is for none.
func (p *plan) add(ctx context.Context, j *job) (added bool, err error) {
	if p.alone {
		return false, nil
	}
	switch {
	case j.append != nil:
		return p.addAppend(ctx, j)
	case j.placing != nil:
		return p.addPlacing(ctx, j)
	case j.release:
		if p.state.head.Log.Hold == nil {
			j.finish()
			return true, nil
		}
		p.touched = true
		p.jobs = append(p.jobs, j)
		return true, nil
	}
	return false, nil
}

// addAppend takes an append in.
func (p *plan) addAppend(ctx context.Context, j *job) (bool, error) {
	a := j.append
	var names []string
	var claims []daybook.Claim
	events := 0
	for i := range a.Changesets {
		c := &a.Changesets[i]
		names = append(names, c.Stream.Name)
		for _, reference := range c.References {
			if reference.Partition == p.queue.partition {
				names = append(names, reference.Name)
			}
		}
		claims = append(append(claims, c.Claims...), c.Releases...)
		events += len(c.Events)
	}
	if p.size()+1+events+len(a.Changesets)+len(claims) > maxOperations && !p.isEmpty() {
		return false, nil
	}
	if p.holds(a.ID) || a.Condition != nil && !p.isEmpty() {
		return false, nil
	}
	if err := p.queue.fetch(ctx, p.state, names, claims); err != nil {
		return false, err
	}
	if err := p.check(ctx, j); err != nil {
		return false, err
	}
	before := p.bytes
	made := p.make(j)
	if before+made.bytes > maxBatchBytes {
		if p.isEmpty() {
			return false, &refusal{err: &daybook.LimitError{
				Field: "append", Value: int64(made.bytes), Limit: maxBatchBytes, Unit: "bytes of a batch, as they are written",
			}}
		}
		return false, nil
	}
	p.take(made)
	p.jobs = append(p.jobs, j)
	p.alone = a.Condition != nil
	return true, nil
}

// holds reports whether the plan has an append with the id.
func (p *plan) holds(id daybook.ID) bool {
	return slices.ContainsFunc(p.jobs, func(j *job) bool { return j.append != nil && j.append.ID == id })
}

// stream returns where a stream ends behind the plan.
func (p *plan) stream(name string) *streamBody {
	if s, changed := p.streams[name]; changed {
		return s
	}
	return p.state.streams[name]
}

// holder returns who holds a claim behind the plan; nil is nobody.
func (p *plan) holder(claim daybook.Claim) *string {
	if holder, changed := p.claims[claim]; changed {
		return holder
	}
	return p.state.claims[claim]
}

// check returns why the state behind the plan refuses an append, if it does.
func (p *plan) check(ctx context.Context, j *job) error {
	a := j.append
	for i := range a.Changesets {
		c := &a.Changesets[i]
		stream := p.stream(c.Stream.Name)
		if c.Expect.Holds(stream.head()) {
			continue
		}
		if !p.isEmpty() {
			return &refusal{} // asked again when the plan is carried out
		}
		found, err := p.queue.driver.placedHead(ctx, p.queue.partition, stream)
		if err != nil {
			return err
		}
		return &refusal{err: &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: found}, byState: true}
	}
	if a.Condition != nil && p.queue.partition == "" {
		if err := p.checkCondition(ctx, a.Condition); err != nil {
			return err
		}
	}
	if err := p.checkReferences(j); err != nil {
		return err
	}
	return p.checkClaims(a)
}

// checkCondition looks for records that break a condition, up to where the log
// ends. The plan is carried out only if it still ends there.
func (p *plan) checkCondition(ctx context.Context, condition *daybook.Condition) error {
	found, err := p.queue.driver.lastMatch(ctx, condition, p.state.head.Log.Position)
	if err != nil || found == 0 {
		return err
	}
	return &refusal{err: &daybook.ConditionError{Condition: *condition, Found: found}, byState: true}
}

func (p *plan) checkReferences(j *job) error {
	a := j.append
	if j.missing != nil {
		return &refusal{err: j.missing}
	}
	for i := range a.Changesets {
		for _, reference := range a.Changesets[i].References {
			if reference.Partition != p.queue.partition {
				continue
			}
			created := slices.ContainsFunc(a.Changesets, func(c daybook.Changeset) bool { return c.Stream == reference })
			if !created && !p.stream(reference.Name).head().Exists() {
				return &refusal{err: &daybook.ReferenceError{Stream: a.Changesets[i].Stream, Reference: reference}, byState: true}
			}
		}
	}
	return nil
}

// checkClaims looks at every release and claim as if the releases of the whole
// append had been carried out before its claims.
func (p *plan) checkClaims(a *daybook.Append) error {
	released := map[daybook.Claim]bool{}
	held := func(c *daybook.Changeset, claim daybook.Claim) error {
		if holder := p.holder(claim); holder != nil && *holder != c.Stream.Name {
			return &refusal{err: &daybook.ClaimError{
				Stream: c.Stream, Claim: claim, Holder: daybook.StreamID{Partition: p.queue.partition, Name: *holder},
			}, byState: true}
		}
		return nil
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Releases {
			if err := held(c, claim); err != nil {
				return err
			}
			released[claim] = true
		}
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Claims {
			if released[claim] {
				continue
			}
			if err := held(c, claim); err != nil {
				return err
			}
		}
	}
	return nil
}

// operations returns the batch of the plan: the head first, so that a batch
// that is too late fails by that.
func (p *plan) operations() []part {
	head := p.head
	if p.queue.partition == "" {
		p.log.RecordedAt = p.at
		head.Log = &p.log
	}
	first := part{operation: operation{verb: "create", id: headID, body: itemOf(headID, p.queue.partition, head)}}
	if p.state.etag != "" {
		first.verb, first.match = "replace", p.state.etag
	}
	parts := append([]part{first}, p.appends...)
	parts = append(append(parts, p.events...), p.others...)
	for _, name := range slices.Sorted(maps.Keys(p.streams)) {
		parts = append(parts, upsert(streamID(name), p.queue.partition, *p.streams[name]))
	}
	for _, claim := range slices.SortedFunc(maps.Keys(p.claims), compareClaims) {
		body := claimBody{Item: "claim", Kind: claim.Kind, Value: claim.Value}
		if holder := p.claims[claim]; holder != nil {
			body.Holder = *holder
		}
		parts = append(parts, upsert(claimID(claim), p.queue.partition, body))
	}
	for _, name := range slices.Sorted(maps.Keys(p.placed)) {
		parts = append(parts, upsert(placedID(name), "", *p.placed[name]))
	}
	return parts
}

func upsert[T any](id, partition string, body T) part {
	return part{operation: operation{verb: "upsert", id: id, body: itemOf(id, partition, body)}, kind: partOther}
}

func compareClaims(a, b daybook.Claim) int {
	if c := strings.Compare(a.Kind, b.Kind); c != 0 {
		return c
	}
	return strings.Compare(a.Value, b.Value)
}

// apply makes the state behind the plan that of the partition.
func (st *state) apply(p *plan, etag azcore.ETag) {
	st.etag, st.head = etag, p.head
	if p.queue.partition == "" {
		log := p.log
		st.head.Log = &log
	}
	maps.Copy(st.streams, p.streams)
	maps.Copy(st.claims, p.claims)
	maps.Copy(st.placed, p.placed)
}
