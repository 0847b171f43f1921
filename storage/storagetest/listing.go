package storagetest

import (
	"fmt"
	"iter"
	"slices"

	"github.com/daybook-go/daybook"
)

var listPromises = []Promise{
	{
		Name: "streams are listed with their heads, in the order of their bytes", Feature: ListingStreams, check: checkList,
		Sentence: "The list of streams leaves some out, repeats some, or tells them in an order that cannot be gone on from.",
	},
	{
		Name: "a list goes on behind a stream, up to a limit", Feature: ListingStreams, check: checkListPages,
		Sentence: "Whoever lists streams piece by piece misses some, or sees some twice.",
	},
	{
		Name: "a list is filtered by partition and by stream type", Feature: ListingStreams, check: checkListFilter,
		Sentence: "The list of one tenant's streams shows those of others, or leaves some out.",
	},
}

var statsPromises = []Promise{
	{
		Name: "statistics are what a walk counts", Feature: Statistics, check: checkStats,
		Sentence: "The statistics are not those of what the store holds.",
	},
}

// gatherHeads returns the streams of a list.
func gatherHeads(heads iter.Seq2[daybook.StreamHead, error]) ([]daybook.StreamHead, error) {
	var all []daybook.StreamHead
	for head, err := range heads {
		if err != nil {
			return all, err
		}
		all = append(all, head)
	}
	return all, nil
}

// list returns a list of streams, and must succeed.
func (b *book) list(list daybook.StreamList) []daybook.StreamHead {
	b.s.Helper()
	heads, err := gatherHeads(b.ListStreams(b.s.Context(), list))
	b.s.must(err, "list streams %+v", list)
	return heads
}

// fillStreams appends to many streams, in no order, and returns their heads in
// the order of a list.
func (b *book) fillStreams() []daybook.StreamHead {
	b.s.Helper()
	var ids []daybook.StreamID
	for _, partition := range []string{"north", "", "North", "north-west", "ä"} {
		for _, name := range []string{"b-2", "b", "b-10", "B-1", "a/1", "a-1", "ä-1", "a\u0308-1", "b 1", "b-1", "😀", "\uffff", "b-"} {
			ids = append(ids, daybook.StreamID{Partition: partition, Name: name})
		}
	}
	var heads []daybook.StreamHead
	for i, id := range ids {
		for range 1 + i%3 {
			b.appendAll(together(daybook.Changeset{Stream: id, Events: several(1+i%2, "filled")}))
		}
		heads = append(heads, daybook.StreamHead{Stream: id, Head: b.head(id)})
	}
	slices.SortFunc(heads, func(x, y daybook.StreamHead) int { return x.Stream.Compare(y.Stream) })
	return heads
}

// sameHeads reports the first difference of two lists of streams.
func (s *subject) sameHeads(got, want []daybook.StreamHead, what string) {
	s.Helper()
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if !g.RecordedAt.Equal(w.RecordedAt) {
			s.Errorf("%s: stream %q was recorded at %v, want %v", what, g.Stream, g.RecordedAt, w.RecordedAt)
		}
		g.RecordedAt = w.RecordedAt
		if g != w {
			s.Errorf("%s: stream %d is %+v, want %+v", what, i+1, g, w)
			return
		}
	}
	if len(got) != len(want) {
		s.Errorf("%s: got %d streams, want %d", what, len(got), len(want))
	}
}

func checkList(s *subject) {
	b := s.book()
	s.sameHeads(b.list(daybook.StreamList{}), nil, "the list of an empty store")
	wanted := b.fillStreams()
	s.sameHeads(b.list(daybook.StreamList{}), wanted, "the list of all streams")
	b.append("b", daybook.ExpectAny(), events("more")...)
	for i := range wanted {
		if wanted[i].Stream == daybook.Stream("b") {
			wanted[i].Head = b.head(wanted[i].Stream)
		}
	}
	s.sameHeads(b.list(daybook.StreamList{}), wanted, "the list after one more append")
}

