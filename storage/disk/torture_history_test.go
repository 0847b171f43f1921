package disk_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"time"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/disk"
	"github.com/daybook-go/daybook/storage/memory"
)

// history is what a store was given, in order, and what it must be after that: a
// store in memory that was given the same.
type history struct {
	store *daybook.Store
	clock time.Time
	deeds []deed
	log   []daybook.Record // of store: without what is deleted
}

// deed is an append, an import or a deletion that was taken.
type deed struct {
	proposal
	answer
	at  time.Time // when it was recorded
	end reach     // of the log behind it
}

func newHistory() *history {
	h := &history{}
	h.store = daybook.New(memory.New(&memory.Options{Now: func() time.Time { return h.clock }}), nil)
	return h
}

func (h *history) end() reach {
	if len(h.deeds) == 0 {
		return reach{}
	}
	return h.deeds[len(h.deeds)-1].end
}

// latest returns when the last deed was recorded.
func (h *history) latest() time.Time {
	if len(h.deeds) == 0 {
		return time.Time{}
	}
	return h.deeds[len(h.deeds)-1].at
}

// take gives the store in memory what the other one has taken at a time.
func (h *history) take(p proposal, at time.Time) (a answer, err error) {
	ctx := context.Background()
	h.clock = at
	d := deed{proposal: p, end: h.end()}
	repeated := false
	switch {
	case p.deletion != nil:
		a.deleted, err = h.store.DeleteStream(ctx, *p.deletion)
		d.at, d.end.deletion, repeated = a.deleted.RecordedAt, a.deleted.Number, a.deleted.Repeated
	case p.all != nil:
		err = h.store.Import(ctx, p.all)
		d.at = p.all[len(p.all)-1].RecordedAt
	default:
		again := p.append
		again.Durability = daybook.DurabilityDefault
		a.receipt, err = h.store.AppendAll(ctx, again)
		d.at, repeated = a.receipt.RecordedAt, a.receipt.Repeated
	}
	if err != nil || repeated {
		return a, err
	}
	added, failure := gather(h.store.ReadLog(ctx, daybook.LogRead{After: h.end().position}))
	if failure != nil {
		panic(failure)
	}
	if h.log = append(h.log, added...); len(added) > 0 {
		d.end.position = added[len(added)-1].Position
	}
	if p.deletion != nil {
		gone := func(r daybook.Record) bool { return r.Stream == p.deletion.Stream && r.Version <= a.deleted.Through }
		h.log = slices.DeleteFunc(slices.Clone(h.log), gone)
	}
	d.answer = a
	h.deeds = append(h.deeds, d)
	return a, nil
}

// changesets returns what an append or import has added: where, and what.
func (d *deed) changesets() (all []markedChangeset) {
	for i := range d.all {
		c := &d.all[i]
		all = append(all, markedChangeset{c.Stream, c.Last(), marksOfRecords(c)})
	}
	for i := range d.receipt.Changesets {
		r := &d.receipt.Changesets[i]
		all = append(all, markedChangeset{r.Stream, r.Last, marksOf(&d.append.Changesets[i])})
	}
	return all
}

// is returns why the log does not tell of this deed.
func (d *deed) is(t *disk.Told) error {
	same := d.id() == t.ID && (d.deletion != nil) == (t.Deletion != nil)
	switch {
	case !same:
	case d.deletion != nil:
		got, want := t.Deletion.Receipt, d.deleted
		same = got.Number == want.Number && got.Through == want.Through && got.Records == want.Records &&
			got.Changesets == want.Changesets && got.RecordedAt.Equal(want.RecordedAt)
	case d.all != nil:
		same = slices.EqualFunc(d.all, t.Changesets, func(c daybook.RecordedChangeset, r daybook.ChangesetReceipt) bool {
			return c.Stream == r.Stream && c.First == r.First && c.Last() == r.Last && c.Records[0].Position == r.FirstPosition
		})
	default:
		same = slices.Equal(d.receipt.Changesets, t.Changesets) && d.receipt.RecordedAt.Equal(t.At)
	}
	if !same {
		return brokenf("the log tells of\n%+v, want\n%s with %+v", t, d.proposal, d.answer)
	}
	return nil
}

// reachOf returns where a log ends with what is told.
func reachOf(t *disk.Told) reach {
	if t.Deletion != nil {
		return reach{deletion: t.Deletion.Receipt.Number}
	}
	return reach{position: t.Changesets[len(t.Changesets)-1].LastPosition}
}

// mustShow returns why records are not those that the store must show.
func (h *history) mustShow(got []daybook.Record) error {
	for i := range min(len(got), len(h.log)) {
		if !sameRecord(&got[i], &h.log[i]) {
			return brokenf("record %d is\n%s, want\n%s", i, show(&got[i]), show(&h.log[i]))
		}
	}
	if len(got) != len(h.log) {
		return brokenf("%d records are there, want %d", len(got), len(h.log))
	}
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
