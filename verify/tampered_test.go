package verify_test

import (
	"context"
	"iter"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
	"github.com/daybook-go/daybook/storage/memory"
)

// tampered is a memory driver that lies in chosen places. What it says of
// streams follows from the log that it tells, unless it lies there too.
type tampered struct {
	*memory.Driver
	log       func([]daybook.Record) []daybook.Record
	backwards func([]daybook.Record) []daybook.Record
	stream    func([]daybook.Record) []daybook.Record
	head      func(daybook.StreamID, daybook.Head) daybook.Head
	end       func(daybook.Position) daybook.Position
	list      func([]daybook.StreamHead) []daybook.StreamHead
	stats     func(*daybook.Stats)
	holder    func(daybook.Claim, daybook.StreamID) daybook.StreamID
	fails     error // of every read of the log, behind three records
	deletions func([]daybook.RecordedDeletion)
}

// told returns the log as it is told, in memory of its own.
func (d *tampered) told(ctx context.Context) []daybook.Record {
	var records []daybook.Record
	headers := map[*daybook.ChangesetHeader]*daybook.ChangesetHeader{}
	for record := range d.Driver.ReadLog(ctx, daybook.LogRead{}) {
		if headers[record.Changeset] == nil {
			own := *record.Changeset
			headers[record.Changeset] = &own
		}
		record.Changeset = headers[record.Changeset]
		records = append(records, record)
	}
	if d.log != nil {
		records = d.log(records)
	}
	return records
}

func (d *tampered) ReadLog(ctx context.Context, read daybook.LogRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		records := d.told(ctx)
		if read.Backwards {
			slices.Reverse(records)
			if d.backwards != nil {
				records = d.backwards(records)
			}
		}
		for i, record := range records {
			if i == 3 && d.fails != nil {
				yield(daybook.Record{}, d.fails)
				return
			}
			if read.Holds(&record) && !yield(record, nil) {
				return
			}
		}
	}
}

func (d *tampered) ReadStream(ctx context.Context, id daybook.StreamID, read daybook.StreamRead) iter.Seq2[daybook.Record, error] {
	return func(yield func(daybook.Record, error) bool) {
		var records []daybook.Record
		for _, record := range d.told(ctx) {
			if record.Stream == id && read.Holds(record.Version, record.RecordedAt) {
				records = append(records, record)
			}
		}
		if d.stream != nil {
			records = d.stream(records)
		}
		for _, record := range records {
			if !yield(record, nil) {
				return
			}
		}
	}
}

func (d *tampered) Head(ctx context.Context, id daybook.StreamID) (daybook.Head, error) {
	head, err := d.Driver.Head(ctx, id)
	if d.head != nil {
		head = d.head(id, head)
	}
	return head, err
}

func (d *tampered) End(ctx context.Context) (daybook.Position, error) {
	end, err := d.Driver.End(ctx)
	if d.end != nil {
		end = d.end(end)
	}
	return end, err
}

func (d *tampered) ListStreams(ctx context.Context, list daybook.StreamList) iter.Seq2[daybook.StreamHead, error] {
	return func(yield func(daybook.StreamHead, error) bool) {
		var heads []daybook.StreamHead
		for head := range d.Driver.ListStreams(ctx, list) {
			heads = append(heads, head)
		}
		if d.list != nil {
			heads = d.list(heads)
		}
		for _, head := range heads {
			if !yield(head, nil) {
				return
			}
		}
	}
}

func (d *tampered) Stats(ctx context.Context) (daybook.Stats, error) {
	stats, err := d.Driver.Stats(ctx)
	if d.stats != nil {
		d.stats(&stats)
	}
	return stats, err
}

func (d *tampered) ReadDeletions(ctx context.Context, read daybook.DeletionRead) iter.Seq2[daybook.RecordedDeletion, error] {
	return func(yield func(daybook.RecordedDeletion, error) bool) {
		var all []daybook.RecordedDeletion
		for deletion := range d.Driver.ReadDeletions(ctx, read) {
			all = append(all, deletion)
		}
		if d.deletions != nil && len(all) > 0 {
			d.deletions(all)
		}
		for _, deletion := range all {
			if !yield(deletion, nil) {
				return
			}
		}
	}
}

func (d *tampered) ClaimHolder(ctx context.Context, partition string, claim daybook.Claim) (daybook.StreamID, bool, error) {
	holder, held, err := d.Driver.ClaimHolder(ctx, partition, claim)
	if d.holder != nil {
		holder = d.holder(claim, holder)
	}
	return holder, held, err
}

// event returns an event that is as a store keeps it.
func event(kind string) daybook.Event {
	return daybook.Event{Type: kind, Data: []byte(`{"by":"` + kind + `"}`), Tags: []string{"test"}}
}

// filled returns a driver whose log is, by position:
//
//	1 2   account-1  changeset 1  takes the e-mail
//	3     account-2  changeset 1
//	4     account-1  changeset 2  releases the e-mail; one append with
//	5     account-2  changeset 2  takes the e-mail
//	6 7 8 transfer-1 changeset 1  refers to both accounts
//	9     account-1  changeset 3
func filled(t *testing.T) *memory.Driver {
	t.Helper()
	driver := memory.New(nil)
	store := daybook.New(driver, nil)
	email := []daybook.Claim{{Kind: "email", Value: "ann@example.org"}}
	one, two, transfer := daybook.Stream("account-1"), daybook.Stream("account-2"), daybook.Stream("transfer-1")
	for _, changesets := range [][]daybook.Changeset{
		{{Stream: one, Events: []daybook.Event{event("opened"), event("named")}, Claims: email}},
		{{Stream: two, Events: []daybook.Event{event("opened")}}},
		{
			{Stream: one, Events: []daybook.Event{event("left")}, Releases: email},
			{Stream: two, Events: []daybook.Event{event("joined")}, Claims: email},
		},
		{{Stream: transfer, Events: []daybook.Event{event("asked"), event("booked"), event("told")}, References: []daybook.StreamID{one, two}}},
		{{Stream: one, Events: []daybook.Event{event("closed")}}},
	} {
		if _, err := store.AppendAll(t.Context(), daybook.Append{Changesets: changesets}); err != nil {
			t.Fatal(err)
		}
	}
	return driver
}
