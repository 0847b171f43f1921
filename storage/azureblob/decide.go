package azureblob

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
)

// block is what is sent at once: the frames of the appends that the log, as it
// is known, does not refuse.
type block struct {
	bytes   []byte
	at      place // where the log ends that the verdicts are about
	absent  bool  // there is no part at that place yet
	full    bool  // the part takes no more
	decided int   // of how many entries, from the first one, the verdict is given
	final   bool  // the verdicts hold whatever others have stored since
}

// decide gives a verdict on entries, one after the other, each on the log with
// those before it: a receipt and a place in the block, or an error. It stops
// where the block is full.
func (d *Driver) decide(entries []*entry) *block {
	l := &d.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	b := &block{at: l.tail, absent: l.absent, full: l.full, final: true}
	v := newView(l.state, d)
	for _, e := range entries {
		e.receipt, e.err, e.inBlock = daybook.Receipt{}, nil, false
		frames, final := v.verdict(e)
		if frames != nil && len(b.bytes)+len(frames) > maxBlock {
			if len(b.bytes) > 0 {
				return b // the view is not used any more
			}
			e.err = &daybook.LimitError{Field: "append", Value: int64(len(frames)), Limit: maxBlock, Unit: "bytes as stored"}
			b.decided, b.final = 1, true
			return b // for the same reason
		}
		b.bytes, b.final = append(b.bytes, frames...), b.final && final
		e.inBlock = frames != nil
		b.decided++
	}
	return b
}

// view is the log as it is known, with what is to be written behind it.
type view struct {
	*state
	driver *Driver

	heads   map[daybook.StreamID]daybook.Head
	claimed map[claimKey]daybook.StreamID // the zero one where it was released
	added   map[daybook.ID]daybook.Receipt
	pending []daybook.Record // with what conditions ask for

	key     uint32
	shift   int64
	last    daybook.Position
	ordinal daybook.Ordinal
	latest  time.Time
}

func newView(s *state, d *Driver) *view {
	return &view{
		state: s, driver: d,
		heads: map[daybook.StreamID]daybook.Head{}, claimed: map[claimKey]daybook.StreamID{}, added: map[daybook.ID]daybook.Receipt{},
		key: s.key, shift: s.shift, last: s.last, ordinal: s.ordinal, latest: s.latest,
	}
}

// verdict decides on an entry: its frames, if there is something to write, else
// why not. It is final if no other writer can change it.
func (v *view) verdict(e *entry) (frames []byte, final bool) {
	if e.imported != nil {
		frames, e.err = v.importFrames(e.imported)
		return frames, false
	}
	a := e.append
	receipt, known := v.added[a.ID]
	repeated := known
	if !known {
		receipt, known = v.receipt(a.ID, v.driver.durability)
		repeated = !e.lost
	}
	if known {
		if receipt.Fits(a) {
			e.receipt = receipt
			e.receipt.Changesets, e.receipt.Repeated = slices.Clone(receipt.Changesets), repeated
		} else {
			e.err = &daybook.ReusedIDError{ID: a.ID}
		}
		return nil, true
	}
	if e.err = v.check(a); e.err != nil {
		return nil, false
	}
	frames, e.receipt, e.err = v.frames(a)
	return frames, errors.As(e.err, new(*daybook.LimitError))
}

// head returns where a stream ends.
func (v *view) head(id daybook.StreamID) daybook.Head {
	if head, ok := v.heads[id]; ok {
		return head
	}
	return v.state.head(id)
}

func (v *view) holder(key claimKey) (daybook.StreamID, bool) {
	if holder, ok := v.claimed[key]; ok {
		return holder, holder != daybook.StreamID{}
	}
	if on := v.holders[key]; on != nil {
		return on.id, true
	}
	return daybook.StreamID{}, false
}

// check returns why the log refuses an append, if it does.
func (v *view) check(a *daybook.Append) error {
	for i := range a.Changesets {
		c := &a.Changesets[i]
		if head := v.head(c.Stream); !c.Expect.Holds(head) {
			return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: head}
		}
	}
	if err := v.checkCondition(a.Condition); err != nil {
		return err
	}
	for i := range a.Changesets {
		for _, reference := range a.Changesets[i].References {
			created := slices.ContainsFunc(a.Changesets, func(c daybook.Changeset) bool { return c.Stream == reference })
			if !created && !v.head(reference).Exists() {
				return &daybook.ReferenceError{Stream: a.Changesets[i].Stream, Reference: reference}
			}
		}
	}
	return v.checkClaims(a)
}

