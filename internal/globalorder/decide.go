package globalorder

import (
	"fmt"
	"maps"
	"slices"

	"github.com/daybook-go/daybook"
)

// decision is what becomes of jobs, on the state that a view gives: a page for
// those that hold, and a verdict on each. It counts once the page was created,
// or where there is none.
type decision struct {
	engine   *Engine
	page     *Page
	size     int
	rows     int
	refused  bool // any of them
	verdicts []verdict
	left     []*job // no room in the page

	// What the page changes.
	ids    map[daybook.ID]daybook.Receipt
	heads  map[daybook.StreamID]daybook.Head
	claims map[ClaimKey]daybook.StreamID
}

// verdict is what becomes of one job.
type verdict struct {
	job     *job
	receipt daybook.Receipt
	err     error
	stored  bool // it is in the page
}

// decide decides jobs in their order.
func (e *Engine) decide(v view, jobs []*job) *decision {
	d := &decision{
		engine: e, size: pageRoom,
		page: &Page{Number: v.number + 1, Nonce: daybook.NewID(), Settled: v.settled, After: v.totals},
		ids:  map[daybook.ID]daybook.Receipt{}, heads: map[daybook.StreamID]daybook.Head{}, claims: map[ClaimKey]daybook.StreamID{},
	}
	for i, j := range jobs {
		if (d.size+j.size > e.options.PageBytes || d.rows+j.rows > e.options.PageRows) && len(d.page.Appends) > 0 {
			d.left = jobs[i:]
			break
		}
		verdict := verdict{job: j}
		switch {
		case j.adopts:
		case j.imported != nil:
			verdict.err = d.takeIn(j)
			verdict.stored = verdict.err == nil
		default:
			verdict.receipt, verdict.err = d.append(j)
			verdict.stored = verdict.err == nil && !verdict.receipt.Repeated
		}
		d.refused = d.refused || verdict.err != nil
		d.verdicts = append(d.verdicts, verdict)
	}
	return d
}

// finish tells everybody, and returns who was left out.
func (d *decision) finish() []*job {
	for _, v := range d.verdicts {
		v.job.finish(v.receipt, v.err)
	}
	return d.left
}

// try remembers that the outcome of the jobs in the page is not known.
func (d *decision) try() {
	for _, v := range d.verdicts {
		v.job.tried = v.job.tried || v.stored
	}
}

// untry remembers that none of them was stored, nor will be.
func (d *decision) untry() {
	for _, v := range d.verdicts {
		v.job.tried = false
	}
}

func (d *decision) head(id daybook.StreamID) daybook.Head {
	if head, changed := d.heads[id]; changed {
		return head
	}
	return d.engine.cache.heads[id]
}

func (d *decision) holder(key ClaimKey) daybook.StreamID {
	if holder, changed := d.claims[key]; changed {
		return holder
	}
	return d.engine.cache.claims[key]
}

// append decides one append.
func (d *decision) append(j *job) (daybook.Receipt, error) {
	a := &j.append
	receipt, done := d.ids[a.ID]
	if !done {
		receipt, done = d.engine.cache.ids[a.ID]
	}
	if done {
		if !receipt.Fits(a) {
			return daybook.Receipt{}, &daybook.ReusedIDError{ID: a.ID}
		}
		receipt.Changesets, receipt.Repeated = slices.Clone(receipt.Changesets), true
		receipt.Durability = d.engine.options.Durability
		return receipt, nil
	}
	if err := d.check(j); err != nil {
		return daybook.Receipt{}, err
	}
	at := daybook.Microseconds(d.engine.options.Now())
	if at.Before(d.page.After.RecordedAt) {
		at = d.page.After.RecordedAt
	}
	placed := Placed{ID: a.ID}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		head := d.head(c.Stream)
		header := daybook.ChangesetHeader{
			Number: head.Changeset + 1, First: head.Version + 1, Count: len(c.Events), AppendID: a.ID,
			Metadata: c.Metadata, Claims: c.Claims, Releases: c.Releases, References: c.References,
		}
		records := make([]daybook.Record, len(c.Events))
		for k := range c.Events {
			records[k].Event = c.Events[k]
			records[k].Position = d.page.After.Position + daybook.Position(k) + 1
		}
		placed.Changesets = append(placed.Changesets, d.place(daybook.RecordedChangeset{
			Stream: c.Stream, RecordedAt: at, ChangesetHeader: header, Records: records,
		}))
	}
	d.add(placed, j.size, j.rows)
	return placed.receipt(d.engine.options.Durability), nil
}

// check returns why the state refuses an append, if it does.
func (d *decision) check(j *job) error {
	a := &j.append
	for i := range a.Changesets {
		c := &a.Changesets[i]
		if head := d.head(c.Stream); !c.Expect.Holds(head) {
			return &daybook.ConflictError{Stream: c.Stream, Expect: c.Expect, Found: head}
		}
	}
	if err := d.checkCondition(j); err != nil {
		return err
	}
	for i := range a.Changesets {
		for _, reference := range a.Changesets[i].References {
			created := slices.ContainsFunc(a.Changesets, func(c daybook.Changeset) bool { return c.Stream == reference })
			if !created && !d.head(reference).Exists() {
				return &daybook.ReferenceError{Stream: a.Changesets[i].Stream, Reference: reference}
			}
		}
	}
	return d.checkClaims(a)
}