func checkListPages(s *subject) {
	b := s.book()
	wanted := b.fillStreams()
	for _, limit := range []int{1, 7, len(wanted), len(wanted) + 1} {
		var all []daybook.StreamHead
		for list := (daybook.StreamList{Limit: limit}); ; {
			page := b.list(list)
			if all = append(all, page...); len(page) > limit || len(all) > len(wanted) {
				s.Fatalf("a list of up to %d streams gave %d, %d in all", limit, len(page), len(all))
			}
			if len(page) == 0 {
				break
			}
			list.After = page[len(page)-1].Stream
		}
		s.sameHeads(all, wanted, fmt.Sprintf("a list in pieces of %d", limit))
	}
	for _, after := range []daybook.StreamID{
		daybook.Stream("b-1"), daybook.Stream("b-1\x01"), {Partition: "north", Name: "b-10"}, {Partition: "north", Name: "c"}, {Partition: "nort", Name: "z"}, {Partition: "~", Name: "a"},
	} {
		rest := slices.DeleteFunc(slices.Clone(wanted), func(h daybook.StreamHead) bool {
			return h.Stream.Partition < after.Partition || h.Stream.Partition == after.Partition && h.Stream.Name <= after.Name
		})
		s.sameHeads(b.list(daybook.StreamList{After: after}), rest, fmt.Sprintf("a list behind %q", after))
	}
}

func checkListFilter(s *subject) {
	b := s.book()
	all := b.fillStreams()
	for _, filter := range []daybook.Filter{
		{Partitions: []string{""}}, {Partitions: []string{"north"}}, {Partitions: []string{"ä", "North"}}, {Partitions: []string{"nothing"}},
		{StreamTypes: []string{"b"}}, {StreamTypes: []string{"b-1"}}, {StreamTypes: []string{"a/1", "ä"}}, {Partitions: []string{"", "north"}, StreamTypes: []string{"B", "b"}},
	} {
		wanted := slices.DeleteFunc(slices.Clone(all), func(h daybook.StreamHead) bool {
			return !selects(filter, daybook.Record{Stream: h.Stream})
		})
		s.sameHeads(b.list(daybook.StreamList{Filter: filter}), wanted, fmt.Sprintf("a list of %+v", filter))
		limited := daybook.StreamList{Filter: filter, Limit: 3, After: daybook.Stream("b")}
		wanted = slices.DeleteFunc(wanted, func(h daybook.StreamHead) bool {
			return h.Stream.Partition == "" && h.Stream.Name <= "b"
		})
		s.sameHeads(b.list(limited), wanted[:min(3, len(wanted))], fmt.Sprintf("a list of up to 3 of %+v behind %q", filter, "b"))
	}
}

func checkStats(s *subject) {
	b := s.book()
	for i := range 9 {
		stats := b.stats()
		stats.Bytes = 0
		if counted := count(b.log(), stats.LastOrdinal != 0); stats != counted {
			s.Errorf("after %d appends the statistics are %+v, a walk counts %+v", i, stats, counted)
		}
		b.append(numbered("account", i*i%4), daybook.ExpectAny(), several(1+i%3, "deposited")...)
		if _, err := b.Append(s.Context(), daybook.Stream("account-0"), daybook.ExpectVersion(1000), events("refused")...); err == nil {
			s.Fatalf("an append that expects version 1000 was stored")
		}
	}
}

// count returns the statistics of a log.
func count(log []daybook.Record, ordinals bool) daybook.Stats {
	streams := map[daybook.StreamID]bool{}
	counted := daybook.Stats{Records: int64(len(log))}
	for _, r := range log {
		streams[r.Stream] = true
		counted.LastPosition = r.Position
		counted.LongestStream = max(counted.LongestStream, r.Changeset.Number)
		if r.Version == r.Changeset.First {
			counted.Changesets++
		}
		if ordinals {
			counted.LastOrdinal = max(counted.LastOrdinal, r.Changeset.Ordinal)
		}
	}
	counted.Streams = int64(len(streams))
	return counted
}
