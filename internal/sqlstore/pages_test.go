package sqlstore

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/daybook-go/daybook"
)

// numbers is a source whose records have positions from 1, in changesets of so
// many events, each of so many bytes.
type numbers struct {
	end, changeset, bytes int64
	backwards             bool
	gone                  daybook.Ordinal // the changeset that is deleted before it is completed
	limits                []int           // of each Fetch
	fail                  error           // of the third Fetch
}

func (s *numbers) End(context.Context) (int64, error) { return s.end, nil }

func (s *numbers) Fetch(_ context.Context, first, last int64, limit int, whole bool, page *Page) error {
	if s.limits = append(s.limits, limit); len(s.limits) == 3 && s.fail != nil {
		return s.fail
	}
	last = min(last, s.end)
	var header *daybook.ChangesetHeader
	for i := range min(int64(limit), last-first+1) {
		at := first + i
		if s.backwards {
			at = last - i
		}
		ordinal := daybook.Ordinal((at-1)/s.changeset + 1)
		if header == nil || header.Ordinal != ordinal {
			header = &daybook.ChangesetHeader{Ordinal: ordinal, Count: int(s.changeset)}
			page.Missing = append(page.Missing, ordinal)
		}
		page.Bytes += int(s.bytes)
		page.Records = append(page.Records, daybook.Record{Position: daybook.Position(at), Changeset: header})
		if !whole && page.IsFull() {
			page.Cut = true
			break
		}
	}
	return nil
}

func (s *numbers) Complete(_ context.Context, page *Page) error {
	found := Found{}
	for _, ordinal := range page.Missing {
		if ordinal != s.gone {
			found[ordinal] = Details{Metadata: []byte("meta"), Claims: []Claim{{Kind: "email", Value: "ann"}}}
		}
	}
	page.Records = found.Complete(page.Records, page.Missing)
	return nil
}

// pagesOf returns pages of a source, which ends with the test.
func pagesOf(t *testing.T, s *numbers) *Pages {
	calls := NewCalls(t.Context())
	t.Cleanup(func() { calls.Close() })
	return &Pages{Calls: calls, Source: s, First: 1, Backwards: s.backwards, Place: func(r *daybook.Record) int64 { return int64(r.Position) }}
}

// positions reads pages, and checks that every header is complete.
func positions(t *testing.T, p *Pages) (found []int64) {
	t.Helper()
	p.Run(t.Context(), func(r daybook.Record, err error) bool {
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Changeset.Metadata) != "meta" || len(r.Changeset.Claims) != 1 {
			t.Fatalf("the header of position %d is %+v", r.Position, r.Changeset)
		}
		found = append(found, int64(r.Position))
		return true
	})
	return found
}

// span returns the numbers from one to another.
func span(from, to int64) (list []int64) {
	for ; from <= to; from++ {
		list = append(list, from)
	}
	return list
}

func TestEveryRecordIsReadOnceHoweverLargeChangesetsAre(t *testing.T) {
	const end = 20_000
	for _, changeset := range []int64{1, 3, firstPage, 1000, end} {
		for _, bytes := range []int64{1, 2000, mostPageBytes / 2} {
			if changeset == 1 && bytes == mostPageBytes/2 {
				continue // ten thousand pages show no more
			}
			for _, backwards := range []bool{false, true} {
				got := positions(t, pagesOf(t, &numbers{end: end, changeset: changeset, bytes: bytes, backwards: backwards}))
				if backwards {
					slices.Reverse(got)
				}
				if !slices.Equal(got, span(1, end)) {
					t.Errorf("changesets of %d, %d bytes, backwards %t: %d records, want %d in order", changeset, bytes, backwards, len(got), end)
				}
			}
		}
	}
}

func TestALimitIsKeptAndNoMoreIsRead(t *testing.T) {
	for _, limit := range []int{1, firstPage, firstPage + 1, 700, 1500} {
		s := &numbers{end: 5000, changeset: 7, bytes: 1}
		p := pagesOf(t, s)
		p.Limit = limit
		if got := positions(t, p); !slices.Equal(got, span(1, int64(limit))) {
			t.Errorf("limit %d: %d records", limit, len(got))
		}
		read := 0
		for _, each := range s.limits {
			read += each
		}
		if read > limit+7*len(s.limits) {
			t.Errorf("limit %d: up to %d records are fetched", limit, read)
		}
	}
}

func TestALimitCountsWhatIsKept(t *testing.T) {
	p := pagesOf(t, &numbers{end: 5000, changeset: 7, bytes: 1})
	p.Limit, p.Keep = 4, func(r *daybook.Record) bool { return r.Position%1000 == 0 }
	if got := positions(t, p); !slices.Equal(got, []int64{1000, 2000, 3000, 4000}) {
		t.Errorf("got %v", got)
	}
}

func TestAChangesetThatIsDeletedMeanwhileIsLeftOutWhole(t *testing.T) {
	got := positions(t, pagesOf(t, &numbers{end: 30, changeset: 10, bytes: 1, gone: 2}))
	if !slices.Equal(got, append(span(1, 10), span(21, 30)...)) {
		t.Errorf("got %v", got)
	}
}

func TestAReadEndsWithTheErrorOfAPageBehindWhatWasReadBefore(t *testing.T) {
	broken := errors.New("broken")
	p := pagesOf(t, &numbers{end: 100_000, changeset: 1, bytes: 1, fail: broken})
	var records int
	var last error
	p.Run(t.Context(), func(_ daybook.Record, err error) bool {
		if last = err; err == nil {
			records++
		}
		return true
	})
	if !errors.Is(last, broken) || records < firstPage {
		t.Errorf("%d records, then %v", records, last)
	}
}

func TestAReadOfADriverThatIsClosedFails(t *testing.T) {
	p := pagesOf(t, &numbers{end: 10, changeset: 1})
	p.Calls.Close()
	var got error
	p.Run(t.Context(), func(_ daybook.Record, err error) bool {
		got = err
		return true
	})
	if !errors.Is(got, daybook.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", got)
	}
}