func (d *decision) checkCondition(j *job) error {
	condition := j.append.Condition
	if condition == nil {
		return nil
	}
	found := j.broken
	d.page.records(true, func(r *daybook.Record) bool {
		if condition.Query.Matches(r.Type, r.Tags) && r.Position > condition.After {
			found = r.Position
			return false
		}
		return true
	})
	if found == 0 {
		return nil
	}
	return &daybook.ConditionError{Condition: *condition, Found: found}
}

// checkClaims looks at every release and claim as if the releases of the whole
// append had been carried out before its claims.
func (d *decision) checkClaims(a *daybook.Append) error {
	none := daybook.StreamID{}
	released := map[ClaimKey]bool{}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Releases {
			key := ClaimKey{c.Stream.Partition, claim}
			if holder := d.holder(key); holder != none && holder != c.Stream {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}
			}
			released[key] = true
		}
	}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		for _, claim := range c.Claims {
			key := ClaimKey{c.Stream.Partition, claim}
			if holder := d.holder(key); holder != none && holder != c.Stream && !released[key] {
				return &daybook.ClaimError{Stream: c.Stream, Claim: claim, Holder: holder}
			}
		}
	}
	return nil
}

// place puts a changeset behind all that is in the page. An ordinal that does
// not lie above the last one is given anew.
func (d *decision) place(c daybook.RecordedChangeset) PlacedChangeset {
	after := &d.page.After
	head := d.head(c.Stream)
	placed := PlacedChangeset{RecordedChangeset: c, StreamFirst: head.First}
	if placed.Ordinal <= after.Ordinal {
		placed.Ordinal = after.Ordinal + 1
	}
	if head.Version == 0 {
		placed.StreamFirst = c.First
	}
	if !head.Exists() {
		after.Streams++
	}
	after.Position, after.Ordinal, after.RecordedAt = c.Records[len(c.Records)-1].Position, placed.Ordinal, c.RecordedAt
	after.Changesets++
	after.Records += int64(len(c.Records))
	after.Longest = max(after.Longest, c.Number)
	d.heads[c.Stream] = placed.Head()
	return placed
}

// add puts an append into the page.
func (d *decision) add(placed Placed, size, rows int) {
	placed.hands(func(key ClaimKey, holder daybook.StreamID) { d.claims[key] = holder })
	d.ids[placed.ID] = placed.receipt(d.engine.options.Durability)
	d.page.Appends = append(d.page.Appends, placed)
	d.size, d.rows = d.size+size, d.rows+rows
}

// takeIn decides an import. Neighbouring changesets with one append id are one
// append.
func (d *decision) takeIn(j *job) error {
	before, heads := d.page.After, maps.Clone(d.heads)
	appends := len(d.page.Appends)
	for from := 0; from < len(j.imported); {
		to := from
		placed := Placed{ID: j.imported[from].AppendID}
		for ; to < len(j.imported) && j.imported[to].AppendID == placed.ID; to++ {
			c := j.imported[to]
			if err := d.follows(&c, fmt.Sprintf("changesets[%d]", to)); err != nil {
				d.page.After, d.heads, d.page.Appends = before, heads, d.page.Appends[:appends]
				return err
			}
			placed.Changesets = append(placed.Changesets, d.place(c))
		}
		d.page.Appends = append(d.page.Appends, placed)
		from = to
	}
	for i := appends; i < len(d.page.Appends); i++ {
		placed := d.page.Appends[i]
		placed.hands(func(key ClaimKey, holder daybook.StreamID) { d.claims[key] = holder })
		d.ids[placed.ID] = placed.receipt(d.engine.options.Durability)
	}
	d.size, d.rows = d.size+j.size, d.rows+j.rows
	return nil
}

// follows returns why a changeset cannot follow the end of the log.
func (d *decision) follows(c *daybook.RecordedChangeset, field string) error {
	head, after := d.head(c.Stream), &d.page.After
	switch {
	case c.Records[0].Position <= after.Position:
		return &daybook.InvalidError{
			Field: field + ".position", Value: fmt.Sprint(c.Records[0].Position), Reason: fmt.Sprintf("must lie above the end of the log, %d", after.Position),
		}
	case c.RecordedAt.Before(after.RecordedAt):
		return &daybook.InvalidError{Field: field + ".recorded_at", Value: c.RecordedAt.String(), Reason: "must not lie before the end of the log"}
	case head.Version > 0 && (c.First != head.Version+1 || c.Number != head.Changeset+1):
		return &daybook.InvalidError{
			Field: field + ".first", Value: fmt.Sprint(c.First),
			Reason: fmt.Sprintf("must follow version %d, changeset %d of its stream", head.Version, head.Changeset),
		}
	}
	return nil
}
