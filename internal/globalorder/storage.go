package globalorder

import (
	"context"
	"errors"
	"iter"

	"github.com/daybook-go/daybook"
)

// ErrExists is returned by Storage.Create where another page has the number.
var ErrExists = errors.New("the page exists")

// StoredPage is a page as a storage keeps it: bytes that it need not
// understand, and what it finds them by.
type StoredPage struct {
	Number  int64
	First   daybook.Position // what Seek goes by; it never falls along the pages
	Settled int64            // what Last tells
	Done    bool             // MarkSettled was called for it
	Bytes   []byte           // up to Options.PageBytes
	Content *Page            // given to Create, for a storage that settles in the same step
}

// Place is what Storage.Last tells of the last page.
type Place struct{ Number, Settled int64 }

// Storage is what a driver brings. Its methods may be called by many goroutines
// at once. What they read must be consistent as the storage is after a write was
// answered: a strong read.
//
// An error that matches daybook.ErrRefused says that nothing was written and
// that another attempt is in vain: the right is missing, the request is too
// large. After any other error of a write it was done, or not, or is still to
// be done.
type Storage interface {
	// Create stores a page in one step, or answers ErrExists where one with its
	// number is there. It must not put a page in the place of another, not even
	// where an earlier attempt of its own is applied late. It may answer
	// ErrExists for that attempt. It may write what Settle would, in the same
	// step, and then sets page.Done.
	Create(ctx context.Context, page *StoredPage) error
	// Last returns the place of the page with the highest number; zero where
	// there is none.
	Last(ctx context.Context) (Place, error)
	// Seek returns the highest number of a page whose First is at most the
	// position; 0 where there is none.
	Seek(ctx context.Context, position daybook.Position) (int64, error)
	// Pages yields the pages with numbers from one to another, 0 for no end, in
	// order and without a gap: at least those that were there when it began.
	Pages(ctx context.Context, from, to int64) iter.Seq2[StoredPage, error]
	// MarkSettled sets Done of pages.
	MarkSettled(ctx context.Context, numbers []int64) error
	// Settle writes what is looked up by other things than pages. It is called
	// again for the same pages, at the same time too, and late: for pages whose
	// streams have gone on since. What has a stamp is only replaced by what has a
	// higher one. It need not be one step.
	Settle(ctx context.Context, s *Settlement) error

	// AppendPage returns the number of the page that holds the append; 0 where
	// it was not settled.
	AppendPage(ctx context.Context, id daybook.ID) (int64, error)
	// Head returns where a stream ends; zero where it was not settled.
	Head(ctx context.Context, id daybook.StreamID) (SettledHead, error)
	// Claim returns who holds a claim.
	Claim(ctx context.Context, key ClaimKey) (SettledClaim, error)
	// Records yields the settled records of a stream from one version to
	// another, in order or backwards. Forwards, to may lie above the end of the
	// stream; then what comes behind a version that is missing does not count.
	Records(ctx context.Context, id daybook.StreamID, from, to daybook.Version, backwards bool) iter.Seq2[daybook.Record, error]
	// Streams yields the settled heads of streams that sort above one, by
	// partition and name in the order of their bytes. It may leave out what
	// filter does not select; it need not.
	Streams(ctx context.Context, after daybook.StreamID, filter daybook.Filter) iter.Seq2[daybook.StreamHead, error]
}

// Adopter is a Storage that may hold records from before there was a log.
type Adopter interface {
	// Found yields what was there before the log, each stream's changesets in
	// order, and every time in the same order. Their positions do not count;
	// their numbers and ordinals are kept where they rise, and given where they
	// do not: 0 is to be given. It yields nothing where there is nothing.
	Found(ctx context.Context) iter.Seq2[daybook.RecordedChangeset, error]
}

// Settlement is what some pages say, by what it is looked up with.
type Settlement struct {
	Changesets []*PlacedChangeset
	Appends    []SettledAppend
	Heads      []SettledHead
	Claims     []SettledClaim
}

// SettledAppend says which page holds an append.
type SettledAppend struct {
	ID   daybook.ID
	Page int64
}

// SettledHead is the head of a stream as a page left it.
type SettledHead struct {
	daybook.StreamHead
	Stamp int64 // the number of that page; 0 where the stream was not settled
}

// ClaimKey is a claim where it is unique: in its partition.
type ClaimKey struct {
	Partition string
	Claim     daybook.Claim
}

// SettledClaim is the holder of a claim as a page left it.
type SettledClaim struct {
	Key    ClaimKey
	Holder daybook.StreamID // zero where nobody holds it; that must be kept too
	Stamp  int64            // the number of that page; 0 where the claim was not settled
}

// Settlement returns what the page says, by what it is looked up with.
func (p *Page) Settlement() *Settlement { return settlementOf([]*Page{p}) }

// settlementOf returns what pages say. They need not follow one another.
func settlementOf(pages []*Page) *Settlement {
	s := &Settlement{}
	heads, claims := map[daybook.StreamID]int{}, map[ClaimKey]int{}
	for _, p := range pages {
		for i := range p.Appends {
			s.Appends = append(s.Appends, SettledAppend{ID: p.Appends[i].ID, Page: p.Number})
		}
		p.changesets(func(c *PlacedChangeset) {
			s.Changesets = append(s.Changesets, c)
			at, seen := heads[c.Stream]
			if !seen {
				at = len(s.Heads)
				heads[c.Stream], s.Heads = at, append(s.Heads, SettledHead{})
			}
			s.Heads[at] = SettledHead{StreamHead: daybook.StreamHead{Stream: c.Stream, Head: c.Head()}, Stamp: p.Number}
		})
		p.hands(func(key ClaimKey, holder daybook.StreamID) {
			at, seen := claims[key]
			if !seen {
				at = len(s.Claims)
				claims[key], s.Claims = at, append(s.Claims, SettledClaim{})
			}
			s.Claims[at] = SettledClaim{Key: key, Holder: holder, Stamp: p.Number}
		})
	}
	return s
}

// hands calls do for every claim that changes hands, in the order in which they
// do: the releases of an append before its claims.
func (p *Page) hands(do func(key ClaimKey, holder daybook.StreamID)) {
	for i := range p.Appends {
		p.Appends[i].hands(do)
	}
}

func (a *Placed) hands(do func(key ClaimKey, holder daybook.StreamID)) {
	for j := range a.Changesets {
		c := &a.Changesets[j]
		for _, claim := range c.Releases {
			do(ClaimKey{c.Stream.Partition, claim}, daybook.StreamID{})
		}
	}
	for j := range a.Changesets {
		c := &a.Changesets[j]
		for _, claim := range c.Claims {
			do(ClaimKey{c.Stream.Partition, claim}, c.Stream)
		}
	}
}
