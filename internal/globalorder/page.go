package globalorder

import (
	"iter"
	"time"

	"github.com/daybook-go/daybook"
)

// Page is what one step adds to the log: whole appends, and what they amount
// to. A page is never changed. Its number is that of its predecessor and one.
type Page struct {
	Number int64
	// Nonce tells this page from one that another process wanted to put in its
	// place: who does not know whether his page was created looks for it.
	Nonce daybook.ID
	// Settled is a number up to which all pages were settled when this one was
	// created.
	Settled int64
	// Adopting is set while what stood in the storage before there was a log is
	// taken into it; nothing else is until a page comes without it.
	Adopting bool
	Appends  []Placed
	// After is what the log amounts to with this page.
	After Totals

	size int // encoded, in bytes
}

// Totals are what a prefix of the log amounts to.
type Totals struct {
	Position   daybook.Position
	Ordinal    daybook.Ordinal
	RecordedAt time.Time
	Streams    int64
	Changesets int64
	Longest    daybook.ChangesetNumber
	Records    int64
}

// Placed is an append with its place in the log.
type Placed struct {
	ID         daybook.ID
	Changesets []PlacedChangeset
}

// PlacedChangeset is a changeset with its place in the log.
type PlacedChangeset struct {
	daybook.RecordedChangeset
	// StreamFirst is the first version that its stream has.
	StreamFirst daybook.Version
}

// Head returns where the stream ends behind the changeset.
func (c *PlacedChangeset) Head() daybook.Head {
	return daybook.Head{
		Version: c.Last(), Changeset: c.Number, First: c.StreamFirst,
		Position: c.Records[len(c.Records)-1].Position, RecordedAt: c.RecordedAt,
	}
}

// First returns the position of the first record of the page; of a page without
// records that which the next record gets.
func (p *Page) First() daybook.Position {
	if len(p.Appends) == 0 {
		return p.After.Position + 1
	}
	return p.Appends[0].Changesets[0].Records[0].Position
}

// receipt returns what the append was answered with.
func (a *Placed) receipt(durability daybook.Durability) daybook.Receipt {
	receipt := daybook.Receipt{AppendID: a.ID, RecordedAt: a.Changesets[0].RecordedAt, Durability: durability}
	for i := range a.Changesets {
		c := &a.Changesets[i]
		receipt.Changesets = append(receipt.Changesets, daybook.ChangesetReceipt{
			Stream: c.Stream, Number: c.Number, Ordinal: c.Ordinal, First: c.First, Last: c.Last(),
			FirstPosition: c.Records[0].Position, LastPosition: c.Records[len(c.Records)-1].Position,
		})
	}
	return receipt
}

// changesets calls do with every changeset of the page, in order.
func (p *Page) changesets(do func(c *PlacedChangeset)) {
	for i := range p.Appends {
		for j := range p.Appends[i].Changesets {
			do(&p.Appends[i].Changesets[j])
		}
	}
}

// append returns the append with an id; nil if the page has none.
func (p *Page) append(id daybook.ID) *Placed {
	for i := range p.Appends {
		if p.Appends[i].ID == id {
			return &p.Appends[i]
		}
	}
	return nil
}

// records calls yield with every record of the page, in the order of the log or
// backwards, until it returns false; then it returns false too.
func (p *Page) records(backwards bool, yield func(*daybook.Record) bool) bool {
	if !backwards {
		for i := range p.Appends {
			for j := range p.Appends[i].Changesets {
				for k := range p.Appends[i].Changesets[j].Records {
					if !yield(&p.Appends[i].Changesets[j].Records[k]) {
						return false
					}
				}
			}
		}
		return true
	}
	for i := len(p.Appends) - 1; i >= 0; i-- {
		for j := len(p.Appends[i].Changesets) - 1; j >= 0; j-- {
			records := p.Appends[i].Changesets[j].Records
			for k := len(records) - 1; k >= 0; k-- {
				if !yield(&records[k]) {
					return false
				}
			}
		}
	}
	return true
}

// Records yields the records of the page in the order of the log.
func (p *Page) Records() iter.Seq[*daybook.Record] {
	return func(yield func(*daybook.Record) bool) { p.records(false, yield) }
}
