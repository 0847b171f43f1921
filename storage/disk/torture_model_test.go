package disk_test

import (
	"context"
	"slices"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
)

// model says what must be in a tortured store: its history, and what it takes to
// tell which of it may be lost.
type model struct {
	*history
	sent map[daybook.ID]proposal

	// What ends here is acknowledged to be on the disk, or handed to the operating
	// system.
	acknowledged, written reach
	crashed               bool // the machine did, since the store was opened last
	// doubtful were sent last, all at once, of which some have no answer. They
	// are not in the history.
	doubtful []attempt
	known    bool // what the store held when it was opened last
	failed   bool // an append or deletion had no answer
	clean    bool // the store was closed

	scrubbed daybook.DeletionNumber // it was said that the scrubs up to it are done
	gone     map[string]bool        // marks that no file may hold any more
}

// reach is where the log ends: with the record at a position, and a deletion.
type reach struct {
	position daybook.Position
	deletion daybook.DeletionNumber
}

func (r reach) covers(other reach) bool {
	return r.position >= other.position && r.deletion >= other.deletion
}

func (r reach) with(other reach) reach {
	return reach{max(r.position, other.position), max(r.deletion, other.deletion)}
}

// proposal is an append or a deletion that was sent, or the import that an append
// came with.
type proposal struct {
	append   daybook.Append
	all      []daybook.RecordedChangeset // nil but for an import
	deletion *daybook.Deletion           // nil but for a deletion
	// reshaped is one whose id another one has already.
	reshaped bool
}

// id returns the id by which the proposal is known in the log.
func (p *proposal) id() daybook.ID {
	switch {
	case p.deletion != nil:
		return p.deletion.ID
	case p.all != nil:
		return p.all[0].AppendID
	default:
		return p.append.ID
	}
}

// answer is what is answered to a proposal that is taken.
type answer struct {
	receipt daybook.Receipt
	deleted daybook.DeletionReceipt
}

// attempt is a proposal and its answer.
type attempt struct {
	proposal
	answer
	err error
}

func newModel() *model {
	return &model{history: newHistory(), sent: map[daybook.ID]proposal{}, gone: map[string]bool{}}
}

// sending notes what is sent, before it is.
func (m *model) sending(p proposal) {
	if !p.reshaped {
		m.sent[p.id()] = p
	}
}

// note takes in what an answer promises.
func (m *model) note(p *proposal, a answer) {
	durability, end := a.receipt.Durability, reach{position: a.receipt.Position()}
	switch {
	case p.deletion != nil:
		durability, end = a.deleted.Durability, reach{deletion: a.deleted.Number}
	case p.all != nil:
		durability, end = daybook.DurabilityDisk, reach{position: p.all[len(p.all)-1].Records[p.all[len(p.all)-1].Count-1].Position}
	}
	if durability >= daybook.DurabilityDisk {
		m.acknowledged = m.acknowledged.with(end)
	}
	if durability >= daybook.DurabilityOS {
		m.written = m.written.with(end)
	}
}

// held is how far the log must be there.
func (m *model) held() reach {
	if m.crashed {
		return m.acknowledged
	}
	return m.written
}

// closed says that the store was closed without an error. Of one that was not
// read since it was opened nobody knows what it held.
func (m *model) closed() {
	if !m.known {
		return
	}
	m.clean = true
	m.acknowledged, m.written = m.end(), m.end()
}

// mustFollow returns why a log cannot be what is left, or what a reader sees:
// everything up to an end, in order, and behind it nothing but what is doubtful.
func (m *model) mustFollow(told []disk.Told, least reach) error {
	end := reach{}
	for i := range told {
		end = end.with(reachOf(&told[i]))
	}
	for i := range min(len(told), len(m.deeds)) {
		if err := m.deeds[i].is(&told[i]); err != nil {
			return err
		}
	}
	if !end.covers(least) {
		return brokenf("the log ends at %+v after %d deeds, what was acknowledged at %+v", end, len(told), least)
	}
	for _, t := range told[min(len(told), len(m.deeds)):] {
		if !slices.ContainsFunc(m.doubtful, func(a attempt) bool { return a.id() == t.ID && (a.deletion != nil) == (t.Deletion != nil) }) {
			return brokenf("the log holds what nobody has just sent: %+v", t)
		}
	}
	return m.mustBeAnswered(told, end)
}

