package disk_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// model says what must be in a tortured store. It is a store in memory that is
// given the same appends, and what it takes to tell which of them may be lost.
type model struct {
	store *daybook.Store
	clock time.Time
	log   []daybook.Record // of store
	sent  map[daybook.ID]proposal

	// What ends at these positions is acknowledged to be on the disk, or handed
	// to the operating system.
	acknowledged, written daybook.Position
	crashed               bool // the machine did, since the store was opened last
	// doubtful were sent last, all at once, of which some have no answer. They
	// are not in store.
	doubtful []attempt
	known    bool // what the store held when it was opened last
	failed   bool // an append had no answer
	clean    bool // the store was closed
}

// proposal is an append that was sent, or the import that an append came with.
type proposal struct {
	append daybook.Append
	all    []daybook.RecordedChangeset // nil for an append
	// reshaped is an append whose id another one has already.
	reshaped bool
}

// attempt is an append and its answer.
type attempt struct {
	proposal
	receipt daybook.Receipt
	err     error
}

func newModel() *model {
	m := &model{sent: map[daybook.ID]proposal{}}
	m.forget()
	return m
}

// forget empties the store.
func (m *model) forget() {
	m.log = nil
	m.store = daybook.New(memory.New(&memory.Options{Now: func() time.Time { return m.clock }}), nil)
}

func (m *model) end() daybook.Position {
	if len(m.log) == 0 {
		return 0
	}
	return m.log[len(m.log)-1].Position
}

// take gives the store in memory what the other one has taken at a time.
func (m *model) take(p proposal, at time.Time) (receipt daybook.Receipt, err error) {
	m.clock = at
	after := m.end()
	if p.all != nil {
		err = m.store.Import(context.Background(), p.all)
	} else {
		a := p.append
		a.Durability = daybook.DurabilityDefault
		receipt, err = m.store.AppendAll(context.Background(), a)
	}
	added, failure := gather(m.store.ReadLog(context.Background(), daybook.LogRead{After: after}))
	if failure != nil {
		panic(failure)
	}
	m.log = append(m.log, added...)
	return receipt, err
}

// note takes in what an answer promises.
func (m *model) note(receipt daybook.Receipt) {
	if receipt.Durability >= daybook.DurabilityDisk {
		m.acknowledged = max(m.acknowledged, receipt.Position())
	}
	if receipt.Durability >= daybook.DurabilityOS {
		m.written = max(m.written, receipt.Position())
	}
}

// held is the position up to which the log must be there.
func (m *model) held() daybook.Position {
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

// mustFollow returns why a log cannot be what is left: everything that must be
// there, in order, and behind it nothing but what is doubtful.
func (m *model) mustFollow(got []daybook.Record) error {
	for i := range min(len(got), len(m.log)) {
		if !sameRecord(&got[i], &m.log[i]) {
			return brokenf("record %d is\n%s, want\n%s", i, show(&got[i]), show(&m.log[i]))
		}
	}
	end := daybook.Position(0)
	if len(got) > 0 {
		end = got[len(got)-1].Position
	}
	if end < m.held() {
		return brokenf("the log ends at position %d after %d records, what was acknowledged at %d", end, len(got), m.held())
	}
	if len(got) < len(m.log) && got != nil && !wholeAt(got, m.log[len(got)]) {
		return brokenf("the log ends within the append at position %d", end)
	}
	for _, r := range got[min(len(got), len(m.log)):] {
		if !slices.ContainsFunc(m.doubtful, func(a attempt) bool { return a.has(r.Changeset.AppendID) }) {
			return brokenf("a record that nobody has just sent: %s", show(&r))
		}
	}
	return m.mustBeAnswered(got, end)
}

// mustBeAnswered checks the doubtful appends that were acknowledged: they are
// where it was said, or behind the end of the log.
func (m *model) mustBeAnswered(got []daybook.Record, end daybook.Position) error {
	for _, a := range m.doubtful {
		if a.err != nil || len(a.receipt.Changesets) == 0 {
			continue
		}
		if first := a.receipt.Changesets[0].FirstPosition; first > end {
			continue
		}
		for _, c := range a.receipt.Changesets {
			found := slices.ContainsFunc(got, func(r daybook.Record) bool {
				return r.Position == c.LastPosition && r.Version == c.Last && r.Stream == c.Stream &&
					r.Changeset.AppendID == a.receipt.AppendID && r.Changeset.Ordinal == c.Ordinal && r.RecordedAt.Equal(a.receipt.RecordedAt)
			})
			if !found {
				return brokenf("append %s was answered with %+v and is not there; the log ends at %d", a.append.ID, a.receipt, end)
			}
		}
	}
	return nil
}

func (a *attempt) has(id daybook.ID) bool {
	return a.append.ID == id || slices.ContainsFunc(a.all, func(c daybook.RecordedChangeset) bool { return c.AppendID == id })
}

// wholeAt reports whether a log may end before the next record.
func wholeAt(got []daybook.Record, next daybook.Record) bool {
	return len(got) == 0 || got[len(got)-1].Changeset.AppendID != next.Changeset.AppendID
}

// recover makes the model what a store holds that was opened. Everything in it
// was sent once, and each append is taken again, in the order of the log, by a
// store that knows nothing else: so it was right to take it.
func (m *model) recover(got []daybook.Record) error {
	if err := m.mustFollow(got); err != nil {
		return err
	}
	if len(got) < len(m.log) {
		m.forget()
	}
	for len(m.log) < len(got) {
		r := got[len(m.log)]
		sent, known := m.sent[r.Changeset.AppendID]
		if !known {
			return brokenf("a record that nobody sent: %s", show(&r))
		}
		before := len(m.log)
		if _, err := m.take(sent, r.RecordedAt); err != nil {
			return brokenf("the log holds at position %d what cannot be appended there: %v", r.Position, err)
		}
		if len(m.log) == before || len(m.log) > len(got) {
			return brokenf("append %s is not whole at position %d, or there twice", r.Changeset.AppendID, r.Position)
		}
		for i := before; i < len(m.log); i++ {
			if !sameRecord(&got[i], &m.log[i]) {
				return brokenf("record %d is\n%s, want\n%s", i, show(&got[i]), show(&m.log[i]))
			}
		}
	}
	// What was recovered is on the disk.
	m.acknowledged, m.written = m.end(), m.end()
	m.known, m.failed, m.crashed = true, false, false
	return nil
}

func sameRecord(a, b *daybook.Record) bool {
	return reflect.DeepEqual(plain(a), plain(b))
}

// plain returns a record with nil for what is empty.
func plain(r *daybook.Record) daybook.Record {
	p := *r
	header := *r.Changeset
	p.Changeset = &header
	p.Data, p.Tags, p.Context.Metadata = none(p.Data), none(p.Tags), none(p.Context.Metadata)
	header.Metadata, header.Claims, header.Releases, header.References = none(header.Metadata), none(header.Claims), none(header.Releases), none(header.References)
	return p
}

func none[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func show(r *daybook.Record) string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(text)
}
