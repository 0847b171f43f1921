package sqlstore

import (
	"fmt"
	"time"

	"github.com/daybook-go/daybook"
)

// End is where a log ends.
type End struct {
	Position   daybook.Position
	Ordinal    daybook.Ordinal
	RecordedAt time.Time
}

// Imported is what an import is made of.
type Imported struct {
	Changesets []daybook.RecordedChangeset
	IDs        []daybook.StreamID
	Streams    map[daybook.StreamID]int // the index of each in IDs
	Heads      []daybook.Head           // of each stream before
	Known      map[daybook.ID]int       // how many events of an append are stored already
}

// NewImported returns an import of changesets, at least one, whose heads and
// known appends are not read yet.
func NewImported(changesets []daybook.RecordedChangeset) *Imported {
	im := &Imported{Changesets: changesets, Streams: map[daybook.StreamID]int{}}
	for i := range changesets {
		if _, seen := im.Streams[changesets[i].Stream]; !seen {
			im.Streams[changesets[i].Stream] = len(im.IDs)
			im.IDs = append(im.IDs, changesets[i].Stream)
		}
	}
	return im
}

// AppendIDs returns the ids of the appends, in their order.
func (im *Imported) AppendIDs() []daybook.ID {
	var ids []daybook.ID
	for i := range im.Changesets {
		if i == 0 || im.Changesets[i].AppendID != im.Changesets[i-1].AppendID {
			ids = append(ids, im.Changesets[i].AppendID)
		}
	}
	return ids
}

// Last returns the last append, and the position of the last record.
func (im *Imported) Last() (daybook.ID, daybook.Position) {
	last := &im.Changesets[len(im.Changesets)-1]
	return last.AppendID, last.Records[len(last.Records)-1].Position
}

// Check returns why the changesets cannot follow the end of the log.
func (im *Imported) Check(e End) error {
	heads := append([]daybook.Head(nil), im.Heads...)
	for i := range im.Changesets {
		c := &im.Changesets[i]
		head := &heads[im.Streams[c.Stream]]
		field := fmt.Sprintf("changesets[%d]", i)
		switch {
		case c.Records[0].Position <= e.Position:
			return &daybook.InvalidError{Field: field + ".position", Value: fmt.Sprint(c.Records[0].Position), Reason: fmt.Sprintf("must lie above the end of the log, %d", e.Position)}
		case c.RecordedAt.Before(e.RecordedAt):
			return &daybook.InvalidError{Field: field + ".recorded_at", Value: c.RecordedAt.String(), Reason: "must not lie before the end of the log"}
		case head.Version > 0 && (c.First != head.Version+1 || c.Number != head.Changeset+1):
			return &daybook.InvalidError{Field: field + ".first", Value: fmt.Sprint(c.First), Reason: fmt.Sprintf("must follow version %d, changeset %d of its stream", head.Version, head.Changeset)}
		}
		head.Version, head.Changeset = c.Last(), c.Number
	}
	return nil
}