// mustBeAnswered checks the doubtful appends and deletions that were
// acknowledged: they are where it was said, or behind the end of the log.
func (m *model) mustBeAnswered(told []disk.Told, end reach) error {
	for i := range m.doubtful {
		a := &m.doubtful[i]
		d := deed{proposal: a.proposal, answer: a.answer}
		switch {
		case a.err != nil || a.all != nil:
			continue
		case a.deletion != nil && a.deleted.Number > end.deletion:
			continue
		case a.deletion == nil && a.receipt.Changesets[0].FirstPosition > end.position:
			continue
		}
		if !slices.ContainsFunc(told, func(t disk.Told) bool { return d.is(&t) == nil }) {
			return brokenf("%s was answered with %+v and is not there; the log ends at %+v", a.proposal, a.answer, end)
		}
	}
	return nil
}

// after returns the history of which a log tells. Everything in it was sent once,
// and is taken again, in the order of the log, by a store that knows nothing else:
// so it was right to take it.
func (m *model) after(told []disk.Told) (*history, error) {
	if len(told) == len(m.deeds) {
		return m.history, nil
	}
	h := newHistory()
	for i := range told {
		t := &told[i]
		p, known := m.sent[t.ID]
		if !known {
			return nil, brokenf("the log holds what nobody sent: %+v", t)
		}
		before := len(h.deeds)
		if _, err := h.take(p, t.At); err != nil {
			return nil, brokenf("the log holds at %+v what cannot be taken there: %v", h.end(), err)
		}
		if len(h.deeds) == before {
			return nil, brokenf("%s is there twice", p)
		}
		if err := h.deeds[i].is(t); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// recover makes the model what a store holds that was opened.
func (m *model) recover(told []disk.Told, got []daybook.Record) error {
	if err := m.mustFollow(told, m.held()); err != nil {
		return err
	}
	h, err := m.after(told)
	if err != nil {
		return err
	}
	if err := h.mustShow(got); err != nil {
		return err
	}
	m.history = h
	// What was recovered is on the disk.
	m.acknowledged, m.written = m.end(), m.end()
	m.known, m.failed, m.crashed = true, false, false
	return nil
}

// mustBeDeletions returns why the deletions that a store tells of cannot be those
// of the history. It takes in which scrubs are said to be done.
func (m *model) mustBeDeletions(store *daybook.Store) error {
	ctx := context.Background()
	scrubbed := m.scrubbed
	err := sameSequence("deletions", store.ReadDeletions(ctx, daybook.DeletionRead{}), m.store.ReadDeletions(ctx, daybook.DeletionRead{}),
		func(got, want *daybook.RecordedDeletion) bool {
			if got.Receipt.Scrubbed {
				scrubbed = max(scrubbed, got.Receipt.Number)
			}
			return got.Deletion != want.Deletion || !m.isReceipt(&got.Receipt, &want.Receipt)
		})
	if err == nil {
		m.scrub(scrubbed)
	}
	return err
}

// isReceipt reports whether a receipt of a deletion is the one that the history
// has, which knows nothing of disks.
func (m *model) isReceipt(got, want *daybook.DeletionReceipt) bool {
	same := *want
	same.Durability, same.Scrubbed, same.RecordedAt = daybook.DurabilityDisk, got.Scrubbed, got.RecordedAt
	return *got == same && got.RecordedAt.Equal(want.RecordedAt) &&
		(!got.Scrubbed || want.Scrubbed) && (got.Scrubbed || !want.Scrubbed || got.Number > m.scrubbed)
}