func (v *view) checkCondition(condition *daybook.Condition) error {
	if condition == nil {
		return nil
	}
	for _, r := range slices.Backward(v.pending) {
		if r.Position > condition.After && condition.Query.Matches(r.Type, r.Tags) {
			return &daybook.ConditionError{Condition: *condition, Found: r.Position}
		}
	}
	if found, ok := v.lastMatch(condition.Query, v.behind(condition.After)); ok {
		return &daybook.ConditionError{Condition: *condition, Found: v.records[found].position}
	}
	return nil
}

// checkClaims looks at every release and claim as if the releases of the whole
// append had been carried out before its claims.
func (v *view) checkClaims(a *daybook.Append) error {
	released := map[claimKey]bool{}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Releases {
			key := claimKey{c.Stream.Partition, claim}
			if holder, held := v.holder(key); held && holder != c.Stream {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}
			}
			released[key] = true
		}
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Claims {
			key := claimKey{c.Stream.Partition, claim}
			if holder, held := v.holder(key); held && holder != c.Stream && !released[key] {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}
			}
		}
	}
	return nil
}

// frames returns the frames of an append that nothing refuses, and adds it to
// the view.
func (v *view) frames(a *daybook.Append) (frames []byte, receipt daybook.Receipt, err error) {
	at := v.driver.clock(v.latest)
	receipt = daybook.Receipt{AppendID: a.ID, RecordedAt: at, Durability: v.driver.durability}
	total := 0
	for i := range a.Changesets {
		total += len(a.Changesets[i].Events)
	}
	if int64(v.key)+int64(total) > maxKey {
		return nil, receipt, fmt.Errorf("azureblob: the log has no keys left: %w", daybook.ErrFull)
	}
	key := v.key
	for i := range a.Changesets {
		c := &a.Changesets[i]
		head := v.head(c.Stream)
		r := daybook.ChangesetReceipt{
			Stream: c.Stream, Number: head.Changeset + 1, Ordinal: v.ordinal + 1 + daybook.Ordinal(i), First: head.Version + 1,
			Last: head.Version + daybook.Version(len(c.Events)), FirstPosition: daybook.Position(int64(key) + 1 + v.shift),
		}
		for j := range c.Events {
			n := note{}
			if j == 0 {
				n.begin(c, a.ID, at)
				if i == 0 {
					n.Frames = total
				}
			}
			key++
			if frames, err = appendEvent(frames, key, &c.Events[j], &n); err != nil {
				return nil, receipt, inEvent(err, i, j)
			}
		}
		r.LastPosition = daybook.Position(int64(key) + v.shift)
		receipt.Changesets = append(receipt.Changesets, r)
	}
	v.add(a, receipt, key)
	return frames, receipt, nil
}

// add puts an append behind the view, whose last frame has a key.
func (v *view) add(a *daybook.Append, receipt daybook.Receipt, key uint32) {
	for i, r := range receipt.Changesets {
		c := &a.Changesets[i]
		head := v.head(c.Stream)
		if head.Version == 0 {
			head.First = r.First
		}
		head.Version, head.Changeset, head.Position, head.RecordedAt = r.Last, r.Number, r.LastPosition, receipt.RecordedAt
		v.heads[c.Stream] = head
		for j := range c.Events {
			e := daybook.Event{Type: c.Events[j].Type, Tags: c.Events[j].Tags}
			v.pending = append(v.pending, daybook.Record{Event: e, Position: r.FirstPosition + daybook.Position(j)})
		}
		for _, claim := range c.Releases {
			v.claimed[claimKey{c.Stream.Partition, claim}] = daybook.StreamID{}
		}
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Claims {
			v.claimed[claimKey{c.Stream.Partition, claim}] = c.Stream
		}
	}
	last := receipt.Changesets[len(receipt.Changesets)-1]
	v.key, v.last, v.ordinal, v.latest = key, last.LastPosition, last.Ordinal, receipt.RecordedAt
	v.added[a.ID] = receipt
}

// appendEvent appends the frame of an event.
func appendEvent(to []byte, key uint32, e *daybook.Event, n *note) ([]byte, error) {
	n.describe(e)
	payload, err := appendDocument(nil, e.Type, e.Data, n)
	if err != nil {
		return nil, err
	}
	if len(payload) > maxPayload {
		return nil, &daybook.LimitError{Value: int64(len(payload)), Limit: maxPayload, Unit: "bytes as stored"}
	}
	return appendFrame(to, key, payload), nil
}

// inEvent puts into an error which event it is about.
func inEvent(err error, changeset, event int) error {
	var limit *daybook.LimitError
	if errors.As(err, &limit) {
		limit.Field = fmt.Sprintf("changesets[%d].events[%d]", changeset, event)
		return limit
	}
	return &daybook.InvalidError{Field: fmt.Sprintf("changesets[%d].events[%d]", changeset, event), Value: "an event", Reason: err.Error()}
}
